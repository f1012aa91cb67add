//! The command line as types. No logic: what the flags amount to is decided by [`crate::input`] and [`crate::commands`].

mod apply;
mod average;
mod completions;
mod data;
mod devices;
mod embed;
mod export;
#[cfg(feature = "fetch")]
mod fetch;
mod finetune;
mod generate;
mod given;
mod input;
mod names;
mod numbers;
mod paths;
mod pretrain;
mod ranks;
mod run;
mod runs;
mod search;
mod shared;
mod technique;
mod tokenizer;
mod train_seq2seq;
mod translate;

use std::env;

use burnformer::core::printable;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

pub(crate) use apply::{EvaluateArgs, FillMaskArgs, InspectArgs, Part, PredictArgs, RankArgs};
pub(crate) use average::AverageArgs;
pub(crate) use completions::CompletionsArgs;
pub(crate) use data::{BuildArgs, DataArgs, DataCommand, RustDocsArgs, SplitArgs, StatsArgs};
pub(crate) use devices::DevicesArgs;
pub(crate) use embed::{EmbedArgs, EmbeddingArgs, SimilarityArgs};
pub(crate) use export::{ExportArgs, Layout};
#[cfg(feature = "fetch")]
pub(crate) use fetch::FetchArgs;
pub(crate) use finetune::FinetuneArgs;
pub(crate) use generate::GenerateArgs;
pub(crate) use given::Given;
pub(crate) use input::{EncodingArgs, FormatArgs, SpecialTokensArgs, TextsArgs};
pub(crate) use pretrain::{ObjectiveName, PretrainArgs};
pub(crate) use ranks::{RanksArgs, StagesArgs};
pub(crate) use run::RunArgs;
pub(crate) use runs::RunsArgs;
pub(crate) use search::SearchArgs;
pub(crate) use shared::{DeviceArgs, ReportArgs, ReportFormat, SeedArgs, SettingsArgs, WeightsArgs};
pub(crate) use technique::TechniqueArgs;
pub(crate) use tokenizer::{TokenizerArgs, TokenizerCommand, TrainArgs};
pub(crate) use train_seq2seq::TrainSeq2SeqArgs;
pub(crate) use translate::{GenerationArgs, MetricArgs, ScoreArgs, TranslateArgs};

/// Train, fine-tune, inspect and use Transformers.
///
/// Results go to standard output, everything else to standard error. Exit status: 0 success; 1 the command ran, but the
/// condition it checks does not hold; 2 error; 129, 130, 143 stopped by SIGHUP, Ctrl-C, SIGTERM.
///
/// Ctrl-C, SIGTERM and SIGHUP stop at the next safe point; a run writes a checkpoint first. Signals within one second are one;
/// the same signal later, or Ctrl-C, ends the program at once. SIGUSR1 makes a run write a checkpoint and go on.
#[derive(Debug, Parser)]
#[command(
    name = "burnformer",
    version,
    arg_required_else_help = true,
    after_help = "Examples:
  burnformer devices
  burnformer tokenizer train --help"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) verbosity: VerbosityArgs,

    #[command(flatten)]
    pub(crate) ranks: RanksArgs,

    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// What the command line may hold.
    pub(crate) fn definition() -> clap::Command {
        numbers::accept_negative(Self::command())
    }

    /// The command line of this process.
    ///
    /// # Errors
    /// If it makes no sense, or asks for help: what to print instead.
    pub(crate) fn read() -> Result<Self, clap::Error> {
        let matches = Self::definition().try_get_matches().map_err(|error| {
            // The message quotes arguments, such as names of files. It is that of arguments that do not command a terminal.
            let shown = env::args_os().map(|arg| printable(&arg.to_string_lossy()).into_owned());
            Self::definition().try_get_matches_from(shown).err().unwrap_or(error)
        });
        Self::from_arg_matches(&matches?)
    }
}

