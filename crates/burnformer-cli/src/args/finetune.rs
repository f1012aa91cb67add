//! `burnformer finetune`.

mod classification;
mod lora;
mod sentence_embedding;
mod token_classification;

use std::path::PathBuf;

use burnformer::recipes::FinetuneTask;
use clap::{Arg, Args};

pub(crate) use self::classification::ClassificationArgs;
use super::names::names;
use super::numbers::whole;
use super::{FormatArgs, RunArgs};
use lora::LoraArgs;
use sentence_embedding::SentenceEmbeddingArgs;
use token_classification::TokenClassificationArgs;

/// Fine-tune a pretrained model for a supervised task
///
/// The classes are the labels of the training texts. Keeps the model with the best macro-F1 on the validation texts. `--test`
/// evaluates it on held-out texts; `--baseline` adds two baselines: the most frequent class and a bag-of-words classifier.
///
/// `--task multi-label-classification` trains on lists of labels, `--task regression` and `--task text-ranking` on numbers in the
/// column of the label: the first keeps the model with the best micro-F1, the others that with the best Spearman correlation.
///
/// `--task sentence-embedding` trains on pairs of texts, with a score in the column of the label or without, and writes a folder
/// of sentence-transformers. Keeps the model with the best Spearman correlation, or the best rank of second texts.
///
/// `--task token-classification` trains on words with tags, such as `B-PER`, in CoNLL columns or in lists of JSON, or on texts with
/// spans such as `[[0, 4, "PER"]]` in JSON. The tag of a word is predicted at its first token. Keeps the model with the best entity
/// F1, scored as seqeval does by default; of tags that are no entities, such as parts of speech, with the best accuracy.
///
/// `--task question-answering` trains on questions whose answers are parts of texts, in the JSON of SQuAD or in columns. Texts
/// longer than `--max-seq-length` are read in windows. Keeps the model with the best F1, scored as SQuAD's scripts do.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  burnformer finetune --model runs/mini --train train.csv --label-column category --out runs/intents
  burnformer finetune --model runs/mini --task token-classification --train train.conll --out runs/ner

`--help` explains more, and lists the flags that are seldom needed.", after_long_help = "Examples:
  burnformer finetune --model runs/mini --train train.csv --text-column text --label-column category --out runs/intents
  burnformer finetune --model runs/mini --train train.jsonl --label-column label --test test.jsonl --baseline --out runs/a
  burnformer finetune --model runs/mini --train train.tsv --label-column label --from-scratch --epochs 10 --out runs/b
  burnformer finetune --model runs/mini --task token-classification --train train.conll --test test.conll --out runs/ner
  burnformer finetune --model runs/mini --task multi-label-classification --train topics.csv --label-column topics --label-separator ';' --out runs/topics
  burnformer finetune --model runs/mini --task regression --train scores.tsv --pair-column pair --label-column score --out runs/score
  burnformer finetune --model runs/mini --task question-answering --train train-v2.0.json --test dev-v2.0.json --out runs/qa
  burnformer finetune --model runs/mini --task sentence-embedding --train pairs.csv --text-column query --pair-column answer --out runs/search
  burnformer finetune --model runs/mini --train train.csv --label-column category --lora --lora-rank 16 --out runs/adapter
  burnformer finetune --out runs/intents --resume", mut_args(short_help), mut_arg("resume", |resume| resume.conflicts_with("FormatArgs")))]
pub(crate) struct FinetuneArgs {
    /// Pretrained model folder
    #[arg(long, value_name = "FOLDER", required_unless_present = "resume", conflicts_with = "resume")]
    pub(crate) model: Option<PathBuf>,

