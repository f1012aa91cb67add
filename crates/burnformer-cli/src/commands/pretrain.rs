//! `burnformer pretrain`: BERT from a corpus.

use std::path::Path;

use anyhow::Result;
use burnformer::recipes::{Pretrain, PretrainSettings, PretrainStart, SEED};

use super::{Outcome, training};
use crate::args::PretrainArgs;
use crate::context::Context;

pub(super) fn run(args: &PretrainArgs, context: &Context) -> Result<Outcome> {
    let recipe = if args.run.resume {
        training::check_resume(&args.run)?;
        Pretrain::reload(&args.run.out, &training::sets(&args.run))?
    } else {
        training::check_free(&args.run)?;
        let start = PretrainStart {
            corpus: args.corpus.as_deref().unwrap_or(Path::new("")),
            init: args.init.as_deref(),
            preset: args.preset.as_deref().unwrap_or("bert-tiny"),
            seed: args.run.seed.unwrap_or(SEED),
        };
        let sets = training::sets(&args.run);
        Pretrain::new(PretrainSettings::begin(&start, &training::overrides(&args.run, &sets))?)?
    };
    training::run(&recipe, &args.run, context)
}
