//! Pieces of a text that a tokenizer treats independently.
//!
//! Tokens of a text are the tokens of its pieces, one after the other, so a piece that occurs often needs to be
//! tokenized only once. Where a tokenizer is not known to work that way, a text is one piece.

use tokenizers::{ModelWrapper, NormalizerWrapper, PreTokenizerWrapper};

/// Longest piece, in bytes: a longer word, or more white space in one place, counts as several. A text may be one word of any
/// length, and the library takes some hundred bytes for each of its bytes.
pub(super) const MAX_WORD: usize = 16 << 10;
/// Longest text that is encoded at a time, in bytes.
pub(super) const WINDOW: usize = 256 << 10;

/// How a tokenizer lets texts be cut into [`Pieces`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Not at all, up to [`WINDOW`] bytes.
    Whole,
    /// At ASCII white space, which is dropped; and around single characters.
    Words {
        /// `true` if every ASCII punctuation character is a piece.
        punctuation: bool,
        /// `true` if every Chinese character is a piece.
        ideographs: bool,
    },
    /// In front of white space, which goes with the word behind it if it is one blank, as in the pattern of GPT-2:
    /// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`.
    Blanks,
}

impl Cut {
    /// How `library` may be cut. It must not add blanks of its own in front of texts.
    ///
    /// A tokenizer that looks for words of its own in the text as a whole, as tokens added by a user, is not cut.
    pub(super) fn of(library: &tokenizers::Tokenizer) -> Self {
        if library.get_added_vocabulary().get_added_tokens_decoder().values().any(|token| !token.special) {
            return Self::Whole;
        }
        match (library.get_model(), library.get_normalizer(), library.get_pre_tokenizer()) {
            (ModelWrapper::BPE(bpe), None, Some(PreTokenizerWrapper::ByteLevel(bytes)))
                if bytes.use_regex && bpe.dropout.is_none() =>
            {
                Self::Blanks
            }
            (ModelWrapper::WordPiece(_) | ModelWrapper::WordLevel(_), normalizer, Some(pre_tokenizer)) => {
                let ideographs = match normalizer {
                    None => false,
                    Some(NormalizerWrapper::BertNormalizer(bert)) => bert.handle_chinese_chars,
                    Some(_) => return Self::Whole,
                };
                match pre_tokenizer {
                    PreTokenizerWrapper::BertPreTokenizer(_) => Self::Words { punctuation: true, ideographs },
                    PreTokenizerWrapper::WhitespaceSplit(_) => Self::Words { punctuation: false, ideographs },
                    _ => Self::Whole,
                }
            }
            _ => Self::Whole,
        }
    }

    /// The pieces of `text`, in order.
    pub(super) fn pieces(self, text: &str) -> Pieces<'_> {
        Pieces { rest: text, cut: self }
    }

    /// The first part of `text`, of at most `limit` bytes, which ends in front of white space if there is any, and the rest. The
    /// parts have the same tokens as the text if it may be cut, and no word or special token is longer than `limit`.
    pub(super) fn window(self, text: &str, limit: usize) -> (&str, &str) {
        text.split_at(window_end(text, limit))
    }
}

/// Iterator over the pieces of a text.
pub(super) struct Pieces<'a> {
    rest: &'a str,
    cut: Cut,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let end = match self.cut {
            Cut::Whole => window_end(self.rest, WINDOW),
            Cut::Words { punctuation, ideographs } => {
                self.rest = self.rest.trim_start_matches(is_separator);
                let alone = |c| (punctuation && is_punctuation(c)) || (ideographs && is_ideograph(c));
                let head = head(self.rest, MAX_WORD);
                match head.chars().next() {
                    Some(first) if alone(first) => first.len_utf8(),
                    _ => head.find(|c| is_separator(c) || alone(c)).unwrap_or(head.len()),
                }
            }
            Cut::Blanks => blank_end(head(self.rest, MAX_WORD)),
        };
        let (piece, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!piece.is_empty()).then_some(piece)
    }
}

/// The first bytes of a text, at most `limit` but at least one character.
fn head(text: &str, limit: usize) -> &str {
    let first = text.chars().next().map_or(0, char::len_utf8);
    &text[..text.floor_char_boundary(limit).max(first)]
}

