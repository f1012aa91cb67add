//! Shapes that do not fit panic with both shapes and the name of the axis; extreme ones work.

use crate::support::{assert_close, devices, tensor, values};
use burn::tensor::{Bool, Device, Int, Tensor};
use burnformer_ops::{
    self as ops, Activation, AttentionOptions, CrossEntropyOptions, DeviceChoice, FeedForwardOptions, LayerNormOptions,
    Mask,
};

fn device() -> Device {
    DeviceChoice::Auto.open().unwrap()
}

fn attend(q: [usize; 4], k: [usize; 4], v: [usize; 4], mask: Mask) {
    let device = device();
    let [q, k, v] = [q, k, v].map(|shape| Tensor::<4>::ones(shape, &device));
    let _ = ops::attention(q, k, v, mask, AttentionOptions::new(4));
}

#[test]
#[should_panic(
    expected = "attention: `d_head` differs between `q` [2, 3, 4, 7] (axis 3) and `k` [2, 5, 4, 6] (axis 3)"
)]
fn attention_names_the_head_width() {
    attend([2, 3, 4, 7], [2, 5, 4, 6], [2, 5, 4, 6], Mask::None);
}

#[test]
#[should_panic(
    expected = "attention: `kv_length` differs between `k` [2, 5, 4, 7] (axis 1) and `v` [2, 6, 4, 7] (axis 1)"
)]
fn attention_names_the_length() {
    attend([2, 3, 4, 7], [2, 5, 4, 7], [2, 6, 4, 7], Mask::None);
}

#[test]
#[should_panic(
    expected = "attention: `kv_length` differs between `k` [2, 5, 4, 7] (axis 1) and `mask` [2, 3] (axis 1)"
)]
fn attention_names_the_masks_axis() {
    let mask = Mask::Keys(Tensor::<2, Bool>::from_data([[false; 3]; 2], &device()));
    attend([2, 3, 4, 7], [2, 5, 4, 7], [2, 5, 4, 7], mask);
}

#[test]
#[should_panic(expected = "linear: `d_in` differs between `x` [2, 3] (axis 1) and `weight` [5, 4] (axis 1)")]
fn linear_names_the_input_width() {
    let device = device();
    let _ = ops::linear(Tensor::<2>::ones([2, 3], &device), Tensor::ones([5, 4], &device), None);
}

#[test]
#[should_panic(
    expected = "feed_forward: `d_ff` differs between `weight_in` [5, 3] (axis 0) and `weight_out` [3, 4] (axis 1)"
)]
fn feed_forward_names_the_axis_that_does_not_fit() {
    let device = device();
    let zeros = |shape: [usize; 2]| Tensor::<2>::zeros(shape, &device);
    let options = FeedForwardOptions { activation: Activation::Relu, dropout: None };
    let _ = ops::feed_forward(zeros([2, 3]), [zeros([5, 3]), zeros([3, 4])], None, options);
}

#[test]
#[should_panic(expected = "layer_norm: `d_model` differs between `x` [2, 3] (axis 1) and `weight` [4] (axis 0)")]
fn layer_norm_names_the_width() {
    let device = device();
    let vector = |n| Tensor::<1>::ones([n], &device);
    let options = LayerNormOptions { eps: 1e-5, dropout: None };
    let _ = ops::layer_norm(Tensor::<2>::ones([2, 3], &device), None, vector(4), vector(3), options);
}

#[test]
#[should_panic(expected = "dropout: `residual` [3, 2] must have the shape of `x` [2, 3]")]
fn a_residual_has_the_shape_of_the_input() {
    let device = device();
    let _ = ops::dropout(Tensor::<2>::ones([2, 3], &device), Some(Tensor::ones([3, 2], &device)), None);
}

#[test]
#[should_panic(expected = "cross_entropy: `n` differs between `logits` [2, 3] (axis 0) and `targets` [1] (axis 0)")]
fn cross_entropy_names_the_rows() {
    let device = device();
    let targets = Tensor::<1, Int>::from_data([0], &device);
    let _ = ops::cross_entropy(Tensor::<2>::ones([2, 3], &device), targets, CrossEntropyOptions::default());
}

#[test]
#[should_panic(expected = "attend_places: 3 lists of places for the queries [2, 4, 5], expected one for each")]
fn attend_places_names_the_lists() {
    let (device, places) = (device(), [[0], [1], [0]].into_iter().collect());
    let pool = || tensor("pool", [2, 2, 5], &device);
    let _ = ops::attend_places(tensor("q", [2, 4, 5], &device), pool(), pool(), places);
}

