//! Files of sentence-transformers: pooling and normalisation of embeddings.

use std::fs;
use std::path::{Path, PathBuf};

use burnformer_core::files::{FileError, SETTINGS_LIMIT, atomic_write_bytes, read_text};
use burnformer_models::Pooling;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::TaskError;

/// File that lists the modules of a folder.
const MODULES: &str = "modules.json";
/// File with the longest text.
const TRANSFORMER: &str = "sentence_bert_config.json";
/// Folder of the pooling's settings.
const POOLING: &str = "1_Pooling";

#[derive(Deserialize)]
struct Module {
    path: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct PoolingFile {
    #[serde(default)]
    pooling_mode_cls_token: bool,
    #[serde(default)]
    pooling_mode_mean_tokens: bool,
    #[serde(default)]
    pooling_mode_max_tokens: bool,
    #[serde(default)]
    pooling_mode_mean_sqrt_len_tokens: bool,
    #[serde(default)]
    pooling_mode_weightedmean_tokens: bool,
    #[serde(default)]
    pooling_mode_lasttoken: bool,
}

#[derive(Deserialize)]
struct TransformerFile {
    max_seq_length: Option<usize>,
}

/// Embedding settings of a folder.
pub(crate) struct Modules {
    pub(crate) transformer: PathBuf,
    pub(crate) pooling: Pooling,
    pub(crate) normalized: bool,
    pub(crate) max_length: Option<usize>,
}

impl Modules {
    /// The settings of a folder of sentence-transformers; for any other folder, the L2-normalised mean over the tokens.
    pub(crate) fn of(folder: &Path) -> Result<Self, TaskError> {
        if Self::are_in(folder) { Self::read(folder) } else { Ok(Self::new(folder)) }
    }

    /// `true` if `folder` has sentence-transformers' list of modules.
    pub(crate) fn are_in(folder: &Path) -> bool {
        folder.join(MODULES).is_file()
    }

    /// Settings of a folder without these files.
    fn new(folder: &Path) -> Self {
        Self { transformer: folder.to_owned(), pooling: Pooling::Mean, normalized: true, max_length: None }
    }

    /// Checks the modules: a transformer, a pooling, and optionally a normalisation, in this order.
    fn read(folder: &Path) -> Result<Self, TaskError> {
        let path = folder.join(MODULES);
        let list: Vec<Module> = read_json(&path)?;
        let kinds: Vec<&str> = list.iter().map(|module| module.kind.rsplit('.').next().unwrap_or_default()).collect();
        let normalized = match kinds.as_slice() {
            ["Transformer", "Pooling"] => false,
            ["Transformer", "Pooling", "Normalize"] => true,
            _ => {
                let expected = "Transformer, Pooling and perhaps Normalize";
                return Err(TaskError::Embedding { path, found: kinds.join(", "), expected });
            }
        };
        let inside = |module: &Module| {
            let is_inside =
                Path::new(&module.path).components().all(|part| matches!(part, std::path::Component::Normal(_)));
            let error = || TaskError::Embedding {
                path: path.clone(),
                found: format!("a module in `{}`", module.path),
                expected: "a folder below its own",
            };
            is_inside.then(|| folder.join(&module.path)).ok_or_else(error)
        };
        let transformer = inside(&list[0])?;
        let lengths = transformer.join(TRANSFORMER);
        let max_length = if lengths.is_file() { read_json::<TransformerFile>(&lengths)?.max_seq_length } else { None };
        let pooling = pooling(&inside(&list[1])?.join("config.json"))?;
        Ok(Self { transformer, pooling, normalized, max_length })
    }

    /// Writes the files into `folder`, which holds the transformer.
    pub(crate) fn write(&self, d_model: usize, folder: &Path) -> Result<(), TaskError> {
        let module = |number: usize, path: &str, kind: &str| json!({"idx": number, "name": number.to_string(), "path": path, "type": format!("sentence_transformers.models.{kind}")});
        let mut modules = vec![module(0, "", "Transformer"), module(1, POOLING, "Pooling")];
        if self.normalized {
            modules.push(module(2, "2_Normalize", "Normalize"));
        }
        let pooling = json!({
            "word_embedding_dimension": d_model,
            "pooling_mode_cls_token": self.pooling == Pooling::Cls,
            "pooling_mode_mean_tokens": self.pooling == Pooling::Mean,
            "pooling_mode_max_tokens": false,
            "pooling_mode_mean_sqrt_len_tokens": false,
        });
        let transformer = json!({"max_seq_length": self.max_length, "do_lower_case": false});
        for inner in [POOLING, "2_Normalize"].into_iter().take(modules.len() - 1) {
            let path = folder.join(inner);
            fs::create_dir_all(&path).map_err(|source| FileError::Io { attempt: "create", path, source })?;
        }
        let write = |path: PathBuf, json: &Value| {
            let text = serde_json::to_string_pretty(json).expect("keys are text") + "\n";
            atomic_write_bytes(&path, text)
        };
        write(folder.join(MODULES), &Value::Array(modules))?;
        write(folder.join(TRANSFORMER), &transformer)?;
        Ok(write(folder.join(POOLING).join("config.json"), &pooling)?)
    }
}

fn pooling(path: &Path) -> Result<Pooling, TaskError> {
    let file: PoolingFile = read_json(path)?;
    let modes = [
        ("cls", file.pooling_mode_cls_token),
        ("mean", file.pooling_mode_mean_tokens),
        ("max", file.pooling_mode_max_tokens),
        ("mean by square root of length", file.pooling_mode_mean_sqrt_len_tokens),
        ("weighted mean", file.pooling_mode_weightedmean_tokens),
        ("last token", file.pooling_mode_lasttoken),
    ];
    let asked: Vec<&str> = modes.into_iter().filter(|(_, is_asked)| *is_asked).map(|(name, _)| name).collect();
    match asked.as_slice() {
        ["cls"] => Ok(Pooling::Cls),
        ["mean"] => Ok(Pooling::Mean),
        _ => {
            let found =
                if asked.is_empty() { "no pooling".to_owned() } else { format!("pooling by {}", asked.join(" and ")) };
            Err(TaskError::Embedding { path: path.to_owned(), found, expected: "pooling by mean or by cls" })
        }
    }
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, TaskError> {
    let text = read_text(path, SETTINGS_LIMIT).map_err(|source| TaskError::Read { path: path.to_owned(), source })?;
    serde_json::from_str(&text).map_err(|source| TaskError::Json { path: path.to_owned(), source })
}
