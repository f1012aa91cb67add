//! Batches arrive on every backend as they were made.

use burn::tensor::{Device, TensorData};
use burnformer::data::batches::{Padded, PretrainingBatch};
use burnformer::ops::DeviceChoice;

/// Every compiled backend. A wgpu build needs a driver to be tested: without one this panics with what to install.
fn devices() -> Vec<Device> {
    let open = |name: &&str| name.parse::<DeviceChoice>().and_then(DeviceChoice::open);
    DeviceChoice::compiled().iter().map(|name| open(name).unwrap_or_else(|error| panic!("{error}"))).collect()
}

fn ints(data: TensorData) -> Vec<i64> {
    data.iter::<i64>().collect()
}

#[test]
fn tensors_hold_what_the_batch_holds() {
    let batch = PretrainingBatch {
        numbers: vec![4, 9],
        tokens: Padded { ids: vec![2, 7, 3, 8, 3, 2, 7, 3, 3, 0], lengths: vec![5, 4], seq_length: 5, multiple_of: 1 },
        first_lengths: vec![3, 3],
        masked_positions: vec![1, 6],
        masked_labels: vec![30, 70_000],
        is_next: vec![true, false],
    };
    for device in devices() {
        let tensors = batch.to_device(&device);
        assert_eq!(tensors.tokens.ids.dims(), [2, 5], "{device:?}");
        assert_eq!(ints(tensors.tokens.ids.into_data()), [2, 7, 3, 8, 3, 2, 7, 3, 3, 0]);
        assert_eq!(ints(tensors.segments.into_data()), [0, 0, 0, 1, 1, 0, 0, 0, 1, 0]);
        assert_eq!(ints(tensors.masked_positions.into_data()), [1, 6]);
        assert_eq!(ints(tensors.masked_labels.into_data()), [30, 70_000]);
        assert_eq!(ints(tensors.next_sentence_labels.unwrap().into_data()), [0, 1]);
        let mask: Vec<bool> = tensors.tokens.mask_pad.into_data().iter::<bool>().collect();
        assert_eq!(mask, [[false; 5], [false, false, false, false, true]].concat());
    }
}
