//! Encoding of texts of any length in bounded memory.
//!
//! The library takes some hundred bytes for each byte of a text. So a long text is encoded window by window, up to the one
//! with the last token that is asked for.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tokenizers::{EncodeInput, Encoding, InputSequence, TruncationDirection};

use super::pieces::{MAX_WORD, WINDOW};
use super::{Tokenizer, TokenizerError, TokenizerKind};

/// The first tokens of a text.
pub(super) struct Long {
    /// The tokens that are kept.
    pub(super) encoding: Encoding,
    /// Number of tokens that were read: if more than are kept, the text may have further ones.
    pub(super) n_tokens: usize,
    /// Number of words of the text. Those that were not read are counted at white space.
    pub(super) n_words: usize,
}

impl Long {
    /// Cuts tokens off at the end, or at the beginning, for which all must have been kept.
    pub(super) fn truncate(mut self, n_tokens: usize, at_beginning: bool) -> Encoding {
        let side = if at_beginning { TruncationDirection::Left } else { TruncationDirection::Right };
        self.encoding.truncate(n_tokens, 0, side);
        self.encoding.take_overflowing();
        self.encoding
    }
}

/// The tokens to keep of two texts with so many so that both have at most `limit`: those of the longer one are cut off,
/// then those of both alike, as in the library and in transformers (`longest_first`).
pub(super) fn shares(first: usize, second: Option<usize>, limit: usize) -> (usize, usize) {
    let Some(second) = second else { return (first.min(limit), 0) };
    if first + second <= limit {
        return (first, second);
    }
    let (shorter, longer) = (first.min(second), first.max(second));
    let (shorter, longer) = match limit.checked_sub(shorter) {
        Some(left) if left >= shorter => (shorter, left.min(longer)),
        _ => (limit / 2, limit / 2 + limit % 2),
    };
    if first > second { (longer, shorter) } else { (shorter, longer) }
}

/// A text that is read window by window.
pub(super) struct Reading<'a> {
    tokenizer: &'a Tokenizer,
    rest: &'a str,
    offsets: bool,
    kept: Kept,
}

impl<'a> Reading<'a> {
    /// `text` without special tokens around it, of which at most `keep` tokens are kept. `offsets` are counted in characters.
    pub(super) fn new(tokenizer: &'a Tokenizer, text: &'a str, keep: usize, offsets: bool) -> Self {
        Self { tokenizer, rest: text, offsets, kept: Kept::new(keep) }
    }

    /// The first tokens, and as many more as it takes to know whether there are others.
    pub(super) fn finish(mut self) -> Result<Long, TokenizerError> {
        self.read_kept()?;
        Ok(self.into())
    }

    /// The first tokens of two texts, and as many more as it takes to know which of them has more, if that decides how many
    /// tokens of each are among `limit`.
    pub(super) fn finish_both(mut self, mut pair: Self, limit: usize) -> Result<(Long, Long), TokenizerError> {
        self.read_kept()?;
        pair.read_kept()?;
        let is_even = limit.is_multiple_of(2);
        while !(is_even && self.kept.n_tokens > limit && pair.kept.n_tokens > limit) {
            let shorter = if self.kept.n_tokens <= pair.kept.n_tokens { &mut self } else { &mut pair };
            if shorter.rest.is_empty() {
                break;
            }
            shorter.read()?;
        }
        Ok((self.into(), pair.into()))
    }

    /// Reads until there are more tokens than are kept.
    fn read_kept(&mut self) -> Result<(), TokenizerError> {
        while self.kept.n_tokens <= self.kept.most && !self.rest.is_empty() {
            self.read()?;
        }
        Ok(())
    }

    /// Reads the next window.
    fn read(&mut self) -> Result<(), TokenizerError> {
        let (window, behind) = self.tokenizer.cut().window(self.rest, WINDOW);
        self.kept.add(&self.tokenizer.library(window.into(), self.offsets)?);
        if self.offsets {
            self.kept.characters += window.chars().count();
        }
        self.rest = behind;
        Ok(())
    }
}

impl From<Reading<'_>> for Long {
    fn from(reading: Reading<'_>) -> Self {
        let n_unread = if reading.offsets { reading.rest.split_whitespace().count() } else { 0 };
        let long = Self::from(reading.kept);
        Self { n_words: long.n_words + n_unread, ..long }
    }
}

