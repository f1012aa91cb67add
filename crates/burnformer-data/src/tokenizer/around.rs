//! Special tokens around a pair of texts.

use tokenizers::{Encoding, Token};

use super::{Tokenizer, TokenizerError};

/// The special tokens that models expect around a pair of texts: `front`, first text, `between`, second text, `end`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AroundPair {
    /// In front of the first text.
    pub front: Vec<u32>,
    /// Between both.
    pub between: Vec<u32>,
    /// Behind the second one.
    pub end: Vec<u32>,
    /// How many of `between` belong to the first segment; `None` where models get no segments, as `RoBERTa`.
    pub n_first: Option<usize>,
}

impl Tokenizer {
    /// The special tokens that models expect around a pair of texts.
    ///
    /// # Errors
    /// [`TokenizerError::Encode`] if the tokenizer contradicts itself.
    pub fn specials_around_pair(&self) -> Result<AroundPair, TokenizerError> {
        let text = |name: &str| Encoding::from_tokens(vec![Token::new(0, name.to_owned(), (0, 1))], 0);
        let encoded = self.encoded(&self.surround(text("a"), Some(text("b")))?, false);
        let places: Vec<usize> = (0..encoded.ids.len()).filter(|&place| !encoded.is_added[place]).collect();
        let &[first, second] = places.as_slice() else {
            let reason = "it does not leave a pair of texts as it is".to_owned();
            return Err(TokenizerError::Encode { reason });
        };
        let types = &encoded.type_ids;
        let has_segments = types[first] != types[second];
        let n_first = types[first + 1..second].iter().filter(|&&segment| segment == types[first]).count();
        Ok(AroundPair {
            front: encoded.ids[..first].to_vec(),
            between: encoded.ids[first + 1..second].to_vec(),
            end: encoded.ids[second + 1..].to_vec(),
            n_first: has_segments.then_some(n_first),
        })
    }
}
