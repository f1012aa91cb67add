//! Cached decoding equals the full pass.

use crate::support::{assert_close, devices, layer_configs, randomised, tensor, values};
use burn::tensor::{Bool, Tensor};
use burnformer_nn::{DecoderConfig, DecoderInput, Mask};

/// Decodes `[2, 6, 12]` in pieces and compares with the full pass.
fn check(pieces: &[usize]) {
    for device in devices() {
        for config in layer_configs() {
            let decoder = randomised(DecoderConfig::new(2, config).init(&device));
            let x = tensor("x", [2, 6, 12], &device);
            let memory = tensor("memory", [2, 5, 12], &device);
            let blocked = [[false, false, true, true, false], [false, false, false, true, true]];
            let mask = || Mask::Keys(Tensor::<2, Bool>::from_data(blocked, &device));
            let full =
                decoder.forward(DecoderInput { memory_mask: mask(), ..DecoderInput::new(x.clone(), memory.clone()) });
            let mut cache = decoder.cache(memory, mask());
            assert_eq!(cache.seq_length(), 0);
            let mut start = 0;
            for &piece in pieces {
                let out = decoder.forward_cached(x.clone().slice([0..2, start..start + piece]), &mut cache);
                let expected = full.clone().slice([0..2, start..start + piece]);
                assert_close(&format!("from {start} on {device:?}"), &values(out), &values(expected), 1e-5);
                start += piece;
                assert_eq!(cache.seq_length(), start);
            }
        }
    }
}

#[test]
fn position_by_position() {
    check(&[1; 6]);
}

#[test]
fn a_prefix_at_once_then_position_by_position() {
    check(&[3, 1, 2]);
}

#[test]
#[should_panic(expected = "`batch_size` differs between `cache` [2, 3, 3, 4] (axis 0) and `x` [1, 1, 3, 4] (axis 0)")]
fn another_batch_than_the_caches_panics() {
    let device = devices().remove(0);
    let [config, _] = layer_configs();
    let decoder = randomised(DecoderConfig::new(1, config).init(&device));
    let mut cache = decoder.cache(tensor("memory", [2, 5, 12], &device), Mask::None);
    let _ = decoder.forward_cached(tensor("x", [2, 3, 12], &device), &mut cache);
    let _ = decoder.forward_cached(tensor("x", [1, 1, 12], &device), &mut cache);
}
