//! Updates as PyTorch makes them, LAMB's as its paper does: parameters after every update to 1e-6 of their norm, on every
//! backend.

use crate::support::{Fixture, Model, assert_near, devices, parameters, values};
use burn::module::Module;
use burn::tensor::Device;
use burnformer_train::{GradientSums, Optimizer};

const TOLERANCE: f64 = 1e-6;

/// Repeats the updates of a fixture, clipped ones with the norm.
fn check(name: &str) {
    let fixture = Fixture::open(name);
    for device in devices() {
        let mut model = Model::new(&fixture, &device);
        let mut optimizer = Optimizer::new(fixture.config.optimizer.clone());
        for (step, &learning_rate) in (1..).zip(&fixture.config.learning_rates) {
            let mut gradients = GradientSums::new();
            for micro in 0..fixture.config.n_micro {
                gradients.add(&model, fixture.gradients(&model, step, micro));
            }
            let norm = gradients.norm();
            let at = |what: &str| format!("{name}: {what} after update {step} on {device:?}");
            assert_near(
                &at("norm"),
                &values(norm.clone()),
                &fixture.expected(&format!("output.{step}.norm")),
                TOLERANCE,
            );
            let scale = fixture.config.max_norm.map(|max_norm| GradientSums::clip_factor(norm, max_norm));
            model = optimizer.step(model, gradients, learning_rate, scale);
            for (path, found) in parameters(&model) {
                assert_near(&at(&path), &found, &fixture.expected(&format!("output.{step}.{path}")), TOLERANCE);
            }
        }
        assert_eq!(optimizer.n_steps(), 6);
    }
}

#[test]
fn sgd_follows_pytorch() {
    check("sgd");
    check("sgd_plain");
    check("sgd_clipped");
}

#[test]
fn adam_follows_pytorch() {
    check("adam");
}

#[test]
fn adamw_follows_pytorch() {
    check("adamw");
    check("adamw_clipped");
}

#[test]
fn lamb_follows_its_paper() {
    check("lamb");
    check("lamb_clipped");
}

/// One update with the gradients of `adamw`.
fn updated(model: Model, optimizer: &mut Optimizer, fixture: &Fixture) -> Model {
    let mut gradients = GradientSums::new();
    gradients.add(&model, fixture.gradients(&model, 1, 0));
    optimizer.step(model, gradients, 0.1, None)
}

#[test]
fn a_frozen_parameter_keeps_its_value_and_has_no_moments() {
    for name in ["sgd", "adam", "adamw", "lamb"] {
        let fixture = Fixture::open(name);
        for device in devices() {
            let mut model = Model::new(&fixture, &device);
            model.linear_in = model.linear_in.no_grad();
            let before = parameters(&model);
            let mut optimizer = Optimizer::new(fixture.config.optimizer.clone());
            let model = updated(model, &mut optimizer, &fixture);
            for (path, after) in parameters(&model) {
                assert_eq!(before[&path] == after, path.starts_with("linear_in"), "{name}: `{path}` on {device:?}");
            }
            assert!(optimizer.state().unwrap().iter().all(|(name, _)| !name.starts_with("linear_in")));
        }
    }
}

#[test]
fn a_model_is_trained_on_with_gradient_checkpointing_after_an_update() {
    let fixture = Fixture::open("adamw");
    for device in devices() {
        let checkpointed = device.clone().autodiff().gradient_checkpointing();
        let mut optimizer = Optimizer::new(fixture.config.optimizer.clone());
        let mut model = Model::new(&fixture, &checkpointed);
        let strategy = |model: &Model| model.norm.weight.val().gradient_checkpointing_strategy();
        let before = strategy(&model);
        assert_ne!(before, strategy(&Model::new(&fixture, &device)));
        for _ in 0..2 {
            model = updated(model, &mut optimizer, &fixture);
            assert_eq!(strategy(&model), before);
        }
    }
}

#[test]
#[should_panic(
    expected = "the gradient of `linear_in.bias` belongs to no parameter of the model that is to be trained"
)]
fn a_gradient_of_no_parameter_is_refused() {
    let fixture = Fixture::open("sgd");
    let device: Device = devices().remove(0);
    let mut model = Model::new(&fixture, &device);
    let mut gradients = GradientSums::new();
    gradients.add(&model, fixture.gradients(&model, 1, 0));
    model.linear_in = model.linear_in.no_grad();
    let _ = Optimizer::new(fixture.config.optimizer.clone()).step(model, gradients, 0.1, None);
}
