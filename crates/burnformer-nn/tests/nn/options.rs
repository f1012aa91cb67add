//! Layers of every kind, in stacks with and without a memory: gradients, caches, padding and later tokens.

use crate::support::{all_layer_configs, assert_close, devices, gradients, parameters, randomised, tensor, values};
use burn::tensor::{Bool, Device, Int, Tensor};
use burnformer_nn::{
    DecoderConfig, DecoderInput, DropoutRng, EncoderConfig, LayerConfig, LayerInput, Mask, NormKind, RmsNormConfig,
    RotaryConfig, Stack, StackConfig, init,
};

/// The body of a causal language model.
fn causal(config: LayerConfig, device: &Device) -> Stack {
    randomised(StackConfig::new(2, config.with_causal(true)).init(device))
}

#[test]
fn every_parameter_gets_a_gradient() {
    for device in devices() {
        let device = device.autodiff();
        for config in all_layer_configs() {
            for rng in [DropoutRng::off, || DropoutRng::training(1, [4, 5])] {
                let decoder = randomised(DecoderConfig::new(2, config.clone()).init(&device));
                let (x, memory) = (tensor("x", [2, 5, 12], &device), tensor("memory", [2, 7, 12], &device));
                let out = decoder.forward(DecoderInput { rng: rng(), ..DecoderInput::new(x, memory) });
                let grads = (out * tensor("cotangent", [2, 5, 12], &device)).sum().backward();
                for (path, gradient) in gradients(&decoder, &grads) {
                    let size = gradient.iter().map(|x| x * x).sum::<f64>().sqrt();
                    // A key's bias adds one number to all scores of a query, which the softmax ignores.
                    let is_right = if path.ends_with("key.bias") { size < 1e-4 } else { size > 1e-3 };
                    assert!(is_right && size.is_finite(), "`{path}` on {device:?}: {size:e}");
                }
            }
        }
    }
}

#[test]
fn a_causal_stack_without_memory_decodes_position_by_position() {
    for device in devices() {
        for config in all_layer_configs() {
            let stack = causal(config, &device);
            let x = tensor("x", [3, 6, 12], &device);
            let full = stack.forward(LayerInput::new(x.clone()));
            for pieces in [&[1; 6][..], &[3, 1, 2], &[6]] {
                let mut cache = stack.cache(None);
                let mut start = 0;
                for &piece in pieces {
                    let out = stack.forward_cached(x.clone().narrow(1, start, piece), &mut cache);
                    let expected = values(full.clone().narrow(1, start, piece));
                    assert_close(&format!("from {start} on {device:?}"), &values(out), &expected, 1e-5);
                    start += piece;
                    assert_eq!(cache.seq_length(), start);
                }
            }
            // Rows change places, one comes twice, and there is no memory to select.
            let rows = Tensor::<1, Int>::from_data([2, 0, 2, 1], &device);
            let mut cache = stack.cache(None);
            let _ = stack.forward_cached(x.clone().narrow(1, 0, 5), &mut cache);
            cache.select(rows.clone());
            cache.select_memory(&rows);
            let out = stack.forward_cached(x.narrow(1, 5, 1).select(0, rows.clone()), &mut cache);
            assert_close("rows", &values(out), &values(full.narrow(1, 5, 1).select(0, rows)), 1e-5);
        }
    }
}

#[test]
fn a_decoder_with_memory_decodes_position_by_position() {
    for device in devices() {
        for config in all_layer_configs() {
            let decoder = randomised(DecoderConfig::new(2, config).init(&device));
            let (x, memory) = (tensor("x", [2, 5, 12], &device), tensor("memory", [2, 7, 12], &device));
            let full = values(decoder.forward(DecoderInput::new(x.clone(), memory.clone())));
            let mut cache = decoder.cache(memory, Mask::None);
            let steps = [(0, 2), (2, 1), (3, 2)];
            let steps = steps.map(|(start, n)| decoder.forward_cached(x.clone().narrow(1, start, n), &mut cache));
            assert_close(&format!("{device:?}"), &values(Tensor::cat(steps.to_vec(), 1)), &full, 1e-5);
        }
    }
}

