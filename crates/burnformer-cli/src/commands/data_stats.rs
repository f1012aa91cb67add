//! `burnformer data stats`: what is in a corpus.

use std::sync::Arc;

use anyhow::Result;
use burnformer::data::DataError;
use burnformer::data::corpus::Corpus;
use burnformer::data::statistics::Statistics;

use super::Outcome;
use crate::args::StatsArgs;
use crate::context::Context;

pub(super) fn run(args: &StatsArgs, Context { terminal, interrupt, .. }: &Context) -> Result<Outcome> {
    let corpus = Arc::new(Corpus::open(&args.corpus)?);
    let mut statistics = Statistics::of(&corpus, terminal, interrupt)?;
    match statistics.measure_pretraining_padding(&corpus, args.seq_length as usize, terminal, interrupt) {
        Err(DataError::Samples(reason)) => terminal.note(format_args!("padding is not measured: {reason}")),
        measured => measured?,
    }
    terminal.report(&statistics, args.report.format)?;
    Ok(Outcome::Done)
}
