//! A training step of an encoder–decoder.

use burn::tensor::Device;
use burnformer_data::batches::Padded;
use burnformer_models::{PositionKind, Seq2Seq, Seq2SeqConfig, Seq2SeqInput};
use burnformer_nn::{Activation, CrossEntropyLossConfig, DropoutRng, NormOrder};
use burnformer_train::{AdamConfig, OptimizerConfig};

use crate::inputs::{ints, samples, tokens};
use crate::{Run, Size, Work, training};

/// A batch of pairs. A pair has up to [`Self::SPREAD`] tokens less than the longest, on both sides.
#[derive(Clone, Copy)]
struct Pairs {
    n_pairs: usize,
    source_length: usize,
    target_length: usize,
}

impl Pairs {
    const SPREAD: usize = 6;

    fn new(size: Size) -> Self {
        match size {
            Size::Small => Self { n_pairs: 3, source_length: 9, target_length: 8 },
            Size::Large => Self { n_pairs: 128, source_length: 16, target_length: 15 },
        }
    }

    /// Tokens of each row of a side whose longest row has `longest`.
    fn lengths(self, longest: usize) -> Vec<usize> {
        (0..self.n_pairs).map(|row| longest - Self::SPREAD + row % (Self::SPREAD + 1)).collect()
    }

    /// Source and target tokens, none of them padding.
    fn n_tokens(self) -> usize {
        [self.source_length, self.target_length].map(|longest| self.lengths(longest).iter().sum::<usize>()).iter().sum()
    }

    /// Places of the target tokens in `[n_pairs * target_length]`.
    fn target_places(self) -> Vec<u32> {
        let row =
            |(row, length): (usize, usize)| (0..length).map(move |place| (row * self.target_length + place) as u32);
        self.lengths(self.target_length).into_iter().enumerate().flat_map(row).collect()
    }
}

/// What learns to translate the captions of Multi30k in a few minutes, or a model of a few thousand weights.
pub(crate) fn config(size: Size) -> Seq2SeqConfig {
    let (source_vocab_size, target_vocab_size, d_model, n_layers, n_heads, d_ff) = match size {
        Size::Small => (50, 40, 16, 2, 2, 24),
        Size::Large => (7853, 5893, 256, 3, 8, 512),
    };
    Seq2SeqConfig {
        source_vocab_size,
        target_vocab_size,
        shared_embeddings: false,
        tied_embeddings: false,
        output_bias: false,
        scaled_embeddings: true,
        positions: PositionKind::Learned,
        max_seq_length: 100,
        d_model,
        n_encoder_layers: n_layers,
        n_decoder_layers: n_layers,
        n_heads,
        d_ff,
        activation: Activation::Relu,
        norm_order: NormOrder::Post,
        norm_eps: 1e-5,
        dropout: 0.1,
        attention_dropout: 0.1,
        activation_dropout: 0.1,
        init_std: 0.02,
        pad_id: 1,
        eos_id: 3,
        decoder_start_id: 2,
    }
}

/// One update of an encoder–decoder on a batch of pairs.
pub(crate) fn step(size: Size) -> Work {
    let (config, pairs) = (config(size), Pairs::new(size));
    let Seq2SeqConfig { n_encoder_layers: n, d_model, n_heads, d_ff, .. } = config;
    let Pairs { n_pairs, source_length, target_length } = pairs;
    let shape = format!("n{n}+{n}-b{n_pairs}-s{source_length}-t{target_length}-d{d_model}-h{n_heads}-ff{d_ff}");
    Work::new("seq2seq-step", shape, pairs.n_tokens(), move |device: &Device| start(&config, pairs, device))
}

fn start(config: &Seq2SeqConfig, pairs: Pairs, device: &Device) -> Run {
    let device = device.clone().autodiff();
    let Pairs { n_pairs, source_length, target_length } = pairs;
    let padded = |name: &str, longest, vocab_size| {
        let ids = tokens(name, n_pairs * longest, vocab_size);
        Padded { ids, lengths: pairs.lengths(longest), seq_length: longest, multiple_of: 1 }.to_device(&device)
    };
    let source = padded("source", source_length, config.source_vocab_size);
    let target = padded("target", target_length, config.target_vocab_size);
    let places = pairs.target_places();
    let labels = ints(&tokens("labels", places.len(), config.target_vocab_size), [places.len()], &device);
    let places = ints(&places, [places.len()], &device);
    let loss = CrossEntropyLossConfig::new().init();
    let d_model = config.d_model;
    let optimizer = OptimizerConfig::Adam(AdamConfig { weight_decay: 0.0, ..AdamConfig::default() });
    training::step(Seq2Seq::init(config, 0, &device), optimizer, move |model| {
        let hidden = model.hidden(Seq2SeqInput {
            source_mask_pad: Some(source.mask_pad.clone()),
            rng: DropoutRng::training(0, samples(n_pairs)),
            ..Seq2SeqInput::new(source.ids.clone(), target.ids.clone())
        });
        // Logits only where there is a token to predict.
        let rows = hidden.reshape([n_pairs * target_length, d_model]).select(0, places.clone());
        loss.forward(model.logits(rows), labels.clone()).mean()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use burnformer_models::stats::n_parameters;

    #[test]
    fn the_model_has_9_032_448_weights() {
        // As many as PyTorch's in `torch_seq2seq.py`.
        assert_eq!(n_parameters(&Seq2Seq::new(&config(Size::Large), &Device::default())), 9_032_448);
    }

    #[test]
    fn a_batch_has_1659_source_and_1531_target_tokens() {
        let pairs = Pairs::new(Size::Large);
        assert_eq!(pairs.lengths(16)[..8], [10, 11, 12, 13, 14, 15, 16, 10]);
        assert_eq!(pairs.lengths(15)[..8], [9, 10, 11, 12, 13, 14, 15, 9]);
        assert_eq!((pairs.target_places().len(), pairs.n_tokens()), (1531, 1659 + 1531));
        assert_eq!(pairs.target_places()[8..11], [8, 15, 16]);
    }
}
