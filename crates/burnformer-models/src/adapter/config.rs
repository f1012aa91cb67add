//! Settings of an adapter: `adapter_config.json` of peft.

use super::pattern::Pattern;
use crate::hf::ConfigJson;
use crate::{Architecture, Head, ModelError};
use burnformer_core::adapter::ADAPTER_CONFIG;
use burnformer_core::{ConfigError, Validate};
use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::fmt;
use std::marker::PhantomData;
use std::path::Path;

/// Version of peft whose files these are.
const PEFT_VERSION: &str = "0.21.2";

/// What stands for all linear maps in place of a regular expression.
const ALL_LINEAR: &str = "all-linear";

/// Names of heads that peft trains beside the adapters of a model.
const HEADS: &[(Head, &str, &[&str])] = &[
    (Head::SequenceClassification, "SEQ_CLS", &["classifier", "score"]),
    (Head::TokenClassification, "TOKEN_CLS", &["classifier", "score"]),
    (Head::QuestionAnswering, "QUESTION_ANS", &["qa_outputs"]),
    (Head::Body, "FEATURE_EXTRACTION", &[]),
    (Head::CausalLm, "CAUSAL_LM", &[]),
    (Head::Seq2Seq, "SEQ_2_SEQ_LM", &[]),
];

/// Keys of what is not supported: their value must be null, false or empty.
const REFUSED: [&str; 14] = [
    "alora_invocation_tokens",
    "arrow_config",
    "ensure_weight_tying",
    "kasa_config",
    "layer_replication",
    "lora_bias",
    "megatron_config",
    "monteclora_config",
    "target_parameters",
    "trainable_token_indices",
    "use_bdlora",
    "use_dora",
    "use_qalora",
    "velora_config",
];

/// Keys that change no output of a trained adapter.
const SILENT: [&str; 10] = [
    "auto_mapping",
    "corda_config",
    "eva_config",
    "inference_mode",
    "loftq_config",
    "lora_ga_config",
    "megatron_core",
    "peft_version",
    "qalora_group_size",
    "revision",
];

/// Initial values that leave the base model as it is.
const INITIAL: [&str; 2] = ["gaussian", "orthogonal"];

/// Which modules have adapters, by the names that they have in transformers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Targets {
    /// A regular expression of the whole name; `all-linear` for every linear map but heads.
    Pattern(String),
    /// Names, or their ends behind a dot.
    Names(Vec<String>),
}

/// Which biases are trained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdapterBias {
    /// None.
    #[default]
    None,
    /// All of the model.
    All,
    /// Those of modules with adapters.
    LoraOnly,
}

/// Settings of an adapter of a whole model.
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterConfig {
    /// Folder or name of the model that the adapter belongs to.
    pub base: String,
    /// Kind of head, as peft names it, such as `SEQ_CLS`.
    pub task_type: Option<String>,
    /// Width between the two matrices of an adapter.
    pub rank: usize,
    /// The product of both matrices is multiplied by this, divided by the rank.
    pub alpha: f64,
    /// Probability of dropping an element of the input of an adapter, in `[0, 1)`.
    pub dropout: f64,
    /// `true` divides by the square root of the rank instead (Kalajdzievski 2023).
    pub rank_stabilized: bool,
    /// Modules with adapters.
    pub targets: Targets,
    /// Modules without, even if they are among `targets`.
    pub excluded: Option<Targets>,
    /// Numbers of the layers with adapters, from 0; empty for all.
    pub layers: Vec<usize>,
    /// Names of the lists that these layers are in; empty for any.
    pub layers_pattern: Vec<String>,
    /// Other ranks, by regular expressions of names; the first that fits counts.
    pub rank_pattern: Vec<(String, usize)>,
    /// Other values of `alpha`, by regular expressions of names; the first that fits counts.
    pub alpha_pattern: Vec<(String, f64)>,
    /// Ends of the names of modules that are trained as a whole.
    pub modules_to_save: Vec<String>,
    /// Biases that are trained.
    pub bias: AdapterBias,
    /// As in the file that was read: peft decides by the kind of a layer.
    pub fan_in_fan_out: bool,
}

impl AdapterConfig {
    /// An adapter of rank 8 for the modules that peft takes by default, with the head that it trains.
    #[must_use]
    pub fn new(base: &str, architecture: Architecture, head: Head) -> Self {
        let row = HEADS.iter().find(|(known, ..)| *known == head);
        Self {
            base: base.to_owned(),
            task_type: row.map(|(_, name, _)| (*name).to_owned()),
            rank: 8,
            alpha: 8.0,
            dropout: 0.0,
            rank_stabilized: false,
            targets: Targets::of(architecture),
            excluded: None,
            layers: Vec::new(),
            layers_pattern: Vec::new(),
            rank_pattern: Vec::new(),
            alpha_pattern: Vec::new(),
            modules_to_save: row.map_or(&[][..], |(.., names)| names).iter().map(|&name| name.to_owned()).collect(),
            bias: AdapterBias::None,
            fan_in_fan_out: architecture == Architecture::Gpt2,
        }
    }

