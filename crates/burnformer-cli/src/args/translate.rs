//! `burnformer translate` and `score`, and the generation flags.

use std::path::PathBuf;

use burnformer::tasks::metrics::BleuTokenizer;
use clap::Args;

use super::numbers::whole;
use super::paths::folder_to_write;
use super::{DeviceArgs, EncodingArgs, ReportArgs, SeedArgs, WeightsArgs};

/// Translate texts
///
/// Reads texts from the command line or from standard input (one per line). Prints one line per input line; blank lines stay
/// blank. With `--n-best N`, prints up to N lines per text: number of the text, score and translation, separated by tabs.
/// `--format json` prints JSON lines with the score and log-probability of each translation.
///
/// If `generation_config.json` in the model folder has settings of transformers, texts are generated as transformers does
/// by these, except for what flags say. `--verbose` shows the settings that are used.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  burnformer translate runs/de-en 'Ein Hund schläft.'
  burnformer translate runs/de-en --beam 8 --n-best 3 --format json
  burnformer translate runs/de-en --attention alignments 'Ein Hund schläft.'
  burnformer translate runs/de-en --temperature 0.8 --top-p 0.9 --seed 1 'Ein Hund schläft.'")]
pub(crate) struct TranslateArgs {
    /// Model folder
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,

    /// Base model of an adapter [default: as `adapter_config.json` in the folder says]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) base: Option<PathBuf>,

    /// Texts to translate
    #[arg(value_name = "TEXT")]
    pub(crate) texts: Vec<String>,

    /// Number of translations to print per text; in beam search at most `--beam`
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = whole::<usize>(1..=1024))]
    pub(crate) n_best: usize,

    /// Write the attention weights of each translation to this new folder, as SVG picture and JSON
    #[arg(long, value_name = "DIR", value_parser = folder_to_write())]
    pub(crate) attention: Option<PathBuf>,

    /// Number of texts per batch; reduced automatically with more than eight beams or samples per text
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = whole::<u32>(1..=65536))]
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
    pub(crate) seed: SeedArgs,

    #[command(flatten)]
    pub(crate) generation: GenerationArgs,
}

/// How the tokens of a text are chosen. Flatten it behind a command's own flags: those behind it get its heading too.
#[derive(Args, Debug)]
#[command(next_help_heading = "Generation")]
pub(crate) struct GenerationArgs {
    /// Beam size; 1 is greedy search [default: 4 for models trained here, others as their `generation_config.json` says, or 1]
    #[arg(long, value_name = "N", value_parser = whole::<usize>(1..=1024))]
    pub(crate) beam: Option<usize>,

    /// Length penalty exponent: larger values favour longer texts, 0 compares log-probabilities alone; of N tokens, the
    /// log-probability is divided by ((5 + N) / 6)^ALPHA, or by N^ALPHA if the model folder has transformers' settings
    /// [default: of the model folder, or 0.6]
    #[arg(long, value_name = "ALPHA")]
    pub(crate) length_penalty: Option<f64>,

    /// Minimum output length in tokens [default: of the model folder, or 0]
    #[arg(long, value_name = "TOKENS", value_parser = whole::<usize>(..))]
    pub(crate) min_length: Option<usize>,

    /// Maximum output length in tokens [default: of the model folder, or input length + 50]
    #[arg(long, value_name = "TOKENS", value_parser = whole::<usize>(..))]
    pub(crate) max_length: Option<usize>,

    /// Repetition penalty: multiply the log-probability of tokens that already occurred by this; values above 1 reduce
    /// repetition [default: of the model folder, or 1]
    #[arg(long, value_name = "FACTOR")]
    pub(crate) repetition_penalty: Option<f64>,

    /// Never generate the same N-gram of tokens twice [default: of the model folder]
    #[arg(long, value_name = "N", value_parser = whole::<usize>(..))]
    pub(crate) no_repeat_ngram: Option<usize>,

    /// Sample with this temperature: below 1 favours probable tokens, above 1 flattens the distribution
    #[arg(long, value_name = "T")]
    pub(crate) temperature: Option<f64>,

    /// Top-k sampling: sample from the N most probable tokens
    #[arg(long, value_name = "N", value_parser = whole::<usize>(..))]
    pub(crate) top_k: Option<usize>,

    /// Nucleus (top-p) sampling: sample from the smallest set of tokens whose probabilities sum to at least P
    #[arg(long, value_name = "P")]
    pub(crate) top_p: Option<f64>,

    /// Ignore the generation settings in the model folder: `generation_config.json`, or the same keys in `config.json`
    #[arg(long)]
    pub(crate) ignore_generation_config: bool,
}

/// Score translations against references: BLEU and chrF, as sacreBLEU computes them
///
/// `--baseline` scores a second system on the same texts too, and tests the difference by paired bootstrap resampling.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  burnformer score --hypotheses out.en --references test.en
  burnformer score --hypotheses out.zh --references test.zh --bleu-tokenizer zh --format json
  burnformer score --hypotheses out.en --baseline other.en --references test.en")]
pub(crate) struct ScoreArgs {
    /// Translations to score, one per line
    #[arg(long, value_name = "FILE")]
    pub(crate) hypotheses: PathBuf,

    /// Reference files, line-aligned with `--hypotheses`; several files are several references per text
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    pub(crate) references: Vec<PathBuf>,

    /// Translations of another system, line-aligned with `--hypotheses`
    #[arg(long, value_name = "FILE")]
    pub(crate) baseline: Option<PathBuf>,

    /// Number of bootstrap resamples
    #[arg(long, value_name = "N", default_value_t = 1000, requires = "baseline", value_parser = whole::<u64>(1..=1_000_000))]
    pub(crate) resamples: u64,

    #[command(flatten)]
    pub(crate) metrics: MetricArgs,

    #[command(flatten)]
    pub(crate) seed: SeedArgs,

    #[command(flatten)]
    pub(crate) encoding: EncodingArgs,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

/// How translations are scored.
#[derive(Args, Debug)]
pub(crate) struct MetricArgs {
    /// BLEU tokenizer: `13a` (languages with spaces), `intl` (their punctuation of all scripts), `zh`, `char`, or `none` (text
    /// is tokenised already)
    #[arg(long, value_name = "NAME", default_value = "13a", value_parser = bleu_tokenizer)]
    pub(crate) bleu_tokenizer: BleuTokenizer,

    /// Ignore case
    #[arg(long)]
    pub(crate) lowercase: bool,
}

fn bleu_tokenizer(name: &str) -> Result<BleuTokenizer, String> {
    let found = BleuTokenizer::ALL.into_iter().find(|tokenizer| tokenizer.name() == name);
    found.ok_or_else(|| match BleuTokenizer::absence(name) {
        Some(reason) => format!("not implemented, as {reason}"),
        None => format!("expected {}", BleuTokenizer::ALL.map(BleuTokenizer::name).join(", ")),
    })
}
