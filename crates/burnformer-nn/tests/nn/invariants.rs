//! What must not matter does not matter: padding, later tokens, the rest of the batch, asking for weights.

use crate::support::{assert_close, devices, layer_configs, randomised, tensor, values};
use burn::tensor::{Bool, Device, Tensor};
use burnformer_nn::{
    DecoderConfig, DecoderInput, DropoutRng, EncoderConfig, EncoderDecoderConfig, EncoderDecoderInput, Mask,
};

const SAMPLES: [u64; 2] = [17, 3];

/// The last two positions of the first sequence and the last of the second are padding.
fn mask_pad(device: &Device) -> Tensor<2, Bool> {
    Tensor::from_data([[false, false, false, true, true], [false, false, false, false, true]], device)
}

/// `x` `[2, 5, 12]` with other content where it is padding.
fn with_other_padding(x: Tensor<3>) -> Tensor<3> {
    let device = x.device();
    let mask = mask_pad(&device).unsqueeze_dim::<3>(2).expand([2, 5, 12]);
    x.mask_where(mask, tensor("other", [2, 5, 12], &device) * 50.0)
}

/// The values of `x` `[2, 5, ..]` where it is not padding.
fn without_padding(x: Tensor<3>) -> Vec<f64> {
    let [first, second] = [0, 1].map(|row| values(x.clone().slice([row..row + 1, 0..3 + row])));
    [first, second].concat()
}

#[test]
fn padding_content_does_not_change_the_encoder() {
    for device in devices() {
        for config in layer_configs() {
            let encoder = randomised(EncoderConfig::new(2, config).init(&device));
            for rng in [DropoutRng::off, || DropoutRng::training(1, SAMPLES)] {
                let run = |x| encoder.forward(x, Mask::Keys(mask_pad(&device)), rng());
                let x = tensor("x", [2, 5, 12], &device);
                let (plain, other) = (run(x.clone()), run(with_other_padding(x)));
                assert_close(&format!("{device:?}"), &without_padding(plain), &without_padding(other), 0.0);
            }
        }
    }
}

#[test]
fn padding_content_does_not_change_the_decoder() {
    for device in devices() {
        for config in layer_configs() {
            let decoder = randomised(DecoderConfig::new(2, config).init(&device));
            let run = |x: Tensor<3>, memory: Tensor<3>| {
                let (mask, memory_mask) = (Mask::Keys(mask_pad(&device)), Mask::Keys(mask_pad(&device)));
                decoder.forward(DecoderInput { mask, memory_mask, ..DecoderInput::new(x, memory) })
            };
            let (x, memory) = (tensor("x", [2, 5, 12], &device), tensor("memory", [2, 5, 12], &device));
            let plain = run(x.clone(), memory.clone());
            let other = run(with_other_padding(x), with_other_padding(memory));
            assert_close(&format!("{device:?}"), &without_padding(plain), &without_padding(other), 0.0);
        }
    }
}

#[test]
fn more_padding_does_not_change_training() {
    for device in devices() {
        for config in layer_configs() {
            let encoder = randomised(EncoderConfig::new(2, config).init(&device));
            let x = tensor("x", [2, 5, 12], &device);
            let rng = || DropoutRng::training(1, SAMPLES);
            let plain = encoder.forward(x.clone(), Mask::Keys(mask_pad(&device)), rng());
            let padded = Tensor::cat(vec![x, tensor("padding", [2, 2, 12], &device)], 1);
            let more = Tensor::<2, Bool>::from_data([[true; 2]; 2], &device);
            let mask = Mask::Keys(Tensor::cat(vec![mask_pad(&device), more], 1));
            let padded = encoder.forward(padded, mask, rng());
            assert_close(&format!("{device:?}"), &without_padding(padded), &without_padding(plain), 1e-5);
        }
    }
}

