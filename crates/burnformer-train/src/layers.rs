//! Learning rates by layer, and layers that are frozen: from the bottom of a model to its top.

use std::collections::BTreeMap;
use std::fmt;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{ParameterRule, TrainConfig, TrainError};

/// The part of a model that is frozen, from the embeddings up. What is above the layers, such as a pooler or a classifier, is
/// always trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freeze {
    /// The embeddings.
    Embeddings,
    /// The embeddings and so many of the lowest layers, 1 or more; of an encoder–decoder, in each of the two.
    Layers(usize),
    /// The embeddings and all layers.
    Body,
}

/// `embeddings`, `body`, or a number.
impl fmt::Display for Freeze {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embeddings => f.write_str("embeddings"),
            Self::Layers(n) => n.fmt(f),
            Self::Body => f.write_str("body"),
        }
    }
}

impl Serialize for Freeze {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Layers(n) => serializer.serialize_u64(*n as u64),
            part => serializer.collect_str(part),
        }
    }
}

impl<'de> Deserialize<'de> for Freeze {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Part;

        impl Visitor<'_> for Part {
            type Value = Freeze;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`embeddings`, `body`, or a number of layers, 1 or more")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Freeze, E> {
                match text {
                    "embeddings" => Ok(Freeze::Embeddings),
                    "body" => Ok(Freeze::Body),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
                }
            }

            fn visit_u64<E: Error>(self, n: u64) -> Result<Freeze, E> {
                let layers = usize::try_from(n).ok().filter(|n| *n > 0).map(Freeze::Layers);
                layers.ok_or_else(|| E::invalid_value(serde::de::Unexpected::Unsigned(n), &self))
            }

            fn visit_i64<E: Error>(self, n: i64) -> Result<Freeze, E> {
                match u64::try_from(n) {
                    Ok(n) => self.visit_u64(n),
                    Err(_) => Err(E::invalid_value(serde::de::Unexpected::Signed(n), &self)),
                }
            }
        }

        deserializer.deserialize_any(Part)
    }
}

/// The rule of a run: that of its recipe, and within it what the training settings say of layers.
///
/// A parameter has a depth, as in ELECTRA: embeddings 0, layer `i` of `n` `i + 1`, what is above the layers `n + 2`. The norm that
/// ends a stack of layers belongs to the last of them. The learning rate is multiplied by `layer_decay^(n + 2 - depth)`.
///
/// Source: Clark et al. 2020, `_get_layer_lrs` of their code, where no layer has depth `n + 1`; unfreezing from the top: Howard and
/// Ruder 2018, section 3.3.
pub(crate) struct LayerRule<'a> {
    inner: &'a dyn ParameterRule,
    decay: f64,
    freeze: Option<Freeze>,
    unfreeze_every: Option<u64>,
    /// Number of layers of each stack, by its path.
    stacks: BTreeMap<String, usize>,
}

/// Parts of a path that name embeddings.
const EMBEDDINGS: [&str; 8] =
    ["embeddings", "token", "position", "positions", "source", "target", "source_positions", "target_positions"];

impl<'a> LayerRule<'a> {
    /// The rule for `model`.
    ///
    /// # Errors
    /// If the model has fewer layers than are to be frozen, or no parameter would be trained.
    pub(crate) fn new<M: Module>(
        config: &TrainConfig,
        inner: &'a dyn ParameterRule,
        model: &M,
    ) -> Result<Self, TrainError> {
        let paths = paths(model);
        let mut stacks = BTreeMap::new();
        for (stack, layer) in paths.iter().filter_map(|path| layer_of(path)) {
            let n = stacks.entry(stack.to_owned()).or_insert(0);
            *n = (*n).max(layer + 1);
        }
        // Who unfreezes begins with the body frozen.
        let freeze = config.freeze.or(config.unfreeze_every.map(|_| Freeze::Body));
        let (decay, unfreeze_every) = (config.layer_decay.unwrap_or(1.0), config.unfreeze_every);
        let rule = Self { inner, decay, freeze, unfreeze_every, stacks };
        let n_layers = rule.most_layers();
        if let Some(Freeze::Layers(found)) = freeze
            && found > n_layers
        {
            return Err(TrainError::FrozenLayers { found, n_layers });
        }
        match paths.iter().any(|path| rule.is_trained(path, 1)) {
            true => Ok(rule),
            false => Err(TrainError::NothingTrained),
        }
    }