#[test]
#[should_panic(expected = "attend_places: place Some(2) is beyond `key` [2, 2, 5]")]
fn attend_places_names_a_place_that_is_not_there() {
    let (device, places) = (device(), [[0], [2]].into_iter().collect());
    let pool = || tensor("pool", [2, 2, 5], &device);
    let _ = ops::attend_places(tensor("q", [2, 4, 5], &device), pool(), pool(), places);
}

#[test]
#[should_panic(expected = "store: place 4 is beyond the pool [3, 2, 5]")]
fn store_names_a_place_behind_a_gap() {
    let device = device();
    let _ = ops::store(tensor("pool", [3, 2, 5], &device), 4, tensor("new", [1, 2, 5], &device));
}

#[test]
fn a_fully_blocked_row_gives_zeros_and_finite_gradients() {
    for device in devices() {
        let device = device.autodiff();
        let leaf = |name, length| tensor(name, [1, length, 2, 4], &device).require_grad();
        let (q, k, v) = (leaf("q", 3), leaf("k", 5), leaf("v", 5));
        let blocked = Tensor::<3, Bool>::from_data([[[false; 5], [true; 5], [false, true, true, true, true]]], &device);
        let inputs = [q.clone(), k.clone(), v.clone()];
        let (out, logsumexp) = ops::attention(q, k, v, Mask::Full(blocked), AttentionOptions::new(4));
        let row = values(out.clone().slice([0..1, 1..2]));
        assert_close("blocked row", &row, &[0.0; 8], 0.0);
        assert_close("its logarithm", &values(logsumexp.slice([0..1, 0..2, 1..2])), &[f64::NEG_INFINITY; 2], 0.0);
        let grads = out.powi_scalar(2).sum().backward();
        for input in inputs {
            assert!(values(input.grad(&grads).unwrap()).iter().all(|x| x.is_finite()), "{device:?}");
        }
    }
}

#[test]
fn length_one_and_large_scores_work() {
    for device in devices() {
        let one = Tensor::<4>::ones([1, 1, 1, 1], &device);
        let (out, logsumexp) =
            ops::attention(one.clone() * 300.0, one.clone() * 300.0, one * 7.0, Mask::None, AttentionOptions::new(1));
        assert_close("value", &values(out), &[7.0], 0.0);
        assert_close("logarithm", &values(logsumexp), &[90_000.0], 0.0);
    }
}

#[test]
fn more_queries_than_keys_leave_the_first_causal_rows_empty() {
    for device in devices() {
        let [k, v] = ["k", "v"].map(|name| tensor(name, [1, 2, 1, 4], &device));
        let q = tensor("q", [1, 3, 1, 4], &device);
        let options = AttentionOptions { causal: true, ..AttentionOptions::new(4) };
        let (out, _) = ops::attention(q, k, v.clone(), Mask::None, options);
        assert_close("first query", &values(out.clone().slice([0..1, 0..1])), &[0.0; 4], 0.0);
        assert_close("second query", &values(out.slice([0..1, 1..2])), &values(v.slice([0..1, 0..1])), 1e-6);
    }
}

#[test]
fn nan_and_infinity_pass_through() {
    for device in devices() {
        let x = Tensor::<2>::from_floats([[f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1.0]], &device);
        for activation in [Activation::Identity, Activation::Gelu, Activation::GeluTanh, Activation::Silu] {
            let found = values(ops::bias_activation(x.clone(), None, activation));
            assert!(found[0].is_nan(), "{activation:?} on {device:?}: {found:?}");
            assert_eq!(found[1], f64::INFINITY, "{activation:?} on {device:?}: {found:?}");
        }
    }
}

/// By hand: `ln(2 e^0)`; a number so large that its exponential is none.
#[test]
fn logarithms_of_sums_of_exponentials_do_not_overflow() {
    for device in devices() {
        let x = Tensor::<2>::from_data([[0.0, 0.0, -1e30], [-5.0, 1000.0, 3.0]], &device);
        assert_close("logsumexp", &values(ops::logsumexp(x)), &[std::f64::consts::LN_2, 1000.0], 1e-6);
    }
}

#[test]
fn all_rows_ignored_is_a_loss_of_zero_over_zero_rows() {
    for device in devices() {
        let targets = Tensor::<1, Int>::from_data([-100, -100], &device);
        let (sum, count) = ops::cross_entropy(tensor("x", [2, 3], &device), targets, CrossEntropyOptions::default());
        assert_eq!((values(sum), values(count)), (vec![0.0], vec![0.0]));
    }
}
