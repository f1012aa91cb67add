//! Errors of tasks and pipelines.

use std::path::PathBuf;

use burn::tensor::ExecutionError;
use burnformer_core::collective::CollectiveError;
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
    /// Texts cannot be read, or batches not built.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A text cannot be tokenised, or a tokenizer not loaded.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// One of several texts cannot be tokenised.
    #[error("text {number} cannot be used")]
    Text {
        /// Number of the text among those that were given, counted from one.
        number: usize,
        /// What is wrong with it.
        source: TokenizerError,
    },
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
    /// Other processes cannot be waited for any more.
    #[error("the processes cannot work together any more")]
    Collective(#[from] CollectiveError),
    /// A tokenizer with more tokens than the model has rows for.
    #[error("the tokenizer has {tokens} tokens, the model only {rows}: they do not belong together")]
    VocabularyMismatch {
        /// Number of tokens of the tokenizer.
        tokens: usize,
        /// Number of tokens of the model.
        rows: usize,
    },
    /// A model for another task.
    #[error("`{}` holds a model for {}, expected one for {expected}", folder.display(), found.task())]
    OtherTask {
        /// The folder.
        folder: PathBuf,
        /// Head of the model in the folder.
        found: Head,
        /// Task that was expected.
        expected: &'static str,
    },
    /// A file that describes how texts are embedded cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// A file that describes how texts are embedded is not valid JSON, or lacks a setting.
    #[error("`{}` does not describe how texts are embedded", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        source: serde_json::Error,
    },
    /// A method of embedding texts that is not supported.
    #[error("`{}` asks for {found}, expected {expected}", path.display())]
    Embedding {
        /// The file.
        path: PathBuf,
        /// The setting in the file.
        found: String,
        /// Supported settings.
        expected: String,
    },
    /// A cross-encoder where a model that embeds texts is expected.
    #[error("`{}` holds a cross-encoder, which scores pairs of texts, expected a model that embeds texts", folder.display())]
    CrossEncoder {
        /// The folder.
        folder: PathBuf,
    },
    /// A classifier where a model that gives a score is expected.
    #[error("`{}` holds a classifier with {n_labels} labels, expected a cross-encoder, which has one", folder.display())]
    NoScore {
        /// The folder.
        folder: PathBuf,
        /// Number of its labels.
        n_labels: usize,
    },
    /// A prompt that the model does not have.
    #[error("the model has no prompt `{name}`, expected one of `{}`", known.join("`, `"))]
    NoPrompt {
        /// Name that was asked for.
        name: String,
        /// Names of the model's prompts.
        known: Vec<String>,
    },
    /// A pooling that makes vectors of another width than the dense layer behind it takes.
    #[error(
        "with one pooling a text has {found} numbers, but the dense layer behind it takes {expected}: use the model's own pooling"
    )]
    PoolingWidth {
        /// Number of elements of a pooled vector.
        found: usize,
        /// Number of elements that the dense layer takes.
        expected: usize,
    },
    /// More dimensions of an embedding than it has.
    #[error("the model makes embeddings of {found} dimensions, expected from 1 to that many, not {asked}")]
    Dimensions {
        /// Number of dimensions of the model's embeddings.
        found: usize,
        /// Number that was asked for.
        asked: usize,
    },
    /// An answer of a model that is NaN or infinite, of weights that are not.
    #[error(
        "the model's answer is not finite: its weights are too large, so they are damaged or their training diverged"
    )]
    NotFinite,
    /// A text without a mask token.
    #[error("`{text}` has no `{mask}`: write it where a token is to be predicted")]
    NoMask {
        /// Beginning of the text.
        text: String,
        /// The mask token.
        mask: String,
    },
    /// A tokenizer without a token that the task needs.
    #[error("the tokenizer has no {role} token, which this task needs")]
    NoToken {
        /// Role of the token, such as `mask`.
        role: &'static str,
    },
    /// A prompt that leaves no room for a token behind it.
    #[error("a prompt has more than {max} tokens, which is all the model can take: shorten `{prompt}`")]
    PromptLength {
        /// Beginning of the prompt.
        prompt: String,
        /// Largest number of tokens.
        max: usize,
    },
    /// A special token with different ids in the tokenizers of source and target.
    #[error(
        "the {role} token has the id {source_id} in the source's tokenizer and {target_id} in the target's, expected one: \
         train both with the same kind"
    )]
    TokenMismatch {
        /// Role of the token, such as `mask`.
        role: &'static str,
        /// Id in the source tokenizer.
        source_id: u32,
        /// Id in the target tokenizer.
        target_id: u32,
    },
    /// A text whose masks are all in the truncated part.
    #[error(
        "every `{mask}` in `{text}` lies behind the first {max_length} tokens, which is all the model can take: shorten the text"
    )]
    MaskCutOff {
        /// Beginning of the text.
        text: String,
        /// The mask token.
        mask: String,
        /// Largest number of tokens that the model accepts.
        max_length: usize,
    },
}

impl From<TaskError> for ModelError {
    fn from(error: TaskError) -> Self {
        match error {
            TaskError::Model(error) => error,
            error => Self::Foreign(Box::new(error)),
        }
    }
}
