//! What `pretrain` and `finetune` have in common: the plan, the course, and the end of a run.

use std::fmt::{self, Display, Formatter};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use burnformer::core::Interrupted;
use burnformer::ops::DeviceChoice;
use burnformer::train::{Event, HistoryEntry, MemoryEstimate, Outcome, RunFolder, Stop, TrainConfig, TrainError};
use indicatif::{HumanBytes, HumanCount, HumanDuration};
use serde::Serialize;

use super::{Context, devices};
use crate::args::RunArgs;
use crate::errors;
use crate::output::fact;
use crate::settings::with_flags;
use crate::terminal::Terminal;

/// Seed of a run that was given none.
pub(super) const SEED: u64 = 42;

/// What a run will do.
#[derive(Serialize)]
pub(super) struct Plan {
    device: String,
    parameters: u64,
    samples: u64,
    steps: u64,
    /// About, where a step has so many tokens.
    samples_per_step: u64,
    /// Padding left out, at the most.
    tokens_per_step: u64,
    epochs: f64,
    memory_bytes: u64,
    #[serde(skip)]
    memory: MemoryEstimate,
    /// The settings, as they turned out.
    settings: String,
}

impl Plan {
    /// Steps and samples of a run with these settings.
    ///
    /// # Errors
    /// [`TrainError::TooFewSamples`] if a step takes more than there are.
    pub(super) fn new(
        train: &TrainConfig,
        n_samples: u64,
        tokens_per_sample: f64,
        parameters: u64,
        memory: MemoryEstimate,
        device: DeviceChoice,
        settings: String,
    ) -> Result<Self, TrainError> {
        train.check_samples(n_samples)?;
        let samples_per_step = train.samples_per_step(tokens_per_sample);
        Ok(Self {
            device: devices::meant(device).to_string(),
            parameters,
            samples: n_samples,
            steps: train.steps,
            samples_per_step: samples_per_step as u64,
            tokens_per_step: (samples_per_step * tokens_per_sample) as u64,
            epochs: train.steps as f64 * samples_per_step / n_samples as f64,
            memory_bytes: memory.total(),
            memory,
            settings,
        })
    }
}

impl Display for Plan {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let memory = &self.memory;
        fact(f, "device", &self.device)?;
        fact(f, "parameters", HumanCount(self.parameters))?;
        fact(f, "training samples", HumanCount(self.samples))?;
        fact(f, "steps", format_args!("{} ({:.1} epochs)", HumanCount(self.steps), self.epochs))?;
        let per_step =
            format_args!("at most {}, in {} samples", HumanCount(self.tokens_per_step), self.samples_per_step);
        fact(f, "tokens per step", per_step)?;
        fact(
            f,
            "memory, about",
            format_args!(
                "{} (weights {}, gradients {}, moments {}, activations {})",
                HumanBytes(memory.total()),
                HumanBytes(memory.weights),
                HumanBytes(memory.gradients),
                HumanBytes(memory.moments),
                HumanBytes(memory.activations)
            ),
        )
    }
}

/// Shows the plan, and says whether that is all that was asked for.
pub(super) fn show_plan(plan: &Plan, args: &RunArgs, terminal: &Terminal) -> Result<bool> {
    if args.dry_run {
        match args.report.format {
            crate::args::ReportFormat::Text => terminal.print(&format!("{plan}\n{}", plan.settings))?,
            crate::args::ReportFormat::Json => terminal.report(plan, args.report.format)?,
        }
    } else {
        terminal.note(plan);
        terminal.detail(&plan.settings);
    }
    Ok(args.dry_run)
}

/// The `--set`s of `args`, those of flags included.
pub(super) fn sets(args: &RunArgs) -> Vec<String> {
    with_flags(
        &args.settings.set,
        &[
            ("train.dtype", args.dtype.clone()),
            ("train.steps", args.steps.map(|steps| steps.to_string())),
            // With a point or an exponent, so that it is a number of this kind to TOML too.
            ("train.optimizer.learning_rate", args.learning_rate.map(|rate| format!("{rate:?}"))),
        ],
    )
}

/// Refuses flags that a run that goes on cannot take.
pub(super) fn check_resume(args: &RunArgs) -> Result<()> {
    let set = args.settings.set.iter().find(|set| !set.trim_start().starts_with("train."));
    let given = [
        args.seed.map(|_| "--seed".to_owned()),
        args.settings.config.as_ref().map(|_| "--config".to_owned()),
        set.map(|set| format!("--set {set}")),
    ];
    match given.into_iter().flatten().next() {
        Some(flag) => {
            let hint = "the run goes on with the settings in its `run.toml`; of those `--set` can change the ones below \
                        `train`";
            Err(errors::Advised::new(format!("`{flag}` cannot be combined with `--resume`"), hint).into())
        }
        None => Ok(()),
    }
}

