//! Pieces of a text that a tokenizer treats independently.
//!
//! Tokens of a text are the tokens of its pieces, one after the other, so a piece that occurs often needs to be
//! tokenized only once. Where a tokenizer is not known to work that way, a text is one piece.

use tokenizers::{ModelWrapper, NormalizerWrapper, PreTokenizerWrapper};

/// How a tokenizer lets texts be cut into [`Pieces`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Not at all.
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
            Cut::Whole => self.rest.len(),
            Cut::Words { punctuation, ideographs } => {
                self.rest = self.rest.trim_start_matches(is_separator);
                let alone = |c| (punctuation && is_punctuation(c)) || (ideographs && is_ideograph(c));
                match self.rest.chars().next() {
                    Some(first) if alone(first) => first.len_utf8(),
                    _ => self.rest.find(|c| is_separator(c) || alone(c)).unwrap_or(self.rest.len()),
                }
            }
            Cut::Blanks => blank_end(self.rest),
        };
        let (piece, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!piece.is_empty()).then_some(piece)
    }
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
    use super::*;

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
