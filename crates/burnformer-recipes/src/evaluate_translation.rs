//! Evaluation of a translation model on pairs of texts.

use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use burnformer_core::collective::agree;
use burnformer_core::config::Validate;
use burnformer_core::files::{AtomicFile, FileError};
use burnformer_core::progress::Unit;
use burnformer_data::source::{OnBadRow, Records, Source};
use burnformer_models::GenerationConfig;
use burnformer_ops::WeightFormat;
use burnformer_tasks::{MetricState, Translation, TranslationOptions, Translator};
use serde::{Deserialize, Serialize};

use crate::ranks::agreed;
use crate::{Context, Note, RecipeError, TranslationMetrics, TranslationScores};

/// How many texts are translated between two reports of progress.
const TOGETHER: usize = 1024;

/// Scores of a translation model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TranslatorScores {
    /// Number of pairs.
    pub pairs: usize,
    /// Pairs that are too long for the model, and not in the perplexity.
    pub left_out: usize,
    /// Number of target tokens in the perplexity.
    pub target_tokens: u64,
    /// Perplexity of the references, by token, the one at the end included; absent if all pairs are left out.
    pub perplexity: Option<f64>,
    /// Accuracy: share of reference tokens that are the most probable ones.
    pub accuracy: Option<f64>,
    /// Time spent on translating, in seconds.
    pub seconds: f64,
    /// Scores of the translations.
    #[serde(flatten)]
    pub scores: TranslationScores,
}

/// Settings of the evaluation of a translator.
#[derive(Clone, Debug, Default)]
pub struct TranslatorEvaluation<'a> {
    /// How texts are translated; what the model's folder says is in [`burnformer_models::GenerationFile`].
    pub generation: GenerationConfig,
    /// Metrics of translations.
    pub metrics: TranslationMetrics,
    /// Number of texts per batch.
    pub batch_size: usize,
    /// What to do with rows that cannot be used.
    pub on_bad_row: OnBadRow,
    /// File for the translations, one in each line.
    pub out: Option<&'a Path>,
}

impl TranslatorEvaluation<'_> {
    /// Measures the model in `folder` on the pairs of `source`.
    ///
    /// # Errors
    /// If there is no such model, pairs cannot be read, a text has no translation, or there is none at all; if the
    /// translations cannot be written; an interruption.
    pub fn run(
        &self,
        folder: &Path,
        source: &dyn Source,
        context: &Context<'_>,
    ) -> Result<TranslatorScores, RecipeError> {
        self.generation.validate()?;
        // A name that cannot be written fails before the work.
        let path = self.out.filter(|_| context.collective.rank() == 0);
        let out = agreed(context.collective, path.map(AtomicFile::create).transpose().map_err(RecipeError::from))?;
        let interrupt = context.interrupt();
        let translator = Translator::load(folder, &context.device.open()?)?.with_batch_size(self.batch_size);
        let translator = match context.weights {
            WeightFormat::F32 => translator,
            other => translator.prepared(other)?,
        };
        let (mut texts, mut references) = (Vec::new(), Vec::new());
        let mut records = Records::new(source, self.on_bad_row, "read pairs", context.observer, &interrupt);
        for record in records.by_ref() {
            let record = record?;
            texts.push(record.text);
            references.push(record.pair.ok_or(RecipeError::NoReferences)?);
        }
        context.observer.note(&Note::SkippedRows(&records.into_skipped()));
        if texts.is_empty() {
            return Err(RecipeError::NoPairs);
        }
        let pairs: Vec<(&str, &str)> =
            texts.iter().map(String::as_str).zip(references.iter().map(String::as_str)).collect();
        let (metric_state, left_out) = translator.score_together(&pairs, Some(&interrupt), context.collective)?;

        let start = Instant::now();
        let hypotheses = self.translate(&translator, &texts, context)?;
        let seconds = start.elapsed().as_secs_f64();
        let write = || {
            let (Some(mut out), Some(path)) = (out, path) else { return Ok(()) };
            let lines = hypotheses.join("\n") + "\n";
            let failed = |source| FileError::Io { attempt: "write", path: path.to_owned(), source };
            out.write_all(lines.as_bytes()).map_err(failed)?;
            out.commit()
        };
        agreed(context.collective, write().map_err(RecipeError::from))?;
        let metrics = if metric_state.tokens > 0 { metric_state.metrics() } else { Vec::new() };
        let metric = |wanted: &str| metrics.iter().find(|(name, _)| *name == wanted).map(|it| it.1);
        Ok(TranslatorScores {
            pairs: texts.len(),
            left_out,
            target_tokens: metric_state.tokens,
            perplexity: metric("perplexity"),
            accuracy: metric("accuracy"),
            seconds,
            scores: self.metrics.score(&hypotheses, &[&references])?,
        })
    }

    /// The best translation of each text, as one line. Each process translates its
    /// share.
    fn translate(
        &self,
        translator: &Translator,
        texts: &[String],
        context: &Context<'_>,
    ) -> Result<Vec<String>, RecipeError> {
        let interrupt = context.interrupt();
        let stage = context.observer.stage("translate", Some(texts.len() as u64), Unit::Items("texts"));
        let mut hypotheses = Vec::with_capacity(texts.len());
        for part in texts.chunks(TOGETHER.max(self.batch_size)) {
            let part: Vec<&str> = part.iter().map(String::as_str).collect();
            let options = TranslationOptions {
                first_number: hypotheses.len() as u64,
                interrupt: Some(&interrupt),
                ..TranslationOptions::new(self.generation.clone())
            };
            let best = |mut found: Vec<Translation>| found.swap_remove(0).text.replace(['\n', '\r'], " ");
            let own = translator.translate_share(&part, &options, context.place()).map_err(RecipeError::from);
            let own = own.map(|found| found.into_iter().map(|found| found.map(best)).collect::<Vec<_>>());
            let of_ranks = agree(context.collective, own)?;
            hypotheses
                .extend((0..part.len()).filter_map(|text| of_ranks.iter().find_map(|of_rank| of_rank[text].clone())));
            stage.advance(part.len() as u64);
        }
        Ok(hypotheses)
    }
}
