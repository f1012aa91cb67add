//! Texts as vectors: batches of them, and one alone.

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use burnformer_data::batches::parts;
use burnformer_models::{BertConfig, BertForPreTraining, BertInput, Pooling, normalize};
use burnformer_ops::WeightFormat;

use crate::inputs::{ints, prepared, tokens};
use crate::{Size, Work};

/// Texts of a batch, which are of similar length.
const BATCH_SIZE: usize = 32;

/// The sizes of the model and its texts.
#[derive(Clone, Copy)]
struct Texts {
    n_texts: usize,
    vocab_size: usize,
    d_model: usize,
    n_layers: usize,
    n_heads: usize,
}

impl Texts {
    /// `MiniLM` with six layers and a thousand texts, or a model of a few thousand weights.
    fn new(size: Size) -> Self {
        match size {
            Size::Small => Self { n_texts: 40, vocab_size: 50, d_model: 16, n_layers: 2, n_heads: 2 },
            Size::Large => Self { n_texts: 1000, vocab_size: 30_522, d_model: 384, n_layers: 6, n_heads: 12 },
        }
    }

    /// What makes vectors of length one of a batch.
    fn embedder(self, format: WeightFormat, device: &Device) -> impl Fn(&Batch) -> Tensor<2> + use<> {
        let config = BertConfig {
            d_model: self.d_model,
            n_layers: self.n_layers,
            n_heads: self.n_heads,
            d_ff: 4 * self.d_model,
            ..BertConfig::preset("bert-base", self.vocab_size, 0).expect("the preset exists")
        };
        let model = prepared(BertForPreTraining::init(&config, 0, device), format);
        move |Batch { ids, mask_pad }| {
            let input = BertInput { mask_pad: mask_pad.clone(), ..BertInput::new(ids.clone()) };
            normalize(Pooling::Mean.apply(model.bert().forward(input), mask_pad.clone()))
        }
    }

    fn shape(self, texts: &str) -> String {
        let Self { d_model, n_layers, n_heads, .. } = self;
        format!("n{n_layers}-{texts}-d{d_model}-h{n_heads}-ff{}", 4 * d_model)
    }
}

/// Tokens of as many texts, sorted: the quantiles of a log-logistic distribution, between 8 and 256. A thousand have a mean
/// of 29.
fn lengths(n_texts: usize) -> Vec<usize> {
    let quantile = |text: usize| {
        let share = (text as f64 + 0.5) / n_texts as f64;
        (22.102 * (share / (1.0 - share)).powf(0.4)).round().clamp(8.0, 256.0) as usize
    };
    (0..n_texts).map(quantile).collect()
}

struct Batch {
    ids: Tensor<2, Int>,
    mask_pad: Option<Tensor<2, Bool>>,
}

impl Batch {
    fn new(name: &str, lengths: &[usize], vocab_size: usize, device: &Device) -> Self {
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let shape = [lengths.len(), longest];
        let ids = ints(&tokens(name, lengths.len() * longest, vocab_size), shape, device);
        let is_padded = lengths.iter().any(|&length| length < longest);
        let mask_pad = is_padded.then(|| {
            let mask: Vec<bool> =
                lengths.iter().flat_map(|&length| (0..longest).map(move |place| place >= length)).collect();
            Tensor::from_data(TensorData::new(mask, shape), device)
        });
        Self { ids, mask_pad }
    }
}

/// Many texts, sorted by length.
pub(crate) fn many(size: Size, format: WeightFormat) -> Work {
    let texts = Texts::new(size);
    let lengths = lengths(texts.n_texts);
    let shape = texts.shape(&format!("texts{}", texts.n_texts));
    Work::new("embed", shape, lengths.iter().sum(), move |device: &Device| {
        let embed = texts.embedder(format, device);
        let batches: Vec<Batch> = lengths
            .chunks(BATCH_SIZE)
            // A batch goes through the model in parts with little padding, as the embedding of texts does it.
            .flat_map(|batch| parts(batch, BATCH_SIZE).into_iter().map(|part| &batch[part]))
            .enumerate()
            .map(|(number, lengths)| Batch::new(&number.to_string(), lengths, texts.vocab_size, device))
            .collect();
        move || batches.iter().for_each(|batch| drop(embed(batch)))
    })
}

/// One short sentence, as somebody who searches types it.
pub(crate) fn one(size: Size, format: WeightFormat) -> Work {
    const LENGTH: usize = 12;
    let texts = Texts::new(size);
    Work::new("embed-one", texts.shape(&format!("b1-t{LENGTH}")), LENGTH, move |device: &Device| {
        let embed = texts.embedder(format, device);
        let batch = Batch::new("one", &[LENGTH], texts.vocab_size, device);
        move || drop(embed(&batch))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_texts_have_29_tokens_on_average() {
        let lengths = lengths(1000);
        assert_eq!(lengths.iter().sum::<usize>(), 29_000);
        assert_eq!((lengths[0], lengths[999]), (8, 256));
        assert!(lengths.is_sorted());
    }
}
