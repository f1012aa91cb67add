//! The body of BERT and its variants: settings, layers, and files.

mod body;
mod config;
mod config_file;
mod embeddings;
pub(crate) mod files;
mod names;
mod variant;

pub use body::{Bert, BertInput};
pub use config::BertConfig;
pub use embeddings::BertEmbeddings;
pub use variant::BertVariant;
