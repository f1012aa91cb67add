//! Batches on a device.

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

use super::{ClassificationBatch, Padded, PretrainingBatch, TextPairBatch, WindowBatch};

/// [`Padded`] on a device.
#[derive(Clone, Debug)]
pub struct PaddedTensors {
    /// `[batch_size, seq_length]`
    pub ids: Tensor<2, Int>,
    /// `[batch_size, seq_length]`: `true` marks padding.
    pub mask_pad: Tensor<2, Bool>,
}

/// [`PretrainingBatch`] on a device.
#[derive(Clone, Debug)]
pub struct PretrainingTensors {
    /// The sequences, `[batch_size, seq_length]`.
    pub tokens: PaddedTensors,
    /// `[batch_size, seq_length]`: 1 in the second segment, 0 in the first and in padding.
    pub segments: Tensor<2, Int>,
    /// `[n_masked]`: places of the hidden tokens in `[batch_size * seq_length]`.
    pub masked_positions: Tensor<1, Int>,
    /// `[n_masked]`: the hidden tokens.
    pub masked_labels: Tensor<1, Int>,
    /// `[batch_size]`: 0 if the second text follows the first, 1 if it is random, as in BERT; nothing without next-sentence
    /// prediction.
    pub next_sentence_labels: Option<Tensor<1, Int>>,
}

/// [`ClassificationBatch`] on a device.
#[derive(Clone, Debug)]
pub struct ClassificationTensors {
    /// The texts, `[batch_size, seq_length]`.
    pub tokens: PaddedTensors,
    /// `[batch_size, seq_length]`: 1 in the second segment, 0 in the first and in padding.
    pub segments: Tensor<2, Int>,
    /// `[batch_size]`: the number of the class.
    pub labels: Tensor<1, Int>,
}

impl Padded {
    /// Copies the rows to `device`.
    #[must_use]
    pub fn to_device(&self, device: &Device) -> PaddedTensors {
        let shape = [self.batch_size(), self.seq_length];
        let mask: Vec<bool> = self.mask_pad().collect();
        PaddedTensors {
            ids: ints(self.ids.iter().map(|&id| id as i32), shape, device),
            mask_pad: Tensor::from_data(TensorData::new(mask, shape), device),
        }
    }
}

impl PretrainingBatch {
    /// Copies the batch to `device`.
    #[must_use]
    pub fn to_device(&self, device: &Device) -> PretrainingTensors {
        let shape = [self.tokens.batch_size(), self.tokens.seq_length];
        let n_masked = [self.masked_labels.len()];
        PretrainingTensors {
            tokens: self.tokens.to_device(device),
            segments: ints(self.segments().map(i32::from), shape, device),
            masked_positions: ints(self.masked_positions.iter().map(|&place| place as i32), n_masked, device),
            masked_labels: ints(self.masked_labels.iter().map(|&id| id as i32), n_masked, device),
            next_sentence_labels: (!self.is_next.is_empty())
                .then(|| ints(self.is_next.iter().map(|&next| i32::from(!next)), [shape[0]], device)),
        }
    }
}

impl ClassificationBatch {
    /// Copies the batch to `device`.
    #[must_use]
    pub fn to_device(&self, device: &Device) -> ClassificationTensors {
        let shape = [self.tokens.batch_size(), self.tokens.seq_length];
        ClassificationTensors {
            tokens: self.tokens.to_device(device),
            segments: ints(self.tokens.segments(&self.first_lengths).map(i32::from), shape, device),
            labels: ints(self.labels.iter().map(|&label| label as i32), [shape[0]], device),
        }
    }
}

impl WindowBatch {
    /// Copies inputs and targets to `device`.
    #[must_use]
    pub fn to_device(&self, device: &Device) -> [PaddedTensors; 2] {
        [self.inputs.to_device(device), self.targets.to_device(device)]
    }
}

impl TextPairBatch {
    /// Copies sources and targets to `device`.
    #[must_use]
    pub fn to_device(&self, device: &Device) -> [PaddedTensors; 2] {
        [self.source.to_device(device), self.target.to_device(device)]
    }
}

fn ints<const D: usize>(values: impl Iterator<Item = i32>, shape: [usize; D], device: &Device) -> Tensor<D, Int> {
    Tensor::from_data(TensorData::new(values.collect::<Vec<_>>(), shape), device)
}
