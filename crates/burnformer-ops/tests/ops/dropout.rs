//! Dropout's numbers are a function of seed, site, sample and position, on every backend.

use crate::support::{devices, tensor, values};
use burn::tensor::{Device, Tensor};
use burnformer_core::random::DropoutRng;
use burnformer_ops::{self as ops, AttentionOptions, Dropout, Mask};

const SAMPLES: [u64; 3] = [5, 1 << 40, 7];

fn options(samples: &[u64]) -> Option<Dropout> {
    Dropout::new(0.4, DropoutRng::training(3, samples))
}

/// Dropout of ones: the multipliers themselves, and the gradient, which must be the same numbers.
fn mask_and_gradient(shape: [usize; 3], samples: &[u64], device: &Device) -> [Vec<f64>; 2] {
    let x = Tensor::<3>::ones(shape, &device.clone().autodiff()).require_grad();
    let y = ops::dropout(x.clone(), None, options(samples));
    let grad = x.grad(&y.clone().sum().backward()).unwrap();
    [values(y), values(grad)]
}

#[test]
fn the_mask_is_the_same_on_every_backend_and_backward() {
    let draw = DropoutRng::training(3, SAMPLES).into_draw().unwrap();
    let expected: Vec<f64> = draw.multipliers([3, 1, 4, 7], 0.4).into_iter().map(f64::from).collect();
    assert!(expected.contains(&0.0) && expected.iter().any(|&x| x > 1.6));
    for device in devices() {
        let [mask, gradient] = mask_and_gradient([3, 4, 7], &SAMPLES, &device);
        assert_eq!(mask, expected, "{device:?}");
        assert_eq!(gradient, expected, "{device:?}");
    }
}

#[test]
fn neither_batch_split_nor_padding_changes_the_mask() {
    for device in devices() {
        let [together, _] = mask_and_gradient([3, 4, 7], &SAMPLES, &device);
        let alone: Vec<f64> = SAMPLES
            .iter()
            .flat_map(|&sample| mask_and_gradient([1, 4, 7], &[sample], &device).into_iter().next().unwrap())
            .collect();
        assert_eq!(together, alone);
        let [padded, _] = mask_and_gradient([3, 6, 7], &SAMPLES, &device);
        let unpadded: Vec<f64> = padded.chunks(6 * 7).flat_map(|sample| sample[..4 * 7].to_vec()).collect();
        assert_eq!(together, unpadded);
    }
}

#[test]
fn attention_drops_the_same_weights_under_any_split_and_padding() {
    let run = |q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, mask: Mask, samples: &[u64]| {
        let options = AttentionOptions { dropout: options(samples), ..AttentionOptions::new(4) };
        ops::attention(q, k, v, mask, options).0
    };
    for device in devices() {
        let shape = [3, 5, 2, 4];
        let [q, k, v] = ["q", "k", "v"].map(|name| tensor(name, shape, &device));
        let together = run(q.clone(), k.clone(), v.clone(), Mask::None, &SAMPLES);
        for (row, &sample) in SAMPLES.iter().enumerate() {
            let one = |x: &Tensor<4>| x.clone().slice(row..row + 1);
            // Three more positions behind, blocked as keys.
            let pad = |x: Tensor<4>| Tensor::cat(vec![x, Tensor::ones([1, 3, 2, 4], &device) * 3.0], 1);
            let blocked = [[false, false, false, false, false, true, true, true]];
            let mask = Mask::Keys(Tensor::from_data(blocked, &device));
            let padded = run(pad(one(&q)), pad(one(&k)), pad(one(&v)), mask, &[sample]);
            let unpadded = values(padded.slice([0..1, 0..5]));
            let expected = values(one(&together));
            crate::support::assert_close(&format!("row {row} on {device:?}"), &unpadded, &expected, 1e-6);
        }
    }
}

#[test]
fn two_axes_are_batch_and_column() {
    let draw = DropoutRng::training(3, SAMPLES).into_draw().unwrap();
    let expected: Vec<f64> = draw.multipliers([3, 1, 1, 9], 0.4).into_iter().map(f64::from).collect();
    for device in devices() {
        let found = values(ops::dropout(Tensor::<2>::ones([3, 9], &device), None, options(&SAMPLES)));
        assert_eq!(found, expected);
    }
}

#[test]
fn without_noise_or_probability_nothing_is_dropped() {
    assert!(Dropout::new(0.4, DropoutRng::off()).is_none());
    assert!(Dropout::new(0.0, DropoutRng::training(1, [1])).is_none());
}

#[test]
#[should_panic(expected = "probability 1 is outside [0, 1)")]
fn everything_cannot_be_dropped() {
    let _ = Dropout::new(1.0, DropoutRng::off());
}
