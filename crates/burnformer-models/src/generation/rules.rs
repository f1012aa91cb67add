//! Rules for the next token that do not depend on the model: lengths, repetitions, special tokens.

use super::row::Row;
use super::step_decoder::DecoderSpec;
use super::{Convention, GenerationConfig};

/// The settings, with the special tokens of a model.
pub(super) struct Rules<'a> {
    pub(super) settings: &'a GenerationConfig,
    /// Tokens that end a text.
    pub(super) eos_ids: Vec<u32>,
    /// Tokens that are never generated.
    never: Vec<u32>,
}

/// Where in a text a token stands, and what is in front of it.
pub(super) struct Position {
    /// Number of generated tokens in front of it.
    pub(super) length: usize,
    /// Limits of the text.
    pub(super) limits: Limits,
    /// The tokens in front of it, the prompt's included, if [`Rules::need_tokens`].
    pub(super) tokens: Vec<u32>,
    /// Number of tokens of the prompt.
    pub(super) prompt_length: usize,
}

/// Least and largest number of generated tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// Without the end token.
    pub(super) min: usize,
    /// Without the end token, or with it under transformers' [`Convention`].
    pub(super) max: usize,
}

impl<'a> Rules<'a> {
    pub(super) fn new(settings: &'a GenerationConfig, spec: &DecoderSpec) -> Self {
        let eos_ids = match settings.token_rules.eos_ids.as_slice() {
            [] => spec.eos_id.into_iter().collect(),
            ids => ids.to_vec(),
        };
        // What transformers does not generate, its files say.
        let never = match settings.convention {
            Convention::Burnformer => spec.never.iter().copied().filter(|token| !eos_ids.contains(token)).collect(),
            Convention::Transformers => Vec::new(),
        };
        Self { settings, eos_ids, never }
    }

    pub(super) fn is_transformers(&self) -> bool {
        self.settings.convention == Convention::Transformers
    }

    /// `true` if `token` ends a text.
    pub(super) fn is_end(&self, token: u32) -> bool {
        self.eos_ids.contains(&token)
    }

    /// Number of candidates of a step: enough that `n_beams` of them go on, however many end.
    pub(super) fn n_candidates(&self) -> usize {
        (1 + self.eos_ids.len()).max(2) * self.settings.n_beams
    }

    /// The tokens of a prompt that count where repetitions are looked for: all but special ones, or all in transformers.
    pub(super) fn context(&self, prompt: &[u32]) -> Vec<u32> {
        let is_special = |token: u32| !self.is_transformers() && (self.is_end(token) || self.never.contains(&token));
        prompt.iter().copied().filter(|token| !is_special(*token)).collect()
    }

    /// `true` if [`Self::apply`] needs the tokens of a hypothesis, not only their number.
    pub(super) fn need_tokens(&self) -> bool {
        let GenerationConfig { repetition_penalty, no_repeat_ngram_size, token_rules, .. } = self.settings;
        *repetition_penalty != 1.0 || no_repeat_ngram_size.is_some() || !token_rules.bad_words.is_empty()
    }

    /// Applies the rules to the logits of the token at a position.
    ///
    /// Source: the order is that of `_get_logits_processor` in transformers.
    pub(super) fn apply(&self, row: &mut Row, position: Position) {
        let Position { length, limits, tokens, prompt_length } = position;
        let GenerationConfig { no_repeat_ngram_size, repetition_penalty, token_rules, .. } = self.settings;
        let repeated = no_repeat_ngram_size.map(|size| repeating(&tokens, size)).unwrap_or_default();
        let bad = token_rules.completing(&tokens, &self.eos_ids).collect::<Vec<_>>();
        if *repetition_penalty != 1.0 {
            match self.is_transformers() && self.settings.n_beams == 1 {
                true => row.penalise_logits(tokens, *repetition_penalty),
                false => row.penalise(tokens, *repetition_penalty),
            }
        }
        let too_early = self.eos_ids.iter().copied().filter(|_| length < limits.min.min(limits.max));
        for token in repeated.into_iter().chain(bad).chain(self.never.iter().copied()).chain(too_early) {
            row.forbid(token);
        }
        let is_alone = prompt_length == 1;
        if let Some(first) = token_rules.forced_first.filter(|_| is_alone && length == 0) {
            row.force(&[first]);
        }
        let last = if self.is_transformers() { limits.max.saturating_sub(1) } else { limits.max };
        if !token_rules.forced_last.is_empty() && length == last {
            row.force(&token_rules.forced_last);
        }
        let begin = usize::from(is_alone && token_rules.forced_first.is_some());
        let first = token_rules.suppressed_first.iter().filter(|_| length == begin);
        for &token in token_rules.suppressed.iter().chain(first) {
            row.forbid(token);
        }
        if self.settings.renormalize {
            row.normalize();
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