/// Goes on with the run in `out` with the settings `text`. If it cannot, it keeps those that it had.
pub(super) fn go_on<L>(
    out: &Path,
    text: &str,
    resume: impl FnOnce(&RunFolder) -> Result<Outcome<L>, TrainError>,
) -> Result<(RunFolder, Outcome<L>), TrainError> {
    let folder = RunFolder::open(out)?;
    let path = RunFolder::settings_file(out);
    let before = fs::read_to_string(&path).map_err(|source| TrainError::Read { path, source })?;
    folder.write_settings(text)?;
    match resume(&folder) {
        Ok(outcome) => Ok((folder, outcome)),
        Err(error) => {
            folder.write_settings(&before)?;
            Err(error)
        }
    }
}

/// Tells what happens in a run.
pub(super) fn tell(terminal: &Terminal, event: &Event<'_>) {
    match event {
        Event::Metrics(entry) if entry.split == "train" => terminal.detail(line(entry)),
        Event::Metrics(entry) => terminal.note(line(entry)),
        Event::Best(best) => terminal.detail(format_args!("step {}: best evaluation so far", best.step)),
        Event::Checkpoint { step } => terminal.detail(format_args!("step {step}: checkpoint written")),
        Event::Damaged(error) => terminal.warn(error),
        Event::Untrained(names) => {
            let (n, first) = (names.len(), names.first().map_or("", String::as_str));
            terminal.warn(format_args!("{n} parameters get no gradient and are not trained, the first is `{first}`"));
        }
        _ => {}
    }
}

fn line(entry: &HistoryEntry) -> String {
    let values = entry.values.iter().map(|(name, value)| format!("{name} {}", number(*value)));
    format!("step {} {}: {}", entry.step, entry.split, values.collect::<Vec<_>>().join(", "))
}

/// A number in few digits.
pub(super) fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 1000.0 => HumanCount(value as u64).to_string(),
        size if size >= 0.01 || size == 0.0 => format!("{value:.4}"),
        _ => format!("{value:.2e}"),
    }
}

/// What is said at the end of any run.
#[derive(Serialize)]
pub(super) struct Course {
    pub(super) folder: PathBuf,
    pub(super) stopped: &'static str,
    pub(super) steps: u64,
    /// The step whose model is at the top of the folder.
    pub(super) best_step: u64,
    pub(super) tokens: u64,
    pub(super) seconds: f64,
}

impl Course {
    /// The end of a run.
    ///
    /// # Errors
    /// [`Interrupted`] if it can go on, which is said.
    pub(super) fn of<L>(folder: &Path, outcome: &Outcome<L>, command: &str, context: &Context) -> Result<Self> {
        let Outcome { stop, state, published } = outcome;
        let stopped = match stop {
            Stop::Finished => "all steps done",
            Stop::Early => "early stopping",
            Stop::Interrupted => {
                let step = state.step;
                let out = folder.display();
                context.terminal.note(format_args!(
                    "stopped after step {step}, checkpoint written; to continue: `burnformer {command} --out {out} --resume`"
                ));
                return Err(Interrupted.into());
            }
        };
        let (steps, tokens, seconds) = (state.step, state.tokens, state.seconds);
        Ok(Self { folder: folder.to_owned(), stopped, steps, best_step: *published, tokens, seconds })
    }
}

impl Display for Course {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        fact(f, "run", self.folder.display())?;
        let best = format_args!("{} ({}; best model after {})", HumanCount(self.steps), self.stopped, self.best_step);
        fact(f, "steps", best)?;
        fact(f, "tokens", HumanCount(self.tokens))?;
        let duration = std::time::Duration::from_secs_f64(self.seconds);
        let speed = self.tokens as f64 / self.seconds.max(1e-9);
        fact(f, "time", format_args!("{} ({} tokens/s)", HumanDuration(duration), HumanCount(speed as u64)))
    }
}

/// The settings of the run in `folder`.
pub(super) fn settings_file(folder: &Path) -> Result<PathBuf> {
    let file = RunFolder::settings_file(folder);
    if !file.is_file() {
        return Err(TrainError::NotARun { folder: folder.to_owned() }.into());
    }
    Ok(file)
}
