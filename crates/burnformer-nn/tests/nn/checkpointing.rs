//! Activation checkpointing changes no bit on a processor, and next to nothing on a GPU.

use crate::support::{assert_near, devices, gradients, layer_configs, randomised, tensor, values};
use burn::tensor::{Bool, Device, Tensor};
use burnformer_nn::{
    DropoutRng, EncoderDecoderConfig, EncoderDecoderInput, LayerInput, Mask, StackConfig, with_activation_checkpointing,
};
use burnformer_ops::is_on_host;
use std::collections::BTreeMap;

/// Output, gradients of the inputs, and of every parameter, exactly.
type Results = (Vec<f64>, Vec<Vec<f64>>, BTreeMap<String, Vec<f64>>);

/// The same bits on a processor. On a GPU, where an attention is many operators, burn adds up their gradients in another order.
fn assert_same(found: &Results, expected: &Results, device: &Device) {
    if is_on_host(device) {
        assert!(found == expected, "{device:?}");
        return;
    }
    assert_near("output", &found.0, &expected.0, 1e-5, 1e-6);
    for (found, expected) in found.1.iter().zip(&expected.1) {
        assert_near("gradient of an input", found, expected, 1e-5, 1e-6);
    }
    assert!(found.2.keys().eq(expected.2.keys()));
    for (path, found) in &found.2 {
        assert_near(path, found, &expected.2[path], 1e-5, 1e-6);
    }
}

fn mask(rows: [[i32; 7]; 2], device: &Device) -> Tensor<2, Bool> {
    Tensor::<2, burn::tensor::Int>::from_data(rows, device).equal_elem(1)
}

#[test]
fn encoder_and_decoder_have_the_same_bits() {
    for device in devices() {
        let device = device.autodiff();
        for config in layer_configs() {
            let config = config.with_dropout(0.2).with_attention_dropout(0.1).with_activation_dropout(0.1);
            let model = randomised(EncoderDecoderConfig::new(2, 3, config).init(&device));
            let run = |on| -> Results {
                let source = tensor("source", [2, 7, 12], &device).require_grad();
                let target = tensor("target", [2, 5, 12], &device).require_grad();
                let input = EncoderDecoderInput {
                    source: source.clone(),
                    target: target.clone(),
                    source_mask_pad: Some(mask([[0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1, 1]], &device)),
                    target_mask_pad: None,
                    rng: DropoutRng::training(1, [4, 5]),
                };
                with_activation_checkpointing(on, || {
                    let out = model.forward(input);
                    let grads = (out.clone() * tensor("cotangent", [2, 5, 12], &device)).sum().backward();
                    let inputs = [source, target].map(|x| values(x.grad(&grads).unwrap())).to_vec();
                    (values(out), inputs, gradients(&model, &grads))
                })
            };
            assert_same(&run(true), &run(false), &device);
        }
    }
}

#[test]
fn a_causal_stack_has_the_same_bits() {
    for device in devices() {
        let device = device.autodiff();
        for config in layer_configs() {
            let stack = randomised(StackConfig::new(3, config.with_causal(true).with_dropout(0.2)).init(&device));
            let run = |on| -> Results {
                let x = tensor("x", [2, 7, 12], &device).require_grad();
                let keys = mask([[0, 0, 0, 0, 0, 0, 1], [0; 7]], &device);
                let rng = DropoutRng::training(1, [4, 5]);
                let input = LayerInput { mask: Mask::Keys(keys), rng, ..LayerInput::new(x.clone()) };
                with_activation_checkpointing(on, || {
                    let out = stack.forward(input);
                    let grads = (out.clone() * tensor("cotangent", [2, 7, 12], &device)).sum().backward();
                    (values(out), vec![values(x.grad(&grads).unwrap())], gradients(&stack, &grads))
                })
            };
            assert_same(&run(true), &run(false), &device);
        }
    }
}

/// Without gradients there is nothing to go back for.
#[test]
fn evaluation_is_the_same() {
    for device in devices() {
        let stack = randomised(StackConfig::new(2, layer_configs()[0].clone()).init(&device));
        let run = |on| {
            let x = tensor("x", [2, 7, 12], &device);
            values(with_activation_checkpointing(on, || stack.forward(LayerInput::new(x))))
        };
        assert_eq!(run(false), run(true), "{device:?}");
    }
}
