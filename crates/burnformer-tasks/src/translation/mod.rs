//! Translation, and other tasks that map a text to a text.

mod attention;
mod task;
mod tokenizers;
mod translator;

pub use attention::TranslationAttention;
pub use task::{TranslationMetricState, TranslationTask};
pub use tokenizers::TranslationTokenizers;
pub use translator::{Translation, TranslationOptions, Translator};
