//! Products with prepared weights against those with the weights themselves.
#![cfg(any(feature = "ndarray", feature = "flex"))] // They are for the processor.

use crate::support::{assert_near, cpu_devices, tensor, values};
use burn::tensor::Tensor;
use burnformer_ops::{self as ops, Activation, FeedForwardOptions, Prepared, WeightFormat};
use std::panic::{AssertUnwindSafe, catch_unwind};

fn prepared(weight: &Tensor<2>) -> Prepared {
    Prepared::new(weight.clone(), WeightFormat::F32).unwrap()
}

/// The sums have as many terms, in another order.
const TOLERANCE: f64 = 2e-6;

#[test]
fn a_map_is_the_same_but_for_rounding() {
    for device in cpu_devices() {
        for (batch_size, length, d_in, d_out) in
            [(1, 1, 1, 1), (2, 3, 5, 7), (1, 33, 130, 65), (3, 5, 31, 257), (9, 8, 64, 1)]
        {
            let x = tensor("x", [batch_size, length, d_in], &device);
            let weight = tensor("weight", [d_out, d_in], &device);
            let layout = prepared(&weight);
            assert_eq!((layout.d_in(), layout.d_out()), (d_in, d_out));
            for bias in [None, Some(tensor("bias", [d_out], &device))] {
                let found = ops::linear_prepared(x.clone(), &layout, bias.clone());
                assert_eq!(found.dims(), [batch_size, length, d_out]);
                let expected = values(ops::linear(x.clone(), weight.clone(), bias));
                assert_near("linear", &values(found), &expected, TOLERANCE, TOLERANCE);
            }
        }
    }
}

/// A weight and an input that are no rows of their memory are read as they are.
#[test]
fn views_are_read_as_what_they_show() {
    for device in cpu_devices() {
        let (x, weight) = (tensor("x", [6, 4], &device).transpose(), tensor("weight", [6, 3], &device).transpose());
        let found = values(ops::linear_prepared(x.clone(), &prepared(&weight), None));
        assert_near("linear", &found, &values(ops::linear(x, weight, None)), TOLERANCE, TOLERANCE);
    }
}

#[test]
fn a_feed_forward_sub_layer_is_the_same_but_for_rounding() {
    for device in cpu_devices() {
        for (n, d_in, d_ff, d_out) in [(1, 2, 3, 5), (7, 16, 65, 4), (70, 12, 9000, 3)] {
            let x = tensor("x", [n, d_in], &device);
            let weights = [tensor("in", [d_ff, d_in], &device), tensor("out", [d_out, d_ff], &device)];
            let layouts = weights.each_ref().map(prepared);
            for biases in [None, Some([tensor("bias in", [d_ff], &device), tensor("bias out", [d_out], &device)])] {
                let options = FeedForwardOptions { activation: Activation::Gelu, dropout: None };
                let expected = ops::feed_forward(x.clone(), weights.clone(), biases.clone(), options);
                let found = ops::feed_forward_prepared(x.clone(), layouts.each_ref(), biases, Activation::Gelu);
                assert_eq!(found.dims(), [n, d_out]);
                assert_near("feed-forward", &values(found), &values(expected), TOLERANCE, TOLERANCE);
            }
        }
    }
}

#[test]
fn inputs_without_rows_have_outputs_without_rows() {
    for device in cpu_devices() {
        let weight = prepared(&tensor("weight", [3, 4], &device));
        let x = Tensor::<3>::zeros([2, 0, 4], &device);
        assert_eq!(ops::linear_prepared(x, &weight, None).dims(), [2, 0, 3]);
    }
}

#[test]
fn gradients_are_refused() {
    for device in cpu_devices() {
        let weight = prepared(&tensor("weight", [3, 4], &device));
        let x = tensor("x", [2, 4], &device.autodiff());
        let refused = catch_unwind(AssertUnwindSafe(|| ops::linear_prepared(x, &weight, None))).unwrap_err();
        let message = refused.downcast_ref::<String>().expect("a message");
        assert_eq!(message, "a prepared weight multiplies tensors of the processor, without gradients");
    }
}
