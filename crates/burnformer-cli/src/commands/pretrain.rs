//! `burnformer pretrain`: a model from a corpus.

use std::path::Path;

use anyhow::Result;
use burnformer::recipes::{
    CausalLmSettings, Objective, Pretrain, PretrainCausalLm, PretrainSettings, PretrainStart, SEED,
};
use burnformer::train::RunFolder;

use super::{Outcome, training};
use crate::args::{ObjectiveName, PretrainArgs};
use crate::context::Context;

pub(super) fn run(args: &PretrainArgs, context: &Context) -> Result<Outcome> {
    let (sets, out) = (training::sets(&args.run), &args.run.out);
    if args.run.resume {
        training::check_resume(&args.run)?;
        return match Objective::of_run(out)? {
            Objective::MaskedLm => training::run(&Pretrain::reload(out, &sets)?, &args.run, context),
            Objective::CausalLm => training::run(&PretrainCausalLm::reload(out, &sets)?, &args.run, context),
        };
    }
    RunFolder::check_free(&args.run.out)?;
    let overrides = training::overrides(&args.run, &sets);
    let start = |preset| PretrainStart {
        corpus: args.corpus.as_deref().unwrap_or(Path::new("")),
        init: args.init.as_deref(),
        preset: args.preset.as_deref().unwrap_or(preset),
        seed: args.run.seed.unwrap_or(SEED),
    };
    match args.objective {
        ObjectiveName::MaskedLm => {
            let recipe = Pretrain::new(PretrainSettings::begin(&start("bert-tiny"), &overrides)?)?;
            training::run(&recipe, &args.run, context)
        }
        ObjectiveName::CausalLm => {
            let recipe = PretrainCausalLm::new(CausalLmSettings::begin(&start("gpt-tiny"), &overrides)?)?;
            training::run(&recipe, &args.run, context)
        }
    }
}
