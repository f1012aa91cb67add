//! Errors of models and model folders.

use crate::folder::{CONFIG, WEIGHTS};
use burn::tensor::ExecutionError;
use burnformer_core::adapter::AdapterError;
use burnformer_core::{ConfigError, FileError, Interrupted};
use burnformer_ops::PrepareError;
use std::io;
use std::path::{Path, PathBuf};

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A folder lacks a file that every model has.
    #[error("`{}` is not a model folder: it has no `{file}`{}", folder.display(), remedy(file))]
    NotAModelFolder {
        /// The folder.
        folder: PathBuf,
        /// The file that is not there.
        file: &'static str,
    },
    /// A file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// A file or folder cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A model that another crate defines cannot be read or written.
    #[error(transparent)]
    Foreign(Box<dyn std::error::Error + Send + Sync>),
    /// A `config.json` is not valid JSON, lacks a setting, or has one of another type.
    #[error("`{}` does not describe a model", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The error of the parser, with its position.
        source: serde_json::Error,
    },
    /// A setting in a `config.json` is invalid or not supported.
    #[error("`{key}` in `{}` is {found}, expected {expected}", path.display())]
    Setting {
        /// The file.
        path: PathBuf,
        /// Key of the setting.
        key: &'static str,
        /// Value of the setting.
        found: String,
        /// Values that are supported.
        expected: String,
    },
    /// `architectures` and `model_type` of a `config.json` contradict each other.
    #[error(
        "`architectures` in `{}` is `{class}`, but `model_type` is `{model_type}`: set `model_type` to `{expected}`, or \
         `architectures` to a class of `{model_type}`",
        path.display()
    )]
    ClassMismatch {
        /// The file.
        path: PathBuf,
        /// The first of its `architectures`.
        class: String,
        /// The `model_type` of that class.
        expected: &'static str,
        /// The `model_type` of the file.
        model_type: String,
    },
    /// A setting in a `config.json` has another type.
    #[error("`{key}` in `{}` cannot be used", path.display())]
    SettingType {
        /// The file.
        path: PathBuf,
        /// Key of the setting.
        key: &'static str,
        /// The error of the parser.
        source: serde_json::Error,
    },
    /// The logits of the next token are NaN or infinite.
    #[error("the model's logits are not finite: its weights are damaged, or its training diverged")]
    NotFinite,
    /// The device failed.
    #[error("the device failed")]
    Execution(#[from] ExecutionError),
    /// A setting is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A weight file does not begin with a header in the safetensors format.
    #[error("`{}` is not a safetensors file", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// The error of the parser.
        source: serde_json::Error,
    },
    /// A weight file says that its header is longer than any header is.
    #[error("`{}` says that its header has {found} bytes, expected at most {most}: it is no safetensors file, or damaged", path.display())]
    HeaderSize {
        /// The file.
        path: PathBuf,
        /// Length that the file says, in bytes.
        found: u64,
        /// Longest header in bytes.
        most: u64,
    },
    /// A weight file holds more than its length allows: packed data, or tensors that repeat their values.
    #[error(
        "`{}` has {length} bytes, but {what} of {found} bytes, expected at most {most}: save it again with `torch.save`, \
         each tensor as `.contiguous()`",
        path.display()
    )]
    Inflated {
        /// The file.
        path: PathBuf,
        /// What takes so many bytes, as a noun.
        what: &'static str,
        /// Length of the file, in bytes.
        length: u64,
        /// Bytes that it would take in memory.
        found: u64,
        /// Most that is read from a file of this length, in bytes.
        most: u64,
    },
    /// A file has two weights of one name, as it is or without what wrappers have added.
    #[error("`{}` has two tensors of the name `{name}`", path.display())]
    NameTwice {
        /// The file.
        path: PathBuf,
        /// Name of both.
        name: String,
    },
    /// A file has the weights of several models side by side.
    #[error(
        "`{}` has the weights of several models, under the prefixes {}: save one of them alone",
        path.display(),
        quoted(prefixes)
    )]
    SeveralModels {
        /// The file.
        path: PathBuf,
        /// What stands before the names of each model's weights.
        prefixes: Vec<String>,
    },
    /// A PyTorch file is in a format that is not read.
    #[error("`{}` is {found}, expected a file of `torch.save`: save it again with PyTorch 1.6 or newer", path.display())]
    PytorchFormat {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// The weights do not fit into memory.
    #[error(
        "the weights in `{}` take {needed} MiB of memory, {available} MiB are left: end other programs, raise the limit \
         (`ulimit -v`), or choose a smaller model",
        path.display()
    )]
    Memory {
        /// The file.
        path: PathBuf,
        /// What they take in memory, in MiB.
        needed: u64,
        /// What is left, in MiB.
        available: u64,
    },
    /// A weight file is not in the format of `torch.save`.
    #[error("`{}` is not a PyTorch file of tensors by name", path.display())]
    Pytorch {
        /// The file.
        path: PathBuf,
        /// The error of the reader.
        source: pytorch_reader::PytorchError,
    },
    /// An index of weight files is not valid JSON, or does not map weights to files.
    #[error("`{}` does not list weights and their files", path.display())]
    Index {
        /// The index.
        path: PathBuf,
        /// The error of the parser, with its position.
        source: serde_json::Error,
    },
    /// An index of weight files names a file outside of its folder.
    #[error("`{}` has weights in `{file}`, expected a file of the same folder", path.display())]
    ShardPlace {
        /// The index.
        path: PathBuf,
        /// The file as the index names it.
        file: String,
    },
    /// A weight file has a weight that the index does not assign to it.
    #[error("`{}` has the weight `{name}`, which `{}` does not list for it", file.display(), path.display())]
    NotListed {
        /// The index.
        path: PathBuf,
        /// The file.
        file: PathBuf,
        /// Name of the weight.
        name: String,
    },
    /// The length of a weight file differs from its header.
    #[error("`{}` has {found} bytes, {expected} by its header: it is cut off or damaged", path.display())]
    FileSize {
        /// The file.
        path: PathBuf,
        /// Length by the header, in bytes.
        expected: u64,
        /// Length of the file, in bytes.
        found: u64,
    },
    /// A weight file lacks a weight.
    #[error("`{}` has no weight `{name}`", path.display())]
    MissingWeight {
        /// The file.
        path: PathBuf,
        /// Name of the weight.
        name: String,
    },
    /// A weight file lacks weights of the model, or has unknown ones.
    #[error("`{}` {}", path.display(), said(missing, left_over))]
    WeightNames {
        /// The file.
        path: PathBuf,
        /// Names of the model's weights that are not in the file.
        missing: Vec<String>,
        /// Names of weights in the file that the model does not have.
        left_over: Vec<String>,
    },
    /// The number of labels in a `config.json` differs from the number of classes of the classifier.
    #[error("the classifier in `{}` has {found} classes, `id2label` in its `config.json` names {expected}", path.display())]
    HeadSize {
        /// The weight file.
        path: PathBuf,
        /// Number of classes by the weights.
        found: usize,
        /// Number of labels.
        expected: usize,
    },
    /// A weight has another shape than its parameter.
    #[error("weight `{name}` in `{}` has shape {found:?}, expected {expected:?}", path.display())]
    WrongShape {
        /// The file.
        path: PathBuf,
        /// Name of the weight.
        name: String,
        /// Shape of the weight.
        found: Vec<usize>,
        /// The shape of the parameter.
        expected: Vec<usize>,
    },
    /// A weight has a type that is not a float type, or is not supported.
    #[error("weight `{name}` in `{}` has type `{found}`, expected `F32`, `F16`, `BF16` or `F64`", path.display())]
    WeightType {
        /// The file.
        path: PathBuf,
        /// Name of the weight.
        name: String,
        /// Type of the weight.
        found: String,
    },
    /// Scales of a matrix of 8-bit integers do not fit it.
    #[error(
        "scales `{name}` in `{}` are {found}, expected `F32` of shape [{}, 1] or [1, {}]: export the model again",
        path.display(), of[0], of[1]
    )]
    Scales {
        /// The file.
        path: PathBuf,
        /// Name of the scales.
        name: String,
        /// Type and shape of the scales.
        found: String,
        /// Shape of the matrix.
        of: [usize; 2],
    },
    /// A weight has values that are NaN or infinite, with which a model computes nothing.
    #[error(
        "weight `{name}` in `{}` has {found} of {of} values that are NaN or infinite: the file is damaged, or its training \
         diverged",
        path.display()
    )]
    NotFiniteWeight {
        /// The file.
        path: PathBuf,
        /// Name of the weight.
        name: String,
        /// Number of such values.
        found: usize,
        /// Number of all its values.
        of: usize,
    },
    /// A weight has a value that the target type cannot represent.
    #[error("weight `{name}` in `{}` has values beyond the range of `{weight_type}`: `bf16` has room for them", path.display())]
    Range {
        /// The file.
        path: PathBuf,
        /// Name of the weight.
        name: String,
        /// The type.
        weight_type: &'static str,
    },
    /// Hugging Face has no class for a model.
    #[error("the model in `{}` matches no class of transformers", folder.display())]
    NoClass {
        /// Folder of the model.
        folder: PathBuf,
        /// The setting that no class has.
        source: ConfigError,
    },
    /// Two weights that are tied in this model differ in the file.
    #[error("weight `{name}` in `{}` differs from `{tied_to}`, expected one table for both", path.display())]
    Untied {
        /// The file.
        path: PathBuf,
        /// Name of the weight.
        name: String,
        /// Name of the weight that it must equal.
        tied_to: String,
    },
    /// A stored table of positions differs from the sinusoids of its class.
    #[error("weight `{name}` in `{}` is not the table of sinusoids of `max_position_embeddings` rows that its class has", path.display())]
    NoSinusoids {
        /// The file.
        path: PathBuf,
        /// Name of the weight.
        name: String,
    },
    /// A source is empty, or longer than the model's limit.
    #[error("source {index} has {found} tokens, expected 1 to {max} (`max_seq_length` of the model)")]
    SourceLength {
        /// Index of the source in the batch.
        index: usize,
        /// Number of tokens of the source.
        found: usize,
        /// Longest source of the model.
        max: usize,
    },
    /// A source has a token without an embedding in the model.
    #[error(
        "source {index} has the token {token}, expected less than {vocab_size} (`source_vocab_size` of the model): encode it with the tokenizer of the model"
    )]
    SourceToken {
        /// Index of the source in the batch.
        index: usize,
        /// The token.
        token: u32,
        /// Number of tokens of the model.
        vocab_size: usize,
    },
    /// A prompt leaves no room for a token within `max_total_length`.
    #[error(
        "source {index} has a prompt of {found} tokens, expected less than {max} (`max_total_length`, prompt included): set `max_length`"
    )]
    PromptFillsLength {
        /// Index of the source in the batch.
        index: usize,
        /// Number of tokens of the prompt.
        found: usize,
        /// Largest number of tokens of prompt and text.
        max: usize,
    },
    /// A rule of generation names a token that the model does not have.
    #[error("`token_rules` have the token {token}, expected less than {vocab_size}, the number of tokens of the model")]
    RuleToken {
        /// The token.
        token: u32,
        /// Number of tokens of the model.
        vocab_size: usize,
    },
    /// Settings of generation in a model folder have a key that would change the texts and is not supported.
    #[error("`{key}` in `{}` is {found}, which is not supported: {remedy}", path.display())]
    GenerationKey {
        /// The file.
        path: PathBuf,
        /// Key of the setting.
        key: &'static str,
        /// Value of the setting.
        found: String,
        /// What to do about it.
        remedy: &'static str,
    },
    /// The base model of an adapter cannot be found.
    #[error(transparent)]
    Adapter(#[from] AdapterError),
    /// The settings of an adapter have a value that cannot be used.
    #[error("`{}` does not describe an adapter that can be used", path.display())]
    AdapterConfig {
        /// The file.
        path: PathBuf,
        /// The setting.
        source: ConfigError,
    },
    /// The settings of an adapter name no module of the model.
    #[error(
        "no module of the model is named by `target_modules` ({found}) and left by the other settings (`layers_to_transform`, \
         `exclude_modules`, `modules_to_save`): name some of {}",
        quoted(known)
    )]
    NoTarget {
        /// Value of the setting.
        found: String,
        /// Names of modules of the model.
        known: Vec<String>,
    },
    /// A model with an adapter is to be saved, and nobody has said that the adapter is.
    #[error(
        "the model has an adapter: save it by `with_adapter`, or call `materialize` to make it part of the weights"
    )]
    UnmergedAdapter,
    /// A model that was prepared for inference is to be saved.
    #[error(
        "the model was prepared for inference, and no longer has the weights of its files: save it before `prepare`, or load it again"
    )]
    PreparedModel,
    /// Weights cannot be laid out for products of this type.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// Generation was stopped by its interrupt.
    #[error("interrupted")]
    Interrupted(#[from] Interrupted),
    /// The labels of a classifier are not distinct.
    #[error("found {found} different labels, expected {expected}, one for each class")]
    Labels {
        /// Number of different labels.
        found: usize,
        /// Number of classes.
        expected: usize,
    },
}

