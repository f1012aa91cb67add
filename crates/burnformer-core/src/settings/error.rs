//! What can be wrong with layered settings, and where each value came from.

use std::fmt;
use std::path::PathBuf;

use crate::config::ConfigError;

/// Where the value of a setting came from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// The preset, which no layer above it changed here.
    Preset,
    /// A TOML file as a whole, for what is missing from it.
    File {
        /// The file as it was named by the caller.
        name: String,
    },
    /// A line of a TOML file.
    Line {
        /// The file as it was named by the caller.
        name: String,
        /// Line number, counted from 1.
        line: usize,
    },
    /// A `key=value` of the command line.
    Set {
        /// The text behind `--set`.
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

/// Settings that cannot be read, or cannot work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The file cannot be read at all.
    #[error("cannot read the settings `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("`{name}` line {line} is not valid TOML")]
    Syntax {
        /// The file as it was named by the caller.
        name: String,
        /// Line number, counted from 1.
        line: usize,
        /// The parser's message, with the line in question.
        source: Box<toml::de::Error>,
    },
    /// A `--set` without a key or without an equals sign.
    #[error("the override `{text}` is not of the form `key=value`, as in `model.d_model=512`")]
    BadSet {
        /// The text behind `--set`.
        text: String,
    },
    /// A key that the settings do not have.
    #[error("{origin} sets the unknown key `{key}`, {}", remedy(nearest.as_deref(), known))]
    UnknownKey {
        /// Dotted key that is not known.
        key: String,
        /// Where it was set.
        origin: Origin,
        /// The known key most like it, if any is.
        nearest: Option<String>,
        /// The keys known in its place.
        known: Vec<String>,
    },
    /// A number that no setting can hold.
    #[error("{origin} sets `{key}` to {value}, expected a finite number that fits in 64 bits")]
    BadNumber {
        /// Dotted key of the setting.
        key: String,
        /// Where it was set.
        origin: Origin,
        /// The number as it was written.
        value: String,
    },
    /// A value of the wrong type, an unknown variant, or a missing key.
    #[error("{} cannot be read from {origin}", named(key))]
    WrongType {
        /// Dotted key of the setting, empty for the settings as a whole.
        key: String,
        /// Where its value came from.
        origin: Origin,
        /// What was found and what was expected.
        source: serde_json::Error,
    },
    /// A value that has the right type but cannot work.
    #[error("{origin} leaves `{}` with an invalid value", source.field())]
    Impossible {
        /// The layer to change: where the key was set, or another key without which it would be possible.
        origin: Origin,
        /// What is impossible about it.
        source: ConfigError,
    },
    /// A preset that serde cannot represent, such as a map whose keys are not strings.
    #[error("the preset cannot be represented as settings")]
    Preset {
        /// What serde said.
        source: serde_json::Error,
    },
    /// Settings that TOML cannot represent, such as a list with an absent element.
    #[error("the settings cannot be written as TOML")]
    Write {
        /// What the writer said.
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
