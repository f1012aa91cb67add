//! `burnformer evaluate`, `predict`, `fill-mask` and `inspect`: commands that use a model folder.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::numbers::whole;
use super::{
    DeviceArgs, FormatArgs, GenerationArgs, Given, MetricArgs, ReportArgs, SpecialTokensArgs, StagesArgs, TextsArgs,
    WeightsArgs,
};

/// Evaluate a model on data
///
/// The data depend on the model. A text classifier needs labelled texts (`--input`), a model for question answering questions with
/// contexts and answers (`--input`), a model that embeds texts pairs of them (`--pair-column`) with scores (`--label-column`) or
/// without, a pretrained or a causal language model the documents of a corpus (`--corpus`), a translation model texts with
/// reference translations (`--input` with `--pair-input` or
/// `--pair-column`).
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  burnformer evaluate runs/intents --input test.csv --label-column category
  burnformer evaluate runs/intents --input test.csv --label-column category --pictures pictures
  burnformer evaluate runs/ner --input test.conll
  burnformer evaluate runs/qa --input dev-v2.0.json --predictions answers.json
  burnformer evaluate runs/mini --corpus corpus --part test --format json
  burnformer evaluate runs/de-en --input test.de --pair-input test.en --beam 5 --out test.out")]
pub(crate) struct EvaluateArgs {
    /// Model folder
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,

    /// Base model of an adapter [default: as `adapter_config.json` in the folder says]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) base: Option<PathBuf>,

    /// Files, folders or glob patterns with labelled texts, or with texts to translate
    #[arg(long, value_name = "PATH", num_args = 1.., required_unless_present = "corpus", conflicts_with = "corpus")]
    pub(crate) input: Vec<String>,

    #[command(flatten)]
    pub(crate) format: FormatArgs,

    /// Corpus folder; it is split into parts as in the training run of the model
    #[arg(long, value_name = "FOLDER", conflicts_with = "FormatArgs")]
    pub(crate) corpus: Option<PathBuf>,

    /// Write the answers of a model for question answering to this JSON file, by question, as the scripts of SQuAD read it
    #[arg(long, value_name = "FILE", requires = "input")]
    pub(crate) predictions: Option<PathBuf>,

    /// Part of the corpus to evaluate on
    #[arg(long, value_enum, value_name = "PART", default_value_t, conflicts_with = "input")]
    pub(crate) part: Part,

    /// Number of texts per batch
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = whole::<u32>(1..=65536))]
    pub(crate) batch_size: u32,

    /// Write pictures of the scores into this folder: confusion matrix and reliability of a classifier
    #[arg(long, value_name = "FOLDER", conflicts_with = "corpus")]
    pub(crate) pictures: Option<PathBuf>,

    /// Column of hard negatives, for models that embed texts
    #[arg(long, value_name = "NAME", requires = "input")]
    pub(crate) negative_column: Option<String>,

    #[command(flatten)]
    pub(crate) device: DeviceArgs,

    #[command(flatten)]
    pub(crate) weights: WeightsArgs,

    #[command(flatten)]
    pub(crate) stages: StagesArgs,

    #[command(flatten)]
    pub(crate) report: ReportArgs,

    #[command(flatten)]
    pub(crate) translation: Given<TranslationArgs>,
}

/// Flags for translation models only. Flatten it behind a command's own flags: those behind it get the heading of
/// [`GenerationArgs`] too.
#[derive(Args, Debug)]
pub(crate) struct TranslationArgs {
    /// Reference files, line-aligned with `--input`
    #[arg(long, value_name = "PATH", num_args = 1.., requires = "input")]
    pub(crate) pair_input: Vec<String>,

    /// Write the model's translations to this file, one line per pair; blank and skipped pairs have no line
    #[arg(long, value_name = "FILE", requires = "input")]
    pub(crate) out: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) metrics: MetricArgs,

    #[command(flatten)]
    pub(crate) generation: GenerationArgs,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Documents that the model was trained on
    Train,
    /// Documents that the best model was selected on
    #[default]
    Validation,
    /// Held-out documents: used neither for training nor for selection
    Test,
    /// All documents
    All,
}

/// Classify texts, or mark entities in them, with a fine-tuned model
///
/// Reads texts from the command line, from files, or from standard input (one per line). Prints one line per text, blank ones
/// too: label, probability and text, separated by tabs. `--format json` prints JSON lines, with the number of the `row` (from 1).
///
/// Of a model that gives a text any number of labels, the first two columns list all labels of at least `--threshold` with their
/// probabilities. Of a model with a single label, such as a cross-encoder, the first column is a score, and there is no label.
///
/// A model for token classification marks entities. Prints one line per entity, with these values separated by tabs: number
/// of the row (from 1), first character (from 0), character behind the last one, type, score, entity. `--format json` prints one
/// object per text, with its `row` and `entities`.
///
/// A model for question answering finds the answers to questions in the text of `--context`, or in those of files of SQuAD. Prints
/// answer, probability and question, separated by tabs, behind the identifier of a question that has one; the answer is `(no answer)` where the score of none exceeds that of the
/// best one by more than `--threshold`. `--format json` adds the first character (`start`) and the one behind the last (`end`).
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  burnformer predict runs/intents 'My card has not arrived.'
  burnformer predict runs/intents --input questions.txt --format json
  burnformer predict runs/intents --top-k 3 --format json
  burnformer predict runs/ner 'Marie Curie was born in Warsaw.'
  burnformer predict runs/qa --context 'Marie Curie was born in Warsaw.' 'Where was Marie Curie born?'")]
