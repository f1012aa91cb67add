//! Windows over contexts that are longer than a model takes, each behind the question about them.

use std::ops::Range;
use std::sync::Arc;

use super::SamplesError;
use crate::DataError;
use crate::tokenizer::{AroundPair, Tokenizer, TokenizerError};

/// A context as tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncodedContext {
    /// The context.
    pub text: Arc<str>,
    /// Its tokens, without special tokens around them.
    pub ids: Vec<u32>,
    /// The bytes of `text` that each token stands for.
    spans: Vec<Range<u32>>,
}

/// Where a window lies in its context.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WindowPlace {
    /// The context.
    pub context: Arc<EncodedContext>,
    /// The tokens of the context that are in the window.
    pub tokens: Range<usize>,
    /// Position in the window of the first of them.
    pub first_position: usize,
}

/// A question and a part of its context: `[CLS] question [SEP] part [SEP]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContextWindow {
    /// The tokens.
    pub ids: Vec<u32>,
    /// Number of tokens of the first segment.
    pub first_length: usize,
    /// The part of the context.
    pub place: WindowPlace,
}

impl WindowPlace {
    /// The positions in the window that hold tokens of the context.
    #[must_use]
    pub fn positions(&self) -> Range<usize> {
        self.first_position..self.first_position + self.tokens.len()
    }

    /// The bytes of the context from the token at position `first` to that at `last`.
    ///
    /// # Panics
    /// If one of them is not among [`Self::positions`].
    #[must_use]
    pub fn bytes(&self, first: usize, last: usize) -> Range<usize> {
        let span = |position: usize| &self.context.spans[position - self.first_position + self.tokens.start];
        let (start, end) = (span(first).start as usize, span(last).end as usize);
        start..end.max(start)
    }

    /// The positions of the first and the last token of an answer, given by its bytes; both 0 if it is not wholly in the window.
    ///
    /// As in transformers, the first token is the last one that does not begin behind the answer's beginning, and the last
    /// token the first one that does not end before its end.
    #[must_use]
    pub fn positions_of(&self, answer: &Range<usize>) -> (usize, usize) {
        let spans = &self.context.spans[self.tokens.clone()];
        let (start, end) = (answer.start as u32, answer.end as u32);
        match (spans.first(), spans.last()) {
            (Some(first), Some(last)) if first.start <= start && last.end >= end => {
                let at = self.first_position;
                let begins = spans.iter().take_while(|span| span.start <= start).count() - 1;
                let ends = spans.len() - spans.iter().rev().take_while(|span| span.end >= end).count();
                (at + begins, at + ends)
            }
            _ => (0, 0),
        }
    }
}

/// Makes windows: each has the question, and as much of the context as fits.
#[derive(Clone, Debug)]
pub struct ContextWindows {
    tokenizer: Tokenizer,
    around: AroundPair,
    max_seq_length: usize,
    stride: usize,
}

impl ContextWindows {
    /// Windows of at most `max_seq_length` tokens, special tokens included. Consecutive ones share `stride` tokens of the
    /// context, as in transformers, or three quarters of them if that is less.
    ///
    /// # Errors
    /// [`SamplesError::NoToken`] if the tokenizer has no special token in front of a text, which stands for "no answer"; if
    /// the tokenizer contradicts itself.
    pub fn new(tokenizer: Tokenizer, max_seq_length: usize, stride: usize) -> Result<Self, DataError> {
        let around = tokenizer.specials_around_pair()?;
        if around.front.is_empty() {
            return Err(SamplesError::NoToken { role: "classification" }.into());
        }
        Ok(Self { tokenizer, around, max_seq_length, stride })
    }

    /// Number of tokens that windows of this length usually share, as in the pipeline of transformers.
    #[must_use]
    pub fn usual_stride(max_seq_length: usize) -> usize {
        128.min(max_seq_length / 2)
    }

    /// The tokens of a context.
    ///
    /// # Errors
    /// As [`Tokenizer::encode_with_offsets`].
    pub fn encode_context(&self, text: &Arc<str>) -> Result<EncodedContext, TokenizerError> {
        let (encoded, alignment) = self.tokenizer.encode_with_offsets(text, None, None)?;
        let starts: Vec<u32> = if text.is_ascii() {
            Vec::new()
        } else {
            text.char_indices().map(|(byte, _)| byte as u32).chain([text.len() as u32]).collect()
        };
        let byte = |character: usize| match starts.get(character) {
            Some(&byte) => byte,
            None => character.min(text.len()) as u32,
        };
        let tokens = encoded.ids.into_iter().zip(alignment.offsets);
        let of_text = tokens.filter_map(|(id, offsets)| offsets.map(|it| (id, byte(it.start)..byte(it.end))));
        let (ids, spans) = of_text.unzip();
        Ok(EncodedContext { text: text.clone(), ids, spans })
    }

    /// The tokens of a question. White space in front of it is no part of it.
    ///
    /// # Errors
    /// As [`Tokenizer::encode_with_specials`].
    pub fn encode_question(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        let encoded = self.tokenizer.encode_with_specials(text.trim_start(), None, None)?;
        let tokens = encoded.ids.into_iter().zip(encoded.is_added);
        Ok(tokens.filter(|(_, is_added)| !is_added).map(|(id, _)| id).collect())
    }

