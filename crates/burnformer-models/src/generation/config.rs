//! Settings of generation.

use super::TokenRules;
use burnformer_core::{ConfigError, Validate};
use serde::{Deserialize, Serialize};

/// Largest beam size, which bounds the memory of a search.
const MOST_BEAMS: usize = 1024;
/// Largest number of end tokens; for each one, a search has more candidates.
const MOST_ENDS: usize = 256;
/// Largest number of samples of a source; each is a row of a batch.
const MOST_SAMPLES: usize = 65_536;

/// How texts of different lengths are compared, and what counts as their length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Convention {
    /// Ours: `n` tokens are compared by `log P / ((5 + n) / 6)^α` (Wu et al. 2016, equation 14); the longest text has
    /// `max_length` tokens without its end token; finished texts are better than those cut off there.
    #[default]
    Burnformer,
    /// That of transformers' `generate`: `n` tokens are compared by `log P / n^α`; the end token is one of the
    /// `max_length`; finished texts and those cut off compete by their scores. What is never generated is what
    /// [`TokenRules`] say, and repetitions of special tokens in a prompt count too. In greedy search and sampling the
    /// repetition penalty multiplies negative logits and divides positive ones.
    Transformers,
}

/// Settings of [`generate`](crate::generate).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GenerationConfig {
    /// Beam size, at most 1,024. 1 is greedy search: always the most probable token.
    pub n_beams: usize,
    /// Number of hypotheses returned for each source (fewer if no more exist). In beam search the best ones, at most
    /// `n_beams`; in sampling the samples, at most 65,536.
    pub n_best: usize,
    /// How texts of different lengths are compared.
    #[serde(default)]
    pub convention: Convention,
    /// The exponent `α` of the length penalty: hypotheses of `n` tokens, the end token among them, are compared as
    /// `convention` says. 0 compares by probability alone, which prefers short texts. Negative values are for
    /// transformers' convention alone.
    pub length_penalty: f64,
    /// `true` ends the search of a source when `n_beams` of its hypotheses have ended, as fairseq and `CTranslate2` do;
    /// `false` continues until no live hypothesis could still rank among the `n_best`, which takes longer.
    pub early_stopping: bool,
    /// `true` ends the search of a source, too, when no live hypothesis would rank among the best if it ended with its
    /// present length, as transformers does by default; a longer one might.
    #[serde(default)]
    pub heuristic_stopping: bool,
    /// Minimum number of generated tokens, without the end token.
    pub min_length: usize,
    /// Minimum number of tokens with those of the prompt or the start token, without the end token.
    #[serde(default)]
    pub min_total_length: usize,
    /// Maximum number of generated tokens, without the end token in our convention; `None` for the model's
    /// [`StepDecoder::default_max_length`](crate::StepDecoder::default_max_length): 50 more than the source has with
    /// its end token (Vaswani et al. 2017, section 6.1) for an encoder–decoder. No model goes beyond its own
    /// `max_seq_length`, less the prompt or the start token.
    pub max_length: Option<usize>,
    /// Maximum number of tokens with those of the prompt or the start token, if `max_length` is absent.
    #[serde(default)]
    pub max_total_length: Option<usize>,
    /// Repetition penalty: factor of the log-probability of a token that the hypothesis or its prompt has already. 1
    /// changes nothing, larger values reduce repetition (Keskar et al. 2019, section 4.1, on log-probabilities as in
    /// transformers' beam search, which unlike logits do not depend on an offset).
    pub repetition_penalty: f64,
    /// Size of the n-grams that may occur only once in a hypothesis and its prompt; `None` for no such rule.
    pub no_repeat_ngram_size: Option<usize>,
    /// Tokens that are forced, forbidden, or end a text.
    #[serde(default)]
    pub token_rules: TokenRules,
    /// `true` normalises the probabilities again after all rules, so that those of the tokens left add up to 1.
    #[serde(default)]
    pub renormalize: bool,
    /// Samples tokens instead of searching; `None` for search. Only with `n_beams = 1`.
    pub sampling: Option<Sampling>,
}

/// Settings of sampling: temperature, then `top_k`, then `top_p`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sampling {
    /// Temperature, by which log-probabilities are divided: values below 1 favour probable tokens.
    pub temperature: f64,
    /// Top-k: number of most probable tokens to sample from, with ties of the last; `None` for all (Fan et al. 2018).
    pub top_k: Option<usize>,
    /// Top-p (nucleus): sample from the smallest set of most probable tokens whose probabilities sum to at least this;
    /// `None` for all (Holtzman et al. 2020).
    pub top_p: Option<f64>,
}

