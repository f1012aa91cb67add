//! Texts as vectors.

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use burnformer_models::{Bert, Pooling, normalize};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::TaskError;
use crate::encode::Encode;

/// The list of modules in a folder of sentence-transformers.
const MODULES: &str = "modules.json";

/// Makes a vector of a text: the hidden states of its tokens, pooled.
///
/// Source: Reimers and Gurevych 2019.
#[derive(Debug)]
pub struct TextEmbedding {
    model: Bert,
    encode: Encode,
    pooling: Pooling,
    normalized: bool,
    d_model: usize,
}

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

impl TextEmbedding {
    /// `true` if `folder` is one of sentence-transformers, which says how vectors are made.
    pub(crate) fn has_modules(folder: &Path) -> bool {
        folder.join(MODULES).is_file()
    }

    /// Loads the model in `folder`: one of sentence-transformers (`modules.json`) as it says, any other BERT with the mean
    /// over its tokens, made one long.
    ///
    /// # Errors
    /// If the folder holds no BERT with its tokenizer, or asks for a module that is not known here.
    pub fn load(folder: &Path, device: &Device) -> Result<Self, TaskError> {
        let modules = if Self::has_modules(folder) { Modules::read(folder)? } else { Modules::new(folder) };
        let (model, config) = Bert::load(&modules.transformer, device)?;
        let mut encode = Encode::load(&modules.transformer, &config, device)?;
        encode.max_length = modules.max_length.map_or(encode.max_length, |length| length.min(encode.max_length));
        let Modules { pooling, normalized, .. } = modules;
        Ok(Self { model, encode, pooling, normalized, d_model: config.d_model })
    }

    /// The same with another pooling.
    #[must_use]
    pub fn with_pooling(self, pooling: Pooling) -> Self {
        Self { pooling, ..self }
    }

    /// The same with vectors that are made one long, or left as they are.
    #[must_use]
    pub fn with_normalization(self, normalized: bool) -> Self {
        Self { normalized, ..self }
    }

    /// Length of a vector.
    #[must_use]
    pub fn d_model(&self) -> usize {
        self.d_model
    }

    /// The vector of each text, in their order. Texts are put together in batches of similar length, and cut off behind what
    /// the model can take.
    ///
    /// # Errors
    /// If a text cannot be tokenised, or the device fails.
    pub fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, TaskError> {
        let encoded = texts.iter().map(|text| self.encode.text(text, None)).collect::<Result<Vec<_>, _>>()?;
        self.encode.in_batches(&encoded, |input| {
            let mask_pad = input.mask_pad.clone();
            let pooled = self.pooling.apply(self.model.forward(input), mask_pad);
            let rows = if self.normalized { normalize(pooled) } else { pooled };
            let values: Vec<f32> = rows.try_into_data()?.iter::<f32>().collect();
            Ok(values.chunks(self.d_model).map(<[f32]>::to_vec).collect())
        })
    }
}

/// The cosine of the angle between two vectors, in `[-1, 1]`; 0 if one of them is zero.
///
/// # Panics
/// If one is longer than the other.
#[must_use]
pub fn cosine_similarity(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len(), "cosine_similarity: vectors of one length");
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let norms = (dot(a, a) * dot(b, b)).sqrt();
    if norms == 0.0 { 0.0 } else { (dot(a, b) / norms).clamp(-1.0, 1.0) }
}

/// What a folder says about how vectors are made.
struct Modules {
    transformer: PathBuf,
    pooling: Pooling,
    normalized: bool,
    max_length: Option<usize>,
}

impl Modules {
    /// Of a folder that says nothing.
    fn new(folder: &Path) -> Self {
        Self { transformer: folder.to_owned(), pooling: Pooling::Mean, normalized: true, max_length: None }
    }

    /// A transformer, a pooling, and perhaps a normalisation, in this order.
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
        let lengths = transformer.join("sentence_bert_config.json");
        let max_length = if lengths.is_file() { read_json::<TransformerFile>(&lengths)?.max_seq_length } else { None };
        let pooling = pooling(&inside(&list[1])?.join("config.json"))?;
        Ok(Self { transformer, pooling, normalized, max_length })
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
    let text = fs::read_to_string(path).map_err(|source| TaskError::Read { path: path.to_owned(), source })?;
    serde_json::from_str(&text).map_err(|source| TaskError::Json { path: path.to_owned(), source })
}
