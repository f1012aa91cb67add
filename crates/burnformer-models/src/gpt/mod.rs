//! GPT-2: settings, the names of its weights, the body, and the language model.

mod body;
mod causal_lm;
mod config;
pub(crate) mod config_file;
mod names;

pub use body::{Gpt, GptInput};
pub use causal_lm::GptForCausalLM;
pub use config::{GptConfig, GptTokens};