impl Default for GenerationConfig {
    /// A beam of four with length penalty 0.6, as in Vaswani et al. 2017, section 6.1, which ends as soon as four
    /// hypotheses have.
    fn default() -> Self {
        Self {
            n_beams: 4,
            n_best: 1,
            convention: Convention::Burnformer,
            length_penalty: 0.6,
            early_stopping: true,
            heuristic_stopping: false,
            min_length: 0,
            min_total_length: 0,
            max_length: None,
            max_total_length: None,
            repetition_penalty: 1.0,
            no_repeat_ngram_size: None,
            token_rules: TokenRules::default(),
            renormalize: false,
            sampling: None,
        }
    }
}

impl Default for Sampling {
    /// Samples from the unchanged probabilities.
    fn default() -> Self {
        Self { temperature: 1.0, top_k: None, top_p: None }
    }
}

impl GenerationConfig {
    /// Greedy search: the most probable token at each step.
    #[must_use]
    pub fn greedy() -> Self {
        Self { n_beams: 1, ..Self::default() }
    }

    /// One sample for each source.
    #[must_use]
    pub fn sampled(sampling: Sampling) -> Self {
        Self { sampling: Some(sampling), ..Self::greedy() }
    }

    /// The settings that transformers' `generate` has where neither a call nor a file says anything: greedy search,
    /// length penalty 1. Unlike there, a text may be as long as the model's
    /// [`StepDecoder::default_max_length`](crate::StepDecoder::default_max_length) says, not 20 tokens.
    #[must_use]
    pub fn transformers() -> Self {
        Self {
            convention: Convention::Transformers,
            n_beams: 1,
            length_penalty: 1.0,
            early_stopping: false,
            heuristic_stopping: true,
            ..Self::default()
        }
    }

    /// What the log-probability of `n` tokens is divided by: `((5 + n) / 6)^α`, or `n^α` in transformers.
    pub(super) fn divisor(&self, n_tokens: usize) -> f64 {
        let n = n_tokens as f64;
        match self.convention {
            Convention::Burnformer => ((5.0 + n) / 6.0).powf(self.length_penalty),
            Convention::Transformers => n.max(1.0).powf(self.length_penalty),
        }
    }
}

impl Validate for GenerationConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        ConfigError::check("n_beams", &self.n_beams, (1..=MOST_BEAMS).contains(&self.n_beams), "1 to 1024")?;
        ConfigError::check("n_best", &self.n_best, (1..=MOST_SAMPLES).contains(&self.n_best), "1 to 65536")?;
        let is_beam = self.sampling.is_none();
        let few = !is_beam || self.n_best <= self.n_beams;
        ConfigError::check("n_best", &self.n_best, few, "at most `n_beams`, or `sampling`")?;
        let one = is_beam || self.n_beams == 1;
        ConfigError::check("n_beams", &self.n_beams, one, "1, as tokens are drawn by `sampling`")?;
        let penalty = self.length_penalty;
        let (least, range) = match self.convention {
            Convention::Burnformer => (0.0, "a finite value of at least 0"),
            Convention::Transformers => (f64::MIN, "a finite value"),
        };
        let is_possible = penalty.is_finite() && penalty >= least;
        ConfigError::check("length_penalty", &penalty, is_possible, range)?;
        if let Some(max_length) = self.max_length {
            ConfigError::check_positive("max_length", max_length)?;
        }
        if let Some(max_total_length) = self.max_total_length {
            ConfigError::check_positive("max_total_length", max_total_length)?;
        }
        let fits = self.max_length.is_none_or(|max_length| self.min_length <= max_length);
        ConfigError::check("min_length", &self.min_length, fits, "at most `max_length`")?;
        ConfigError::check_finite_positive("repetition_penalty", self.repetition_penalty)?;
        let n_ends = self.token_rules.eos_ids.len();
        ConfigError::check("token_rules.eos_ids", &n_ends, n_ends <= MOST_ENDS, "at most 256 end tokens")?;
        if let Some(size) = self.no_repeat_ngram_size {
            ConfigError::check_positive("no_repeat_ngram_size", size)?;
        }
        self.sampling.as_ref().map_or(Ok(()), |it| it.validate().map_err(|error| error.within("sampling")))
    }
}