impl Tokenizer {
    /// Encodes words with offsets within each, and keeps the first `keep` tokens. Of a word of more than [`MAX_WORD`] bytes
    /// only these are encoded.
    pub(super) fn long_words(&self, words: Vec<Cow<'_, str>>, keep: usize) -> Result<Long, TokenizerError> {
        let mut kept = Kept::new(keep);
        let mut words = words.into_iter().map(shortened).peekable();
        while kept.n_tokens <= keep && words.peek().is_some() {
            let (mut group, mut n_bytes) = (Vec::new(), 0);
            while let Some(word) = words.next_if(|word| group.is_empty() || n_bytes + word.len() <= WINDOW) {
                n_bytes += word.len();
                group.push(word);
            }
            let n_words = kept.words + group.len() as u32;
            kept.add(&self.library(InputSequence::PreTokenizedCow(Cow::Owned(group)), true)?);
            kept.words = n_words;
        }
        let long = Long::from(kept);
        Ok(Long { n_words: long.n_words + words.len(), ..long })
    }

    fn library(&self, text: InputSequence<'_>, offsets: bool) -> Result<Encoding, TokenizerError> {
        if self.0.opus.is_some() {
            let InputSequence::Raw(text) = text else { return Err(TokenizerError::NoOffsets) };
            return if offsets { Err(TokenizerError::NoOffsets) } else { self.opus_encoding(&text) };
        }
        // A Unigram model has special tokens as pieces, so it would find them in a text where they are to be text.
        let as_text = self.kind() == TokenizerKind::Unigram && self.splits_special_tokens();
        let library = if as_text { &self.0.plain } else { &self.0.marked };
        let text = EncodeInput::Single(text);
        guard(|| if offsets { library.encode_char_offsets(text, false) } else { library.encode_fast(text, false) })
    }
}

