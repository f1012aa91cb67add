//! Batches on a device.

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

use super::{
    ClassificationBatch, MultiLabelBatch, Padded, PairedBatch, PretrainingBatch, QuestionAnsweringBatch, ScoreBatch,
    TextPairBatch, TokenClassificationBatch, WindowBatch,
};

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
    /// `[n_masked]`: positions of the masked tokens in `[batch_size * seq_length]`.
    pub masked_positions: Tensor<1, Int>,
    /// `[n_masked]`: the original tokens at these positions.
    pub masked_labels: Tensor<1, Int>,
    /// `[batch_size]`: 0 if the second text follows the first, 1 if it is random, as in BERT; `None` without
    /// next-sentence prediction.
    pub next_sentence_labels: Option<Tensor<1, Int>>,
}

/// [`ClassificationBatch`] on a device, with labels as a tensor `T`.
#[derive(Clone, Debug)]
pub struct ClassificationTensors<T = Tensor<1, Int>> {
    /// The texts, `[batch_size, seq_length]`.
    pub tokens: PaddedTensors,
    /// `[batch_size, seq_length]`: 1 in the second segment, 0 in the first and in padding.
    pub segments: Tensor<2, Int>,
    /// `[batch_size]`: class indices; of a [`ScoreBatch`] scores; of a [`MultiLabelBatch`] `[batch_size, n_labels]`: 1 for the
    /// labels of a text, 0 for all others.
    pub labels: T,
}

/// [`TokenClassificationBatch`] on a device.
#[derive(Clone, Debug)]
pub struct TokenClassificationTensors {
    /// The sentences, `[batch_size, seq_length]`.
    pub tokens: PaddedTensors,
    /// `[n_words]`: positions of the words' first tokens in `[batch_size * seq_length]`.
    pub positions: Tensor<1, Int>,
    /// `[n_words]`: label index of each word.
    pub labels: Tensor<1, Int>,
}

/// [`QuestionAnsweringBatch`] on a device.
#[derive(Clone, Debug)]
pub struct QuestionAnsweringTensors {
    /// The windows, `[batch_size, seq_length]`.
    pub tokens: PaddedTensors,
    /// `[batch_size, seq_length]`: 1 in the second segment, 0 in the first and in padding.
    pub segments: Tensor<2, Int>,
    /// `[batch_size]`: column of the first token of each answer.
    pub starts: Tensor<1, Int>,
    /// `[batch_size]`: column of its last token.
    pub ends: Tensor<1, Int>,
}

/// [`PairedBatch`] on a device.
#[derive(Clone, Debug)]
pub struct PairedTensors {
    /// The first texts, `[batch_size, seq_length]`.
    pub texts: PaddedTensors,
    /// The second texts, `[batch_size, pair_length]`.
    pub pairs: PaddedTensors,
    /// The negatives of all pairs, `[n_negatives, negative_length]`; `None` without negatives.
    pub negatives: Option<PaddedTensors>,
    /// `[batch_size]`: scores of the pairs; `None` without scores.
    pub scores: Option<Tensor<1>>,
}

/// [`WindowBatch`] on a device.
#[derive(Clone, Debug)]
pub struct WindowTensors {
    /// All tokens of each window but the last, `[batch_size, seq_length]`.
    pub inputs: PaddedTensors,
    /// `[n_tokens]`: positions of the inputs without padding in `[batch_size * seq_length]`, each of which predicts a
    /// token; `None` without padding.
    pub target_positions: Option<Tensor<1, Int>>,
    /// `[n_tokens]`: the token after each of these inputs.
    pub target_labels: Tensor<1, Int>,
}

