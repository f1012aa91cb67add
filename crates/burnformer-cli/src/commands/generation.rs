//! From the flags of generation and the settings in a model folder to the settings that are used.

use anyhow::Result;
use burnformer::core::config::Validate;
use burnformer::core::settings::to_toml;
use burnformer::models::{GenerationConfig, GenerationFile, Sampling};

use crate::args::GenerationArgs;
use crate::context::Context;
use crate::errors::Advised;

impl GenerationArgs {
    /// The generation settings for the model whose folder has `file`: what the flags say, else the file, else `default`.
    ///
    /// # Errors
    /// If flags contradict each other, or the file has settings that cannot be followed.
    pub(super) fn settings(
        &self,
        file: &GenerationFile,
        default: GenerationConfig,
        n_best: usize,
        context: &Context,
    ) -> Result<GenerationConfig> {
        let file = Some(file).filter(|_| !self.ignore_generation_config);
        let settings = match file {
            Some(file) => self.over(file.config(default)?, file.asked_sampling()?, n_best)?,
            None => self.over(default, Sampling::default(), n_best)?,
        };
        if let Some(file) = file {
            file.check(&settings)?;
            let unknown = file.unknown_keys();
            if !unknown.is_empty() {
                let what = format_args!("unknown keys in `{}`: {}", file.path().display(), unknown.join(", "));
                context.terminal.detail(what);
            }
        }
        settings.validate()?;
        context.terminal.detail(format_args!("generation settings:\n{}", to_toml(&settings)?.trim_end()));
        Ok(settings)
    }

    /// What the flags say over `default`; `sampling` has the defaults of sampling where they ask for it.
    fn over(&self, default: GenerationConfig, sampling: Sampling, n_best: usize) -> Result<GenerationConfig, Advised> {
        let draws = self.temperature.is_some() || self.top_k.is_some() || self.top_p.is_some();
        let of_default = default.sampling.filter(|_| draws || self.beam.is_none());
        let base = if draws { Some(of_default.unwrap_or(sampling)) } else { of_default };
        let sampling = base.map(|base| Sampling {
            temperature: self.temperature.unwrap_or(base.temperature),
            top_k: self.top_k.or(base.top_k),
            top_p: self.top_p.or(base.top_p),
        });
        let n_beams = self.beam.unwrap_or(if draws { 1 } else { default.n_beams });
        if draws && n_beams > 1 {
            let message = format!("`--beam {n_beams}` cannot be combined with `--temperature`, `--top-k` or `--top-p`");
            return Err(Advised::new(message, "use either beam search or sampling"));
        }
        if sampling.is_none() && n_best > n_beams {
            let message = format!("`--n-best {n_best}` asks for more than the {n_beams} hypotheses of the beam");
            return Err(Advised::new(message, "raise `--beam`, or sample with `--temperature`"));
        }
        Ok(GenerationConfig {
            n_beams,
            n_best,
            length_penalty: self.length_penalty.unwrap_or(default.length_penalty),
            min_length: self.min_length.unwrap_or(default.min_length),
            min_total_length: if self.min_length.is_some() { 0 } else { default.min_total_length },
            max_length: self.max_length.or(default.max_length),
            repetition_penalty: self.repetition_penalty.unwrap_or(default.repetition_penalty),
            no_repeat_ngram_size: self.no_repeat_ngram.or(default.no_repeat_ngram_size),
            sampling,
            ..default
        })
    }
}
