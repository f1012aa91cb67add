//! `burnformer score`: translations beside references.

use std::fmt::{self, Display, Formatter};
use std::path::PathBuf;

use anyhow::Result;
use burnformer::data::readers::read_lines;
use burnformer::tasks::metrics::{Bleu, BleuScore, Chrf, ChrfScore, CorpusMetric, PairedBootstrap, paired_bootstrap};
use serde::Serialize;

use super::{Context, Outcome};
use crate::args::{MetricArgs, ScoreArgs};
use crate::errors::Advised;
use crate::output::fact;

/// BLEU and chrF of translations, with their recipes.
#[derive(Serialize)]
pub(super) struct TranslationScores {
    bleu: BleuScore,
    bleu_signature: String,
    chrf: ChrfScore,
    chrf_signature: String,
}

/// Two systems.
#[derive(Serialize)]
pub(super) struct Comparison {
    bleu: PairedBootstrap,
    chrf: PairedBootstrap,
}

#[derive(Serialize)]
struct Report {
    sentences: usize,
    #[serde(flatten)]
    scores: TranslationScores,
    #[serde(skip_serializing_if = "Option::is_none")]
    comparison: Option<Comparison>,
}

pub(super) fn run(args: &ScoreArgs, context: &Context) -> Result<Outcome> {
    let hypotheses = read_lines(&args.hypotheses)?;
    // Of each other file the lines belong to those of the hypotheses.
    let beside = |path: &PathBuf| -> Result<Vec<String>> {
        let lines = read_lines(path)?;
        if lines.len() == hypotheses.len() {
            return Ok(lines);
        }
        let counts = format!(
            "`{}` has {} lines and `{}` {}",
            path.display(),
            lines.len(),
            args.hypotheses.display(),
            hypotheses.len()
        );
        Err(Advised::new(counts, "the files are line-aligned: line N of each belongs to the same text").into())
    };
    let references = args.references.iter().map(beside).collect::<Result<Vec<_>>>()?;
    let references: Vec<&[String]> = references.iter().map(Vec::as_slice).collect();
    let metrics = Metrics::new(&args.metrics);
    let scores = metrics.score(&hypotheses, &references)?;
    let comparison = match &args.baseline {
        None => None,
        Some(path) => {
            let baseline = beside(path)?;
            Some(metrics.compare(&baseline, &hypotheses, &references, args.resamples, args.seed.seed)?)
        }
    };
    context.terminal.report(&Report { sentences: hypotheses.len(), scores, comparison }, args.report.format)?;
    Ok(Outcome::Done)
}

/// What translations are scored by.
pub(super) struct Metrics {
    bleu: Bleu,
    chrf: Chrf,
}

impl Metrics {
    pub(super) fn new(args: &MetricArgs) -> Self {
        let (tokenizer, lowercase) = (args.bleu_tokenizer, args.lowercase);
        Self { bleu: Bleu { tokenizer, lowercase }, chrf: Chrf { lowercase, ..Chrf::default() } }
    }

    pub(super) fn score(&self, hypotheses: &[String], references: &[&[String]]) -> Result<TranslationScores> {
        Ok(TranslationScores {
            bleu: self.bleu.corpus(hypotheses, references)?,
            bleu_signature: self.bleu.signature(references.len()),
            chrf: self.chrf.corpus(hypotheses, references)?,
            chrf_signature: self.chrf.signature(references.len()),
        })
    }

    fn compare(
        &self,
        baseline: &[String],
        system: &[String],
        references: &[&[String]],
        n_resamples: u64,
        seed: u64,
    ) -> Result<Comparison> {
        fn one<M: CorpusMetric>(
            metric: &M,
            [baseline, system]: [&[String]; 2],
            references: &[&[String]],
            n_resamples: u64,
            seed: u64,
        ) -> Result<PairedBootstrap> {
            let baseline = metric.statistics(baseline, references)?;
            let system = metric.statistics(system, references)?;
            Ok(paired_bootstrap(metric, &baseline, &system, n_resamples, seed)?)
        }
        Ok(Comparison {
            bleu: one(&self.bleu, [baseline, system], references, n_resamples, seed)?,
            chrf: one(&self.chrf, [baseline, system], references, n_resamples, seed)?,
        })
    }
}

impl Display for TranslationScores {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n  {}", self.bleu, self.bleu_signature)?;
        writeln!(f, "{}\n  {}", self.chrf, self.chrf_signature)
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.scores)?;
        let Some(Comparison { bleu, chrf }) = &self.comparison else { return Ok(()) };
        for (name, it) in [("BLEU", bleu), ("chrF", chrf)] {
            let (system, baseline) = (&it.system, &it.baseline);
            let difference = system.score - baseline.score;
            fact(f, &format!("{name}, baseline"), format_args!("{:.2} ± {:.2}", baseline.mean, baseline.half_width))?;
            fact(f, &format!("{name}, system"), format_args!("{:.2} ± {:.2}", system.mean, system.half_width))?;
            fact(f, &format!("{name}, difference"), format_args!("{difference:+.2} (p = {:.4})", it.p_value))?;
        }
        Ok(())
    }
}
