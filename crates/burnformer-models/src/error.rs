//! What can go wrong between a model and its folder.

use burnformer_core::{ConfigError, FileError};
use std::io;
use std::path::PathBuf;

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
    /// The system does not let a file be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file or folder cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A `config.json` is no JSON, lacks a setting, or has one of another type.
    #[error("`{}` does not describe a model", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        source: serde_json::Error,
    },
    /// A setting in a `config.json` cannot work, or not here.
    #[error("`{key}` in `{}` is {found}, expected {expected}", path.display())]
    Setting {
        /// The file.
        path: PathBuf,
        /// Its key there.
        key: &'static str,
        /// Its value.
        found: String,
        /// What it may be.
        expected: String,
    },
    /// A setting cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A weight file does not begin with a header in the safetensors format.
    #[error("`{}` is not a safetensors file", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// What is wrong with the header.
        source: serde_json::Error,
    },
    /// A weight file is not as `torch.save` writes them.
    #[error("`{}` is not a PyTorch file of tensors by name", path.display())]
    Pytorch {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: pytorch_reader::PytorchError,
    },
    /// A list of weight files is no JSON, or does not say where each weight is.
    #[error("`{}` does not list weights and their files", path.display())]
    Index {
        /// The list.
        path: PathBuf,
        /// What is wrong, and where.
        source: serde_json::Error,
    },
    /// A list of weight files names one outside of its folder.
    #[error("`{}` has weights in `{file}`, expected a file of the same folder", path.display())]
    ShardPlace {
        /// The list.
        path: PathBuf,
        /// The file as the list names it.
        file: String,
    },
    /// A weight file has a weight that the list of files does not have there.
    #[error("`{}` has the weight `{name}`, which `{}` does not list for it", file.display(), path.display())]
    NotListed {
        /// The list.
        path: PathBuf,
        /// The file.
        file: PathBuf,
        /// Its name in the file.
        name: String,
    },
    /// A weight file is not as long as its header says.
    #[error("`{}` has {found} bytes, {expected} by its header: it is cut off or damaged", path.display())]
    FileSize {
        /// The file.
        path: PathBuf,
        /// Its length by the header, in bytes.
        expected: u64,
        /// Its length, in bytes.
        found: u64,
    },
    /// A weight file lacks a weight of the model.
    #[error("`{}` has no weight `{name}`", path.display())]
    MissingWeight {
        /// The file.
        path: PathBuf,
        /// Its name in the file.
        name: String,
    },
    /// A weight file has a weight that the model does not.
    #[error("`{}` has the weight `{name}`, which the model does not have", path.display())]
    UnexpectedWeight {
        /// The file.
        path: PathBuf,
        /// Its name in the file.
        name: String,
    },
    /// A weight has another shape than its parameter.
    #[error("weight `{name}` in `{}` has shape {found:?}, expected {expected:?}", path.display())]
    WrongShape {
        /// The file.
        path: PathBuf,
        /// Its name in the file.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape of the parameter.
        expected: Vec<usize>,
    },
    /// A weight has a type that holds no floats, or one that is not read here.
    #[error("weight `{name}` in `{}` has type `{found}`, expected `F32`, `F16` or `BF16`", path.display())]
    WeightType {
        /// The file.
        path: PathBuf,
        /// Its name in the file.
        name: String,
        /// Its type.
        found: String,
    },
    /// Two weights that are one in this model are two in the file.
    #[error("weight `{name}` in `{}` differs from `{tied_to}`, expected one table for both", path.display())]
    Untied {
        /// The file.
        path: PathBuf,
        /// Its name in the file.
        name: String,
        /// The name of the weight it must equal.
        tied_to: String,
    },
    /// The labels do not name the classes of a classifier.
    #[error("found {found} different labels, expected {expected}, one for each class")]
    Labels {
        /// Number of different labels.
        found: usize,
        /// Number of classes.
        expected: usize,
    },
}

fn remedy(file: &str) -> &'static str {
    match file {
        crate::folder::WEIGHTS => {
            ", `model.safetensors.index.json`, `pytorch_model.bin` or `pytorch_model.bin.index.json`"
        }
        _ => "",
    }
}
