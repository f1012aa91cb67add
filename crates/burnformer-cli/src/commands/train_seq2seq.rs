//! `burnformer train-seq2seq`: an encoder–decoder from pairs of texts.

use std::path::Path;

use anyhow::Result;
use burnformer::recipes::{SEED, TrainSeq2Seq, TrainSeq2SeqStart};
use burnformer::train::RunFolder;

use super::{Outcome, training};
use crate::args::TrainSeq2SeqArgs;
use crate::context::Context;

pub(super) fn run(args: &TrainSeq2SeqArgs, context: &Context) -> Result<Outcome> {
    let sets = training::sets(&args.run);
    let recipe = if args.run.resume {
        training::check_resume(&args.run)?;
        TrainSeq2Seq::reload(&args.run.out, &sets)?
    } else {
        RunFolder::check_free(&args.run.out)?;
        let start = TrainSeq2SeqStart {
            corpus: args.corpus.as_deref().unwrap_or(Path::new("")),
            validation: args.validation.as_deref(),
            init: args.init.as_deref(),
            preset: args.preset.as_deref().unwrap_or("transformer-small"),
            epochs: args.epochs,
            seed: args.run.seed.unwrap_or(SEED),
        };
        TrainSeq2Seq::begin(&start, &training::overrides(&args.run, &sets))?
    };
    training::run(&recipe, &args.run, context)
}
