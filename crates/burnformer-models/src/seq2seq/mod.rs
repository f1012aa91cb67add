//! The encoder–decoder between tokens: settings, model, and files.

mod config;
mod files;
mod hugging_face;
mod model;
mod names;

pub use config::{PositionKind, Seq2SeqConfig, Vocabularies};
pub(crate) use hugging_face::{MARIAN, OWN, OWN_CLASS, PEGASUS};
pub use model::{Seq2Seq, Seq2SeqInput};
