//! Why a corpus gives no samples.

/// Samples that cannot be drawn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SamplesError {
    /// Nothing to draw from.
    #[error("none of {n_documents} documents gives a sample: each lacks {reason}")]
    None {
        /// How many documents were looked at.
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
        /// How many there are.
        found: usize,
    },
    /// A token that the samples are made with and the tokenizer does not have.
    #[error("the tokenizer has no {role} token, which these samples need")]
    NoToken {
        /// What the token is for.
        role: &'static str,
    },
}
