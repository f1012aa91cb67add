//! BERT and the models that differ from it in details.

use serde::{Deserialize, Serialize};

/// Whose details a [`Bert`](crate::Bert) has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BertVariant {
    /// Devlin et al. 2019.
    #[default]
    Bert,
    /// Liu et al. 2019: the first position has the number behind that of the padding token, and padding tokens take no
    /// part in counting; the classifier reads the first token through a layer of its own instead of the pooler.
    Roberta,
    /// Sanh et al. 2019: no segments, no pooler; the classifier has a layer with ReLU in its place.
    DistilBert,
}

impl BertVariant {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Bert, Self::Roberta, Self::DistilBert];

    /// `model_type` in a `config.json`, with which the names of the body's weights begin too.
    #[must_use]
    pub fn model_type(self) -> &'static str {
        match self {
            Self::Bert => "bert",
            Self::Roberta => "roberta",
            Self::DistilBert => "distilbert",
        }
    }

    /// What the names of transformers' classes begin with.
    pub(crate) fn class_prefix(self) -> &'static str {
        match self {
            Self::Bert => "Bert",
            Self::Roberta => "Roberta",
            Self::DistilBert => "DistilBert",
        }
    }
}
