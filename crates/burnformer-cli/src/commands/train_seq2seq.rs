//! `burnformer train-seq2seq`: an encoder–decoder from pairs of texts.

use std::path::Path;

use anyhow::Result;
use burnformer::recipes::{AnyRecipe, SEED, TrainSeq2Seq, TrainSeq2SeqStart};
use burnformer::train::RunFolder;

use super::{Outcome, training};
use crate::args::TrainSeq2SeqArgs;
use crate::context::Context;

pub(super) fn run(args: &TrainSeq2SeqArgs, context: &Context) -> Result<Outcome> {
    training::run(&args.run, context, |_| Ok(Box::new(begin(args)?)), |folder, sets, _| reload(folder, sets))
}

/// The run in `folder`, to be resumed.
fn reload(folder: &Path, sets: &[String]) -> Result<Box<dyn AnyRecipe>> {
    Ok(Box::new(TrainSeq2Seq::reload(folder, sets)?))
}

/// A new run.
pub(super) fn begin(args: &TrainSeq2SeqArgs) -> Result<TrainSeq2Seq> {
    let sets = training::sets(&args.run);
    RunFolder::check_free(&args.run.out)?;
    let start = TrainSeq2SeqStart {
        corpus: args.corpus.as_deref().unwrap_or(Path::new("")),
        validation: args.validation.as_deref(),
        init: args.init.as_deref(),
        preset: args.preset.as_deref().unwrap_or("transformer-small"),
        epochs: args.epochs,
        seed: args.run.seed.unwrap_or(SEED),
    };
    Ok(TrainSeq2Seq::begin(&start, &training::overrides(&args.run, &sets))?)
}
