//! `burnformer finetune`: a pretrained model learns to classify texts.

use std::path::Path;

use anyhow::Result;
use burnformer::models::BertConfig;
use burnformer::recipes::{Finetune, FinetuneSettings, SEED};

use super::{Outcome, training};
use crate::args::FinetuneArgs;
use crate::context::Context;
use crate::input;

pub(super) fn run(args: &FinetuneArgs, context: &Context) -> Result<Outcome> {
    let recipe = if args.run.resume { reload(args, context)? } else { begin(args, context)? };
    training::run(&recipe.with_baselines(args.baseline), &args.run, context)
}

fn begin(args: &FinetuneArgs, context: &Context) -> Result<Finetune> {
    training::check_free(&args.run)?;
    let model = args.model.as_deref().unwrap_or(Path::new(""));
    BertConfig::load(model)?;
    let resolve = |paths: &[String]| (!paths.is_empty()).then(|| input::resolve(paths, &args.format)).transpose();
    let settings = FinetuneSettings {
        seed: args.run.seed.unwrap_or(SEED),
        from_scratch: args.from_scratch,
        max_seq_length: args.max_seq_length,
        on_bad_row: args.format.on_bad_row,
        max_per_class: args.max_per_class,
        validation: resolve(&args.validation)?,
        ..FinetuneSettings::new(model, input::resolve(&args.train, &args.format)?)
    };
    let (test, sets) = (resolve(&args.test)?, training::sets(&args.run));
    let overrides = training::overrides(&args.run, &sets);
    Ok(Finetune::begin(settings, args.epochs, test.as_ref(), &overrides, &training::watched(&args.run, context))?)
}

fn reload(args: &FinetuneArgs, context: &Context) -> Result<Finetune> {
    training::check_resume(&args.run)?;
    let sets = training::sets(&args.run);
    Ok(Finetune::reload(&args.run.out, &sets, &args.test, &training::watched(&args.run, context))?)
}