    /// The windows of a context with so many tokens, as ranges of them; one, without tokens, if it has none.
    ///
    /// # Errors
    /// [`TokenizerError::NoRoom`] if a question of `n_question` tokens leaves no room for the context.
    pub fn ranges(&self, n_question: usize, n_context: usize) -> Result<Vec<Range<usize>>, TokenizerError> {
        let room = self.max_seq_length.saturating_sub(self.n_specials() + n_question);
        if room == 0 {
            return Err(TokenizerError::NoRoom { n_question, max_length: self.max_seq_length });
        }
        // At least a quarter, so that their number stays within bounds.
        let step = room.saturating_sub(self.stride).max(room.div_ceil(4));
        let n_more = n_context.saturating_sub(room).div_ceil(step);
        Ok((0..=n_more).map(|number| number * step..(number * step + room).min(n_context)).collect())
    }

    /// Number of tokens of a window with so many tokens of question and context.
    pub(super) fn length(&self, n_question: usize, n_context: usize) -> usize {
        self.n_specials() + n_question + n_context
    }

    /// The window with the tokens `tokens` of a context.
    ///
    /// # Panics
    /// If they are out of range.
    #[must_use]
    pub fn window(&self, question: &[u32], context: &Arc<EncodedContext>, tokens: Range<usize>) -> ContextWindow {
        let AroundPair { front, between, end, n_first } = &self.around;
        let ids = [front, question, between, &context.ids[tokens.clone()], end].concat();
        let first_position = front.len() + question.len() + between.len();
        let first_length = n_first.map_or(ids.len(), |n_first| front.len() + question.len() + n_first);
        let place = WindowPlace { context: context.clone(), tokens, first_position };
        ContextWindow { ids, first_length, place }
    }

    fn n_specials(&self) -> usize {
        let AroundPair { front, between, end, .. } = &self.around;
        front.len() + between.len() + end.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tokenizer;

    fn windows(max_seq_length: usize, stride: usize) -> ContextWindows {
        ContextWindows::new(tokenizer(9), max_seq_length, stride).unwrap()
    }

    #[test]
    fn a_window_has_the_question_and_a_part_of_the_context() {
        let windows = windows(9, 1);
        let context = Arc::new(windows.encode_context(&"t0s, ä t1".into()).unwrap());
        assert_eq!(context.ids, [5, 14, 1, 1, 6]);
        let question = windows.encode_question("  t7 t8").unwrap();
        let window = windows.window(&question, &context, 1..5);
        assert_eq!(window.ids, [2, 12, 13, 3, 14, 1, 1, 6, 3]);
        assert_eq!((window.first_length, window.place.positions()), (4, 4..8));
        assert_eq!((window.place.bytes(4, 5), &context.text[window.place.bytes(6, 7)]), (2..4, "ä t1"));
    }

    /// Ranges of `Encoding::truncate` of the library that transformers uses, wherever that is allowed.
    #[test]
    fn windows_overlap_by_the_stride_and_end_with_the_context() {
        let ranges = |max, stride, n| windows(max, stride).ranges(2, n).unwrap();
        assert_eq!(ranges(10, 2, 5), [0..5]);
        assert_eq!(ranges(10, 2, 6), [0..5, 3..6]);
        assert_eq!(ranges(10, 2, 8), [0..5, 3..8]);
        assert_eq!(ranges(10, 2, 9), [0..5, 3..8, 6..9]);
        assert_eq!(ranges(10, 0, 11), [0..5, 5..10, 10..11]);
        assert_eq!(ranges(10, 128, 7), [0..5, 2..7]);
        assert_eq!(ranges(10, 2, 0), [0..0]);
        let error = windows(10, 2).ranges(7, 3).unwrap_err().to_string();
        let expected = "a question of 7 tokens leaves no room for its context within 10 tokens: shorten it, or set \
                        `max_seq_length` higher";
        assert_eq!(error, expected);
    }

    #[test]
    fn answers_have_positions_if_they_are_in_the_window() {
        let windows = windows(20, 1);
        let context = Arc::new(windows.encode_context(&"t0 t1s ü t3".into()).unwrap());
        assert_eq!(context.ids, [5, 6, 14, 1, 8]);
        let place = |tokens| windows.window(&[7], &context, tokens).place;
        let of = |tokens, answer: &str| {
            let start = context.text.find(answer).unwrap();
            place(tokens).positions_of(&(start..start + answer.len()))
        };
        // [CLS] t2 [SEP] t0 t1 ##s ü t3 [SEP]
        assert_eq!(of(0..5, "t0 t1s ü t3"), (3, 7));
        assert_eq!(of(0..5, "t1s"), (4, 5));
        assert_eq!(of(0..5, "ü t3"), (6, 7));
        // A part of a word is answered by all of it.
        assert_eq!(of(0..5, "1"), (4, 4));
        assert_eq!(of(1..4, "t1s ü"), (3, 5));
        for answer in ["t0", "t3", "t0 t1s", "ü t3"] {
            assert_eq!(of(1..4, answer), (0, 0), "{answer}");
        }
        assert_eq!(of(0..0, "t0"), (0, 0));
    }
}
