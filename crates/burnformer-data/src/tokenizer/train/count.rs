//! Word counts.

use std::collections::HashMap;

use burnformer_core::progress::Interrupt;
use rayon::prelude::*;
use tokenizers::{NormalizedString, Normalizer, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer as _};

use crate::DataError;
use crate::tokenizer::marks::Marks;
use crate::tokenizer::pieces::Cut;
use crate::tokenizer::{Tokenizer, TokenizerError};

/// Number of bytes of text per counted batch.
const BATCH_BYTES: usize = 8 << 20;

type Counts = HashMap<String, u64>;

/// What texts consist of.
pub(super) struct Counted {
    /// The words before they are cut into tokens, in ascending order, and how often each occurs.
    pub words: Vec<(String, u64)>,
    /// Bytes of the texts.
    pub text_bytes: u64,
    /// Marks that the tokenizer strips, though they carry meaning.
    pub stripped_marks: u64,
}

/// Counts what `tokenizer` finds in `texts`.
///
/// Pieces of the text as it is written are counted first, so that each different one is normalised only once.
pub(super) fn count_words(
    tokenizer: &Tokenizer,
    texts: impl Iterator<Item = Result<String, DataError>> + Send,
    interrupt: &Interrupt,
) -> Result<Counted, DataError> {
    let mut texts = texts;
    let mut pieces = Counts::new();
    let (mut text_bytes, mut stripped_marks) = (0, 0);
    let strips_marks = tokenizer.strips_marks();
    let mut batch = read_batch(&mut texts)?;
    while !batch.is_empty() {
        interrupt.check()?;
        let count = || (count_pieces(tokenizer, &batch), if strips_marks { count_marks(tokenizer, &batch) } else { 0 });
        let (next, (counts, marks)) = rayon::join(|| read_batch(&mut texts), count);
        pieces = merge(pieces, counts?);
        text_bytes += batch.iter().map(|text| text.len() as u64).sum::<u64>();
        stripped_marks += marks;
        batch = next?;
    }
    let words = match tokenizer.cut() {
        Cut::Whole => pieces,
        Cut::Words { .. } | Cut::Blanks => {
            let mut words = Counts::new();
            for (piece, count) in pieces {
                each_word(tokenizer, &piece, |word| add(&mut words, word, count))?;
            }
            words
        }
    };
    let mut words: Vec<_> = words.into_iter().collect();
    words.par_sort_unstable();
    Ok(Counted { words, text_bytes, stripped_marks })
}

fn count_marks(tokenizer: &Tokenizer, batch: &[String]) -> u64 {
    let add = |mut marks: Marks, text: &String| {
        marks.add(text);
        marks
    };
    batch.par_iter().fold(Marks::default, add).reduce(Marks::default, Marks::merge).count(tokenizer)
}

/// The next texts, up to the first that makes them [`BATCH_BYTES`] long.
fn read_batch(texts: &mut impl Iterator<Item = Result<String, DataError>>) -> Result<Vec<String>, DataError> {
    let mut batch = Vec::new();
    let mut bytes = 0;
    for text in texts {
        let text = text?;
        bytes += text.len();
        batch.push(text);
        if bytes >= BATCH_BYTES {
            break;
        }
    }
    Ok(batch)
}

fn count_pieces(tokenizer: &Tokenizer, batch: &[String]) -> Result<Counts, TokenizerError> {
    let cut = tokenizer.cut();
    let count = |mut counts, text: &String| {
        match cut {
            // The library takes a hundred bytes for each byte of a text. A giant text is often one letter over and over.
            Cut::Whole => {
                let mut windows = cut.pieces(text).peekable();
                while let Some(window) = windows.next() {
                    let mut times = 1;
                    while windows.next_if_eq(&window).is_some() {
                        times += 1;
                    }
                    each_word(tokenizer, window, |word| add(&mut counts, word, times))?;
                }
            }
            Cut::Words { .. } | Cut::Blanks => {
                for piece in cut.pieces(&tokenizer.with_prefix(text)) {
                    add(&mut counts, piece, 1);
                }
            }
        }
        Ok(counts)
    };
    let partial = batch.par_iter().try_fold(Counts::new, count);
    partial.try_reduce(Counts::new, |left, right| Ok(merge(left, right)))
}

/// Calls `visit` with every word of `text`, as the library cuts it.
fn each_word(tokenizer: &Tokenizer, text: &str, mut visit: impl FnMut(&str)) -> Result<(), TokenizerError> {
    let library = &tokenizer.0.plain;
    let mut normalized = NormalizedString::from(text);
    if let Some(normalizer) = library.get_normalizer() {
        normalizer.normalize(&mut normalized).map_err(TokenizerError::encode)?;
    }
    let mut words = PreTokenizedString::from(normalized);
    if let Some(pre_tokenizer) = library.get_pre_tokenizer() {
        pre_tokenizer.pre_tokenize(&mut words).map_err(TokenizerError::encode)?;
    }
    for (word, ..) in words.get_splits(OffsetReferential::Normalized, OffsetType::None) {
        if !word.is_empty() {
            visit(word);
        }
    }
    Ok(())
}

fn add(counts: &mut Counts, word: &str, count: u64) {
    match counts.get_mut(word) {
        Some(sum) => *sum += count,
        None => {
            counts.insert(word.to_owned(), count);
        }
    }
}

/// The sums of both, by adding the smaller one to the larger one.
fn merge(left: Counts, right: Counts) -> Counts {
    let (mut sums, others) = if left.len() < right.len() { (right, left) } else { (left, right) };
    for (word, count) in others {
        *sums.entry(word).or_default() += count;
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::super::TokenizerConfig;
    use super::*;
    use crate::tokenizer::TokenizerKind;
    use crate::tokenizer::pieces::WINDOW;

    /// Byte-level BPE that lower-cases may not cut a text, except where it is too long.
    #[test]
    fn a_giant_word_counts_as_several() {
        let config = TokenizerConfig { kind: TokenizerKind::ByteLevelBpe, ..TokenizerConfig::default() };
        let specials = config.specials().iter().map(|&token| token.to_owned()).collect();
        let tokenizer = config.tokenizer(specials, &[]).unwrap();
        assert!(matches!(tokenizer.cut(), Cut::Whole));
        let text = "A".repeat(2 * WINDOW + 3);
        let words = count_words(&tokenizer, [Ok(text)].into_iter(), &Interrupt::new()).unwrap().words;
        // Each with the mark of a blank in front of it.
        let found: Vec<_> = words.iter().map(|(word, count)| (word.chars().count() - 1, *count)).collect();
        assert_eq!(found, [(3, 1), (WINDOW, 2)]);
    }
}