    /// Number of layers of the highest stack.
    fn most_layers(&self) -> usize {
        self.stacks.values().copied().max().unwrap_or(0)
    }

    /// Depth of the parameter at `path`, and the number of layers of its stack.
    fn depth(&self, path: &str) -> (usize, usize) {
        if let Some((stack, layer)) = layer_of(path) {
            return (layer + 1, self.stacks.get(stack).copied().unwrap_or(layer + 1));
        }
        let is_within = |stack: &str| path.strip_prefix(stack).is_some_and(|rest| rest.starts_with('.'));
        if let Some((_, &n)) = self.stacks.iter().find(|(stack, _)| is_within(stack)) {
            return (n, n);
        }
        let n = self.most_layers();
        let is_embedding = path.split('.').any(|part| EMBEDDINGS.contains(&part));
        (if is_embedding { 0 } else { n + 2 }, n)
    }

    /// `true` if the parameter at `path` is frozen in the step `step`.
    fn is_frozen(&self, path: &str, step: u64) -> bool {
        let Some(freeze) = self.freeze else { return false };
        let (depth, n) = self.depth(path);
        let top = match freeze {
            Freeze::Embeddings => 0,
            Freeze::Layers(layers) => layers.min(n),
            Freeze::Body => n,
        };
        let unfrozen = self.unfreeze_every.map_or(0, |every| step.saturating_sub(1) / every.max(1));
        unfrozen.saturating_add(depth as u64) <= top as u64
    }
}

impl ParameterRule for LayerRule<'_> {
    fn is_trained(&self, path: &str, step: u64) -> bool {
        self.inner.is_trained(path, step) && !self.is_frozen(path, step)
    }

    fn learning_rate_factor(&self, path: &str) -> f64 {
        let (depth, n) = self.depth(path);
        self.inner.learning_rate_factor(path) * self.decay.powi((n + 2 - depth) as i32)
    }
}

/// The stack that a parameter's path leads through, and the number of the layer: `bert.encoder` and 3 of
/// `bert.encoder.layers.3.norm_ff.weight`.
fn layer_of(path: &str) -> Option<(&str, usize)> {
    let at = path.find(".layers.")?;
    let number = path[at + ".layers.".len()..].split('.').next()?;
    Some((&path[..at], number.parse().ok()?))
}

/// The paths of all parameters.
fn paths<M: Module>(model: &M) -> Vec<String> {
    let mut visitor = Paths { paths: Vec::new(), path: Vec::new() };
    model.visit(&mut visitor);
    visitor.paths
}

struct Paths {
    paths: Vec<String>,
    path: Vec<String>,
}

impl ModuleVisitor for Paths {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, _param: &Param<Tensor<D>>) {
        self.paths.push(self.path.join("."));
    }
}

#[cfg(test)]
mod tests {
    use burnformer_models::{BertConfig, BertForSequenceClassification, GptConfig, GptForCausalLM, GptTokens};
    use burnformer_ops::DeviceChoice;

    use super::*;
    use crate::AllParameters;

    fn classifier(n_layers: usize) -> BertForSequenceClassification {
        let device = DeviceChoice::Auto.open().unwrap();
        let mut config = BertConfig::preset("bert-tiny", 20, 0).unwrap();
        (config.d_model, config.n_heads, config.d_ff, config.n_layers) = (8, 2, 12, n_layers);
        BertForSequenceClassification::new(&config, &["a".to_owned(), "b".to_owned()], &device)
    }

