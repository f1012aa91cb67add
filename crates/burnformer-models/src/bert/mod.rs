//! BERT and its variants: settings, body, heads, and files.

mod body;
mod classification;
mod config;
mod embeddings;
mod files;
mod heads;
mod hugging_face;
mod masked_lm;
mod names;
mod pretraining;
mod variant;

pub(crate) use body::copy_body;
pub use body::{Bert, BertInput};
pub use classification::{Adapted, BertForSequenceClassification};
pub use config::BertConfig;
pub use embeddings::BertEmbeddings;
pub use heads::{BertPooler, MaskedTokenHead};
pub(crate) use hugging_face::{activation, activation_name, variant};
pub use masked_lm::BertForMaskedLM;
pub use pretraining::{BertForPreTraining, PretrainingLogits};
pub use variant::BertVariant;