pub(crate) struct PredictArgs {
    /// Model folder
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,

    /// Base model of an adapter [default: as `adapter_config.json` in the folder says]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) base: Option<PathBuf>,

    /// Another text classifier that answers too, named in front of its answers; may be repeated. Adapters of one base model share
    /// its weights in memory
    #[arg(long, value_name = "FOLDER")]
    pub(crate) adapter: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) texts: TextsArgs,

    /// Text in which the answers to the questions are
    #[arg(long, value_name = "TEXT")]
    pub(crate) context: Option<String>,

    /// Maximum length of an answer in tokens [default: as in the run of the model, else 30]
    #[arg(long, value_name = "TOKENS", value_parser = whole::<usize>(1..))]
    pub(crate) max_answer_length: Option<usize>,

    /// Number of most probable classes, or answers, to print per text, with `--format json`
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = whole::<u32>(1..))]
    pub(crate) top_k: u32,

    /// Minimum probability of a printed label, in [0, 1], for multi-label models [default: 0.5]; for question answering the
    /// difference of scores above which there is no answer [default: as in the run of the model, else always answer]
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    pub(crate) threshold: Option<f64>,

    #[command(flatten)]
    pub(crate) special_tokens: SpecialTokensArgs,

    #[command(flatten)]
    pub(crate) device: DeviceArgs,

    #[command(flatten)]
    pub(crate) weights: WeightsArgs,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

/// Rank texts by relevance to a query
///
/// Reads texts from the command line, from files, or from standard input (one per line). Prints one line per text: score and
/// text, best first. A cross-encoder scores each pair of query and text. An embedding model compares the embeddings; it uses its
/// prompts `query` and `document` if it has them.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  burnformer rank runs/mini 'Where is my card?' 'It was sent on Monday.' 'We are open.'
  burnformer rank runs/mini 'Where is my card?' --input questions.txt --top-k 3 --format json")]
pub(crate) struct RankArgs {
    /// Model folder: a cross-encoder, a sentence-transformers model or any BERT
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,

    /// Base model of an adapter [default: as `adapter_config.json` in the folder says]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) base: Option<PathBuf>,

    /// Query text
    #[arg(value_name = "QUERY")]
    pub(crate) query: String,

    #[command(flatten)]
    pub(crate) texts: TextsArgs,

    /// Number of best texts to print [default: all]
    #[arg(long, value_name = "N", value_parser = whole::<u32>(1..))]
    pub(crate) top_k: Option<u32>,

    #[command(flatten)]
    pub(crate) special_tokens: SpecialTokensArgs,

    #[command(flatten)]
    pub(crate) device: DeviceArgs,

    #[command(flatten)]
    pub(crate) weights: WeightsArgs,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

/// Predict the masked tokens of texts
///
/// Reads texts from the command line, from files, or from standard input (one per line). Write the mask token of the model
/// in each text: `[MASK]` for BERT, `<mask>` for RoBERTa.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  burnformer fill-mask runs/mini 'The cat sat on the [MASK].'
  burnformer fill-mask runs/mini --input masked.txt --format json
  burnformer fill-mask runs/mini --top-k 10 --format json 'A [MASK] in the hand.'")]
pub(crate) struct FillMaskArgs {
    /// Model folder
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,

    /// Base model of an adapter [default: as `adapter_config.json` in the folder says]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) base: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) texts: TextsArgs,

    /// Number of most probable tokens to print per mask
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = whole::<u32>(1..))]
    pub(crate) top_k: u32,

    #[command(flatten)]
    pub(crate) device: DeviceArgs,

    #[command(flatten)]
    pub(crate) weights: WeightsArgs,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

/// Show a model's architecture, parameter counts and training history
///
/// The training history is shown if the folder is a run folder. `--text` shows the attention weights of each layer over a
/// text.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  burnformer inspect runs/mini
  burnformer inspect runs/mini --text 'The cat sat on the mat.'
  burnformer inspect runs/mini --text 'The cat sat on the mat.' --head 2 --format json")]
pub(crate) struct InspectArgs {
    /// Model folder or run folder
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,

    /// Base model of an adapter [default: as `adapter_config.json` in the folder says]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) base: Option<PathBuf>,

    /// Show the attention weights over this text
    #[arg(long, value_name = "TEXT")]
    pub(crate) text: Option<String>,

    /// Show this attention head, counted from 1, instead of the mean over all heads
    #[arg(long, value_name = "N", requires = "text", value_parser = whole::<u32>(1..))]
    pub(crate) head: Option<u32>,

    #[command(flatten)]
    pub(crate) device: DeviceArgs,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}
