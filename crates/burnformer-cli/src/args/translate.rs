//! `burnformer translate` and `score`, and the flags of generation.

use std::path::PathBuf;

use burnformer::models::{GenerationConfig, Sampling};
use burnformer::tasks::metrics::BleuTokenizer;
use clap::Args;

use super::numbers::whole;
use super::{DeviceArgs, ReportArgs, SeedArgs};
use crate::errors::Advised;

/// Translate texts
///
/// Texts come from the command line, or line by line from the standard input; each gives a line, in order, and a blank one a
/// blank one. With `--n-best` a text gives up to as many lines of its number, score and translation, separated by tabs, and a
/// blank one one line. `--format json` gives lines of JSON with the score and log-probability of each translation.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  burnformer translate runs/de-en 'Ein Hund schläft.'
  burnformer translate runs/de-en --beam 8 --n-best 3 --format json
  burnformer translate runs/de-en --attention alignments 'Ein Hund schläft.'
  burnformer translate runs/de-en --temperature 0.8 --top-p 0.9 --seed 1 'Ein Hund schläft.'")]
pub(crate) struct TranslateArgs {
    /// Folder of the model
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,

    /// Texts
    #[arg(value_name = "TEXT")]
    pub(crate) texts: Vec<String>,

    /// How many translations of each text are told; of a beam search at most as many as it has beams
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = whole::<usize>(1..=1024))]
    pub(crate) n_best: usize,

    /// Folder to be made, with a picture and a JSON file for each text that show where the model looked
    #[arg(long, value_name = "DIR")]
    pub(crate) attention: Option<PathBuf>,

    /// Texts that are translated at once, fewer if each has more than eight beams or samples
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = whole::<u32>(1..=65536))]
    pub(crate) batch_size: u32,

    #[command(flatten)]
    pub(crate) report: ReportArgs,

    #[command(flatten)]
    pub(crate) device: DeviceArgs,

    #[command(flatten)]
    pub(crate) seed: SeedArgs,

    #[command(flatten)]
    pub(crate) generation: GenerationArgs,
}

/// How a text is chosen token by token. To be flattened behind a command's own flags, which would else get the heading too.
#[derive(Args, Debug)]
#[command(next_help_heading = "Generation")]
pub(crate) struct GenerationArgs {
    /// Hypotheses that a beam search goes on with; 1 takes the most probable token, one after the other [default: 4, or 1 if
    /// tokens are drawn]
    #[arg(long, value_name = "N", value_parser = whole::<usize>(1..=1024))]
    pub(crate) beam: Option<usize>,

    /// Exponent of the length penalty: 0 compares hypotheses by their probability alone, which favours short ones
    #[arg(long, value_name = "ALPHA", default_value_t = GenerationConfig::default().length_penalty)]
    pub(crate) length_penalty: f64,

    /// Least length in tokens
    #[arg(long, value_name = "TOKENS", default_value_t = 0, value_parser = whole::<usize>(..))]
    pub(crate) min_length: usize,

    /// Greatest length in tokens [default: 50 more than the text has with its end]
    #[arg(long, value_name = "TOKENS", value_parser = whole::<usize>(..))]
    pub(crate) max_length: Option<usize>,

    /// Makes tokens that came before rarer: their log-probability is multiplied by this
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    pub(crate) repetition_penalty: f64,

    /// No sequence of so many tokens comes twice
    #[arg(long, value_name = "N", value_parser = whole::<usize>(..))]
    pub(crate) no_repeat_ngram: Option<usize>,

    /// Draw tokens, with log-probabilities divided by this
    #[arg(long, value_name = "T")]
    pub(crate) temperature: Option<f64>,

    /// Draw from so many of the most probable tokens
    #[arg(long, value_name = "N", value_parser = whole::<usize>(..))]
    pub(crate) top_k: Option<usize>,

    /// Draw from the fewest of the most probable tokens that are as probable as this together
    #[arg(long, value_name = "SHARE")]
    pub(crate) top_p: Option<f64>,
}

impl GenerationArgs {
    /// The settings that the flags stand for.
    ///
    /// # Errors
    /// If flags contradict each other.
    pub(crate) fn config(&self, n_best: usize) -> Result<GenerationConfig, Advised> {
        let draws = self.temperature.is_some() || self.top_k.is_some() || self.top_p.is_some();
        let sampling = draws.then(|| Sampling {
            temperature: self.temperature.unwrap_or(1.0),
            top_k: self.top_k,
            top_p: self.top_p,
        });
        let n_beams = self.beam.unwrap_or(if draws { 1 } else { GenerationConfig::default().n_beams });
        if draws && n_beams > 1 {
            let message = format!("`--beam {n_beams}` does not go with `--temperature`, `--top-k` and `--top-p`");
            return Err(Advised::new(message, "leave out either: tokens are drawn, or searched for"));
        }
        if !draws && n_best > n_beams {
            let message = format!("`--n-best {n_best}` asks for more than the {n_beams} hypotheses of the beam");
            return Err(Advised::new(message, "raise `--beam`, or draw tokens by `--temperature`"));
        }
        Ok(GenerationConfig {
            n_beams,
            n_best,
            length_penalty: self.length_penalty,
            min_length: self.min_length,
            max_length: self.max_length,
            repetition_penalty: self.repetition_penalty,
            no_repeat_ngram_size: self.no_repeat_ngram,
            sampling,
            ..GenerationConfig::default()
        })
    }
}

/// Compare translations with references: BLEU and chrF as sacreBLEU computes them
///
/// With `--baseline` a second system's translations of the same texts are scored too, and paired bootstrap resampling tells
/// whether the difference may be chance.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  burnformer score --hypotheses out.en --references test.en
  burnformer score --hypotheses out.zh --references test.zh --bleu-tokenizer zh --format json
  burnformer score --hypotheses out.en --baseline other.en --references test.en")]
pub(crate) struct ScoreArgs {
    /// File with a translation in each line
    #[arg(long, value_name = "FILE")]
    pub(crate) hypotheses: PathBuf,

    /// Files with the reference of each in the same line; several are several references
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    pub(crate) references: Vec<PathBuf>,

    /// File with another system's translations of the same texts
    #[arg(long, value_name = "FILE")]
    pub(crate) baseline: Option<PathBuf>,

    /// Test sets drawn to compare two systems
    #[arg(long, value_name = "N", default_value_t = 1000, requires = "baseline", value_parser = whole::<u64>(1..=1_000_000))]
    pub(crate) resamples: u64,

    #[command(flatten)]
    pub(crate) metrics: MetricArgs,

    #[command(flatten)]
    pub(crate) seed: SeedArgs,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

/// How translations are scored.
#[derive(Args, Debug)]
pub(crate) struct MetricArgs {
    /// How BLEU cuts sentences into words: `13a` for languages with spaces, `zh`, `char`, or `none` for texts that are cut
    #[arg(long, value_name = "NAME", default_value = "13a", value_parser = bleu_tokenizer)]
    pub(crate) bleu_tokenizer: BleuTokenizer,

    /// Take capital and small letters for the same
    #[arg(long)]
    pub(crate) lowercase: bool,
}

fn bleu_tokenizer(name: &str) -> Result<BleuTokenizer, String> {
    let found = BleuTokenizer::ALL.into_iter().find(|tokenizer| tokenizer.name() == name);
    found.ok_or_else(|| format!("expected {}", BleuTokenizer::ALL.map(BleuTokenizer::name).join(", ")))
}
