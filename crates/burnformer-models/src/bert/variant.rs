//! Variants of BERT.

use super::names;
use crate::Architecture;
use crate::hf::{Keys, WeightNames};
use burnformer_nn::Activation;
use serde::{Deserialize, Serialize};

/// The architecture that a [`Bert`](crate::Bert) follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BertVariant {
    /// Devlin et al. 2019.
    #[default]
    Bert,
    /// Liu et al. 2019: positions start after the id of the padding token, and padding tokens take no
    /// part in counting; the classifier reads the first token through a layer of its own instead of the pooler.
    Roberta,
    /// Sanh et al. 2019: no segments, no pooler; the classifier has a layer with ReLU in its place.
    DistilBert,
    /// Conneau et al. 2020: a RoBERTa of a hundred languages, with another tokenizer.
    #[serde(rename = "xlm-roberta")]
    XlmRoberta,
    /// Martin et al. 2020: a RoBERTa of French, with another tokenizer.
    Camembert,
}

/// Differences between the variants.
pub(crate) struct Details {
    pub(crate) architecture: Architecture,
    /// `true` if positions start after the id of the padding token and skip padding.
    pub(crate) positions_behind_padding: bool,
    /// `true` if there are segments, and norms whose epsilon is a setting.
    pub(crate) has_segments: bool,
    /// Activation of the masked token head; `None` is that of the layers.
    pub(crate) head_activation: Option<Activation>,
    /// `true` if the pooler drops values of its input in training.
    pub(crate) pooler_drops_input: bool,
    /// `true` if the pooler has ReLU in place of tanh.
    pub(crate) pooler_has_relu: bool,
    /// Key of the dropout in front of a classifier.
    pub(crate) classifier_dropout_key: &'static str,
    /// Dropout in front of a classifier where the file has none; `None` is that of the body.
    pub(crate) classifier_dropout: Option<f64>,
    /// Settings and their keys.
    pub(crate) keys: Keys,
    /// What the names of the body's weights begin with in the file of a model with a head, without the dot.
    pub(crate) body: &'static str,
    /// Other names of keys, and the keys.
    pub(crate) other_keys: &'static [(&'static str, &'static str)],
    /// The names of weights.
    pub(crate) names: &'static WeightNames,
}

const BERT: Details = Details {
    architecture: Architecture::Bert,
    positions_behind_padding: false,
    has_segments: true,
    head_activation: None,
    pooler_drops_input: false,
    pooler_has_relu: false,
    classifier_dropout_key: "classifier_dropout",
    classifier_dropout: None,
    keys: Keys(&[
        ("vocab_size", "vocab_size"),
        ("max_seq_length", "max_position_embeddings"),
        ("n_segments", "type_vocab_size"),
        ("d_model", "hidden_size"),
        ("n_layers", "num_hidden_layers"),
        ("n_heads", "num_attention_heads"),
        ("d_ff", "intermediate_size"),
        ("activation", "hidden_act"),
        ("dropout", "hidden_dropout_prob"),
        ("attention_dropout", "attention_probs_dropout_prob"),
        ("norm_eps", "layer_norm_eps"),
        ("init_std", "initializer_range"),
        ("pad_id", "pad_token_id"),
        ("tied_embeddings", "tie_word_embeddings"),
    ]),
    body: "bert",
    other_keys: &[],
    names: &names::BERT,
};

const ROBERTA: Details = Details {
    architecture: Architecture::Roberta,
    positions_behind_padding: true,
    head_activation: Some(Activation::Gelu),
    pooler_drops_input: true,
    body: "roberta",
    names: &names::ROBERTA,
    ..BERT
};

const XLM_ROBERTA: Details = Details { architecture: Architecture::XlmRoberta, ..ROBERTA };

const CAMEMBERT: Details = Details { architecture: Architecture::Camembert, ..ROBERTA };

const DISTIL_BERT: Details = Details {
    architecture: Architecture::DistilBert,
    has_segments: false,
    pooler_has_relu: true,
    classifier_dropout_key: "seq_classif_dropout",
    classifier_dropout: Some(0.2),
    keys: Keys(&[
        ("vocab_size", "vocab_size"),
        ("max_seq_length", "max_position_embeddings"),
        ("d_model", "dim"),
        ("n_layers", "n_layers"),
        ("n_heads", "n_heads"),
        ("d_ff", "hidden_dim"),
        ("activation", "activation"),
        ("dropout", "dropout"),
        ("attention_dropout", "attention_dropout"),
        ("init_std", "initializer_range"),
        ("pad_id", "pad_token_id"),
        ("tied_embeddings", "tie_word_embeddings"),
    ]),
    body: "distilbert",
    other_keys: &[("hidden_size", "dim"), ("num_attention_heads", "n_heads"), ("num_hidden_layers", "n_layers")],
    names: &names::DISTIL_BERT,
    ..BERT
};

impl BertVariant {
    /// All variants.
    pub const ALL: [Self; 5] = [Self::Bert, Self::Roberta, Self::DistilBert, Self::XlmRoberta, Self::Camembert];

    /// Their architectures, in the same order.
    pub(crate) const ARCHITECTURES: [Architecture; 5] = [
        Architecture::Bert,
        Architecture::Roberta,
        Architecture::DistilBert,
        Architecture::XlmRoberta,
        Architecture::Camembert,
    ];

    pub(crate) fn details(self) -> &'static Details {
        match self {
            Self::Bert => &BERT,
            Self::Roberta => &ROBERTA,
            Self::DistilBert => &DISTIL_BERT,
            Self::XlmRoberta => &XLM_ROBERTA,
            Self::Camembert => &CAMEMBERT,
        }
    }

    /// `true` if next-sentence prediction is a part of its pretraining.
    #[must_use]
    pub fn has_next_sentence(self) -> bool {
        self == Self::Bert
    }

    /// Architecture of the variant.
    #[must_use]
    pub fn architecture(self) -> Architecture {
        self.details().architecture
    }

    /// `model_type` in a `config.json`.
    #[must_use]
    pub fn model_type(self) -> &'static str {
        self.architecture().model_type()
    }
}