    /// The settings in `folder`.
    ///
    /// # Errors
    /// If the file cannot be read, is of another method than `LORA`, or has a setting that is not supported.
    pub fn read(folder: &Path) -> Result<Self, ModelError> {
        let json = ConfigJson::read_file(folder.join(ADAPTER_CONFIG))?;
        let method: String = json.required("peft_type")?;
        if method != "LORA" {
            return Err(json.setting("peft_type", Some(&json!(method)), "`LORA`".to_owned()));
        }
        for key in REFUSED {
            if let Some(value) = json.settings.get(key).filter(|value| !is_empty(value)) {
                return Err(json.setting(key, Some(value), "nothing: it is not supported".to_owned()));
            }
        }
        if let Some(name) = json.settings.get("init_lora_weights").and_then(Value::as_str)
            && !INITIAL.contains(&name)
        {
            let expected =
                "`true`, `false`, `gaussian` or `orthogonal`, which leave the base model as it is".to_owned();
            return Err(json.setting("init_lora_weights", Some(&json!(name)), expected));
        }
        let config = Self {
            base: json.get("base_model_name_or_path")?.unwrap_or_default(),
            task_type: json.get("task_type")?,
            rank: json.required("r")?,
            alpha: json.required("lora_alpha")?,
            dropout: json.get("lora_dropout")?.unwrap_or(0.0),
            rank_stabilized: json.get("use_rslora")?.unwrap_or(false),
            targets: json.required("target_modules")?,
            excluded: json.get("exclude_modules")?,
            layers: one_or_several(&json, "layers_to_transform")?,
            layers_pattern: one_or_several(&json, "layers_pattern")?,
            rank_pattern: json.get::<Entries<usize>>("rank_pattern")?.unwrap_or_default().0,
            alpha_pattern: json.get::<Entries<f64>>("alpha_pattern")?.unwrap_or_default().0,
            modules_to_save: json.get("modules_to_save")?.unwrap_or_default(),
            bias: json.get("bias")?.unwrap_or_default(),
            fan_in_fan_out: json.get("fan_in_fan_out")?.unwrap_or(false),
        };
        let path = || json.path().to_owned();
        config.validate().map_err(|source| ModelError::AdapterConfig { path: path(), source })?;
        Ok(config)
    }

    /// The content of the file.
    pub(super) fn to_json(&self) -> Value {
        let number = |x: f64| if x.fract() == 0.0 && x.abs() < 1e15 { json!(x as i64) } else { json!(x) };
        let list = |names: &[String]| if names.is_empty() { Value::Null } else { json!(names) };
        let alphas: Map<String, Value> =
            self.alpha_pattern.iter().map(|(name, alpha)| (name.clone(), number(*alpha))).collect();
        let ranks: Map<String, Value> =
            self.rank_pattern.iter().map(|(name, rank)| (name.clone(), json!(rank))).collect();
        json!({
            "alpha_pattern": alphas,
            "base_model_name_or_path": self.base,
            "bias": self.bias,
            "exclude_modules": self.excluded,
            "fan_in_fan_out": self.fan_in_fan_out,
            "inference_mode": true,
            "init_lora_weights": true,
            "layers_pattern": list(&self.layers_pattern),
            "layers_to_transform": if self.layers.is_empty() { Value::Null } else { json!(self.layers) },
            "lora_alpha": number(self.alpha),
            "lora_dropout": self.dropout,
            "modules_to_save": list(&self.modules_to_save),
            "peft_type": "LORA",
            "peft_version": PEFT_VERSION,
            "r": self.rank,
            "rank_pattern": ranks,
            "revision": null,
            "target_modules": self.targets,
            "task_type": self.task_type,
            "use_dora": false,
            "use_rslora": self.rank_stabilized,
        })
    }

    /// The head that `task_type` means, if it is known.
    pub(crate) fn head(&self) -> Option<Head> {
        let task_type = self.task_type.as_deref()?;
        HEADS.iter().find(|(_, name, _)| *name == task_type).map(|(head, ..)| *head)
    }
}

