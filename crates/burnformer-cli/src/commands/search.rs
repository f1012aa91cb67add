//! `burnformer search`: the best settings of a command that trains.

use std::ffi::OsString;
use std::path::Path;

use anyhow::{Error, Result};
use burnformer::core::settings;
use burnformer::recipes::{
    AnyRecipe, Context as Watched, Report, Search, SearchSettings, TrainSeq2Seq, TrialError, Trials,
};
use clap::FromArgMatches;

use super::{Outcome, finetune, pretrain, train_seq2seq};
use crate::args::{Cli, Command, FinetuneArgs, PretrainArgs, ReportFormat, RunArgs, SearchArgs, TrainSeq2SeqArgs};
use crate::context::Context;
use crate::errors::Advised;

/// Commands that train.
const TRAINING: [&str; 3] = ["finetune", "pretrain", "train-seq2seq"];
/// Flags of the command that the search sets itself.
const OWN: [&str; 9] = [
    "--out",
    "--resume",
    "--dry-run",
    "--seeds",
    "--format",
    "--threads",
    "--rank-timeout",
    "--pipeline-stages",
    "--tensor-parallel",
];

pub(super) fn run(args: &SearchArgs, context: &Context) -> Result<Outcome> {
    // Before the first process writes to the folder that others look at.
    let (settings, trials) = context.agreed(begin(args))?;
    let shown = settings::to_toml(&settings)?;
    let search = Search::new(settings, &trials)?;
    let first = trials.parse(&args.out, &[])?;
    let watched = context.watched(&first.run_args().device);
    if args.dry_run {
        let plan = search.plan(&args.out, &watched)?;
        match args.report.format {
            ReportFormat::Text => context.terminal.print(&format!("{}\n{shown}", plan.text()))?,
            ReportFormat::Json => context.terminal.report(&plan, args.report.format)?,
        }
        return Ok(Outcome::Done);
    }
    let report = if args.resume { search.resume(&args.out, &watched)? } else { search.run(&args.out, &watched)? };
    context.terminal.report(&report, args.report.format)?;
    Ok(Outcome::Done)
}

/// The settings of the search, and the command line of its trials.
fn begin(args: &SearchArgs) -> Result<(SearchSettings, Line)> {
    let flags = [("trials", args.trials), ("jobs", args.jobs)];
    let given = flags.into_iter().filter_map(|(key, value)| Some(format!("{key}={}", value?)));
    let sets: Vec<String> = args.set.iter().cloned().chain(given).collect();
    let settings = match args.resume {
        true => Search::reload_settings(&args.out, &sets)?,
        false => {
            Search::check_free(&args.out)?;
            settings::load(&SearchSettings::default(), args.space.as_deref(), &sets)?
        }
    };
    let trials = Line::new(&settings.command)?;
    Ok((settings, trials))
}

/// The command line of the trials.
struct Line {
    words: Vec<String>,
}

impl Line {
    fn new(command: &str) -> Result<Self> {
        const EXAMPLE: &str =
            "write it as on a command line: `command = \"finetune --model runs/mini --train train.csv\"`";
        let words = shlex::split(command).filter(|words| !words.is_empty()).ok_or_else(|| {
            let problem =
                if command.trim().is_empty() { "is missing" } else { "has a quotation mark without its other" };
            Advised::new(format!("the setting `command` {problem}"), EXAMPLE)
        })?;
        let words: Vec<String> = words.into_iter().skip_while(|word| word == "burnformer").collect();
        if !words.first().is_some_and(|word| TRAINING.contains(&word.as_str())) {
            return Err(not_training());
        }
        let is_own = |word: &&String| OWN.iter().any(|flag| word == flag || word.starts_with(&format!("{flag}=")));
        if let Some(flag) = words.iter().find(is_own) {
            let message = format!("`{flag}` cannot stand in `command`: the search decides on it");
            return Err(Advised::new(message, format!("leave out `{flag}`")).into());
        }
        Ok(Self { words })
    }

    /// The command of the trial in `folder`, with these settings over its own.
    fn parse(&self, folder: &Path, sets: &[String]) -> Result<Training> {
        let own = [OsString::from("burnformer")].into_iter().chain(self.words.iter().map(OsString::from));
        let sets = sets.iter().flat_map(|set| ["--set".into(), OsString::from(set)]);
        let line = own.chain(["--out".into(), folder.into()]).chain(sets);
        let matches = Cli::definition().try_get_matches_from(line);
        let parsed = matches.and_then(|matches| Cli::from_arg_matches(&matches)).map_err(|error| {
            let text = error.to_string();
            let text = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
            Advised::new(format!("the setting `command` makes no sense: {text}"), "try it as a command first")
        })?;
        match parsed.command {
            Command::Finetune(args) => Ok(Training::Finetune(args)),
            Command::Pretrain(args) => Ok(Training::Pretrain(args)),
            Command::TrainSeq2Seq(args) => Ok(Training::Seq2Seq(args)),
            _ => Err(not_training()),
        }
    }
}

fn not_training() -> Error {
    let hint = format!("begin it with one of {}", TRAINING.join(", "));
    Advised::new("the setting `command` is no command that trains", hint).into()
}

/// A command that trains.
enum Training {
    Finetune(Box<FinetuneArgs>),
    Pretrain(PretrainArgs),
    Seq2Seq(TrainSeq2SeqArgs),
}

impl Training {
    fn run_args(&self) -> &RunArgs {
        match self {
            Self::Finetune(args) => &args.run,
            Self::Pretrain(args) => &args.run,
            Self::Seq2Seq(args) => &args.run,
        }
    }
}

impl Trials for Line {
    fn begin(&self, folder: &Path, sets: &[String], context: &Watched<'_>) -> Result<Box<dyn AnyRecipe>, TrialError> {
        Ok(match self.parse(folder, sets)? {
            Training::Finetune(args) => finetune::begin(&args, context)?,
            Training::Pretrain(args) => pretrain::begin(&args)?,
            Training::Seq2Seq(args) => Box::new(train_seq2seq::begin(&args)?),
        })
    }

    fn reload(&self, folder: &Path, context: &Watched<'_>) -> Result<Box<dyn AnyRecipe>, TrialError> {
        Ok(match self.parse(folder, &[])? {
            Training::Finetune(args) => finetune::reload(&args, folder, &[], context)?,
            Training::Pretrain(_) => pretrain::reload(folder, &[])?,
            Training::Seq2Seq(_) => Box::new(TrainSeq2Seq::reload(folder, &[])?),
        })
    }
}