impl ModelError {
    /// The error of a weight of a type that weights do not have.
    pub(crate) fn wrong_type(path: &Path, name: &str, found: String) -> Self {
        Self::WeightType { path: path.to_owned(), name: name.to_owned(), found }
    }

    /// The error of a file that cannot be read. If the file is missing and every model folder has it, the folder is no
    /// model folder.
    pub(crate) fn read(path: PathBuf, source: io::Error) -> Self {
        let file = [CONFIG, WEIGHTS].into_iter().find(|&file| path.file_name().is_some_and(|name| name == file));
        match (source.kind(), file, path.parent()) {
            (io::ErrorKind::NotFound | io::ErrorKind::NotADirectory, Some(file), Some(folder)) => {
                Self::NotAModelFolder { folder: folder.to_owned(), file }
            }
            _ => Self::Read { path, source },
        }
    }
}

/// Names in backticks.
fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Most names that are compared to find a similar one.
const COMPARED: usize = 200;

/// Names of missing and unknown weights, for messages.
fn said(missing: &[String], left_over: &[String]) -> String {
    let mut parts = Vec::new();
    if !missing.is_empty() {
        parts.push(format!("has no {}", listed(missing)));
    }
    if !left_over.is_empty() {
        parts.push(format!("has the {}, which the model does not have", listed(left_over)));
    }
    let mut text = parts.join(", but ");
    // Of thousands of names no more are compared than a person would.
    let pairs =
        missing.iter().take(COMPARED).flat_map(|name| left_over.iter().take(COMPARED).map(move |it| (name, it)));
    let similar = pairs.map(|(name, other)| (strsim::jaro_winkler(name, other), name, other));
    if let Some((_, name, other)) = similar.filter(|(it, ..)| *it > 0.9).max_by(|a, b| a.0.total_cmp(&b.0)) {
        text += &format!(": is `{other}` meant to be `{name}`?");
    }
    text
}

/// The first names, and the number of further ones.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    let noun = if names.len() == 1 { "weight" } else { "weights" };
    match names.len().saturating_sub(SHOWN) {
        0 => format!("{noun} {}", shown.join(", ")),
        more => format!("{noun} {} and {more} more", shown.join(", ")),
    }
}

fn remedy(file: &str) -> &'static str {
    match file {
        WEIGHTS => {
            ", `model.safetensors.index.json`, `pytorch_model.bin`, `pytorch_model.bin.index.json` or `model.int8.safetensors`"
        }
        _ => "",
    }
}
