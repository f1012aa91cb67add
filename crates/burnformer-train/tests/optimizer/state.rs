//! What goes into a checkpoint, and comes back.

use crate::support::{Fixture, Model, backward, devices, parameters};
use burn::module::Module;
use burn::tensor::{Device, TensorData};
use burnformer_train::{GradientSums, Optimizer, OptimizerConfig, OptimizerStateError};
use std::collections::BTreeMap;

type State = Vec<(String, TensorData)>;

fn step(model: Model, optimizer: &mut Optimizer, fixture: &Fixture, step: usize) -> Model {
    let mut gradients = GradientSums::new();
    gradients.add(&model, fixture.gradients(&model, step, 0));
    let scale = GradientSums::clip_factor(gradients.norm(), 1.0);
    optimizer.step(model, gradients, fixture.config.learning_rates[step - 1], Some(scale))
}

#[test]
fn a_run_that_was_stopped_goes_on_to_the_same_bits() {
    for name in ["sgd", "sgd_plain", "adam", "adamw", "lamb"] {
        let fixture = Fixture::open(name);
        for device in devices() {
            let mut model = Model::new(&fixture, &device);
            let mut optimizer = Optimizer::new(fixture.config.optimizer.clone());
            for number in 1..=3 {
                model = step(model, &mut optimizer, &fixture, number);
            }
            let config = fixture.config.optimizer.clone();
            let mut resumed = model.clone();
            let mut loaded = Optimizer::load_state(config, 3, optimizer.state().unwrap(), &model, &device).unwrap();
            assert_eq!(loaded.state().unwrap(), optimizer.state().unwrap());
            for number in 4..=6 {
                model = step(model, &mut optimizer, &fixture, number);
                resumed = step(resumed, &mut loaded, &fixture, number);
                assert_eq!(parameters(&resumed), parameters(&model), "{name}: update {number} on {device:?}");
            }
            assert_eq!((loaded.n_steps(), loaded.state().unwrap()), (6, optimizer.state().unwrap()));
        }
    }
}

/// A model and the state of one update of it.
fn trained(name: &str) -> (Fixture, Model, State, Device) {
    let fixture = Fixture::open(name);
    let device = devices().remove(0);
    let mut optimizer = Optimizer::new(fixture.config.optimizer.clone());
    let model = step(Model::new(&fixture, &device), &mut optimizer, &fixture, 1);
    (fixture, model, optimizer.state().unwrap(), device)
}

#[test]
fn moments_have_the_names_and_shapes_of_their_parameters_in_order() {
    let paths =
        ["linear_in.bias", "linear_in.weight", "linear_out.bias", "linear_out.weight", "norm.bias", "norm.weight"];
    let shapes: [&[usize]; 6] = [&[5], &[5, 3], &[2], &[2, 5], &[5], &[5]];
    for (name, moments) in [("sgd", &["momentum"][..]), ("sgd_plain", &[]), ("lamb", &["first", "second"])] {
        let (.., state, _) = trained(name);
        let found: Vec<_> = state.iter().map(|(name, data)| (name.clone(), data.shape().to_vec())).collect();
        let named = |(path, shape): (&str, &[usize])| {
            let shape = shape.to_vec();
            moments.iter().map(move |moment| (format!("{path}.{moment}"), shape.clone())).collect::<Vec<_>>()
        };
        let expected: Vec<_> = paths.into_iter().zip(shapes).flat_map(named).collect();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn a_parameter_that_never_got_a_gradient_is_no_obstacle() {
    let fixture = Fixture::open("adamw");
    for device in devices() {
        let model = Model::new(&fixture, &device);
        let mut gradients = GradientSums::new();
        let only = |path: &str| (path == "norm.bias").then(|| fixture.data("grad.1.0.norm.bias"));
        gradients.add(&model, backward(&model, only));
        let mut optimizer = Optimizer::new(fixture.config.optimizer.clone());
        let model = optimizer.step(model, gradients, 0.1, None);
        let state: BTreeMap<_, _> = optimizer.state().unwrap().into_iter().collect();
        assert!(state["norm.weight.first"].iter::<f32>().all(|x| x == 0.0));
        assert!(state["norm.bias.first"].iter::<f32>().all(|x| x != 0.0));
        let config = fixture.config.optimizer.clone();
        Optimizer::load_state(config, 1, optimizer.state().unwrap(), &model, &device).unwrap();
    }
}

#[test]
fn before_the_first_update_there_is_no_state() {
    let fixture = Fixture::open("adamw");
    let device = devices().remove(0);
    let model = Model::new(&fixture, &device);
    let optimizer = Optimizer::new(OptimizerConfig::default());
    assert_eq!((optimizer.n_steps(), optimizer.state().unwrap()), (0, State::new()));
    Optimizer::load_state(OptimizerConfig::default(), 0, State::new(), &model, &device).unwrap();
}

/// What is said of the state after `change`.
fn refused(change: impl FnOnce(&mut State)) -> OptimizerStateError {
    let (fixture, model, mut state, device) = trained("adamw");
    change(&mut state);
    Optimizer::load_state(fixture.config.optimizer, 1, state, &model, &device).unwrap_err()
}

#[test]
fn a_state_that_does_not_belong_to_the_model_is_refused_by_name() {
    let error = refused(|state| state[0].0 = "linear.bias.first".to_string());
    let unknown = "the state of the optimiser has a tensor `linear.bias.first`, but the model no such parameter to train, \
                   resume with the settings of the run that wrote it";
    assert_eq!(error.to_string(), unknown);

    let error = refused(|state| drop(state.remove(3)));
    let missing = "the state of the optimiser lacks the tensor `linear_in.weight.second`, \
                   resume with the settings of the run that wrote it";
    assert_eq!(error.to_string(), missing);

    let error = refused(|state| state[2].1 = TensorData::new(vec![0f32; 15], [3, 5]));
    let shape =
        "`linear_in.weight.first` of the optimiser's state has shape [3, 5], expected that of its parameter, [5, 3]";
    assert_eq!(error.to_string(), shape);

    let error = refused(|state| state[2].1 = state[2].1.clone().convert::<f64>());
    assert_eq!(error.to_string(), "`linear_in.weight.first` of the optimiser's state has type `f64`, expected `f32`");

    let name = "linear_in.bias.first".to_string();
    assert_eq!(refused(|state| state.push(state[0].clone())), OptimizerStateError::Unknown { name });
}

#[test]
fn a_state_of_another_optimizer_is_refused() {
    let (_, model, state, device) = trained("sgd");
    let error = Optimizer::load_state(OptimizerConfig::default(), 1, state, &model, &device).unwrap_err();
    assert_eq!(error, OptimizerStateError::Unknown { name: "linear_in.bias.momentum".to_string() });
}

#[test]
fn a_state_of_a_parameter_that_is_frozen_now_is_refused() {
    let (fixture, mut model, state, device) = trained("adamw");
    model.norm = model.norm.no_grad();
    let error = Optimizer::load_state(fixture.config.optimizer, 1, state, &model, &device).unwrap_err();
    assert_eq!(error, OptimizerStateError::Unknown { name: "norm.bias.first".to_string() });
}