impl Validate for Sampling {
    fn validate(&self) -> Result<(), ConfigError> {
        ConfigError::check_finite_positive("temperature", self.temperature)?;
        if let Some(top_k) = self.top_k {
            ConfigError::check_positive("top_k", top_k)?;
        }
        let top_p = self.top_p.unwrap_or(1.0);
        ConfigError::check("top_p", &top_p, top_p > 0.0 && top_p <= 1.0, "a value in (0, 1]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_work_are_named() {
        let check = |config: GenerationConfig, expected: &str| {
            assert_eq!(config.validate().unwrap_err().to_string(), expected);
        };
        let config = GenerationConfig::default;
        check(GenerationConfig { n_beams: 0, ..config() }, "`n_beams` is 0, expected 1 to 1024");
        check(
            GenerationConfig { n_beams: usize::MAX, ..config() },
            &format!("`n_beams` is {}, expected 1 to 1024", usize::MAX),
        );
        check(GenerationConfig { n_best: 0, ..config() }, "`n_best` is 0, expected 1 to 65536");
        check(GenerationConfig { n_best: 5, ..config() }, "`n_best` is 5, expected at most `n_beams`, or `sampling`");
        let sampling = |sampling| GenerationConfig { sampling: Some(sampling), ..config() };
        check(sampling(Sampling::default()), "`n_beams` is 4, expected 1, as tokens are drawn by `sampling`");
        let range = "expected a finite value of at least 0";
        check(GenerationConfig { length_penalty: -1.0, ..config() }, &format!("`length_penalty` is -1, {range}"));
        check(GenerationConfig { max_length: Some(0), ..config() }, "`max_length` is 0, expected at least 1");
        let short = GenerationConfig { min_length: 9, max_length: Some(8), ..config() };
        check(short, "`min_length` is 9, expected at most `max_length`");
        let none = GenerationConfig { repetition_penalty: 0.0, ..config() };
        check(none, "`repetition_penalty` is 0, expected a finite value above 0");
        let token_rules = TokenRules { eos_ids: (0..257).collect(), ..TokenRules::default() };
        let many = GenerationConfig { token_rules, ..config() };
        check(many, "`token_rules.eos_ids` is 257, expected at most 256 end tokens");
        let none = GenerationConfig { no_repeat_ngram_size: Some(0), ..config() };
        check(none, "`no_repeat_ngram_size` is 0, expected at least 1");
        let sampled = GenerationConfig::sampled;
        let many = GenerationConfig { n_best: 65_537, ..sampled(Sampling::default()) };
        check(many, "`n_best` is 65537, expected 1 to 65536");
        let cold = sampled(Sampling { temperature: 0.0, ..Sampling::default() });
        check(cold, "`sampling.temperature` is 0, expected a finite value above 0");
        let none = sampled(Sampling { top_k: Some(0), ..Sampling::default() });
        check(none, "`sampling.top_k` is 0, expected at least 1");
        let none = sampled(Sampling { top_p: Some(0.0), ..Sampling::default() });
        check(none, "`sampling.top_p` is 0, expected a value in (0, 1]");
        for config in [config(), GenerationConfig::greedy(), sampled(Sampling::default())] {
            assert_eq!(config.validate(), Ok(()));
        }
        assert_eq!(GenerationConfig { n_best: 9, ..sampled(Sampling::default()) }.validate(), Ok(()));
    }

    /// By hand: 13 tokens and the exponent 0.5 give `sqrt(18 / 6)`.
    #[test]
    fn the_length_penalty_is_that_of_wu_et_al() {
        let divisor = |length_penalty, n| GenerationConfig { length_penalty, ..GenerationConfig::default() }.divisor(n);
        assert!((divisor(0.5, 13) - 3_f64.sqrt()).abs() < 1e-12);
        assert!((divisor(1.0, 7) - 2.0).abs() < 1e-12);
        assert!((divisor(0.0, 7) - 1.0).abs() < 1e-12);
        assert!((divisor(0.6, 1) - 1.0).abs() < 1e-12);
    }

    /// By hand.
    #[test]
    fn that_of_transformers_is_a_power_of_the_length() {
        let divisor =
            |length_penalty, n| GenerationConfig { length_penalty, ..GenerationConfig::transformers() }.divisor(n);
        assert!((divisor(2.0, 13) - 169.0).abs() < 1e-9);
        assert!((divisor(-1.0, 4) - 0.25).abs() < 1e-12);
        let negative = GenerationConfig { length_penalty: -1.0, ..GenerationConfig::transformers() };
        assert_eq!(negative.validate(), Ok(()));
    }
}