/// Where a part of at most `limit` bytes ends: in front of the last white space that follows something else, if possible.
fn window_end(text: &str, limit: usize) -> usize {
    if text.len() <= limit {
        return text.len();
    }
    let head = head(text, limit);
    let mut places = head.char_indices().rev().peekable();
    while let Some((place, c)) = places.next() {
        if is_separator(c) && places.peek().is_some_and(|(_, before)| !before.is_whitespace()) {
            return place;
        }
    }
    head.len()
}

/// White space for every tokenizer: others, such as vertical tabs, are dropped by BERT's without separating words.
fn is_separator(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

fn is_punctuation(c: char) -> bool {
    c.is_ascii_punctuation()
}

/// The larger ones of the blocks that BERT puts blanks around. A character of another one is part of a longer piece.
fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}')
}

/// Where the first piece of `text` ends under [`Cut::Blanks`].
fn blank_end(text: &str) -> usize {
    let Some(word) = text.find(|c: char| !c.is_whitespace()) else {
        return text.len();
    };
    // Of several white-space characters in front of a word, the pattern takes all but the last as one token.
    match text[..word].char_indices().next_back() {
        Some((last, _)) if last > 0 => last,
        Some((_, c)) if c != ' ' => word,
        _ => text[word..].find(char::is_whitespace).map_or(text.len(), |length| word + length),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn windows(cut: Cut, text: &str, limit: usize) -> Vec<&str> {
        let mut rest = text;
        let next = || {
            let (window, behind) = cut.window(rest, limit);
            rest = behind;
            (!window.is_empty()).then_some(window)
        };
        std::iter::from_fn(next).collect()
    }

    const CUTS: [Cut; 3] = [Cut::Whole, Cut::Words { punctuation: true, ideographs: true }, Cut::Blanks];

    proptest! {
        #[test]
        fn windows_are_the_text_and_have_its_pieces(text in "([a-z北,]{1,3}( |\n|\t| \u{a0}|  )){0,12}", limit in 13_usize..20) {
            for cut in CUTS {
                let windows = windows(cut, &text, limit);
                prop_assert_eq!(windows.concat(), &text[..]);
                prop_assert!(windows.iter().all(|window| window.len() <= limit));
                if cut != Cut::Whole {
                    let pieces: Vec<&str> = windows.iter().flat_map(|window| cut.pieces(window)).collect();
                    prop_assert_eq!(pieces, cut.pieces(&text).collect::<Vec<_>>());
                }
            }
        }
    }

    #[test]
    fn a_giant_word_or_blank_is_several() {
        for (cut, text) in
            [(CUTS[1], "é".repeat(MAX_WORD)), (CUTS[2], "é".repeat(MAX_WORD)), (CUTS[2], " ".repeat(MAX_WORD * 2))]
        {
            let lengths: Vec<usize> = cut.pieces(&text).map(str::len).collect();
            assert_eq!(lengths, [MAX_WORD; 2], "{cut:?}");
        }
        let text = "é".repeat(WINDOW);
        assert_eq!(Cut::Whole.pieces(&text).map(str::len).collect::<Vec<_>>(), [WINDOW; 2]);
        assert_eq!(windows(Cut::Whole, "北京北京", 1), ["北", "京", "北", "京"]);
    }

    fn check_pieces(cut: Cut, text: &str, expected: &[&str]) {
        assert_eq!(cut.pieces(text).collect::<Vec<_>>(), expected, "{text:?}");
    }

    #[test]
    fn words_end_at_white_space_and_around_single_characters() {
        let cut = Cut::Words { punctuation: true, ideographs: true };
        check_pieces(cut, " Don't  go\tto 北京,\nok", &["Don", "'", "t", "go", "to", "北", "京", ",", "ok"]);
        check_pieces(cut, "a\u{a0}b\u{b}c", &["a\u{a0}b\u{b}c"]);
        check_pieces(cut, "", &[]);
        check_pieces(cut, " \n ", &[]);
        let cut = Cut::Words { punctuation: false, ideographs: false };
        check_pieces(cut, "Don't 北京,", &["Don't", "北京,"]);
    }

    #[test]
    fn a_blank_goes_with_the_word_behind_it() {
        check_pieces(Cut::Blanks, "it's  so\n\nbe \n", &["it's", " ", " so", "\n", "\n", "be", " \n"]);
        check_pieces(Cut::Blanks, "\u{3000}a \u{3000}b", &["\u{3000}", "a", " ", "\u{3000}", "b"]);
        check_pieces(Cut::Blanks, "", &[]);
    }
}