/// How much is printed to standard error.
#[derive(Args, Debug, Default)]
pub(crate) struct VerbosityArgs {
    /// Print results and errors only
    #[arg(short, long, global = true, conflicts_with = "verbose", display_order = 1000)]
    pub(crate) quiet: bool,

    /// Print more: resolved settings, skipped files
    #[arg(short, long, global = true, display_order = 1000)]
    pub(crate) verbose: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Tokenizer(TokenizerArgs),
    Data(DataArgs),
    Pretrain(PretrainArgs),
    #[cfg(feature = "fetch")]
    Fetch(FetchArgs),
    Finetune(Box<FinetuneArgs>),
    #[command(name = "train-seq2seq")]
    TrainSeq2Seq(TrainSeq2SeqArgs),
    Search(SearchArgs),
    Runs(RunsArgs),
    Average(AverageArgs),
    Evaluate(Box<EvaluateArgs>),
    Predict(PredictArgs),
    Rank(RankArgs),
    FillMask(FillMaskArgs),
    Generate(GenerateArgs),
    Translate(TranslateArgs),
    Score(ScoreArgs),
    Embed(EmbedArgs),
    Similarity(SimilarityArgs),
    Export(ExportArgs),
    Inspect(InspectArgs),
    Devices(DevicesArgs),
    Completions(CompletionsArgs),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The command and all below it, with their names from the program's on.
    fn all(command: &clap::Command, above: &str) -> Vec<(String, clap::Command)> {
        let name = format!("{above}{}", command.get_name());
        let below = command.get_subcommands().flat_map(|below| all(below, &format!("{name} ")));
        std::iter::once((name.clone(), command.clone())).chain(below).collect()
    }

    /// The words of a command line, of which those in single quotes are one.
    fn words(line: &str) -> Vec<&str> {
        let parts = line.split('\'').enumerate();
        parts.flat_map(|(n, part)| if n % 2 == 1 { vec![part] } else { part.split_whitespace().collect() }).collect()
    }

    #[test]
    fn the_definitions_are_consistent() {
        Cli::definition().debug_assert();
    }

    #[test]
    fn every_command_says_what_it_does_and_shows_examples_that_parse() {
        for (name, command) in all(&Cli::command(), "") {
            assert!(command.get_about().is_some(), "`{name}` does not say what it does");
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let examples: Vec<_> = help.lines().filter_map(|line| line.strip_prefix("  burnformer ")).collect();
            assert!(
                examples.iter().any(|example| format!("burnformer {example}").starts_with(&name)),
                "`{name}`: {help}"
            );
            for example in examples {
                let words = words(example.split(" > ").next().unwrap_or_default());
                let parsed = Cli::try_parse_from(std::iter::once("burnformer").chain(words));
                let is_help = parsed.as_ref().is_err_and(|error| error.kind() == clap::error::ErrorKind::DisplayHelp);
                assert!(is_help || parsed.is_ok(), "`{example}` of `{name}`: {parsed:?}");
            }
        }
    }

    #[test]
    fn the_names_of_choices_are_those_of_the_library() {
        for (command, flag, choices) in [
            (
                "tokenizer train --input a --out b",
                "--kind",
                &["word-piece", "byte-level-bpe", "unigram", "word-level"][..],
            ),
            ("data build --input a --tokenizer t --out b", "--layout", &["lines", "blank-lines", "file"]),
            ("data build --input a --tokenizer t --out b", "--on-bad-row", &["error", "skip"]),
            ("data split --input a --out b", "--by", &["document", "group", "label"]),
        ] {
            for choice in choices {
                let line = format!("burnformer {command} {flag} {choice}");
                if let Err(error) = Cli::try_parse_from(line.split(' ')) {
                    panic!("`{line}`: {error}");
                }
            }
        }
    }

    #[test]
    fn quiet_and_verbose_exclude_each_other() {
        let error = Cli::try_parse_from(["burnformer", "devices", "-q", "-v"]).unwrap_err();
        assert_eq!(error.kind(), clap::error::ErrorKind::ArgumentConflict);
    }
}
