//! Files of sentence-transformers: what becomes of a text on its way to an embedding or a score.

mod cross_encoder;
mod embedding_model;
mod file;
mod modules;
mod pooling;
mod prompts;
mod settings;
mod steps;
mod transformer;
mod unknown;

pub(crate) use cross_encoder::CrossEncoder;
pub use embedding_model::EmbeddingModel;
pub use modules::{Modules, makes_embeddings};
pub use prompts::Prompts;
pub use unknown::unknown_settings;
