//! Errors of layered settings, with the origin of each value.

use std::fmt;
use std::path::PathBuf;

use crate::config::ConfigError;

/// Origin of a setting's value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// The preset; no layer above it changed this value.
    Preset,
    /// A TOML file as a whole, for a key that is missing from it.
    File {
        /// Name of the file, as given by the caller.
        name: String,
    },
    /// A line of a TOML file.
    Line {
        /// Name of the file, as given by the caller.
        name: String,
        /// Line number, counted from 1.
        line: usize,
    },
    /// A `key=value` override, for instance of the command line.
    Set {
        /// The override as it was written.
        text: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Preset => write!(f, "the preset"),
            Self::File { name } => write!(f, "`{name}`"),
            Self::Line { name, line } => write!(f, "`{name}` line {line}"),
            Self::Set { text } => write!(f, "the override `{text}`"),
        }
    }
}

/// Why settings cannot be loaded or saved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read the settings `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("`{name}` line {line} is not valid TOML")]
    Syntax {
        /// Name of the file, as given by the caller.
        name: String,
        /// Line number, counted from 1.
        line: usize,
        /// The parser's message, with the line in question.
        source: Box<toml::de::Error>,
    },
    /// An override without a key or without an equals sign.
    #[error("the override `{text}` is not of the form `key=value`, as in `model.d_model=512`")]
    BadSet {
        /// The override as it was written.
        text: String,
    },
    /// A key that the settings do not have.
    #[error("{origin} sets the unknown key `{key}`, {}", remedy(nearest.as_deref(), known))]
    UnknownKey {
        /// Dotted key that is not known.
        key: String,
        /// Origin of the value.
        origin: Origin,
        /// The most similar known key, if there is one.
        nearest: Option<String>,
        /// The known keys at this level.
        known: Vec<String>,
    },
    /// A number that no setting can hold.
    #[error("{origin} sets `{key}` to {value}, expected a finite number that fits in 64 bits")]
    BadNumber {
        /// Dotted key of the setting.
        key: String,
        /// Origin of the value.
        origin: Origin,
        /// The number as it was written.
        value: String,
    },
    /// A value of the wrong type, an unknown variant, or a missing key.
    #[error("{} cannot be read from {origin}", named(key))]
    WrongType {
        /// Dotted key of the setting, empty for the settings as a whole.
        key: String,
        /// Origin of the value.
        origin: Origin,
        /// What was found and what was expected.
        source: serde_json::Error,
    },
    /// A value that has the right type but is invalid.
    #[error("{origin} leaves `{}` with an invalid value", source.field())]
    Impossible {
        /// The layer to change: where the key was set, or another key that makes it invalid.
        origin: Origin,
        /// Why the value is invalid.
        source: ConfigError,
    },
    /// A preset that serde cannot represent, such as a map whose keys are not strings.
    #[error("the preset cannot be represented as settings")]
    Preset {
        /// Error of serde.
        source: serde_json::Error,
    },
    /// Settings that TOML cannot represent, such as a list with an absent element.
    #[error("the settings cannot be written as TOML")]
    Write {
        /// Error of the TOML writer.
        source: toml::ser::Error,
    },
}

fn named(key: &str) -> String {
    if key.is_empty() { "the settings".to_owned() } else { format!("`{key}`") }
}

fn remedy(nearest: Option<&str>, known: &[String]) -> String {
    match nearest {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => format!("known here: `{}`", known.join("`, `")),
    }
}
