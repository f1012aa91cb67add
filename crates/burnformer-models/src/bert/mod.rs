//! BERT: its settings, body, heads, and files.

mod body;
mod classification;
mod config;
mod embeddings;
mod files;
mod heads;
mod hugging_face;
mod names;
mod pretraining;

pub use body::{Bert, BertInput};
pub use classification::BertForSequenceClassification;
pub use config::BertConfig;
pub use embeddings::BertEmbeddings;
pub use heads::{BertPooler, MaskedTokenHead};
pub use names::hugging_face_name;
pub use pretraining::{BertForPreTraining, PretrainingLogits};
