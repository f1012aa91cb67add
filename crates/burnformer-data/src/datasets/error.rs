//! Errors of data sets.

use crate::tokenizer::TokenizerError;

/// Reason why a corpus gives no samples.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SamplesError {
    /// No usable document.
    #[error("none of {n_documents} documents gives a sample: each lacks {reason}")]
    None {
        /// Number of documents examined.
        n_documents: usize,
        /// What each of them lacks.
        reason: &'static str,
    },
    /// A corpus of texts, where pairs of them are needed.
    #[error("the corpus holds no pairs of texts")]
    NoPairs,
    /// Next-sentence prediction takes half of its second texts from another document.
    #[error(
        "next-sentence prediction needs at least two documents of two sentences, found {found}; set `next_sentence = false`"
    )]
    OneDocument {
        /// Number of documents.
        found: usize,
    },
    /// A special token that the samples need and the tokenizer lacks.
    #[error("the tokenizer has no {role} token, which these samples need")]
    NoToken {
        /// Role of the token.
        role: &'static str,
    },
    /// A question that cannot be used.
    #[error("the question `{id}` cannot be used")]
    Question {
        /// What the file calls it.
        id: String,
        /// What is wrong with it.
        source: TokenizerError,
    },
    /// A text with a token of another vocabulary.
    #[error(
        "a text of the corpus has the token {id}, but its tokenizer has only {vocab_size} tokens: build the corpus again"
    )]
    ForeignToken {
        /// Number of the token.
        id: u32,
        /// Number of tokens of the tokenizer.
        vocab_size: usize,
    },
}
