//! Training of an adapter in place of a whole model.

use std::collections::BTreeMap;
use std::fmt::{self, Display};

use burnformer_core::config::{ConfigError, Validate};
use burnformer_models::{AdapterBias, AdapterConfig, BertConfig, Head, ModelConfig, ModelError, Pretrained, Targets};
use serde::{Deserialize, Serialize};

/// Settings of an adapter, by the names that peft gives them. Only the adapter and the head are trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoraSettings {
    /// Rank: width between the two matrices of an adapter.
    #[serde(rename = "r")]
    pub rank: usize,
    /// What the product of both matrices is multiplied by, divided by the rank.
    #[serde(rename = "lora_alpha")]
    pub alpha: f64,
    /// Probability of dropping an element of the input of an adapter, in `[0, 1)`.
    #[serde(rename = "lora_dropout")]
    pub dropout: f64,
    /// `true` divides `lora_alpha` by the square root of the rank.
    #[serde(rename = "use_rslora")]
    pub rank_stabilized: bool,
    /// Modules with adapters, by their names in transformers: ends of names, a regular expression of the whole name, or
    /// `all-linear`; absent for queries and values.
    #[serde(rename = "target_modules")]
    pub targets: Option<Targets>,
    /// Modules without an adapter, even if they are among `target_modules`.
    #[serde(rename = "exclude_modules")]
    pub excluded: Option<Targets>,
    /// Numbers of the layers with adapters, from 0; empty for all.
    #[serde(rename = "layers_to_transform")]
    pub layers: Vec<usize>,
    /// Other ranks, by regular expressions of module names.
    pub rank_pattern: BTreeMap<String, usize>,
    /// Other values of `lora_alpha`, by regular expressions of module names.
    pub alpha_pattern: BTreeMap<String, f64>,
    /// Modules that are trained as a whole, beside the head.
    pub modules_to_save: Vec<String>,
    /// Biases that are trained.
    pub bias: AdapterBias,
}

impl Default for LoraSettings {
    /// Those of peft.
    fn default() -> Self {
        Self {
            rank: 8,
            alpha: 8.0,
            dropout: 0.0,
            rank_stabilized: false,
            targets: None,
            excluded: None,
            layers: Vec::new(),
            rank_pattern: BTreeMap::new(),
            alpha_pattern: BTreeMap::new(),
            modules_to_save: Vec::new(),
            bias: AdapterBias::None,
        }
    }
}

impl LoraSettings {
    /// The adapter of the model in the folder `base`, with a head of this kind. `fresh` are paths of parameters that the base
    /// lacks: their modules are trained and saved too.
    pub(crate) fn adapter(&self, base: &str, config: &BertConfig, head: Head, fresh: &[String]) -> AdapterConfig {
        let new = AdapterConfig::new(base, config.architecture(), head);
        let mut modules = new.modules_to_save.clone();
        modules.extend(self.modules_to_save.iter().cloned());
        for path in fresh {
            let name = config.place(path).name;
            let module = name.rsplit_once('.').map_or("", |(module, _)| module);
            if !modules.iter().any(|saved| module.ends_with(saved.as_str())) {
                modules.push(module.to_owned());
            }
        }
        AdapterConfig {
            rank: self.rank,
            alpha: self.alpha,
            dropout: self.dropout,
            rank_stabilized: self.rank_stabilized,
            targets: self.targets.clone().unwrap_or(new.targets),
            excluded: self.excluded.clone(),
            layers: self.layers.clone(),
            rank_pattern: self.rank_pattern.clone().into_iter().collect(),
            alpha_pattern: self.alpha_pattern.clone().into_iter().collect(),
            modules_to_save: modules,
            bias: self.bias,
            ..new
        }
    }

    /// Number of weights that are trained in `model`, which has no adapter, and that the adapter adds.
    ///
    /// # Errors
    /// As [`AdapterConfig::n_weights`].
    pub(crate) fn n_weights<M: Pretrained<Config = BertConfig>>(&self, model: &M) -> Result<(u64, u64), ModelError> {
        self.adapter("", model.config(), M::HEAD, &[]).n_weights(model)
    }

    /// Floats that adapters keep of each token for the backward pass, at most: what comes out of the first matrix, its input
    /// where dropout changes that, and what the feed-forward layer keeps that is not one operator.
    pub(crate) fn floats_per_token(&self, config: &BertConfig) -> u64 {
        let is_default = self.targets.is_none();
        let n_targets = if is_default { 2 } else { 6 };
        let inputs = if self.dropout > 0.0 { n_targets * config.d_model } else { 0 };
        let feed_forward = if is_default { 0 } else { 2 * config.d_ff };
        (config.n_layers * (n_targets * self.rank + inputs + feed_forward)) as u64
    }
}

/// What the model card says.
impl Display for LoraSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rank, alpha, dropout, .. } = self;
        write!(f, "LoRA of rank {rank}, alpha {alpha}, dropout {dropout}, in the files of peft")
    }
}

impl Validate for LoraSettings {
    fn validate(&self) -> Result<(), ConfigError> {
        for alpha in self.alpha_pattern.values().chain([&self.alpha]) {
            ConfigError::check_finite_positive("lora_alpha", *alpha)?;
        }
        let config = BertConfig::preset("bert-tiny", 1, 0).expect("a published size");
        self.adapter("", &config, Head::SequenceClassification, &[]).validate()
    }
}
