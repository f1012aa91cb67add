//! Report of a search for settings.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A search: its trials, and the best of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SearchReport {
    /// The folder.
    pub folder: PathBuf,
    /// Validation metric that trials are compared by.
    pub metric: String,
    /// `true` if more of it is better.
    pub maximize: bool,
    /// Number of the best trial; absent if none has a value.
    pub best: Option<usize>,
    /// File with its settings.
    pub best_settings: Option<PathBuf>,
    /// Share of each setting in what made trials good; absent if there are too few trials to tell.
    pub importance: Option<BTreeMap<String, f64>>,
    /// The trials by number.
    pub trials: Vec<TrialReport>,
}

/// A trial of a search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrialReport {
    /// Its number, from 0.
    pub number: usize,
    /// `complete`, `pruned` (others were better, or it diverged), `failed` (its settings cannot work) or `running`.
    pub state: String,
    /// Its best value.
    pub value: Option<f64>,
    /// Last step that was evaluated.
    pub steps: u64,
    /// Its settings.
    pub settings: BTreeMap<String, SettingValue>,
    /// Folder of its run.
    pub folder: PathBuf,
    /// Why it ended early by itself.
    pub error: Option<String>,
}

/// A value of a setting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SettingValue {
    /// `true` or `false`.
    Flag(bool),
    /// A whole number.
    Whole(i64),
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
}

/// Numbers in few digits.
impl Display for SettingValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Whole(number) => write!(f, "{number}"),
            Self::Number(number) => {
                let rounded: f64 = format!("{number:.3e}").parse().unwrap_or(*number);
                match (1e-3..1e6).contains(&rounded.abs()) || rounded == 0.0 {
                    true => write!(f, "{rounded}"),
                    false => write!(f, "{rounded:e}"),
                }
            }
            Self::Text(text) => f.write_str(text),
        }
    }
}
