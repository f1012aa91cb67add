//! Models that can be cut by layers: which of their parameters each layer uses.

use crate::hf::ConfigJson;
use crate::{BertConfig, GptConfig, Head, ModelClass, ModelError, Seq2SeqConfig};
use burnformer_nn::LayerConfig;
use std::path::Path;
use std::sync::Arc;

/// Where a forward pass uses a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Use {
    /// In the embeddings: in front of the first layer.
    Embeddings,
    /// In the embeddings of the target: in front of the first layer with a memory.
    TargetEmbeddings,
    /// In the layer of this number, or behind it within its stack.
    Layer(usize),
    /// Behind the last layer.
    Head,
}

/// A model whose layers several processes can run one behind the other.
pub trait Staged: Send + Sync {
    /// Number of layers in front of the first one with a memory (those of the encoder of an encoder–decoder, all layers of any
    /// other model), and number of all layers.
    fn n_layers(&self) -> [usize; 2];

    /// Where the parameter at `path` is used, in the order of the forward pass; at least in one place.
    fn uses(&self, path: &str) -> Vec<Use>;

    /// Settings of the layer with this number.
    fn layer_config(&self, number: usize) -> LayerConfig;

    /// Number of rows of the tables of embeddings: in front of the first layer, and of the first layer with a memory.
    fn embedding_rows(&self) -> [usize; 2];

    /// Number of rows of the output layer, 0 if there is none, and the share of tokens that it predicts.
    fn output_rows(&self) -> (usize, f64);
}

/// The layers of the model in `folder`.
///
/// # Errors
/// If the folder holds no model.
pub fn staged(folder: &Path) -> Result<Arc<dyn Staged>, ModelError> {
    Ok(match ModelClass::of(folder)?.head() {
        Head::CausalLm => Arc::new(GptConfig::read(&ConfigJson::read(folder)?)?),
        Head::Seq2Seq => Arc::new(Seq2SeqConfig::read(&ConfigJson::read(folder)?, folder)?),
        Head::MaskedLm | Head::PreTraining => Arc::new(MaskedLmLayers(BertConfig::load(folder)?)),
        _ => Arc::new(BertConfig::load(folder)?),
    })
}

impl Staged for BertConfig {
    fn n_layers(&self) -> [usize; 2] {
        [self.n_layers; 2]
    }

    /// Without an output layer that is a table of embeddings: only some heads have one.
    fn uses(&self, path: &str) -> Vec<Use> {
        let place = match layer(path, "bert.encoder.layers.") {
            Some(layer) => Use::Layer(layer),
            None if path.starts_with("bert.embeddings.") => Use::Embeddings,
            None => Use::Head,
        };
        vec![place]
    }

    fn layer_config(&self, _number: usize) -> LayerConfig {
        self.layer()
    }

    fn embedding_rows(&self) -> [usize; 2] {
        [self.vocab_size; 2]
    }

    fn output_rows(&self) -> (usize, f64) {
        (0, 0.0)
    }
}

/// A BERT with a head for masked tokens, whose output layer can be the table of the token embeddings.
#[derive(Clone, Debug)]
pub struct MaskedLmLayers(pub BertConfig);

impl Staged for MaskedLmLayers {
    fn n_layers(&self) -> [usize; 2] {
        self.0.n_layers()
    }

    fn uses(&self, path: &str) -> Vec<Use> {
        let mut uses = self.0.uses(path);
        if self.0.tied_embeddings && path.starts_with("bert.embeddings.token.") {
            uses.push(Use::Head);
        }
        uses
    }

    fn layer_config(&self, number: usize) -> LayerConfig {
        self.0.layer_config(number)
    }

    fn embedding_rows(&self) -> [usize; 2] {
        self.0.embedding_rows()
    }

    /// One of seven tokens is predicted.
    fn output_rows(&self) -> (usize, f64) {
        (self.0.vocab_size, 1.0 / 7.0)
    }
}

impl Staged for GptConfig {
    fn n_layers(&self) -> [usize; 2] {
        [self.n_layers; 2]
    }

    fn uses(&self, path: &str) -> Vec<Use> {
        match layer(path, "gpt.stack.layers.") {
            Some(layer) => vec![Use::Layer(layer)],
            None if path.starts_with("gpt.token.") && self.tied_embeddings => vec![Use::Embeddings, Use::Head],
            None if path.starts_with("gpt.token.") || path.starts_with("gpt.positions.") => vec![Use::Embeddings],
            None => vec![Use::Head],
        }
    }

    fn layer_config(&self, _number: usize) -> LayerConfig {
        self.stack().layer
    }

    fn embedding_rows(&self) -> [usize; 2] {
        [self.vocab_size; 2]
    }

    fn output_rows(&self) -> (usize, f64) {
        (self.vocab_size, 1.0)
    }
}

impl Staged for Seq2SeqConfig {
    fn n_layers(&self) -> [usize; 2] {
        [self.n_encoder_layers, self.n_encoder_layers + self.n_decoder_layers]
    }