/// [`TextPairBatch`] on a device.
#[derive(Clone, Debug)]
pub struct TextPairTensors {
    /// The first texts, `[batch_size, source_length]`.
    pub source: PaddedTensors,
    /// `[batch_size, target_length]`: the second texts, shifted right after the start token.
    pub target_inputs: Tensor<2, Int>,
    /// `[n_tokens]`: positions of the second texts' tokens in `[batch_size * target_length]`; `None` without padding.
    pub target_positions: Option<Tensor<1, Int>>,
    /// `[n_tokens]`: the tokens of the second texts.
    pub target_labels: Tensor<1, Int>,
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

impl Padded {
    /// The tokens without padding, `[n_tokens]`, and their positions in `[batch_size * seq_length]`; `None` if there is
    /// no padding.
    fn targets(&self, device: &Device) -> (Option<Tensor<1, Int>>, Tensor<1, Int>) {
        let Self { ids, lengths, seq_length, .. } = self;
        let rows = ids.chunks_exact((*seq_length).max(1));
        let labels: Vec<i32> =
            rows.zip(lengths).flat_map(|(row, &length)| row[..length].iter().map(|&id| id as i32)).collect();
        let n_tokens = labels.len();
        let positions = (n_tokens < ids.len()).then(|| {
            let places = lengths.iter().enumerate().flat_map(|(row, &length)| {
                let first = (row * seq_length) as i32;
                first..first + length as i32
            });
            ints(places, [n_tokens], device)
        });
        (positions, ints(labels.into_iter(), [n_tokens], device))
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

impl<L> ClassificationBatch<L> {
    fn on_device<T>(&self, labels: T, device: &Device) -> ClassificationTensors<T> {
        let shape = [self.tokens.batch_size(), self.tokens.seq_length];
        ClassificationTensors {
            tokens: self.tokens.to_device(device),
            segments: ints(self.tokens.segments(&self.first_lengths).map(i32::from), shape, device),
            labels,
        }
    }
}

impl ClassificationBatch {
    /// Copies the batch to `device`.
    #[must_use]
    pub fn to_device(&self, device: &Device) -> ClassificationTensors {
        let shape = [self.labels.len()];
        self.on_device(ints(self.labels.iter().map(|&label| label as i32), shape, device), device)
    }
}

impl ScoreBatch {
    /// Copies the batch to `device`.
    #[must_use]
    pub fn to_device(&self, device: &Device) -> ClassificationTensors<Tensor<1>> {
        let scores: Vec<f32> = self.labels.iter().map(|score| score.value as f32).collect();
        self.on_device(Tensor::from_data(TensorData::new(scores, [self.labels.len()]), device), device)
    }
}

impl MultiLabelBatch {
    /// Copies the batch to `device`; its labels are below `n_labels`.
    #[must_use]
    pub fn to_device(&self, n_labels: usize, device: &Device) -> ClassificationTensors<Tensor<2>> {
        let mut values = vec![0_f32; self.labels.len() * n_labels];
        for (row, labels) in values.chunks_exact_mut(n_labels).zip(&self.labels) {
            labels.iter().for_each(|&label| row[label as usize] = 1.0);
        }
        self.on_device(Tensor::from_data(TensorData::new(values, [self.labels.len(), n_labels]), device), device)
    }
}

impl TokenClassificationBatch {
    /// Copies the batch to `device`.
    #[must_use]
    pub fn to_device(&self, device: &Device) -> TokenClassificationTensors {
        let shape = [self.labels.len() + self.further_labels.len()];
        let all = |words: &[u32], further: &[u32]| -> Tensor<1, Int> {
            ints(words.iter().chain(further).map(|&value| value as i32), shape, device)
        };
        TokenClassificationTensors {
            tokens: self.tokens.to_device(device),
            positions: all(&self.positions, &self.further_positions),
            labels: all(&self.labels, &self.further_labels),
        }
    }
}

impl QuestionAnsweringBatch {
    /// Copies the batch to `device`.
    #[must_use]
    pub fn to_device(&self, device: &Device) -> QuestionAnsweringTensors {
        let shape = [self.tokens.batch_size(), self.tokens.seq_length];
        let columns = |columns: &[u32]| ints(columns.iter().map(|&column| column as i32), [shape[0]], device);
        QuestionAnsweringTensors {
            tokens: self.tokens.to_device(device),
            segments: ints(self.tokens.segments(&self.first_lengths).map(i32::from), shape, device),
            starts: columns(&self.starts),
            ends: columns(&self.ends),
        }
    }
}

impl PairedBatch {
    /// Copies the batch to `device`.
    #[must_use]
    pub fn to_device(&self, device: &Device) -> PairedTensors {
        let scores = || Tensor::from_data(TensorData::new(self.scores.clone(), [self.scores.len()]), device);
        PairedTensors {
            texts: self.texts.to_device(device),
            pairs: self.pairs.to_device(device),
            negatives: (self.negatives.batch_size() > 0).then(|| self.negatives.to_device(device)),
            scores: (!self.scores.is_empty()).then(scores),
        }
    }
}

impl WindowBatch {
    /// Copies the batch to `device`. Each input that is no padding predicts the token after it.
    #[must_use]
    pub fn to_device(&self, device: &Device) -> WindowTensors {
        let (target_positions, target_labels) = self.targets.targets(device);
        WindowTensors { inputs: self.inputs.to_device(device), target_positions, target_labels }
    }
}

impl TextPairBatch {
    /// Copies the batch to `device`; `start_id` is the start token of second texts.
    #[must_use]
    pub fn to_device(&self, start_id: u32, device: &Device) -> TextPairTensors {
        let shape = [self.target.batch_size(), self.target.seq_length];
        let rows = self.target.ids.chunks_exact(shape[1].max(1));
        let inputs = rows.flat_map(|row| std::iter::once(start_id).chain(row[..row.len() - 1].iter().copied()));
        let (target_positions, target_labels) = self.target.targets(device);
        TextPairTensors {
            source: self.source.to_device(device),
            target_inputs: ints(inputs.map(|id| id as i32), shape, device),
            target_positions,
            target_labels,
        }
    }
}

fn ints<const D: usize>(values: impl Iterator<Item = i32>, shape: [usize; D], device: &Device) -> Tensor<D, Int> {
    Tensor::from_data(TensorData::new(values.collect::<Vec<_>>(), shape), device)
}
