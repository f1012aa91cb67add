//! What the commands that train have in common: flags as settings, the plan, the run, and what is said meanwhile.

use std::path::Path;

use anyhow::{Error, Result};
use burnformer::recipes::{AnyRecipe, Context as Watched, Note, Observer, Overrides, Report, Seeds, history_line};
use burnformer::train::Event;

use super::Outcome;
use crate::args::{ReportFormat, RunArgs};
use crate::context::{Context, NOT_ROUNDED};
use crate::errors::Advised;
use crate::terminal::Terminal;

/// Shows the plan, and unless that is all that was asked for, runs the recipe that `begin` makes, or those in folders that `reload`
/// opens with these settings to resume them, and reports.
pub(super) fn run(
    args: &RunArgs,
    context: &Context,
    begin: impl FnOnce(&Watched<'_>) -> Result<Box<dyn AnyRecipe>>,
    reload: impl Fn(&Path, &[String], &Watched<'_>) -> Result<Box<dyn AnyRecipe>>,
) -> Result<Outcome> {
    let terminal = &context.terminal;
    let sets = sets(args);
    let (pipeline_stages, tensor_parallel) = (args.stages.pipeline_stages, args.tensor_parallel);
    let watched = Watched { pipeline_stages, tensor_parallel, ..context.watched(&args.device) };
    let reload = |folder: &Path, watched: &Watched<'_>| reload(folder, &sets, watched);
    let recipe = if args.resume {
        check_resume(args)?;
        if let Some(seeds) = context.agreed(Seeds::open(&args.out).map_err(Error::from))? {
            if args.dry_run {
                let message =
                    format!("`{}` holds runs of several seeds, which have no common plan", args.out.display());
                return Err(
                    Advised::new(message, "name one of its folders as `--out`, or leave out `--dry-run`").into()
                );
            }
            terminal.report(&seeds.run(reload, &watched)?, args.report.format)?;
            return Ok(Outcome::Done);
        }
        context.agreed(reload(&args.out, &watched))?
    } else {
        context.agreed(begin(&watched))?
    };
    let plan = context.agreed(recipe.plan_run(&watched).map_err(Error::from))?;
    if args.dry_run {
        if let Some(warning) = &plan.warning {
            terminal.warn(warning);
        }
        match args.report.format {
            ReportFormat::Text => terminal.print(&format!("{}\n{}", plan.text(), plan.settings))?,
            ReportFormat::Json => terminal.report(&plan, args.report.format)?,
        }
        return Ok(Outcome::Done);
    }
    terminal.note(plan.text());
    terminal.detail(&plan.settings);
    if let Some(n) = args.seeds {
        let seeds = Seeds::create(&args.out, recipe.as_ref(), n, &watched)?;
        drop(recipe);
        terminal.report(&seeds.run(reload, &watched)?, args.report.format)?;
        return Ok(Outcome::Done);
    }
    let report = match args.resume {
        true => recipe.resume_run(&args.out, &watched)?,
        false => recipe.start_run(&args.out, &watched)?,
    };
    terminal.report(report.as_ref(), args.report.format)?;
    Ok(Outcome::Done)
}

/// The `--set`s of `args`, those of flags included.
pub(super) fn sets(args: &RunArgs) -> Vec<String> {
    let flags = [
        ("train.tensorboard", args.tensorboard.then(|| true.to_string())),
        ("train.dtype", args.dtype.clone()),
        ("train.activation_checkpointing", args.activation_checkpointing.then(|| "true".to_owned())),
        ("train.layer_decay", args.technique.layer_decay.map(|decay| format!("{decay:?}"))),
        ("train.freeze", args.technique.freeze.clone()),
        ("train.unfreeze_every", args.technique.unfreeze_every.map(|steps| steps.to_string())),
        ("train.ema_decay", args.technique.ema_decay.map(|decay| format!("{decay:?}"))),
        ("train.patience", args.technique.patience.map(|n| n.to_string())),
        ("train.steps", args.steps.map(|steps| steps.to_string())),
        // With a point or an exponent, so that it is a number of this kind to TOML too.
        ("train.optimizer.learning_rate", args.learning_rate.map(|rate| format!("{rate:?}"))),
    ];
    let given = flags.into_iter().filter_map(|(key, value)| value.map(|value| format!("{key}={value}")));
    args.settings.set.iter().cloned().chain(given).collect()
}

/// The file and the `sets` that are laid over the preset.
pub(super) fn overrides<'a>(args: &'a RunArgs, sets: &'a [String]) -> Overrides<'a> {
    Overrides { file: args.settings.config.as_deref(), sets }
}

/// Refuses flags that a run that goes on cannot take.
fn check_resume(args: &RunArgs) -> Result<()> {
    let given = [args.seed.map(|_| "--seed"), args.settings.config.as_ref().map(|_| "--config")];
    match given.into_iter().flatten().next() {
        Some(flag) => {
            let hint = "the run goes on with the settings in its `run.toml`; `--set` can change most of those below `train`, \
                        and the places of data";
            Err(Advised::new(format!("`{flag}` cannot be combined with `--resume`"), hint).into())
        }
        None => Ok(()),
    }
}

impl Observer for Terminal {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Metrics(entry) if entry.split == "train" => self.detail(history_line(entry)),
            Event::Metrics(entry) => self.note(history_line(entry)),
            Event::Best(best) => self.detail(format_args!("step {}: best evaluation so far", best.step)),
            Event::Checkpoint { step } => self.detail(format_args!("step {step}: checkpoint written")),
            Event::Damaged(error) => self.warn(error),
            Event::Skipped { step, loss, gradient_norm } => self.warn(format_args!(
                "step {step} is skipped: its loss is {loss}, the norm of its gradient {gradient_norm}"
            )),
            Event::Spike { step, loss, mean } => {
                self.warn(format_args!("step {step}: the loss is {loss:.4}, far above its running mean of {mean:.4}"));
            }
            Event::RolledBack { from, to, learning_rate_factor, error } => self.warn(format_args!(
                "{error}; back from step {from} to step {to}, with {learning_rate_factor} times the learning rate"
            )),
            Event::IdleRanks { n_micro_batches, n_ranks } => self.warn(format_args!(
                "a step has {n_micro_batches} micro-batches for {n_ranks} processes, some of which have nothing to do: set `train.grad_accum_steps` to {n_ranks} or more, with smaller micro-batches, or start fewer processes"
            )),
            Event::NotRounded => self.warn(NOT_ROUNDED),
            Event::Untrained(names) => {
                let (n, first) = (names.len(), names.first().map_or("", String::as_str));
                self.warn(format_args!("{n} parameters get no gradient and are not trained, the first is `{first}`"));
            }
            _ => {}
        }
    }

    fn note(&self, note: &Note<'_>) {
        let text = note.to_string();
        match text.is_empty() {
            true => {}
            false if note.is_warning() => self.warn(text),
            false => Self::note(self, text),
        }
    }
}
