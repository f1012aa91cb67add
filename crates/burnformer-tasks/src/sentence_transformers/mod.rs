//! Files of sentence-transformers: what becomes of a text on its way to an embedding or a score.

mod cross_encoder;
mod file;
mod modules;
mod pooling;
mod prompts;
mod settings;
mod steps;
mod transformer;
mod unknown;

pub(crate) use cross_encoder::CrossEncoder;
pub(crate) use modules::Modules;
pub(crate) use pooling::PoolingSettings;
pub use prompts::Prompts;
pub(crate) use steps::{Step, load_steps, with_normalization};
pub use unknown::unknown_settings;
