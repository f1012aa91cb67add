//! Every parameter learns.

use crate::support::{assert_close, devices, gradients, layer_configs, randomised, tensor, values};
use burn::module::Module;
use burn::tensor::{Bool, Device, Gradients, Int, Tensor};
use burnformer_nn::{
    AttentionInput, DropoutRng, EmbeddingConfig, EncoderConfig, EncoderDecoderConfig, EncoderDecoderInput,
    LearnedPositionsConfig, Mask, MultiHeadAttentionConfig,
};

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// Every parameter gets a gradient that is not zero, but for key biases: they add one number to all scores of a query,
/// which the softmax ignores.
fn check<M: Module>(module: &M, grads: &Gradients, device: &Device) {
    for (path, gradient) in gradients(module, grads) {
        let size = norm(&gradient);
        if path.ends_with("key.bias") {
            assert!(size < 1e-4, "`{path}` on {device:?}: {size:e}");
        } else {
            assert!(size.is_finite() && size > 1e-3, "`{path}` on {device:?}: {size:e}");
        }
    }
}

#[test]
fn every_parameter_of_encoder_and_decoder_gets_a_gradient() {
    for device in devices() {
        let device = device.autodiff();
        for config in layer_configs() {
            for rng in [DropoutRng::off, || DropoutRng::training(1, [4, 5])] {
                let model = randomised(EncoderDecoderConfig::new(2, 2, config.clone()).init(&device));
                let out = model.forward(EncoderDecoderInput {
                    source: tensor("source", [2, 7, 12], &device),
                    target: tensor("target", [2, 5, 12], &device),
                    source_mask_pad: None,
                    target_mask_pad: None,
                    rng: rng(),
                });
                let grads = (out * tensor("cotangent", [2, 5, 12], &device)).sum().backward();
                check(&model, &grads, &device);
            }
        }
    }
}

#[test]
fn embeddings_get_gradients_in_the_rows_that_were_used() {
    for device in devices() {
        let device = device.autodiff();
        let tokens = randomised(EmbeddingConfig::new(7, 12).init(&device));
        let positions = randomised(LearnedPositionsConfig::new(6, 12).init(&device));
        let ids = Tensor::<2, Int>::from_data([[1, 4, 4], [0, 1, 6]], &device);
        let x = tokens.forward(ids) + positions.forward(2, 3);
        let logits = tokens.logits(x, None);
        let grads = (logits.powi_scalar(2)).sum().backward();
        check(&tokens, &grads, &device);
        let rows: Vec<f64> = gradients(&positions, &grads)["weight"].chunks(12).map(norm).collect();
        assert!(rows[2..5].iter().all(|&row| row > 0.0), "{rows:?}");
        assert_close("unused positions", &[rows[0], rows[1], rows[5]], &[0.0; 3], 0.0);
    }
}

#[test]
fn a_fully_blocked_query_gives_the_output_bias_and_finite_gradients() {
    for device in devices() {
        let device = device.autodiff();
        let attention = randomised(MultiHeadAttentionConfig::new(12, 3).init(&device));
        let blocked = [[[true, false, false], [true, true, true], [false, false, true]]];
        let mask = Mask::Full(Tensor::<3, Bool>::from_data(blocked, &device));
        let x = tensor("x", [1, 3, 12], &device).require_grad();
        let out = attention.forward(AttentionInput::self_attention(x.clone()).mask(mask));
        let bias = &crate::support::parameters(&attention)["output.bias"];
        assert_close("blocked query", &values(out.clone().slice([0..1, 1..2])), bias, 0.0);
        let grads = (out * tensor("cotangent", [1, 3, 12], &device)).sum().backward();
        check(&attention, &grads, &device);
        assert!(values(x.grad(&grads).unwrap()).iter().all(|x| x.is_finite()));
    }
}

#[test]
fn gradient_checkpointing_changes_no_gradient() {
    for device in devices() {
        for config in layer_configs() {
            let [plain, checkpointed] = [device.clone().autodiff(), device.clone().autodiff().gradient_checkpointing()]
                .map(|device| {
                    let encoder = randomised(EncoderConfig::new(2, config.clone()).init(&device));
                    let rng = DropoutRng::training(1, [4, 5]);
                    let out = encoder.forward(tensor("x", [2, 7, 12], &device), Mask::None, rng);
                    gradients(&encoder, &(out * tensor("cotangent", [2, 7, 12], &device)).sum().backward())
                });
            for (path, gradient) in plain {
                assert_close(&format!("`{path}` on {device:?}"), &checkpointed[&path], &gradient, 1e-5);
            }
        }
    }
}
