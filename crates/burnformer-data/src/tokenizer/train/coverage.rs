//! What a tokenizer does to the texts that it was trained on.

use rayon::prelude::*;
use tokenizers::Model as _;

use super::count::Counted;
use crate::tokenizer::{Tokenizer, TokenizerError};

/// What of the texts is lost to a tokenizer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Bytes of the texts, in UTF-8.
    pub text_bytes: u64,
    /// Number of tokens of the texts.
    pub tokens: u64,
    /// Number of these that are unknown tokens.
    pub unknown_tokens: u64,
    /// Number of marks that carry meaning in their script, such as vowel signs and tone marks, and that are stripped with accents.
    pub stripped_marks: u64,
}

impl Coverage {
    /// What `tokenizer` does to the texts that were counted.
    pub(super) fn of(tokenizer: &Tokenizer, counted: &Counted) -> Result<Self, TokenizerError> {
        let unknown = tokenizer.specials().unk_id;
        let count = |(word, count): &(String, u64)| {
            let tokens = tokenizer.0.plain.get_model().tokenize(word).map_err(TokenizerError::encode)?;
            let n_unknown = tokens.iter().filter(|token| Some(token.id) == unknown).count() as u64;
            Ok((tokens.len() as u64 * count, n_unknown * count))
        };
        let sum = |(a, b): (u64, u64), (c, d): (u64, u64)| Ok((a + c, b + d));
        let (tokens, unknown_tokens) = counted.words.par_iter().map(count).try_reduce(|| (0, 0), sum)?;
        let Counted { text_bytes, stripped_marks, .. } = *counted;
        Ok(Self { text_bytes, tokens, unknown_tokens, stripped_marks })
    }
}
