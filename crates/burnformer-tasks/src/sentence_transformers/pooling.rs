//! Settings of the pooling.

use std::path::Path;

use burnformer_models::Pooling;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::file::{create_folder, read_json, unsupported, write_json};
use crate::TaskError;

const CONFIG: &str = "config.json";

/// The flags of files before version 5.4, in the order in which vectors are put together.
const FLAGS: [(&str, Pooling); 6] = [
    ("pooling_mode_cls_token", Pooling::Cls),
    ("pooling_mode_max_tokens", Pooling::Max),
    ("pooling_mode_mean_tokens", Pooling::Mean),
    ("pooling_mode_mean_sqrt_len_tokens", Pooling::MeanSqrtLength),
    ("pooling_mode_weightedmean_tokens", Pooling::WeightedMean),
    ("pooling_mode_lasttoken", Pooling::LastToken),
];

/// `true` for keys that are read, or change no result.
pub(super) fn is_known(key: &str) -> bool {
    let others = ["embedding_dimension", "include_prompt", "pooling_mode", "word_embedding_dimension"];
    others.contains(&key) || FLAGS.iter().any(|(flag, _)| *flag == key)
}

/// How the vectors of tokens become one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PoolingSettings {
    /// The poolings whose vectors are put one behind the other.
    pub(crate) modes: Vec<Pooling>,
    /// `false` leaves the tokens of the prompt out.
    pub(crate) include_prompt: bool,
}

#[derive(Deserialize)]
struct PoolingFile {
    pooling_mode: Option<Modes>,
    include_prompt: Option<bool>,
    #[serde(flatten)]
    flags: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Modes {
    One(String),
    Many(Vec<String>),
}

impl PoolingSettings {
    /// A single pooling, over all tokens.
    pub(crate) fn of(pooling: Pooling) -> Self {
        Self { modes: vec![pooling], include_prompt: true }
    }

    pub(super) fn read(folder: &Path) -> Result<Self, TaskError> {
        let path = folder.join(CONFIG);
        let file: PoolingFile = read_json(&path)?;
        let known = FLAGS.map(|(_, pooling)| format!("`{}`", pooling.name())).join(", ");
        let named = |name: String| {
            let pooling = FLAGS.into_iter().find(|(_, pooling)| pooling.name() == name).map(|(_, pooling)| pooling);
            pooling.ok_or_else(|| unsupported(&path, format!("pooling by `{name}`"), format!("one of {known}")))
        };
        let mut modes = match file.pooling_mode {
            Some(Modes::One(name)) => vec![named(name)?],
            Some(Modes::Many(names)) => names.into_iter().map(named).collect::<Result<_, _>>()?,
            None => {
                let is_set = |flag: &str| file.flags.get(flag).is_some_and(|value| value == &Value::Bool(true));
                FLAGS.into_iter().filter(|(flag, _)| is_set(flag)).map(|(_, pooling)| pooling).collect::<Vec<_>>()
            }
        };
        // Bounds the width of a vector.
        if let Some((_, mode)) = modes.iter().enumerate().find(|(n, mode)| modes[..*n].contains(mode)) {
            return Err(unsupported(&path, format!("pooling by `{}` twice", mode.name()), "each pooling once"));
        }
        if modes.is_empty() {
            modes.push(Pooling::Mean);
        }
        Ok(Self { modes, include_prompt: file.include_prompt.unwrap_or(true) })
    }

    /// Writes the settings in the form that all versions read, if they have one: flags cannot say every order.
    pub(super) fn write(&self, d_model: usize, folder: &Path) -> Result<(), TaskError> {
        create_folder(folder)?;
        let flags = FLAGS.map(|(flag, pooling)| (flag, self.modes.contains(&pooling)));
        let in_order: Vec<Pooling> = FLAGS.into_iter().map(|(_, it)| it).filter(|it| self.modes.contains(it)).collect();
        let mut json = Map::new();
        if in_order == self.modes {
            json.insert("word_embedding_dimension".to_owned(), d_model.into());
            json.extend(flags.map(|(flag, is_set)| (flag.to_owned(), is_set.into())));
        } else {
            let names: Vec<&str> = self.modes.iter().map(|pooling| pooling.name()).collect();
            json.insert("embedding_dimension".to_owned(), d_model.into());
            json.insert("pooling_mode".to_owned(), json!(names));
        }
        if !self.include_prompt {
            json.insert("include_prompt".to_owned(), false.into());
        }
        Ok(write_json(&folder.join(CONFIG), &Value::Object(json))?)
    }
}
