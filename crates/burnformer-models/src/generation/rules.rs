//! Rules for the next token that do not depend on the model: lengths, repetitions, special tokens.

use super::GenerationConfig;
use super::row::Row;
use super::step_decoder::DecoderSpec;

/// The settings, with the special tokens of a model.
pub(super) struct Rules<'a> {
    pub(super) settings: &'a GenerationConfig,
    pub(super) eos_id: Option<u32>,
    /// Tokens that are never generated.
    never: Vec<u32>,
}

impl<'a> Rules<'a> {
    pub(super) fn new(settings: &'a GenerationConfig, spec: &DecoderSpec) -> Self {
        let never = spec.never.iter().copied().filter(|&token| Some(token) != spec.eos_id).collect();
        Self { settings, eos_id: spec.eos_id, never }
    }

    /// The tokens of a prompt that count where repetitions are looked for: all but special ones.
    pub(super) fn context(&self, prompt: &[u32]) -> Vec<u32> {
        let is_special = |token: &u32| self.eos_id == Some(*token) || self.never.contains(token);
        prompt.iter().copied().filter(|token| !is_special(token)).collect()
    }

    /// `true` if [`Self::apply`] needs the tokens of a hypothesis, not only their number.
    pub(super) fn need_tokens(&self) -> bool {
        self.settings.repetition_penalty != 1.0 || self.settings.no_repeat_ngram_size.is_some()
    }

    /// Applies the rules to the logits of the token behind `length` others of a hypothesis that may have `max_length`.
    /// `tokens` are the prompt's and the hypothesis's, if [`Self::need_tokens`].
    pub(super) fn apply(&self, row: &mut Row, length: usize, max_length: usize, tokens: Vec<u32>) {
        let repeated = self.settings.no_repeat_ngram_size.map(|size| repeating(&tokens, size)).unwrap_or_default();
        if self.settings.repetition_penalty != 1.0 {
            row.penalise(tokens, self.settings.repetition_penalty);
        }
        let too_early = self.eos_id.filter(|_| length < self.settings.min_length.min(max_length));
        for token in repeated.into_iter().chain(self.never.iter().copied()).chain(too_early) {
            row.forbid(token);
        }
    }
}

/// The tokens that would repeat an n-gram of `size` tokens.
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