    /// Task to train
    #[arg(long, value_name = "TASK", default_value = "text-classification", conflicts_with = "resume", value_parser = names::<FinetuneTask, _>([
        ("text-classification", "One class per text, or per pair of texts"),
        ("multi-label-classification", "Any number of labels per text, or per pair of texts"),
        ("regression", "A score per text, or per pair of texts: any number"),
        ("text-ranking", "A score in [0, 1] per pair of texts, as a cross-encoder of sentence-transformers"),
        ("sentence-embedding", "A vector per text: pairs of texts, with scores, with negatives or alone"),
        ("token-classification", "One tag per word: named entities and the like"),
        ("question-answering", "The answers to questions in texts (SQuAD 1.1 and 2.0)"),
    ]))]
    pub(crate) task: FinetuneTask,

    /// Training data: files, folders or glob patterns with labelled texts, or with tagged words in CoNLL columns
    #[arg(long, value_name = "PATH", num_args = 1.., required_unless_present = "resume", conflicts_with = "resume")]
    pub(crate) train: Vec<String>,

    /// Validation data in the same format, to select the best model [default: a tenth of the training texts, none of which is trained on]
    #[arg(long, value_name = "PATH", num_args = 1.., conflicts_with = "resume")]
    pub(crate) validation: Vec<String>,

    /// Test data in the same format, to evaluate the best model
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub(crate) test: Vec<String>,

    /// Evaluate simple baselines on the test data too
    #[arg(long, requires = "test")]
    pub(crate) baseline: bool,

    #[command(flatten)]
    pub(crate) format: FormatArgs,

    /// Number of passes over the training data; sets `train.steps`
    #[arg(long, value_name = "N", default_value_t = 3.0, conflicts_with = "resume")]
    pub(crate) epochs: f64,

    /// Maximum text length in tokens, special tokens included; longer texts are truncated, or read in windows for question answering
    /// [default: 128; for question answering 384]
    #[arg(long, value_name = "TOKENS", conflicts_with = "resume", value_parser = whole::<usize>(..))]
    pub(crate) max_seq_length: Option<usize>,

    /// Maximum number of training texts per class [default: all]
    #[arg(long, value_name = "N", conflicts_with = "resume", value_parser = whole::<usize>(..))]
    pub(crate) max_per_class: Option<usize>,

    /// Maximum number of training texts, chosen at random [default: all]
    #[arg(long, value_name = "N", conflicts_with = "resume", value_parser = whole::<usize>(..))]
    pub(crate) max_train_samples: Option<usize>,

    /// Read special tokens written in a text, such as `[SEP]`, as text, also when the model is used [default: as the tokenizer's
    /// files say, else as special tokens]
    #[arg(long, conflicts_with = "resume")]
    pub(crate) split_special_tokens: bool,

    /// Train from random weights, as a baseline
    #[arg(long, conflicts_with = "resume")]
    pub(crate) from_scratch: bool,

    #[command(flatten)]
    pub(crate) classification: ClassificationArgs,

    #[command(flatten)]
    pub(crate) sentence_embedding: SentenceEmbeddingArgs,

    #[command(flatten)]
    pub(crate) lora: LoraArgs,

    #[command(flatten)]
    pub(crate) run: RunArgs,

    #[command(flatten)]
    pub(crate) token_classification: TokenClassificationArgs,
}

/// Flags that `-h` leaves out, so that it fits on a screen: `--help` has them.
const SELDOM_NEEDED: [&str; 38] = [
    "input_format",
    "layout",
    "label_columns",
    "label_separator",
    "group_column",
    "no_header",
    "delimiter",
    "encoding",
    "max_per_class",
    "split_special_tokens",
    "balanced_sampling",
    "label_smoothing",
    "r_drop",
    "threshold",
    "scale",
    "margin",
    "highest_score",
    "pooling",
    "label_all_tokens",
    "layer_decay",
    "unfreeze_every",
    "ema_decay",
    "steps",
    "dtype",
    "tensorboard",
    "activation_checkpointing",
    "config",
    "format",
    "quiet",
    "verbose",
    "baseline",
    "patience",
    "max_train_samples",
    "lora_alpha",
    "lora_dropout",
    "lora_targets",
    "lora_rank",
    "out_of_scope",
];

fn short_help(flag: Arg) -> Arg {
    let is_seldom_needed = SELDOM_NEEDED.contains(&flag.get_id().as_str());
    flag.hide_short_help(is_seldom_needed)
}