#[test]
fn neither_padding_nor_later_tokens_change_a_causal_stack() {
    for device in devices() {
        for config in all_layer_configs() {
            let stack = causal(config, &device);
            let x = tensor("x", [2, 6, 12], &device);
            // The first position of the second sequence is padding, and the last two of both.
            let pads = [[false, false, false, false, true, true], [true, false, false, false, true, true]];
            let mask = Mask::Keys(Tensor::<2, Bool>::from_data(pads, &device));
            let run = |x: Tensor<3>, mask: Mask| {
                let rng = DropoutRng::training(1, [17, 3]);
                let out = stack.forward(LayerInput { mask, rng, ..LayerInput::new(x) });
                [values(out.clone().slice([0..1, 0..4])), values(out.slice([1..2, 1..4]))].concat()
            };
            let other = tensor("other", [2, 6, 12], &device) * 50.0;
            let changed = x.clone().slice_assign([0..2, 4..6], other.clone().slice([0..2, 4..6]));
            let changed = changed.slice_assign([1..2, 0..1], other.slice([1..2, 0..1]));
            let expected = run(x.clone(), mask.clone());
            assert_close(&format!("padding on {device:?}"), &run(changed.clone(), mask.clone()), &expected, 1e-5);
            let shorter = run(
                x.narrow(1, 0, 4),
                Mask::Keys(Tensor::from_data([[false; 4], [true, false, false, false]], &device)),
            );
            assert_close(&format!("length on {device:?}"), &shorter, &expected, 1e-5);
        }
    }
}

/// An encoder with a mask of all pairs is a causal stack, with the same parameters under the same paths.
#[test]
fn a_causal_stack_is_an_encoder_that_does_not_look_ahead() {
    for device in devices() {
        for config in all_layer_configs() {
            let stack = causal(config.clone(), &device);
            let encoder = randomised(EncoderConfig::new(2, config).init(&device));
            assert_eq!(parameters(&stack), parameters(&encoder));
            let x = tensor("x", [2, 4, 12], &device);
            let later: [[bool; 4]; 4] = std::array::from_fn(|q| std::array::from_fn(|k| k > q));
            let mask = Mask::Full(Tensor::from_data([later; 2], &device));
            let expected = encoder.forward(x.clone(), mask, DropoutRng::training(1, [4, 5]));
            let rng = DropoutRng::training(1, [4, 5]);
            let found = stack.forward(LayerInput { rng, ..LayerInput::new(x) });
            assert_close(&format!("{device:?}"), &values(found), &values(expected), 1e-5);
        }
    }
}

/// Scores of rotated queries and keys depend on distances alone, and a rotation keeps lengths.
#[test]
fn rotation_depends_on_distances() {
    for device in devices() {
        let rotary = RotaryConfig::new(16).with_theta(50.0).init(6, &device);
        let (q, k) = (tensor("q", [1, 1, 1, 6], &device), tensor("k", [1, 1, 1, 6], &device));
        let score = |at_q, at_k| values((rotary.forward(q.clone(), at_q) * rotary.forward(k.clone(), at_k)).sum());
        assert_close("distance 3", &score(12, 9), &score(5, 2), 1e-5);
        assert!((score(12, 9)[0] - score(12, 2)[0]).abs() > 1e-2, "distances make no difference");
        let length = |x: Tensor<4>| values(x.powi_scalar(2).sum());
        assert_close("length", &length(rotary.forward(q.clone(), 7)), &length(q.clone()), 1e-5);
        assert_close("position 0", &values(rotary.forward(q.clone(), 0)), &values(q.clone()), 0.0);
    }
}

#[test]
#[should_panic(expected = "position 10 is beyond `max_seq_length` (9)")]
fn a_position_beyond_the_rotary_table_panics() {
    let device = devices().remove(0);
    let rotary = RotaryConfig::new(9).init(4, &device);
    let _ = rotary.forward(tensor("x", [1, 2, 1, 4], &device), 8);
}

#[test]
#[should_panic(expected = "layer: it has cross-attention, and got no memory")]
fn a_decoder_layer_without_memory_panics() {
    let device = devices().remove(0);
    let layer = LayerConfig::new(12, 3, 20).with_cross_attention(true).init(&device);
    let _ = layer.forward(LayerInput::new(tensor("x", [2, 3, 12], &device)));
}

/// A row of 3 and 4 has the mean square 12.5.
#[test]
fn rms_norm_divides_by_the_root_mean_square() {
    for device in devices() {
        let norm = RmsNormConfig::new(2).with_eps(1e-9).init(&device);
        let x = Tensor::<2>::from_data([[3.0, 4.0], [-30.0, 40.0]], &device);
        let root = 12.5_f64.sqrt();
        let expected = [3.0 / root, 4.0 / root, -3.0 / root, 4.0 / root];
        assert_close(&format!("{device:?}"), &values(norm.forward(x)), &expected, 1e-6);
        let norm = init::by_name(NormKind::RmsNorm.init(2, 1e-9, &device), 1, |_, _| init::Init::Constant(2.0));
        let (x, residual) = (Tensor::from_data([[1.0, 1.0]], &device), Tensor::<2>::from_data([[2.0, 3.0]], &device));
        let expected = [6.0 / root, 8.0 / root];
        assert_close("residual", &values(norm.forward_residual(x, residual, None)), &expected, 1e-6);
    }
}
