//! What the program does: a file for each command, with its work and its report.

mod average;
mod completions;
mod data_build;
mod data_rust_docs;
mod data_split;
mod data_stats;
mod devices;
mod embed;
mod entities;
mod evaluate;
mod export;
#[cfg(feature = "fetch")]
mod fetch;
mod fill_mask;
mod finetune;
mod generate;
mod generation;
mod inspect;
mod lines;
mod predict;
mod pretrain;
mod questions;
mod rank;
mod runs;
mod score;
mod search;
mod similarity;
mod texts;
mod tokenizer_train;
mod train_seq2seq;
mod training;
mod translate;

use std::path::Path;

use anyhow::Result;
use burnformer::core::adapter::{ADAPTER_CONFIG, adapter_base, is_adapter, with_base};
use burnformer::models::registry::{unknown_adapter_keys, unknown_keys};
use burnformer::models::weights::WeightRemarks;
use burnformer::tasks::unknown_settings;

use crate::args::{Command, DataCommand, TokenizerCommand};
use crate::context::Context;
use crate::errors::Advised;

/// How work ended that could be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// As it was asked for.
    Done,
    /// Something that was asked for does not hold.
    NotMet,
}

/// Whether all processes of `mpirun` work on `command` together. Otherwise the first does it alone.
pub(crate) fn is_common(command: &Command) -> bool {
    match command {
        Command::Data(args) => matches!(args.command, DataCommand::Build(_)),
        Command::Pretrain(_) | Command::Finetune(_) | Command::TrainSeq2Seq(_) | Command::Evaluate(_) => true,
        Command::Predict(_) | Command::Rank(_) | Command::FillMask(_) | Command::Embed(_) => true,
        Command::Generate(_) | Command::Translate(_) | Command::Search(_) => true,
        _ => false,
    }
}

/// Runs `command`.
///
/// # Errors
/// Why it could not be done.
pub(crate) fn run(command: &Command, context: &Context) -> Result<Outcome> {
    let base = base_of(command);
    if let (Some(_), Some(folder)) = (base, model_of(command).filter(|folder| !is_adapter(folder))) {
        let message = format!("`{}` holds no adapter, which `--base` is the base model of", folder.display());
        return Err(Advised::new(message, "leave out `--base`").into());
    }
    with_base(base, || run_on(command, context))
}

/// Runs `command`, whose adapter has its base.
fn run_on(command: &Command, context: &Context) -> Result<Outcome> {
    // A folder that cannot be read is an error of the command itself.
    if let Some(folder) = model_of(command) {
        let remarks = WeightRemarks::of(folder).unwrap_or_default();
        if !remarks.to_string().is_empty() {
            context.terminal.note(&remarks);
        }
        if !remarks.former_buffers.is_empty() {
            context.terminal.detail(format_args!("buffers that are not read: {}", remarks.former_buffers.join(", ")));
        }
        // The settings that are written beside an adapter have another name.
        let own = folder.join(if is_adapter(folder) { "model_config.json" } else { "config.json" });
        let of_base = || adapter_base(folder).map(|base| base.join("config.json"));
        let config = if is_adapter(folder) && !own.exists() { of_base().unwrap_or(own) } else { own };
        let of_model = (config, unknown_keys(folder).unwrap_or_default());
        let of_adapter = (folder.join(ADAPTER_CONFIG), unknown_adapter_keys(folder).unwrap_or_default());
        let of_files = [of_model, of_adapter].into_iter().filter(|(_, keys)| !keys.is_empty());
        for (file, keys) in of_files.chain(unknown_settings(folder).unwrap_or_default()) {
            context.terminal.detail(format_args!("unknown keys in `{}`: {}", file.display(), keys.join(", ")));
        }
    }
    match command {
        Command::Tokenizer(args) => match &args.command {
            TokenizerCommand::Train(args) => tokenizer_train::run(args, context),
        },
        Command::Data(args) => match &args.command {
            DataCommand::Build(args) => data_build::run(args, context),
            DataCommand::Stats(args) => data_stats::run(args, context),
            DataCommand::Split(args) => data_split::run(args, context),
            DataCommand::RustDocs(args) => data_rust_docs::run(args, context),
        },
        Command::Pretrain(args) => pretrain::run(args, context),
        #[cfg(feature = "fetch")]
        Command::Fetch(args) => fetch::run(args, context),
        Command::Finetune(args) => finetune::run(args, context),
        Command::TrainSeq2Seq(args) => train_seq2seq::run(args, context),
        Command::Search(args) => search::run(args, context),
        Command::Runs(args) => runs::run(args, context),
        Command::Average(args) => average::run(args, context),
        Command::Evaluate(args) => evaluate::run(args, context),
        Command::Predict(args) => predict::run(args, context),
        Command::Rank(args) => rank::run(args, context),
        Command::FillMask(args) => fill_mask::run(args, context),
        Command::Generate(args) => generate::run(args, context),
        Command::Translate(args) => translate::run(args, context),
        Command::Score(args) => score::run(args, context),
        Command::Embed(args) => embed::run(args, context),
        Command::Export(args) => export::run(args, context),
        Command::Similarity(args) => similarity::run(args, context),
        Command::Inspect(args) => inspect::run(args, context),
        Command::Devices(args) => devices::run(args, context),
        Command::Completions(args) => completions::run(args, context),
    }
}

/// The model folder that a command reads.
fn model_of(command: &Command) -> Option<&Path> {
    match command {
        Command::Pretrain(args) => args.init.as_deref(),
        Command::Finetune(args) => args.model.as_deref(),
        Command::Evaluate(args) => Some(&args.folder),
        Command::Predict(args) => Some(&args.folder),
        Command::FillMask(args) => Some(&args.folder),
        Command::Rank(args) => Some(&args.folder),
        Command::Generate(args) => Some(&args.folder),
        Command::Translate(args) => Some(&args.folder),
        Command::Embed(args) => Some(&args.embedding.folder),
        Command::Similarity(args) => Some(&args.embedding.folder),
        Command::Export(args) => Some(&args.folder),
        Command::Inspect(args) => Some(&args.folder),
        Command::TrainSeq2Seq(args) => args.init.as_deref(),
        _ => None,
    }
}

/// The base model of the adapter that a command reads, if it names one.
fn base_of(command: &Command) -> Option<&Path> {
    let base = match command {
        Command::Evaluate(args) => &args.base,
        Command::Predict(args) => &args.base,
        Command::FillMask(args) => &args.base,
        Command::Rank(args) => &args.base,
        Command::Generate(args) => &args.base,
        Command::Translate(args) => &args.base,
        Command::Embed(args) => &args.embedding.base,
        Command::Similarity(args) => &args.embedding.base,
        Command::Export(args) => &args.base,
        Command::Inspect(args) => &args.base,
        _ => return None,
    };
    base.as_deref()
}
