//! Sums of gradients, their norm, and the factor that clips it.

use crate::support::{Fixture, Model, assert_near, backward, devices, parameters, values};
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use burnformer_train::{GradientSums, Optimizer};

fn factor(norm: f32, max_norm: f64, device: &Device) -> f64 {
    values(GradientSums::clip_factor(Tensor::from_floats([norm], device), max_norm))[0]
}

#[test]
fn a_norm_above_the_limit_is_scaled_to_it_and_one_below_is_left() {
    for device in devices() {
        assert_near("above", &[factor(8.0, 2.0, &device)], &[2.0 / (8.0 + 1e-6)], 1e-7);
        // The 1e-6 shows only where the norm is as small.
        assert_near("small", &[factor(1e-6, 1e-6, &device)], &[0.5], 1e-6);
        for norm in [0.0, 1.0, 1.99] {
            assert_eq!(factor(norm, 2.0, &device), 1.0, "{norm} on {device:?}");
        }
    }
}

#[test]
fn a_norm_that_is_not_finite_gives_nan() {
    for device in devices() {
        for norm in [f32::INFINITY, f32::NAN] {
            assert!(factor(norm, 2.0, &device).is_nan(), "{norm} on {device:?}");
        }
    }
}

#[test]
fn a_diverged_gradient_makes_every_parameter_nan() {
    let fixture = Fixture::open("sgd_plain");
    for device in devices() {
        let model = Model::new(&fixture, &device);
        let mut gradients = GradientSums::new();
        let infinite = |path: &str| {
            let finite = || fixture.data(&format!("grad.1.0.{path}"));
            Some(if path == "norm.bias" { TensorData::new(vec![f32::INFINITY; 5], [5]) } else { finite() })
        };
        gradients.add(&model, backward(&model, infinite));
        let scale = GradientSums::clip_factor(gradients.norm(), 1.0);
        let model = Optimizer::new(fixture.config.optimizer.clone()).step(model, gradients, 0.1, Some(scale));
        for (path, found) in parameters(&model) {
            assert!(found.iter().all(|x| x.is_nan()), "`{path}` on {device:?}: {found:?}");
        }
    }
}

/// Half of every number is exact, so that the sums are.
#[test]
fn two_half_batches_make_the_update_of_the_whole() {
    let fixture = Fixture::open("adamw");
    for device in devices() {
        let [whole, halves] = [1, 2].map(|n_micro| {
            let mut model = Model::new(&fixture, &device);
            let mut optimizer = Optimizer::new(fixture.config.optimizer.clone());
            for step in 1..=3 {
                let mut gradients = GradientSums::new();
                let part = |path: &str| {
                    let gradient = fixture.data(&format!("grad.{step}.0.{path}"));
                    let values: Vec<f32> = gradient.iter::<f32>().map(|x| x / n_micro as f32).collect();
                    Some(TensorData::new(values, gradient.shape().clone()))
                };
                for _ in 0..n_micro {
                    gradients.add(&model, backward(&model, part));
                }
                let scale = GradientSums::clip_factor(gradients.norm(), 1.0);
                model = optimizer.step(model, gradients, 0.1, Some(scale));
            }
            parameters(&model)
        });
        assert_eq!(whole, halves, "{device:?}");
    }
}

#[test]
fn a_parameter_without_gradient_is_missing_and_keeps_its_value() {
    let fixture = Fixture::open("adamw");
    for device in devices() {
        let model = Model::new(&fixture, &device);
        let before = parameters(&model);
        let is_used = |path: &str| !path.starts_with("norm.");
        let some = |path: &str| is_used(path).then(|| fixture.data(&format!("grad.1.0.{path}")));

        let mut gradients = GradientSums::new();
        assert_eq!(gradients.missing(&model).len(), 6);
        gradients.add(&model, backward(&model, some));
        assert_eq!(gradients.missing(&model), ["norm.bias", "norm.weight"]);
        let model = Optimizer::new(fixture.config.optimizer.clone()).step(model, gradients, 0.1, None);
        for (path, after) in parameters(&model) {
            assert_eq!(before[&path] != after, is_used(&path), "`{path}` on {device:?}");
        }
    }
}

#[test]
fn a_frozen_parameter_is_not_missing() {
    let fixture = Fixture::open("adamw");
    for device in devices() {
        let mut model = Model::new(&fixture, &device);
        model.norm = model.norm.no_grad();
        let mut gradients = GradientSums::new();
        gradients.add(&model, fixture.gradients(&model, 1, 0));
        assert_eq!(gradients.missing(&model), [""; 0]);
        // Nothing of the frozen ones is in the norm.
        let squares = ["linear_in.bias", "linear_in.weight", "linear_out.bias", "linear_out.weight"]
            .map(|path| fixture.expected(&format!("grad.1.0.{path}")).iter().map(|x| x * x).sum::<f64>());
        let expected = squares.iter().sum::<f64>().sqrt();
        assert_near(&format!("norm on {device:?}"), &values(gradients.norm()), &[expected], 1e-6);
    }
}
