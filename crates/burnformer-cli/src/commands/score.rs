//! `burnformer score`: translations beside references.

use anyhow::Result;
use burnformer::recipes::{TranslationFiles, TranslationMetrics};

use super::Outcome;
use crate::args::ScoreArgs;
use crate::context::Context;

pub(super) fn run(args: &ScoreArgs, context: &Context) -> Result<Outcome> {
    let metrics = TranslationMetrics::new(args.metrics.bleu_tokenizer, args.metrics.lowercase);
    let files = TranslationFiles {
        hypotheses: &args.hypotheses,
        references: &args.references,
        baseline: args.baseline.as_deref(),
        encoding: args.encoding.encoding,
    };
    let report = metrics.score_files(&files, args.resamples, args.seed.seed)?;
    context.terminal.report(&report, args.report.format)?;
    Ok(Outcome::Done)
}
