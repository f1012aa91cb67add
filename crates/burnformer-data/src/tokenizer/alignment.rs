//! Alignment of tokens with characters and words.

use std::borrow::Cow;
use std::iter;
use std::ops::Range;

use tokenizers::Encoding;

use super::long::{Long, n_words};
use super::{Encoded, Tokenizer, TokenizerError, TokenizerKind};

/// Character offsets and word number of each token of an [`Encoded`], in the same order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alignment {
    /// The characters that each token stands for, counted from the beginning of its text, or of its word if the text
    /// came as words. Characters are Unicode scalar values, as in `text.chars()`. `None` for special tokens around the
    /// texts.
    ///
    /// They are the offsets of Hugging Face's library. Several tokens of one character, as byte-level BPE makes of an
    /// emoji, have the same offsets. Whether a blank in front of a word belongs to its token is the tokenizer's choice
    /// (`trim_offsets`): RoBERTa's leave it out, GPT-2's do not.
    pub offsets: Vec<Option<Range<usize>>>,
    /// The number of the word that each token belongs to, counted from zero in each text of a pair; `None` for special
    /// tokens around the texts. Words are those that were given, or those into which the tokenizer cuts a text before
    /// it looks for tokens: BERT's make each punctuation mark a word.
    pub word_ids: Vec<Option<u32>>,
    /// Number of tokens truncated to `max_length`; of those of a text of more than 256 KiB, as far as it was read.
    pub n_cut_off: usize,
    /// Number of words of which no token is left; behind the first 256 KiB of a text, what stands between white space is a word.
    pub n_words_cut_off: usize,
}

impl Tokenizer {
    /// Encodes as [`Self::encode_with_specials`], with the characters and the word of each token.
    /// Slower, since the library tracks offsets.
    ///
    /// ```
    /// # use burnformer_core::{Interrupt, Silent};
    /// # use burnformer_data::tokenizer::{TokenizerConfig, train};
    /// # fn main() -> Result<(), burnformer_data::DataError> {
    /// # let texts = ["a rose is a rose"].map(|text| Ok(text.to_owned()));
    /// # let config = TokenizerConfig { vocab_size: 60, ..TokenizerConfig::default() };
    /// # let tokenizer = train(texts.into_iter(), &config, &Silent, &Interrupt::new())?;
    /// let (encoded, alignment) = tokenizer.encode_with_offsets("é, rose", None, None)?;
    /// assert_eq!(tokenizer.token(encoded.ids[3]).as_deref(), Some("rose"));
    /// assert_eq!(alignment.offsets, [None, Some(0..1), Some(1..2), Some(3..7), None]);
    /// assert_eq!(alignment.word_ids, [None, Some(0), Some(1), Some(2), None]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Self::encode_with_specials`].
    pub fn encode_with_offsets(
        &self,
        text: &str,
        pair: Option<&str>,
        max_length: Option<usize>,
    ) -> Result<(Encoded, Alignment), TokenizerError> {
        let (text, pair) = self.read(text, pair, max_length, true)?;
        self.align(text, pair, max_length)
    }

    /// Encodes a text that is cut into words already, with the special tokens that models expect around it. Offsets are
    /// counted in each word. More than `max_length` tokens are cut off at the end.
    ///
    /// Each word is encoded by itself. Byte-level BPE has other tokens for a word behind a blank, as words stand in
    /// text, so there each word but a special token gets a blank in front, as with `add_prefix_space=True` in
    /// transformers; the blank is not counted in the offsets. A word that the tokenizer removes, such as an empty one,
    /// has no token. Of a word of more than 16 KiB only these are encoded.
    ///
    /// # Errors
    /// As [`Self::encode_with_specials`].
    pub fn encode_words(
        &self,
        words: &[&str],
        max_length: Option<usize>,
    ) -> Result<(Encoded, Alignment), TokenizerError> {
        // Some tokenizers put the blank there themselves.
        let puts_blank = self.kind() == TokenizerKind::ByteLevelBpe && !self.0.prefix_blank;
        let specials: Vec<String> = self.special_ids().iter().filter_map(|&id| self.token(id)).collect();
        let is_special = |word: &str| specials.iter().any(|special| word.starts_with(special.as_str()));
        let needs_blank = |word: &str| puts_blank && !word.is_empty() && !word.starts_with(' ') && !is_special(word);
        let spaced: Vec<Cow<'_, str>> = words
            .iter()
            .map(|&word| if needs_blank(word) { Cow::Owned(format!(" {word}")) } else { Cow::Borrowed(word) })
            .collect();
        let encoding = self.long_words(spaced, max_length.filter(|_| !self.0.cuts_beginning).unwrap_or(usize::MAX))?;
        let (encoded, mut alignment) = self.align(encoding, None, max_length)?;
        for (offsets, word) in alignment.offsets.iter_mut().zip(&alignment.word_ids) {
            if let (Some(offsets), Some(word)) = (offsets, word)
                && needs_blank(words[*word as usize])
            {
                *offsets = offsets.start.saturating_sub(1)..offsets.end.saturating_sub(1);
            }
        }
        Ok((encoded, alignment))
    }

    fn align(
        &self,
        text: Long,
        pair: Option<Long>,
        max_length: Option<usize>,
    ) -> Result<(Encoded, Alignment), TokenizerError> {
        let n_tokens = text.n_tokens + pair.as_ref().map_or(0, |pair| pair.n_tokens);
        let n_all_words = text.n_words + pair.as_ref().map_or(0, |pair| pair.n_words);
        let (text, pair) = self.truncate(text, pair, max_length)?;
        let n_cut_off = n_tokens - text.len() - pair.as_ref().map_or(0, Encoding::len);
        let n_words_left = iter::once(&text).chain(&pair).map(|it| n_words(it.get_word_ids())).sum::<usize>();
        // Putting special tokens around would take blanks off the offsets a second time, so they are read before.
        let mut spans: Vec<(usize, usize)> = text.get_offsets().to_vec();
        spans.extend(pair.iter().flat_map(tokenizers::Encoding::get_offsets));
        let (mut spans, encoding) = (spans.into_iter(), self.surround(text, pair)?);
        let offsets = encoding.get_special_tokens_mask().iter().map(|&is_special| {
            let (start, end) = if is_special == 0 { spans.next()? } else { return None };
            Some(start..end)
        });
        let (offsets, word_ids) = (offsets.collect(), encoding.get_word_ids().to_vec());
        let alignment = Alignment { offsets, word_ids, n_cut_off, n_words_cut_off: n_all_words - n_words_left };
        Ok((self.encoded(&encoding, n_cut_off > 0), alignment))
    }
}