    fn rule(config: &TrainConfig, n_layers: usize) -> Result<LayerRule<'static>, TrainError> {
        LayerRule::new(config, &AllParameters, &classifier(n_layers))
    }

    /// Factors of ELECTRA's code for 12 layers and a decay of 0.8: `_get_layer_lrs` of google-research/electra.
    #[test]
    fn learning_rates_decay_as_those_of_electra() {
        let rule = rule(&TrainConfig { layer_decay: Some(0.8), ..TrainConfig::default() }, 12).unwrap();
        for (path, expected) in [
            ("classifier.weight", 1.0),
            ("pooler.dense.bias", 1.0),
            ("bert.encoder.layers.11.attention.query.weight", 0.64),
            ("bert.encoder.layers.10.norm_ff.bias", 0.512),
            ("bert.encoder.layers.0.feed_forward.linear_in.weight", 0.054_975_581_388_8),
            ("bert.embeddings.token.weight", 0.043_980_465_111_04),
            ("bert.embeddings.norm.weight", 0.043_980_465_111_04),
        ] {
            let found = rule.learning_rate_factor(path);
            assert!((found - expected).abs() < 1e-12, "{path}: {found}, expected {expected}");
            assert!(rule.is_trained(path, 1));
        }
    }

    /// What is trained at a step, of the embeddings, three layers and the classifier.
    fn trained(config: &TrainConfig, step: u64) -> [bool; 5] {
        let rule = rule(config, 3).unwrap();
        let layer = |i: usize| rule.is_trained(&format!("bert.encoder.layers.{i}.norm_ff.bias"), step);
        let rest = ["bert.embeddings.position.weight", "classifier.bias"].map(|path| rule.is_trained(path, step));
        [rest[0], layer(0), layer(1), layer(2), rest[1]]
    }

    #[test]
    fn a_model_is_frozen_from_the_bottom_and_unfrozen_from_the_top() {
        let frozen = |freeze, unfreeze_every| TrainConfig { freeze, unfreeze_every, ..TrainConfig::default() };
        assert_eq!(trained(&frozen(None, None), 1), [true; 5]);
        assert_eq!(trained(&frozen(Some(Freeze::Embeddings), None), 9), [false, true, true, true, true]);
        assert_eq!(trained(&frozen(Some(Freeze::Layers(2)), None), 9), [false, false, false, true, true]);
        assert_eq!(trained(&frozen(Some(Freeze::Body), None), 9), [false, false, false, false, true]);
        // Unfreezing alone begins with the body frozen.
        for config in [frozen(None, Some(10)), frozen(Some(Freeze::Body), Some(10))] {
            assert_eq!(trained(&config, 10), [false, false, false, false, true]);
            assert_eq!(trained(&config, 11), [false, false, false, true, true]);
            assert_eq!(trained(&config, 21), [false, false, true, true, true]);
            assert_eq!(trained(&config, 40), [false, true, true, true, true]);
            assert_eq!(trained(&config, 41), [true; 5]);
            assert_eq!(trained(&config, u64::MAX), [true; 5]);
        }
        assert_eq!(trained(&frozen(Some(Freeze::Layers(1)), Some(3)), 4), [false, true, true, true, true]);
    }

    #[test]
    fn what_cannot_be_frozen_is_refused() {
        let frozen = |freeze| TrainConfig { freeze: Some(freeze), ..TrainConfig::default() };
        rule(&frozen(Freeze::Layers(3)), 3).unwrap();
        let error = rule(&frozen(Freeze::Layers(4)), 3).err().unwrap();
        let expected = "`train.freeze` is 4, but the model has 3 layers: set it to 3 or less, or to `body`";
        assert_eq!(error.to_string(), expected);
        // The output is the weight of the embeddings: there is nothing above the layers.
        let device = DeviceChoice::Auto.open().unwrap();
        let mut config = GptConfig::preset("gpt-tiny", 20, GptTokens::default()).unwrap();
        (config.d_model, config.n_heads, config.d_ff, config.n_layers) = (8, 2, 12, 2);
        let gpt = GptForCausalLM::init(&config, 1, &device);
        let error = LayerRule::new(&frozen(Freeze::Body), &AllParameters, &gpt).err().unwrap();
        assert!(error.to_string().contains("no parameter would be trained"), "{error}");
        let rule = LayerRule::new(&frozen(Freeze::Layers(1)), &AllParameters, &gpt).unwrap();
        let found = paths(&gpt).into_iter().filter(|path| rule.is_trained(path, 1)).collect::<Vec<_>>();
        assert!(found.iter().all(|path| path.contains(".layers.1.") || path.contains("norm_final")), "{found:?}");
        assert!(found.len() > 9);
    }

    #[test]
    fn a_part_is_a_word_or_a_number() {
        let read = |json: &str| serde_json::from_str::<Freeze>(json);
        for (json, part) in
            [("\"embeddings\"", Freeze::Embeddings), ("3", Freeze::Layers(3)), ("\"body\"", Freeze::Body)]
        {
            assert_eq!(read(json).unwrap(), part);
            assert_eq!(serde_json::to_string(&part).unwrap(), json);
        }
        for json in ["0", "-1", "\"head\"", "1.5", "[1]"] {
            let error = read(json).unwrap_err().to_string();
            assert!(error.contains("expected `embeddings`, `body`, or a number of layers, 1 or more"), "{error}");
        }
    }
}
