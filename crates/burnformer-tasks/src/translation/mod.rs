//! Texts into other texts: translation, and whatever else pairs of texts teach.

mod attention;
mod task;
mod tokenizers;
mod translator;

pub use attention::TranslationAttention;
pub use task::{TranslationMetricState, TranslationTask};
pub use tokenizers::TranslationTokenizers;
pub use translator::{Translation, TranslationOptions, Translator};
