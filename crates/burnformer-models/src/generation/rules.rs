//! What may come next, whatever the model says.

use super::GenerationConfig;
use super::row::Row;
use crate::Seq2SeqConfig;

/// How many tokens more than its source a hypothesis may have, unless another longest length is set.
const MORE_THAN_SOURCE: usize = 50;

/// The settings, in the bounds of a model and with its special tokens.
pub(super) struct Rules<'a> {
    pub(super) settings: &'a GenerationConfig,
    pub(super) eos_id: u32,
    /// Positions of the model behind the start token.
    room: usize,
    /// Tokens that never come.
    never: Vec<u32>,
}

impl<'a> Rules<'a> {
    pub(super) fn new(settings: &'a GenerationConfig, model: &Seq2SeqConfig) -> Self {
        let eos_id = model.eos_id;
        let never = [model.pad_id, model.decoder_start_id].into_iter().filter(|&token| token != eos_id).collect();
        // The start token takes the first position.
        Self { settings, eos_id, room: model.max_seq_length - 1, never }
    }

    /// Longest hypothesis for a source of so many tokens, in tokens without start and end.
    pub(super) fn max_length(&self, source_length: usize) -> usize {
        self.settings.max_length.unwrap_or(source_length + MORE_THAN_SOURCE).min(self.room)
    }

    /// `true` if [`Self::apply`] looks at the tokens of a hypothesis and not only at their number.
    pub(super) fn need_tokens(&self) -> bool {
        self.settings.repetition_penalty != 1.0 || self.settings.no_repeat_ngram_size.is_some()
    }

    /// Applies the rules to what the model says of the token behind `length` others, where a hypothesis has at most `max_length`;
    /// `tokens` are these, if they are needed.
    pub(super) fn apply(&self, row: &mut Row, length: usize, max_length: usize, tokens: Vec<u32>) {
        let repeated = self.settings.no_repeat_ngram_size.map(|size| repeating(&tokens, size)).unwrap_or_default();
        if self.settings.repetition_penalty != 1.0 {
            row.penalise(tokens, self.settings.repetition_penalty);
        }
        let too_early = (length < self.settings.min_length.min(max_length)).then_some(self.eos_id);
        for token in repeated.into_iter().chain(self.never.iter().copied()).chain(too_early) {
            row.forbid(token);
        }
    }
}

/// The tokens that would make the last `size` tokens come a second time.
fn repeating(tokens: &[u32], size: usize) -> Vec<u32> {
    let Some(start) = (tokens.len() + 1).checked_sub(size) else { return Vec::new() };
    let last = &tokens[start..];
    tokens.windows(size).filter(|ngram| ngram.starts_with(last)).map(|ngram| ngram[size - 1]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_does_not_come_twice() {
        let tokens = [5, 6, 7, 5, 6, 8, 5, 6];
        assert_eq!(repeating(&tokens, 3), [7, 8]);
        assert_eq!(repeating(&tokens, 2), [7, 8]);
        assert_eq!(repeating(&tokens, 4), [0_u32; 0]);
        assert_eq!(repeating(&tokens, 1), tokens);
        assert_eq!(repeating(&tokens, 9), [0_u32; 0]);
        assert_eq!(repeating(&[], 1), [0_u32; 0]);
        assert_eq!(repeating(&[5, 5], 2), [5]);
    }
}
