//! `burnformer finetune`: a pretrained model learns to classify texts or tokens.

use std::path::Path;

use anyhow::Result;
use burnformer::data::readers::Input;
use burnformer::models::BertConfig;
use burnformer::recipes::{
    self, AnyRecipe, FinetuneSettings, FinetuneStart, FinetuneTask, SEED, begin_finetune, reload_finetune,
};
use burnformer::tasks::EmbeddingModules;
use burnformer::train::RunFolder;

use super::{Outcome, training};
use crate::args::FinetuneArgs;
use crate::context::Context;
use crate::errors::Advised;
use crate::input;

pub(super) fn run(args: &FinetuneArgs, context: &Context) -> Result<Outcome> {
    training::run(
        &args.run,
        context,
        |watched| begin(args, watched),
        |folder, sets, watched| reload(args, folder, sets, watched),
    )
}

/// A new run.
pub(super) fn begin(args: &FinetuneArgs, context: &recipes::Context<'_>) -> Result<Box<dyn AnyRecipe>> {
    let sets = training::sets(&args.run);
    let (settings, test) = settings(args)?;
    let start = FinetuneStart { epochs: args.epochs, test: test.as_ref(), baselines: args.baseline };
    Ok(begin_finetune(settings, start, &training::overrides(&args.run, &sets), context)?)
}

/// The run in `folder`, to be resumed.
pub(super) fn reload(
    args: &FinetuneArgs,
    folder: &Path,
    sets: &[String],
    context: &recipes::Context<'_>,
) -> Result<Box<dyn AnyRecipe>> {
    if args.baseline {
        check_flags(args, recipes::reload::<FinetuneSettings>(folder, sets)?.task())?;
    }
    Ok(reload_finetune(folder, sets, &args.test, args.baseline, context)?)
}

/// The settings of a new run, and its test data.
fn settings(args: &FinetuneArgs) -> Result<(FinetuneSettings, Option<Input>)> {
    RunFolder::check_free(&args.run.out)?;
    input::check_for_run(args.train.iter().chain(&args.validation).chain(&args.test))?;
    check_flags(args, args.task)?;
    let model = args.model.as_deref().unwrap_or(Path::new(""));
    BertConfig::load(&EmbeddingModules::transformer_in(model)?)?;
    let other = |paths: &[String]| (!paths.is_empty()).then(|| resolve(paths, args)).transpose();
    let settings = FinetuneSettings {
        task: (args.task != FinetuneTask::default()).then_some(args.task),
        seed: args.run.seed.unwrap_or(SEED),
        from_scratch: args.from_scratch,
        max_seq_length: args.max_seq_length.unwrap_or(args.task.max_seq_length()),
        on_bad_row: args.format.on_bad_row,
        max_per_class: args.max_per_class,
        max_train_samples: args.max_train_samples,
        split_special_tokens: args.split_special_tokens,
        token_classification: args.token_classification.settings(args.task),
        validation: other(&args.validation)?,
        classification: args.classification.classification(),
        multi_label: args.classification.multi_label(),
        sentence_embedding: args.sentence_embedding.settings(),
        lora: args.lora.settings(),
        ..FinetuneSettings::new(model, resolve(&args.train, args)?)
    };
    Ok((settings, other(&args.test)?))
}

/// The files at `paths`, in a form of the task.
fn resolve(paths: &[String], args: &FinetuneArgs) -> Result<Input> {
    match args.task {
        FinetuneTask::QuestionAnswering => input::resolve_questions(paths, &args.format, true),
        _ => input::resolve(paths, &args.format, args.sentence_embedding.negative_column.as_ref()),
    }
}

/// Refuses flags that mean nothing for `task`.
fn check_flags(args: &FinetuneArgs, task: FinetuneTask) -> Result<()> {
    let of_classes = [args.baseline.then_some("--baseline"), args.max_per_class.map(|_| "--max-per-class")];
    let of_classes = of_classes.into_iter().flatten().map(|flag| (flag, FinetuneTask::TextClassification));
    let of_tags = args.token_classification.given().map(|flag| (flag, FinetuneTask::TokenClassification));
    match of_classes
        .chain(of_tags)
        .chain(args.classification.given())
        .chain(args.sentence_embedding.given())
        .find(|(_, owner)| *owner != task)
    {
        Some((flag, owner)) => {
            let message = format!("`{flag}` cannot be used for {}", task.noun());
            Err(Advised::new(message, format!("leave out `{flag}`: it is for {}", owner.noun())).into())
        }
        None => Ok(()),
    }
}