/// What the library returns. It panics on some texts of tokenizers that contradict themselves.
pub(super) fn guard<T>(encode: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, TokenizerError> {
    let gave_up = |_| TokenizerError::Encode { reason: "the library gave up on it".to_owned() };
    catch_unwind(AssertUnwindSafe(encode)).map_err(gave_up)?.map_err(TokenizerError::encode)
}

fn shortened(word: Cow<'_, str>) -> Cow<'_, str> {
    match word {
        _ if word.len() <= MAX_WORD => word,
        Cow::Borrowed(word) => Cow::Borrowed(&word[..word.floor_char_boundary(MAX_WORD)]),
        Cow::Owned(word) => Cow::Owned(word[..word.floor_char_boundary(MAX_WORD)].to_owned()),
    }
}

/// The first tokens of several windows.
struct Kept {
    most: usize,
    ids: Vec<u32>,
    tokens: Vec<String>,
    word_ids: Vec<Option<u32>>,
    offsets: Vec<(usize, usize)>,
    n_tokens: usize,
    /// Number of words with a token.
    n_words: usize,
    /// Characters and words of the windows so far.
    characters: usize,
    words: u32,
}

impl Kept {
    fn new(most: usize) -> Self {
        let (ids, tokens, word_ids, offsets) = Default::default();
        Self { most, ids, tokens, word_ids, offsets, n_tokens: 0, n_words: 0, characters: 0, words: 0 }
    }

    fn add(&mut self, window: &Encoding) {
        self.n_tokens += window.len();
        self.n_words += n_words(window.get_word_ids());
        let n = window.len().min(self.most - self.ids.len());
        self.ids.extend(&window.get_ids()[..n]);
        self.tokens.extend_from_slice(&window.get_tokens()[..n]);
        let before = self.words;
        self.word_ids.extend(window.get_word_ids()[..n].iter().map(|word| word.map(|word| before + word)));
        let moved = |&(start, end): &(usize, usize)| (start + self.characters, end + self.characters);
        self.offsets.extend(window.get_offsets()[..n].iter().map(moved));
        self.words += window.get_word_ids().iter().flatten().max().map_or(0, |last| last + 1);
    }
}

impl From<Kept> for Long {
    fn from(kept: Kept) -> Self {
        let n = kept.ids.len();
        let (zeros, ones) = (vec![0; n], vec![1; n]);
        let encoding = Encoding::new(
            kept.ids,
            zeros.clone(),
            kept.tokens,
            kept.word_ids,
            kept.offsets,
            zeros,
            ones,
            Vec::new(),
            Default::default(),
        );
        Self { encoding, n_tokens: kept.n_tokens, n_words: kept.n_words }
    }
}

/// Number of words with a token.
pub(super) fn n_words(word_ids: &[Option<u32>]) -> usize {
    let first = usize::from(word_ids.first().is_some_and(Option::is_some));
    first + word_ids.windows(2).filter(|pair| pair[1].is_some() && pair[0] != pair[1]).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokenizers::{TruncationParams, truncate_encodings};

    use super::*;
    use crate::testing::tokenizer;

    fn encoding(n: usize) -> Encoding {
        let mut kept = Kept::new(n);
        (kept.ids, kept.tokens) = (vec![7; n], vec![String::new(); n]);
        (kept.word_ids, kept.offsets, kept.n_tokens) = (vec![None; n], vec![(0, 0); n], n);
        Long::from(kept).encoding
    }

    proptest! {
        #[test]
        fn tokens_are_shared_as_the_library_does(first in 0_usize..40, second in prop::option::of(0_usize..40), limit in 1_usize..50) {
            let params = TruncationParams { max_length: limit, ..TruncationParams::default() };
            let (a, b) = truncate_encodings(encoding(first), second.map(encoding), &params).unwrap();
            prop_assert_eq!(shares(first, second, limit), (a.len(), b.map_or(0, |b| b.len())));
        }
    }

    #[test]
    fn a_long_text_has_the_tokens_offsets_and_words_of_its_words() {
        let tokenizer = tokenizer(10);
        let n = WINDOW / 4;
        let text = "t3 é ".repeat(n);
        let read = |keep| Reading::new(&tokenizer, &text, keep, true).finish().unwrap();
        let long = read(2 * n);
        assert_eq!((long.n_tokens, long.n_words), (2 * n, 2 * n));
        let expected: Vec<u32> = [8, 1].into_iter().cycle().take(2 * n).collect();
        assert!(long.encoding.get_ids() == expected);
        for (index, (&(start, end), word)) in
            long.encoding.get_offsets().iter().zip(long.encoding.get_word_ids()).enumerate()
        {
            let at = index / 2 * 5 + index % 2 * 3;
            assert_eq!((start, end, *word), (at, at + 2 - index % 2, Some(index as u32)), "token {index}");
        }
        // The first window is enough to know five tokens; the words behind it are counted.
        let short = read(5);
        assert_eq!((short.encoding.get_ids(), short.n_words), (&expected[..5], 2 * n));
        assert!(short.n_tokens <= WINDOW / 2, "{} tokens were read", short.n_tokens);
    }

    #[test]
    fn two_long_texts_are_read_until_it_is_known_which_has_more_tokens() {
        let tokenizer = tokenizer(10);
        let of_windows = |n: usize| "t3 t4 ".repeat(n * WINDOW / 6);
        let read = |text: &str, pair: &str, limit| {
            let reading = |text| Reading::new(&tokenizer, text, limit, false);
            let (text, pair) = reading(text).finish_both(reading(pair), limit).unwrap();
            (text.n_tokens, pair.n_tokens)
        };
        let (short, long, window) = ("t1 t2", of_windows(3), WINDOW / 3);
        let about = |found: usize, windows: usize| found.abs_diff(windows * window) < 10;
        let (text, pair) = read(short, &long, 9);
        assert!(text == 2 && about(pair, 1), "{text}, {pair}");
        // Half of an even number each; of an odd one the longer text has one more.
        let (text, pair) = read(&long, &long, 8);
        assert!(about(text, 1) && about(pair, 1), "{text}, {pair}");
        let (text, pair) = read(&of_windows(2), &long, 9);
        assert!(about(text, 2) && about(pair, 2) && pair >= text, "{text}, {pair}");
        let (text, pair) = read(&long, &of_windows(2), 9);
        assert!(about(pair, 2) && text > pair, "{text}, {pair}");
    }

    #[test]
    fn long_words_are_counted_as_words() {
        let tokenizer = tokenizer(10);
        let giant = "x".repeat(WINDOW * 3);
        let words = ["t1", giant.as_str(), "t2", giant.as_str(), "t3"].map(Cow::Borrowed).to_vec();
        let long = tokenizer.long_words(words, 100).unwrap();
        assert_eq!(long.encoding.get_ids(), [6, 1, 7, 1, 8]);
        assert_eq!(long.encoding.get_word_ids(), [0, 1, 2, 3, 4].map(Some));
        assert_eq!(long.encoding.get_offsets()[2..3], [(0, 2)]);
    }
}
