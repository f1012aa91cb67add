//! What both sides read: sizes, a batch, texts.

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use burnformer_models::{BertConfig, BertInput, Seq2SeqConfig};
use burnformer_nn::DropoutRng;
use serde::Deserialize;

/// The content of `benches/peers/interop.json`.
#[derive(Debug, Deserialize)]
pub(crate) struct Material {
    /// An element whose gradient is as small as rounding, or as the `eps` of AdamW, moves by rounding. With this seed there
    /// is none that matters.
    pub(crate) seed: u64,
    /// Of all random weights.
    pub(crate) init_std: f64,
    /// A BERT whose sizes all differ.
    pub(crate) config: BertConfig,
    /// An encoder–decoder whose sizes all differ.
    pub(crate) seq2seq: Seq2SeqConfig,
    /// Of the classes of a classifier.
    pub(crate) labels: Vec<String>,
    pub(crate) batch: Batch,
    /// Of the tokenizers.
    pub(crate) vocab_size: usize,
    /// To which a sequence is cut, one of a text and one of two.
    pub(crate) max_lengths: [usize; 2],
    /// What tokenizers are asked.
    pub(crate) texts: Vec<String>,
}

impl Material {
    pub(crate) fn read() -> Self {
        serde_json::from_str(include_str!("../../../peers/interop.json")).expect("the file fits this type")
    }

    /// What tokenizers learn from: every second text, so that the others have characters and words that are unknown.
    pub(crate) fn known_texts(&self) -> impl Iterator<Item = &String> {
        self.texts.iter().step_by(2)
    }
}

/// What the models are trained on.
#[derive(Debug, Deserialize)]
pub(crate) struct Batch {
    ids: Vec<Vec<i64>>,
    segments: Vec<Vec<i64>>,
    /// How many tokens of each row are not padding.
    lengths: Vec<usize>,
    /// Places whose tokens are to be predicted, `row * seq_length + column`.
    masked: Vec<i64>,
    /// Which tokens are right there.
    targets: Vec<i64>,
    next_sentence: Vec<i64>,
    classes: Vec<i64>,
    decoder_ids: Vec<Vec<i64>>,
    /// What follows each of these.
    next_ids: Vec<Vec<i64>>,
}

impl Batch {
    /// What a BERT is applied to.
    pub(crate) fn input(&self, device: &Device) -> BertInput {
        BertInput {
            ids: self.ids(device),
            segments: Some(table(&self.segments, device)),
            mask_pad: Some(self.mask_pad(device)),
            rng: DropoutRng::off(),
        }
    }

    pub(crate) fn ids(&self, device: &Device) -> Tensor<2, Int> {
        table(&self.ids, device)
    }

    pub(crate) fn mask_pad(&self, device: &Device) -> Tensor<2, Bool> {
        let [batch_size, seq_length] = [self.ids.len(), self.ids[0].len()];
        let mask = self.lengths.iter().flat_map(|&length| (0..seq_length).map(move |t| t >= length));
        Tensor::from_data(TensorData::new(mask.collect::<Vec<bool>>(), [batch_size, seq_length]), device)
    }

    pub(crate) fn masked(&self, device: &Device) -> Tensor<1, Int> {
        Tensor::from_data(self.masked.as_slice(), device)
    }

    pub(crate) fn targets(&self, device: &Device) -> Tensor<1, Int> {
        Tensor::from_data(self.targets.as_slice(), device)
    }

    pub(crate) fn next_sentence(&self, device: &Device) -> Tensor<1, Int> {
        Tensor::from_data(self.next_sentence.as_slice(), device)
    }

    pub(crate) fn classes(&self, device: &Device) -> Tensor<1, Int> {
        Tensor::from_data(self.classes.as_slice(), device)
    }

    pub(crate) fn decoder_ids(&self, device: &Device) -> Tensor<2, Int> {
        table(&self.decoder_ids, device)
    }

    pub(crate) fn next_ids(&self, device: &Device) -> Tensor<2, Int> {
        table(&self.next_ids, device)
    }
}

fn table(rows: &[Vec<i64>], device: &Device) -> Tensor<2, Int> {
    Tensor::from_data(TensorData::new(rows.concat(), [rows.len(), rows[0].len()]), device)
}