impl Validate for AdapterConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        let alphas = self.alpha_pattern.iter().map(|(_, alpha)| *alpha);
        for rank in self.rank_pattern.iter().map(|(_, rank)| *rank).chain([self.rank]) {
            ConfigError::check("r", &rank, (1..=MOST_RANK).contains(&rank), "a rank from 1 to 65,536")?;
        }
        for alpha in alphas.chain([self.alpha]) {
            ConfigError::check("lora_alpha", &alpha, alpha.is_finite(), "a finite value")?;
        }
        ConfigError::check_probability("lora_dropout", self.dropout)?;
        for (key, n) in [
            ("rank_pattern", self.rank_pattern.len()),
            ("alpha_pattern", self.alpha_pattern.len()),
            ("modules_to_save", self.modules_to_save.len()),
            ("layers_pattern", self.layers_pattern.len()),
        ] {
            ConfigError::check(key, &format!("a list of {n}"), n <= MOST_PATTERNS, "at most 1,024 entries")?;
        }
        if let (Targets::Pattern(pattern), false) = (&self.targets, self.layers.is_empty()) {
            let expected = "a list of names, as `layers_to_transform` is set";
            ConfigError::check("target_modules", pattern, false, expected)?;
        }
        if let Targets::Names(names) = &self.targets {
            ConfigError::check("target_modules", &"empty", !names.is_empty(), "at least one name")?;
        }
        let (n_patterns, expected) = (self.layers_pattern.len(), "none, as `layers_to_transform` is not set");
        ConfigError::check("layers_pattern", &n_patterns, n_patterns == 0 || !self.layers.is_empty(), expected)?;
        super::Modules::new(self).map(drop)
    }
}

/// Most regular expressions of a setting.
const MOST_PATTERNS: usize = 1024;

/// Largest rank.
const MOST_RANK: usize = 1 << 16;

impl Targets {
    /// The default of peft, or what is alike in an architecture for which peft has none.
    fn of(architecture: Architecture) -> Self {
        let names: &[&str] = match architecture {
            Architecture::DistilBert => &["q_lin", "v_lin"],
            Architecture::Gpt2 => &["c_attn"],
            Architecture::Marian | Architecture::Pegasus | Architecture::Burnformer => &["q_proj", "v_proj"],
            _ => &["query", "value"],
        };
        Self::Names(names.iter().map(|&name| name.to_owned()).collect())
    }

    /// `true` if they are all linear maps but heads.
    pub(super) fn is_all_linear(&self) -> bool {
        matches!(self, Self::Pattern(pattern) if pattern.eq_ignore_ascii_case(ALL_LINEAR))
    }

    /// Whether a name is one of them.
    pub(super) fn matcher(&self, key: &'static str) -> Result<impl Fn(&str) -> bool + use<>, ConfigError> {
        let (pattern, names) = match self {
            Self::Pattern(pattern) => (Some(Pattern::whole(key, pattern)?), Vec::new()),
            Self::Names(names) => (None, names.clone()),
        };
        Ok(move |module: &str| {
            pattern.as_ref().is_some_and(|pattern| pattern.is_match(module))
                || names.iter().any(|name| {
                    module.strip_suffix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
                })
        })
    }
}

/// The keys in the settings of the adapter in `folder` that are unknown here, so that nobody knows what they would change.
///
/// # Errors
/// If the file cannot be read.
pub(crate) fn unknown_keys(folder: &Path) -> Result<Vec<String>, ModelError> {
    let json = ConfigJson::read_file(folder.join(ADAPTER_CONFIG))?;
    let known = |key: &str| REFUSED.contains(&key) || SILENT.contains(&key) || OWN.contains(&key);
    let unknown = json.settings.iter().filter(|(key, value)| !known(key) && !is_empty(value));
    Ok(unknown.map(|(key, _)| key.clone()).collect())
}

/// Keys that are read.
const OWN: [&str; 18] = [
    "alpha_pattern",
    "base_model_name_or_path",
    "bias",
    "exclude_modules",
    "fan_in_fan_out",
    "init_lora_weights",
    "layers_pattern",
    "layers_to_transform",
    "lora_alpha",
    "lora_dropout",
    "modules_to_save",
    "peft_type",
    "r",
    "rank_pattern",
    "target_modules",
    "task_type",
    "use_rslora",
    "use_dora",
];

/// `true` for a value that asks for nothing.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(values) => values.is_empty(),
        Value::Object(values) => values.is_empty(),
        _ => false,
    }
}

/// A value, or a list of them.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrSeveral<T> {
    One(T),
    Several(Vec<T>),
}

fn one_or_several<T: DeserializeOwned>(json: &ConfigJson, key: &'static str) -> Result<Vec<T>, ModelError> {
    Ok(match json.get::<OneOrSeveral<T>>(key)? {
        None => Vec::new(),
        Some(OneOrSeveral::One(value)) => vec![value],
        Some(OneOrSeveral::Several(values)) => values,
    })
}

/// The entries of an object.
struct Entries<T>(Vec<(String, T)>);

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Visit<T> {
            type Value = Entries<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object by the names of modules")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<T>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(Visit(PhantomData))
    }
}
