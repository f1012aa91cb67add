//! Updates against the algorithms written down once more, for one number at a time in double precision.

use crate::support::{assert_close, devices, normal, tensor, values};
use burn::tensor::Tensor;
use burnformer_ops::{self as ops, AdamOptions, AdamVariant};

const N: usize = 6;
const OPTIONS: AdamOptions = AdamOptions {
    variant: AdamVariant::Adam,
    learning_rate: 0.05,
    beta_1: 0.9,
    beta_2: 0.98,
    eps: 1e-3,
    weight_decay: 0.1,
    step: 1,
};
const CLIP: f64 = 0.7;

/// Five updates of a vector as the papers write them.
fn by_hand(algorithm: AdamVariant) -> Vec<f64> {
    let AdamOptions { learning_rate, beta_1, beta_2, eps, weight_decay, .. } = OPTIONS;
    let mut param = normal("param", N);
    let (mut first, mut second) = (vec![0.0; N], vec![0.0; N]);
    for step in 1..=5 {
        let grad = normal(&format!("grad {step}"), N);
        let mut update = vec![0.0; N];
        for i in 0..N {
            let mut g = CLIP * grad[i];
            if algorithm == AdamVariant::Adam {
                g += weight_decay * param[i];
            }
            first[i] = beta_1 * first[i] + (1.0 - beta_1) * g;
            second[i] = beta_2 * second[i] + (1.0 - beta_2) * g * g;
            let m = first[i] / (1.0 - beta_1.powi(step));
            let v = second[i] / (1.0 - beta_2.powi(step));
            update[i] = m / (v.sqrt() + eps);
            if algorithm != AdamVariant::Adam {
                update[i] += weight_decay * param[i];
            }
        }
        let norm = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
        let trust = match algorithm {
            AdamVariant::Lamb { trust_ratio: true } => norm(&param) / norm(&update),
            _ => 1.0,
        };
        for i in 0..N {
            param[i] -= learning_rate * trust * update[i];
        }
    }
    param
}

fn check(algorithm: AdamVariant) {
    for device in devices() {
        let mut param = tensor("param", [2, 3], &device);
        let mut moments = [Tensor::<2>::zeros([2, 3], &device), Tensor::zeros([2, 3], &device)];
        for step in 1..=5 {
            let grad = tensor(&format!("grad {step}"), [2, 3], &device);
            let scale = Some(Tensor::from_floats([CLIP as f32], &device));
            let options = AdamOptions { variant: algorithm, step, ..OPTIONS };
            (param, moments) = ops::adam(param, grad, moments, scale, options);
        }
        assert_close(&format!("{device:?}"), &values(param), &by_hand(algorithm), 2e-6);
    }
}

#[test]
fn adam_follows_its_algorithm() {
    check(AdamVariant::Adam);
}

#[test]
fn adamw_follows_its_algorithm() {
    check(AdamVariant::AdamW);
}

#[test]
fn lamb_follows_its_algorithm() {
    check(AdamVariant::Lamb { trust_ratio: true });
    check(AdamVariant::Lamb { trust_ratio: false });
}

#[test]
fn lamb_moves_a_parameter_of_zeros() {
    for device in devices() {
        let zeros = || Tensor::<1>::zeros([4], &device);
        let variant = AdamVariant::Lamb { trust_ratio: true };
        let options = AdamOptions { variant, weight_decay: 0.0, eps: 0.0, ..OPTIONS };
        let (param, _) = ops::adam(zeros(), zeros() + 2.0, [zeros(), zeros()], None, options);
        // The first direction is 1 in every element, and its norm's ratio to zero counts as 1.
        assert_close(&format!("{device:?}"), &values(param), &[-0.05; 4], 1e-6);
    }
}

#[test]
fn sum_of_squares_is_one_number() {
    for device in devices() {
        let x = tensor("x", [2, 3, 4], &device);
        let expected: f64 = values(x.clone()).iter().map(|x| x * x).sum();
        assert_close(&format!("{device:?}"), &values(ops::sum_of_squares(x)), &[expected], 1e-5);
    }
}
