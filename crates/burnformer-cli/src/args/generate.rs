//! `burnformer generate`.

use std::path::PathBuf;

use clap::Args;

use super::numbers::whole;
use super::{DeviceArgs, EncodingArgs, GenerationArgs, ReportArgs, SeedArgs, StagesArgs, WeightsArgs};

/// Continue prompts with a causal language model
///
/// Reads prompts from the command line or from standard input (one per line; blank lines are left out). Prints each prompt
/// with its continuation, greedy unless flags ask for beam search or sampling. With `--n-best N`, prints up to N
/// continuations per prompt. `--format json` prints one JSON line per prompt, with the score and log-probability of each
/// continuation.
///
/// If `generation_config.json` in the model folder has settings of transformers, texts are generated as transformers does
/// by these, except for what flags say. `--verbose` shows the settings that are used.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:
  burnformer generate runs/gpt 'Once upon a time'
  burnformer generate runs/gpt --temperature 0.8 --top-p 0.95 --n-best 3 --seed 1 'It was'
  burnformer generate runs/gpt --beam 4 --max-new-tokens 20 --format json",
    mut_arg("beam", |arg| arg.help("Beam size; 1 is greedy search [default: of the model folder, or 1]")),
    mut_arg("max_length", |arg| arg.long("max-new-tokens").help("Maximum number of new tokens [default: of the model folder, or 50]")),
    mut_arg("min_length", |arg| arg.long("min-new-tokens").help("Minimum number of new tokens [default: of the model folder, or 0]"))
)]
pub(crate) struct GenerateArgs {
    /// Model folder
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,

    /// Base model of an adapter [default: as `adapter_config.json` in the folder says]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) base: Option<PathBuf>,

    /// Prompts to continue
    #[arg(value_name = "PROMPT")]
    pub(crate) prompts: Vec<String>,

    /// Number of continuations to print per prompt; in beam search at most `--beam`
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = whole::<usize>(1..=1024))]
    pub(crate) n_best: usize,

    /// Number of prompts per batch
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = whole::<u32>(1..=65536))]
    pub(crate) batch_size: u32,

    #[command(flatten)]
    pub(crate) encoding: EncodingArgs,

    #[command(flatten)]
    pub(crate) report: ReportArgs,

    #[command(flatten)]
    pub(crate) device: DeviceArgs,

    #[command(flatten)]
    pub(crate) weights: WeightsArgs,

    #[command(flatten)]
    pub(crate) stages: StagesArgs,

    #[command(flatten)]
    pub(crate) seed: SeedArgs,

    #[command(flatten)]
    pub(crate) generation: GenerationArgs,
}
