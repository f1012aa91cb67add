//! Tokens that a model's own settings force, forbid, or take as ends of texts.

use serde::{Deserialize, Serialize};

/// Tokens that are forced, forbidden, or end a text, beside what a [`DecoderSpec`](crate::DecoderSpec) says. Without
/// rules, the default, nothing is changed.
///
/// The rules are applied in the order of the fields, after the repetition penalty and repeated n-grams, as in
/// transformers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRules {
    /// Tokens that end a text; empty for the model's own.
    pub eos_ids: Vec<u32>,
    /// Sequences of tokens that are never generated: the last token of one may not follow the others. One that is an
    /// end token alone has no effect.
    pub bad_words: Vec<Vec<u32>>,
    /// The first token behind the start token of an encoder–decoder, or behind a prompt of one token.
    pub forced_first: Option<u32>,
    /// The tokens of which one must stand at the last position, if a text gets there; empty for any.
    pub forced_last: Vec<u32>,
    /// Tokens that are never generated.
    pub suppressed: Vec<u32>,
    /// Tokens that are not generated first; with a forced first token, not as the second.
    pub suppressed_first: Vec<u32>,
}

impl TokenRules {
    /// Every token that a rule names.
    pub(super) fn tokens(&self) -> impl Iterator<Item = u32> {
        let lists = [&self.eos_ids, &self.forced_last, &self.suppressed, &self.suppressed_first];
        let words = self.bad_words.iter();
        lists.into_iter().chain(words).flatten().copied().chain(self.forced_first)
    }

    /// The tokens that would complete a bad word behind `tokens`.
    pub(super) fn completing<'a>(&'a self, tokens: &'a [u32], eos_ids: &'a [u32]) -> impl Iterator<Item = u32> {
        let words = self.bad_words.iter().filter_map(|word| word.split_last());
        let is_end = move |(last, before): &(&u32, &[u32])| before.is_empty() && eos_ids.contains(*last);
        words.filter(move |word| !is_end(word) && tokens.ends_with(word.1)).map(|(last, _)| *last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_word_is_completed_behind_its_beginning_alone() {
        let rules =
            TokenRules { bad_words: vec![vec![1], vec![7], vec![5, 6, 8], vec![6, 9]], ..TokenRules::default() };
        let after = |tokens: &[u32]| rules.completing(tokens, &[1]).collect::<Vec<_>>();
        assert_eq!(after(&[4, 5, 6]), [7, 8, 9]);
        assert_eq!(after(&[6]), [7, 9]);
        assert_eq!(after(&[6, 5]), [7]);
        assert_eq!(after(&[]), [7]);
    }
}
