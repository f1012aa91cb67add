//! Cached decoding equals the full pass.

use crate::support::{all_layer_configs, assert_close, devices, layer_configs, randomised, tensor, values};
use burn::tensor::{Bool, Int, Tensor};
use burnformer_nn::{DecoderConfig, DecoderInput, LayerInput, Mask, Offsets, StackConfig};

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
#[should_panic(expected = "`batch_size` differs between `cache` [2, 3, 3, 4] (axis 0) and `x` [4, 1, 3, 4] (axis 0)")]
fn another_batch_than_the_caches_panics() {
    let device = devices().remove(0);
    let [config, _] = layer_configs();
    let decoder = randomised(DecoderConfig::new(1, config).init(&device));
    let mut cache = decoder.cache(tensor("memory", [2, 5, 12], &device), Mask::None);
    let _ = decoder.forward_cached(tensor("x", [2, 3, 12], &device), &mut cache);
    let _ = decoder.forward_cached(tensor("x", [4, 1, 12], &device), &mut cache);
}

#[test]
#[should_panic(expected = "decoder cache: 3 rows cannot share 2 sequences of the memory evenly")]
fn rows_that_cannot_share_the_memory_panic() {
    let device = devices().remove(0);
    let [config, _] = layer_configs();
    let decoder = randomised(DecoderConfig::new(1, config).init(&device));
    let mut cache = decoder.cache(tensor("memory", [2, 5, 12], &device), Mask::None);
    let _ = decoder.forward_cached(tensor("x", [3, 3, 12], &device), &mut cache);
}

/// Three sequences of the memory; two rows for each, of which some go on twice and some not at all; then the memory's second
/// sequence is left out. Each row is what it would be alone.
#[test]
fn rows_share_a_memory_and_are_selected() {
    for device in devices() {
        for config in layer_configs() {
            let decoder = randomised(DecoderConfig::new(2, config).init(&device));
            let memory = tensor("memory", [3, 5, 12], &device);
            let blocked = [[false, true, false, false, false], [false; 5], [false, false, false, true, true]];
            let mask = Tensor::<2, Bool>::from_data(blocked, &device);
            let indices = |rows: &[i64]| Tensor::<1, Int>::from_data(rows, &device);
            let steps = ["x 0", "x 1", "x 2"].map(|name| tensor(name, [6, 1, 12], &device));
            let [first, second, third] = steps.clone();

            let mut cache = decoder.cache(memory.clone(), Mask::Keys(mask.clone()));
            let _ = decoder.forward_cached(first, &mut cache);
            cache.select(indices(&[3, 1, 2, 5, 4]));
            cache.select(indices(&[1, 1, 2, 0, 3, 4]));
            let _ = decoder.forward_cached(second, &mut cache);
            cache.select_memory(&indices(&[0, 2]));
            cache.select(indices(&[1, 0, 4, 4]));
            let out = decoder.forward_cached(third.narrow(0, 0, 4), &mut cache);
            assert_eq!(cache.seq_length(), 3);

            // For each row of the last step, its rows in all steps and its sequence of the memory.
            for (row, (rows, sequence)) in
                [([1, 1, 0], 0), ([1, 0, 1], 0), ([5, 4, 2], 2), ([5, 4, 3], 2)].into_iter().enumerate()
            {
                let x = steps.iter().zip(rows).map(|(x, row): (_, usize)| x.clone().narrow(0, row, 1));
                let alone = decoder.forward(DecoderInput {
                    memory_mask: Mask::Keys(mask.clone().narrow(0, sequence, 1)),
                    ..DecoderInput::new(Tensor::cat(x.collect(), 1), memory.clone().narrow(0, sequence, 1))
                });
                let found = values(out.clone().narrow(0, row, 1));
                assert_close(&format!("row {row} on {device:?}"), &found, &values(alone.slice([0..1, 2..3])), 1e-5);
            }
        }
    }
}

/// Rows with other numbers of positions and another length of the memory enter, some leave, and each is what it would be alone.
#[test]
fn caches_are_joined() {
    for device in devices() {
        for config in all_layer_configs() {
            let decoder = randomised(DecoderConfig::new(2, config).init(&device));
            let memories = [tensor("memory", [2, 5, 12], &device), tensor("other memory", [3, 4, 12], &device)];
            let blocked = Tensor::<2, Bool>::from_data([[false, false, true, true, true], [false; 5]], &device);
            let mask = || Mask::Keys(blocked.clone());
            let [x, other_x] = [tensor("x", [2, 6, 12], &device), tensor("other x", [3, 6, 12], &device)];
            let [memory, other_memory] = memories.clone();
            let full =
                decoder.forward(DecoderInput { memory_mask: mask(), ..DecoderInput::new(x.clone(), memory.clone()) });
            let other_full = decoder.forward(DecoderInput::new(other_x.clone(), other_memory.clone()));

            let mut cache = decoder.cache(memory, mask());
            let _ = decoder.forward_cached(x.clone().narrow(1, 0, 3), &mut cache);
            let mut other = decoder.cache(other_memory, Mask::None);
            let _ = decoder.forward_cached(other_x.clone().narrow(1, 0, 1), &mut other);
            cache.join(other);
            assert_eq!((cache.seq_length(), cache.offsets()), (3, Offsets::Each(vec![3, 3, 1, 1, 1])));
            let both = |start: usize, other_start: usize, n: usize| {
                let parts = [x.clone().narrow(1, start, n), other_x.clone().narrow(1, other_start, n)];
                Tensor::cat(parts.to_vec(), 0)
            };
            let out = decoder.forward_cached(both(3, 1, 2), &mut cache);
            let of_all = |start: usize, other_start: usize, n: usize| {
                let parts = [full.clone().narrow(1, start, n), other_full.clone().narrow(1, other_start, n)];
                Tensor::cat(parts.to_vec(), 0)
            };
            assert_close("joined", &values(out), &values(of_all(3, 1, 2)), 1e-5);
            let kept = Tensor::<1, Int>::from_data([1, 2, 4], &device);
            cache.select(kept.clone());
            cache.select_memory(&kept);
            let out = decoder.forward_cached(both(5, 3, 1).select(0, kept.clone()), &mut cache);
            assert_close("left", &values(out), &values(of_all(5, 3, 1).select(0, kept)), 1e-5);
        }
    }
}

/// Places of rows that left are given back, which changes nothing for those that stay.
#[test]
fn pools_stay_small() {
    for device in devices() {
        let [config, _] = layer_configs();
        let stack = randomised(StackConfig::new(1, config.with_causal(true)).init(&device));
        let x = tensor("x", [40, 30, 12], &device);
        let full = stack.forward(LayerInput::new(x.clone()));
        let mut cache = stack.cache(None);
        let _ = stack.forward_cached(x.clone().narrow(1, 0, 28), &mut cache);
        let rows = Tensor::<1, Int>::from_data([33, 4], &device);
        cache.select(rows.clone());
        for t in [28, 29] {
            let out = stack.forward_cached(x.clone().narrow(1, t, 1).select(0, rows.clone()), &mut cache);
            let expected = values(full.clone().narrow(1, t, 1).select(0, rows.clone()));
            assert_close(&format!("position {t}"), &values(out), &expected, 1e-5);
        }
    }
}