#[test]
fn later_tokens_do_not_change_earlier_outputs() {
    for device in devices() {
        for config in layer_configs() {
            let decoder = randomised(DecoderConfig::new(2, config).init(&device));
            let memory = tensor("memory", [2, 7, 12], &device);
            let x = tensor("x", [2, 5, 12], &device);
            let later = tensor("later", [2, 2, 12], &device) * 50.0;
            let changed = Tensor::cat(vec![x.clone().slice([0..2, 0..3]), later], 1);
            let [plain, changed] = [x, changed].map(|x| {
                let rng = DropoutRng::training(1, SAMPLES);
                let out = decoder.forward(DecoderInput { rng, ..DecoderInput::new(x, memory.clone()) });
                values(out.slice([0..2, 0..3]))
            });
            assert_close(&format!("{device:?}"), &changed, &plain, 0.0);
        }
    }
}

#[test]
fn a_batch_equals_its_rows_dropout_included() {
    for device in devices() {
        for config in layer_configs() {
            let model = randomised(EncoderDecoderConfig::new(2, 1, config).init(&device));
            let source = tensor("source", [2, 5, 12], &device);
            let target = tensor("target", [2, 4, 12], &device);
            let run = |rows: std::ops::Range<usize>| {
                let input = EncoderDecoderInput {
                    source: source.clone().slice(rows.clone()),
                    target: target.clone().slice(rows.clone()),
                    source_mask_pad: Some(mask_pad(&device).slice(rows.clone())),
                    target_mask_pad: None,
                    rng: DropoutRng::training(1, &SAMPLES[rows]),
                };
                values(model.forward(input))
            };
            let rows = [run(0..1), run(1..2)].concat();
            assert_close(&format!("{device:?}"), &run(0..2), &rows, 1e-5);
        }
    }
}

#[test]
fn dropout_changes_the_output_and_depends_on_the_seed_alone() {
    for device in devices() {
        for config in layer_configs() {
            let encoder = randomised(EncoderConfig::new(2, config).init(&device));
            let run = |rng| values(encoder.forward(tensor("x", [2, 5, 12], &device), Mask::None, rng));
            let trained = run(DropoutRng::training(1, SAMPLES));
            assert_eq!(trained, run(DropoutRng::training(1, SAMPLES)));
            assert_ne!(trained, run(DropoutRng::training(2, SAMPLES)));
            assert_ne!(trained, run(DropoutRng::off()));
        }
    }
}

#[test]
fn weights_are_distributions_of_every_layer_and_change_nothing() {
    for device in devices() {
        for config in layer_configs() {
            let model = randomised(EncoderDecoderConfig::new(2, 1, config).init(&device));
            let input = || EncoderDecoderInput {
                source: tensor("source", [2, 5, 12], &device),
                target: tensor("target", [2, 4, 12], &device),
                source_mask_pad: Some(mask_pad(&device)),
                target_mask_pad: None,
                rng: DropoutRng::training(1, SAMPLES),
            };
            let (out, weights) = model.forward_with_attn_weights(input());
            assert_close("output", &values(out), &values(model.forward(input())), 1e-5);
            let of = |weights: &[Tensor<4>]| weights.iter().map(Tensor::dims).collect::<Vec<_>>();
            assert_eq!(of(&weights.encoder), [[2, 3, 5, 5]; 2]);
            assert_eq!(of(&weights.decoder.self_attention), [[2, 3, 4, 4]]);
            assert_eq!(of(&weights.decoder.cross_attention), [[2, 3, 4, 5]]);
            let all = [weights.encoder, weights.decoder.self_attention, weights.decoder.cross_attention].concat();
            for weights in all {
                let sums = values(weights.clone().sum_dim(3));
                assert_close("sum of weights", &sums, &vec![1.0; sums.len()], 1e-5);
            }
        }
    }
}

#[test]
fn a_sequence_of_padding_alone_stays_finite() {
    for device in devices() {
        for config in layer_configs() {
            let encoder = randomised(EncoderConfig::new(2, config).init(&device));
            let mask = Tensor::from_data([[true; 5], [false; 5]], &device);
            let out = encoder.forward(tensor("x", [2, 5, 12], &device), Mask::Keys(mask), DropoutRng::off());
            assert!(values(out).iter().all(|x| x.is_finite()), "{device:?}");
        }
    }
}
