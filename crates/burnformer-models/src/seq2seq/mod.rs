//! The encoder–decoder: settings, model, and files.

mod config;
pub(crate) mod config_file;
mod files;
mod generate;
mod model;
mod names;

pub use config::{PositionKind, Seq2SeqConfig, Vocabularies};
pub use model::{Seq2Seq, Seq2SeqInput};
