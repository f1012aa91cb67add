//! Scores of translations: BLEU and chrF, and paired bootstrap tests against another system.

use std::path::{Path, PathBuf};

use burnformer_data::readers::{Encoding, read_lines};
use burnformer_tasks::metrics::{
    Bleu, BleuScore, BleuTokenizer, Chrf, ChrfScore, CorpusMetric, MetricError, PairedBootstrap, paired_bootstrap,
};
use serde::{Deserialize, Serialize};

use crate::RecipeError;

/// BLEU and chrF of translations, with their recipes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TranslationScores {
    /// BLEU.
    pub bleu: BleuScore,
    /// Options that BLEU was computed with, as sacreBLEU writes them.
    pub bleu_signature: String,
    /// chrF.
    pub chrf: ChrfScore,
    /// Options that chrF was computed with, as sacreBLEU writes them.
    pub chrf_signature: String,
}

/// A system compared with a baseline by paired bootstrap resampling.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// By BLEU.
    pub bleu: PairedBootstrap,
    /// By chrF.
    pub chrf: PairedBootstrap,
}

/// The scores of files of translations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoreReport {
    /// Number of translations.
    pub sentences: usize,
    /// Scores of the translations.
    #[serde(flatten)]
    pub scores: TranslationScores,
    /// Comparison with another system, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
}

/// Line-aligned files of translations and references.
#[derive(Clone, Copy, Debug)]
pub struct TranslationFiles<'a> {
    /// Translations.
    pub hypotheses: &'a Path,
    /// References, one file or several.
    pub references: &'a [PathBuf],
    /// Translations of another system, to compare with.
    pub baseline: Option<&'a Path>,
    /// Encoding of files without a byte order mark; absent for UTF-8.
    pub encoding: Option<Encoding>,
}

/// Metrics of translations.
#[derive(Clone, Copy, Debug, Default)]
pub struct TranslationMetrics {
    bleu: Bleu,
    chrf: Chrf,
}

impl TranslationMetrics {
    /// BLEU with this tokenizer, and chrF; both ignore case if `lowercase`.
    #[must_use]
    pub fn new(tokenizer: BleuTokenizer, lowercase: bool) -> Self {
        Self { bleu: Bleu { tokenizer, lowercase }, chrf: Chrf { lowercase, ..Chrf::default() } }
    }

    /// Scores files, and compares two systems on `n_resamples` test sets drawn with `seed`.
    ///
    /// # Errors
    /// If a file cannot be read, or has another number of lines than the translations.
    pub fn score_files(
        &self,
        files: &TranslationFiles<'_>,
        n_resamples: u64,
        seed: u64,
    ) -> Result<ScoreReport, RecipeError> {
        let hypotheses = read_lines(files.hypotheses, files.encoding).map_err(burnformer_data::DataError::from)?;
        // Of each other file the lines belong to those of the hypotheses.
        let beside = |path: &Path| -> Result<Vec<String>, RecipeError> {
            let lines = read_lines(path, files.encoding).map_err(burnformer_data::DataError::from)?;
            if lines.len() == hypotheses.len() {
                return Ok(lines);
            }
            let (path, other) = (path.to_owned(), files.hypotheses.to_owned());
            Err(RecipeError::LineCounts { path, lines: lines.len(), other, expected: hypotheses.len() })
        };
        let references = files.references.iter().map(|path| beside(path)).collect::<Result<Vec<_>, _>>()?;
        let references: Vec<&[String]> = references.iter().map(Vec::as_slice).collect();
        let scores = self.score(&hypotheses, &references)?;
        let comparison = match files.baseline {
            None => None,
            Some(path) => Some(self.compare(&beside(path)?, &hypotheses, &references, n_resamples, seed)?),
        };
        Ok(ScoreReport { sentences: hypotheses.len(), scores, comparison })
    }

    /// Scores translations beside references, `[set][sentence]`.
    ///
    /// # Errors
    /// If there is no sentence, or not one reference for each.
    pub fn score(&self, hypotheses: &[String], references: &[&[String]]) -> Result<TranslationScores, MetricError> {
        Ok(TranslationScores {
            bleu: self.bleu.corpus(hypotheses, references)?,
            bleu_signature: self.bleu.signature(references.len()),
            chrf: self.chrf.corpus(hypotheses, references)?,
            chrf_signature: self.chrf.signature(references.len()),
        })
    }

    /// Compares a system with a baseline on `n_resamples` test sets drawn with `seed`.
    ///
    /// # Errors
    /// As [`Self::score`]; if there is no resample.
    pub fn compare(
        &self,
        baseline: &[String],
        system: &[String],
        references: &[&[String]],
        n_resamples: u64,
        seed: u64,
    ) -> Result<Comparison, MetricError> {
        fn one<M: CorpusMetric>(
            metric: &M,
            [baseline, system]: [&[String]; 2],
            references: &[&[String]],
            n_resamples: u64,
            seed: u64,
        ) -> Result<PairedBootstrap, MetricError> {
            let baseline = metric.statistics(baseline, references)?;
            let system = metric.statistics(system, references)?;
            paired_bootstrap(metric, &baseline, &system, n_resamples, seed)
        }
        Ok(Comparison {
            bleu: one(&self.bleu, [baseline, system], references, n_resamples, seed)?,
            chrf: one(&self.chrf, [baseline, system], references, n_resamples, seed)?,
        })
    }
}
