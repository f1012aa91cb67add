//! `burnformer finetune`: a pretrained model learns to classify texts or tokens.

use std::path::Path;

use anyhow::Result;
use burnformer::data::readers::Input;
use burnformer::models::BertConfig;
use burnformer::recipes::{Finetune, FinetuneSettings, FinetuneTask, FinetuneTokens, SEED, reload};
use burnformer::train::RunFolder;

use super::{Outcome, training};
use crate::args::FinetuneArgs;
use crate::context::Context;
use crate::errors::Advised;
use crate::input;

pub(super) fn run(args: &FinetuneArgs, context: &Context) -> Result<Outcome> {
    let (sets, watched) = (training::sets(&args.run), context.watched(&args.run.device));
    if args.run.resume {
        training::check_resume(&args.run)?;
        let (folder, test) = (&args.run.out, &args.test);
        return match reload::<FinetuneSettings>(folder, &sets)?.task.unwrap_or_default() {
            FinetuneTask::TextClassification => {
                let recipe = Finetune::reload(folder, &sets, test, &watched)?;
                training::run(&recipe.with_baselines(args.baseline)?, &args.run, context)
            }
            FinetuneTask::TokenClassification => {
                check_flags(args)?;
                training::run(&FinetuneTokens::reload(folder, &sets, test, &watched)?, &args.run, context)
            }
        };
    }
    let (settings, test) = settings(args)?;
    let overrides = training::overrides(&args.run, &sets);
    match args.task {
        FinetuneTask::TextClassification => {
            let recipe = Finetune::begin(settings, args.epochs, test.as_ref(), &overrides, &watched)?;
            training::run(&recipe.with_baselines(args.baseline)?, &args.run, context)
        }
        FinetuneTask::TokenClassification => {
            let recipe = FinetuneTokens::begin(settings, args.epochs, test.as_ref(), &overrides, &watched)?;
            training::run(&recipe, &args.run, context)
        }
    }
}

/// The settings of a new run, and its test data.
fn settings(args: &FinetuneArgs) -> Result<(FinetuneSettings, Option<Input>)> {
    RunFolder::check_free(&args.run.out)?;
    input::check_for_run(args.train.iter().chain(&args.validation).chain(&args.test))?;
    if args.task == FinetuneTask::TokenClassification {
        check_flags(args)?;
    }
    let model = args.model.as_deref().unwrap_or(Path::new(""));
    BertConfig::load(model)?;
    let resolve = |paths: &[String]| (!paths.is_empty()).then(|| input::resolve(paths, &args.format)).transpose();
    let settings = FinetuneSettings {
        seed: args.run.seed.unwrap_or(SEED),
        from_scratch: args.from_scratch,
        max_seq_length: args.max_seq_length,
        on_bad_row: args.format.on_bad_row,
        max_per_class: args.max_per_class,
        split_special_tokens: args.split_special_tokens,
        validation: resolve(&args.validation)?,
        ..FinetuneSettings::new(model, input::resolve(&args.train, &args.format)?)
    };
    Ok((settings, resolve(&args.test)?))
}

/// Refuses flags that mean nothing for token classification.
fn check_flags(args: &FinetuneArgs) -> Result<()> {
    let given = [args.baseline.then_some("--baseline"), args.max_per_class.map(|_| "--max-per-class")];
    match given.into_iter().flatten().next() {
        Some(flag) => {
            let message = format!("`{flag}` cannot be used for token classification");
            Err(Advised::new(message, format!("leave out `{flag}`: words have tags, and sentences no class")).into())
        }
        None => Ok(()),
    }
}
