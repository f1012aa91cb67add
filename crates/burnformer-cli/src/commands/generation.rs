//! From the flags of generation to its settings.

use burnformer::models::{GenerationConfig, Sampling};

use crate::args::GenerationArgs;
use crate::errors::Advised;

impl GenerationArgs {
    /// The generation settings that the flags describe.
    ///
    /// # Errors
    /// If flags contradict each other.
    pub(super) fn config(&self, n_best: usize) -> Result<GenerationConfig, Advised> {
        self.config_over(GenerationConfig::default(), n_best)
    }

    /// The generation settings that the flags describe, with those of `default` where there is no flag.
    ///
    /// # Errors
    /// If flags contradict each other.
    pub(super) fn config_over(&self, default: GenerationConfig, n_best: usize) -> Result<GenerationConfig, Advised> {
        let draws = self.temperature.is_some() || self.top_k.is_some() || self.top_p.is_some();
        let sampling = draws.then(|| Sampling {
            temperature: self.temperature.unwrap_or(1.0),
            top_k: self.top_k,
            top_p: self.top_p,
        });
        let n_beams = self.beam.unwrap_or(if draws { 1 } else { default.n_beams });
        if draws && n_beams > 1 {
            let message = format!("`--beam {n_beams}` cannot be combined with `--temperature`, `--top-k` or `--top-p`");
            return Err(Advised::new(message, "use either beam search or sampling"));
        }
        if !draws && n_best > n_beams {
            let message = format!("`--n-best {n_best}` asks for more than the {n_beams} hypotheses of the beam");
            return Err(Advised::new(message, "raise `--beam`, or sample with `--temperature`"));
        }
        Ok(GenerationConfig {
            n_beams,
            n_best,
            length_penalty: self.length_penalty,
            min_length: self.min_length,
            max_length: self.max_length,
            repetition_penalty: self.repetition_penalty,
            no_repeat_ngram_size: self.no_repeat_ngram,
            sampling,
            ..default
        })
    }
}
