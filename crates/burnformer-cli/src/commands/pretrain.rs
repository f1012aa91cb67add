//! `burnformer pretrain`: a model from a corpus.

use std::path::Path;

use anyhow::Result;
use burnformer::recipes::{
    AnyRecipe, CausalLmSettings, Objective, Pretrain, PretrainCausalLm, PretrainSettings, PretrainStart, SEED,
};
use burnformer::train::RunFolder;

use super::{Outcome, training};
use crate::args::{ObjectiveName, PretrainArgs};
use crate::context::Context;

pub(super) fn run(args: &PretrainArgs, context: &Context) -> Result<Outcome> {
    training::run(&args.run, context, |_| begin(args), |folder, sets, _| reload(folder, sets))
}

/// The run in `folder`, to be resumed.
pub(super) fn reload(folder: &Path, sets: &[String]) -> Result<Box<dyn AnyRecipe>> {
    Ok(match Objective::of_run(folder)? {
        Objective::MaskedLm => Box::new(Pretrain::reload(folder, sets)?),
        Objective::CausalLm => Box::new(PretrainCausalLm::reload(folder, sets)?),
    })
}

/// A new run.
pub(super) fn begin(args: &PretrainArgs) -> Result<Box<dyn AnyRecipe>> {
    let sets = training::sets(&args.run);
    RunFolder::check_free(&args.run.out)?;
    let overrides = training::overrides(&args.run, &sets);
    let start = |preset| PretrainStart {
        corpus: args.corpus.as_deref().unwrap_or(Path::new("")),
        init: args.init.as_deref(),
        preset: args.preset.as_deref().unwrap_or(preset),
        seed: args.run.seed.unwrap_or(SEED),
    };
    Ok(match args.objective {
        ObjectiveName::MaskedLm => Box::new(Pretrain::new(PretrainSettings::begin(&start("bert-tiny"), &overrides)?)?),
        ObjectiveName::CausalLm => {
            Box::new(PretrainCausalLm::new(CausalLmSettings::begin(&start("gpt-tiny"), &overrides)?)?)
        }
    })
}