    fn uses(&self, path: &str) -> Vec<Use> {
        let Self { n_encoder_layers, shared_embeddings, tied_embeddings, .. } = *self;
        if let Some(layer) = layer(path, "transformer.encoder.layers.") {
            return vec![Use::Layer(layer)];
        }
        if let Some(layer) = layer(path, "transformer.decoder.layers.") {
            return vec![Use::Layer(n_encoder_layers + layer)];
        }
        let (target, output) = (Some(Use::TargetEmbeddings), tied_embeddings.then_some(Use::Head));
        let uses = match path.split('.').next() {
            Some("source") if shared_embeddings => [Some(Use::Embeddings), target, output],
            Some("source" | "source_positions") => [Some(Use::Embeddings), None, None],
            Some("target") => [target, output, None],
            Some("target_positions") => [target, None, None],
            _ if path.starts_with("transformer.encoder.norm_final.") => {
                [Some(Use::Layer(n_encoder_layers - 1)), None, None]
            }
            _ => [Some(Use::Head), None, None],
        };
        uses.into_iter().flatten().collect()
    }

    fn layer_config(&self, number: usize) -> LayerConfig {
        let in_decoder = number >= self.n_encoder_layers;
        self.stacks().layer.with_causal(in_decoder).with_cross_attention(in_decoder)
    }

    fn embedding_rows(&self) -> [usize; 2] {
        [self.source_vocab_size, self.target_vocab_size]
    }

    fn output_rows(&self) -> (usize, f64) {
        (self.target_vocab_size, 1.0)
    }
}

/// The number of the layer in `path`, whose beginning is `prefix`.
fn layer(path: &str, prefix: &str) -> Option<usize> {
    path.strip_prefix(prefix)?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BertForPreTraining, GptForCausalLM, GptTokens, PositionKind, Seq2Seq, Vocabularies, stats};
    use burnformer_ops::DeviceChoice;

    fn uses<M: burn::module::Module>(staged: &dyn Staged, model: &M) -> Vec<(String, Vec<Use>)> {
        stats::parameters(model).into_iter().map(|(path, _)| (path.clone(), staged.uses(&path))).collect()
    }

    #[test]
    fn every_parameter_has_its_place() {
        let device = DeviceChoice::Auto.open().unwrap();
        let config = BertConfig::preset("bert-tiny", 50, 0).unwrap();
        for (path, uses) in uses(&config, &BertForPreTraining::new(&config, &device)) {
            let expected = match path.split('.').collect::<Vec<_>>()[..] {
                ["bert", "embeddings", ..] => Use::Embeddings,
                ["bert", "encoder", "layers", "0", ..] => Use::Layer(0),
                ["bert", "encoder", "layers", "1", ..] => Use::Layer(1),
                ["mlm" | "pooler" | "next_sentence", ..] => Use::Head,
                _ => panic!("{path}"),
            };
            assert_eq!(uses, [expected], "{path}");
        }
        for tied in [false, true] {
            let config =
                GptConfig { tied_embeddings: tied, ..GptConfig::preset("gpt-tiny", 50, GptTokens::default()).unwrap() };
            for (path, uses) in uses(&config, &GptForCausalLM::new(&config, &device)) {
                let expected = match path.split('.').collect::<Vec<_>>()[..] {
                    ["gpt", "token", ..] if tied => vec![Use::Embeddings, Use::Head],
                    ["gpt", "token" | "positions", ..] => vec![Use::Embeddings],
                    ["gpt", "stack", "layers", "0", ..] => vec![Use::Layer(0)],
                    ["gpt", "stack", "layers", "1", ..] => vec![Use::Layer(1)],
                    ["gpt", "stack", "norm_final", ..] | ["output", ..] => vec![Use::Head],
                    _ => panic!("{path}"),
                };
                assert_eq!(uses, expected, "{path}");
            }
        }
        for (shared, tied) in [(true, true), (false, true), (false, false)] {
            let vocabularies =
                Vocabularies { source_size: 50, target_size: 50, shared, pad_id: 0, eos_id: 1, decoder_start_id: 0 };
            let config = Seq2SeqConfig::preset("transformer-tiny", vocabularies).unwrap();
            let config =
                Seq2SeqConfig { tied_embeddings: tied, output_bias: true, positions: PositionKind::Learned, ..config };
            assert_eq!(config.n_layers(), [2, 4]);
            for (path, uses) in uses(&config, &Seq2Seq::new(&config, &device)) {
                let expected = match path.split('.').collect::<Vec<_>>()[..] {
                    ["source", ..] if shared => vec![Use::Embeddings, Use::TargetEmbeddings, Use::Head],
                    ["source" | "source_positions", ..] => vec![Use::Embeddings],
                    ["target", ..] if tied => vec![Use::TargetEmbeddings, Use::Head],
                    ["target" | "target_positions", ..] => vec![Use::TargetEmbeddings],
                    ["transformer", "encoder", "layers", "0", ..] => vec![Use::Layer(0)],
                    ["transformer", "encoder", "layers", "1", ..] => vec![Use::Layer(1)],
                    ["transformer", "encoder", "norm_final", ..] => vec![Use::Layer(1)],
                    ["transformer", "decoder", "layers", "0", ..] => vec![Use::Layer(2)],
                    ["transformer", "decoder", "layers", "1", ..] => vec![Use::Layer(3)],
                    ["transformer", "decoder", "norm_final", ..] | ["output" | "output_bias", ..] => vec![Use::Head],
                    _ => panic!("{path}"),
                };
                assert_eq!(uses, expected, "{path}");
            }
        }
    }
}
