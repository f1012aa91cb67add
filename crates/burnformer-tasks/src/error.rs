//! What can go wrong between a text and an answer.

use std::path::PathBuf;

use burn::tensor::ExecutionError;
use burnformer_core::files::FileError;
use burnformer_core::progress::Interrupted;
use burnformer_data::DataError;
use burnformer_data::tokenizer::TokenizerError;
use burnformer_models::{Head, ModelError};
use burnformer_ops::DeviceError;

use crate::ScoresError;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// A model folder cannot be read or written.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Texts or batches cannot be had.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A text cannot be tokenised, or a tokenizer not loaded.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// A tokenizer cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The device does not exist.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The device failed.
    #[error("the device failed")]
    Execution(#[from] ExecutionError),
    /// Scores are not what a task expects, or cannot be read.
    #[error(transparent)]
    Scores(#[from] ScoresError),
    /// The work was asked to stop.
    #[error("interrupted")]
    Interrupted(#[from] Interrupted),
    /// A tokenizer with more tokens than the model has rows for.
    #[error("the tokenizer has {tokens} tokens, the model only {rows}: they do not belong together")]
    VocabularyMismatch {
        /// Of the tokenizer.
        tokens: usize,
        /// Of the model.
        rows: usize,
    },
    /// A model for another task.
    #[error("`{}` holds a model for {}, expected one for {expected}", folder.display(), found.task())]
    OtherTask {
        /// The folder.
        folder: PathBuf,
        /// What it holds.
        found: Head,
        /// What it should hold.
        expected: &'static str,
    },
    /// A file that describes how texts are embedded cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file that describes how texts are embedded is no JSON, or lacks something.
    #[error("`{}` does not describe how texts are embedded", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        source: serde_json::Error,
    },
    /// A way to embed texts that is not known here.
    #[error("`{}` asks for {found}, expected {expected}", path.display())]
    Embedding {
        /// The file.
        path: PathBuf,
        /// What it asks for.
        found: String,
        /// What it may ask for.
        expected: &'static str,
    },
    /// Nothing to fill.
    #[error("`{text}` has no `{mask}`: write it where a token is to be predicted")]
    NoMask {
        /// The text.
        text: String,
        /// The mask token.
        mask: String,
    },
    /// A tokenizer without a token that the task needs.
    #[error("the tokenizer has no {role} token, which this task needs")]
    NoToken {
        /// What the token is for.
        role: &'static str,
    },
    /// A prompt that leaves no room for a token behind it.
    #[error("a prompt of {found} tokens is too long, expected at most {max}: shorten `{prompt}`")]
    PromptLength {
        /// The prompt.
        prompt: String,
        /// Number of its tokens.
        found: usize,
        /// Largest number of tokens.
        max: usize,
    },
    /// Tokenizers of two sides that do not go together.
    #[error(
        "the {role} token has the id {source_id} in the source's tokenizer and {target_id} in the target's, expected one: \
         train both with the same kind"
    )]
    TokenMismatch {
        /// What the token is for.
        role: &'static str,
        /// In the source's.
        source_id: u32,
        /// In the target's.
        target_id: u32,
    },
    /// A text all of whose masks lie behind the part that the model can take.
    #[error(
        "every `{mask}` in `{text}` lies behind the first {max_length} tokens, which is all the model can take: shorten the text"
    )]
    MaskCutOff {
        /// The text.
        text: String,
        /// The mask token.
        mask: String,
        /// The greatest number of tokens.
        max_length: usize,
    },
}
