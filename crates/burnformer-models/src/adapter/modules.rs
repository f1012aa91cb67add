//! Which modules of a model an adapter changes, by the names that they have in transformers.

use super::pattern::Pattern;
use super::{AdapterBias, AdapterConfig};
use burnformer_core::ConfigError;

/// What the settings of an adapter say of the modules of a model.
pub(crate) struct Modules<'a> {
    config: &'a AdapterConfig,
    is_target: Box<dyn Fn(&str) -> bool>,
    is_excluded: Box<dyn Fn(&str) -> bool>,
    layers: Vec<Pattern>,
    ranks: Vec<(Pattern, usize)>,
    alphas: Vec<(Pattern, f64)>,
    /// Modules that are trained as a whole, and all in them.
    saved: Vec<Pattern>,
}

impl<'a> Modules<'a> {
    /// # Errors
    /// [`ConfigError`] of a regular expression that cannot be used.
    pub(crate) fn new(config: &'a AdapterConfig) -> Result<Self, ConfigError> {
        let any = [r"[^.]*".to_owned()];
        let lists = if config.layers_pattern.is_empty() { &any[..] } else { &config.layers_pattern };
        let is_excluded: Box<dyn Fn(&str) -> bool> = match &config.excluded {
            None => Box::new(|_| false),
            Some(excluded) => Box::new(excluded.matcher("exclude_modules")?),
        };
        let saved = |name: &String| Pattern::whole("modules_to_save", &format!(r"(?:|.*\.)(?:{name})(?:|\..*)"));
        Ok(Self {
            config,
            is_target: Box::new(config.targets.matcher("target_modules")?),
            is_excluded,
            layers: lists.iter().map(|list| Pattern::layers("layers_pattern", list)).collect::<Result<_, _>>()?,
            ranks: patterns("rank_pattern", &config.rank_pattern)?,
            alphas: patterns("alpha_pattern", &config.alpha_pattern)?,
            saved: config.modules_to_save.iter().map(saved).collect::<Result<_, _>>()?,
        })
    }

    /// `true` if `module` has an adapter; `is_linear` says that it is a linear map, and no head.
    pub(crate) fn is_target(&self, module: &str, is_linear: bool) -> bool {
        let is_named = if self.config.targets.is_all_linear() { is_linear } else { (self.is_target)(module) };
        let is_saved = || self.saved.iter().any(|saved| saved.is_match(module));
        is_named && !(self.is_excluded)(module) && !is_saved() && self.is_in_layers(module)
    }

    fn is_in_layers(&self, module: &str) -> bool {
        let layers = &self.config.layers;
        layers.is_empty()
            || self.layers.iter().find_map(|list| list.layer(module)).is_some_and(|layer| layers.contains(&layer))
    }

    /// `true` if the weight `name` is one of a module that is trained as a whole. As in peft, the name of a module need only
    /// end as it is given.
    pub(crate) fn is_saved(&self, name: &str) -> bool {
        let mut modules = name.match_indices('.').map(|(end, _)| &name[..end]);
        modules.any(|module| self.config.modules_to_save.iter().any(|saved| module.ends_with(saved.as_str())))
    }

    /// `true` if the bias of a module is trained that has an adapter, or has none.
    pub(crate) fn trains_bias(&self, has_adapter: bool) -> bool {
        match self.config.bias {
            AdapterBias::None => false,
            AdapterBias::All => true,
            AdapterBias::LoraOnly => has_adapter,
        }
    }

    /// Rank of the adapter of `module`.
    pub(crate) fn rank(&self, module: &str) -> usize {
        first(&self.ranks, module).unwrap_or(self.config.rank)
    }

    /// Factor of the adapter of `module`.
    pub(crate) fn scale(&self, module: &str) -> f64 {
        let alpha = first(&self.alphas, module).unwrap_or(self.config.alpha);
        let rank = self.rank(module) as f64;
        alpha / if self.config.rank_stabilized { rank.sqrt() } else { rank }
    }
}

fn patterns<T: Copy>(key: &'static str, entries: &[(String, T)]) -> Result<Vec<(Pattern, T)>, ConfigError> {
    entries.iter().map(|(pattern, value)| Ok((Pattern::end(key, pattern)?, *value))).collect()
}

fn first<T: Copy>(patterns: &[(Pattern, T)], module: &str) -> Option<T> {
    patterns.iter().find(|(pattern, _)| pattern.is_match(module)).map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Architecture, Head, Targets};

    fn config() -> AdapterConfig {
        AdapterConfig::new("base", Architecture::Bert, Head::SequenceClassification)
    }

    const QUERY: &str = "bert.encoder.layer.11.attention.self.query";
    const KEY: &str = "bert.encoder.layer.11.attention.self.key";

    #[track_caller]
    fn check(change: impl FnOnce(&mut AdapterConfig), targets: &[&str], others: &[&str]) {
        let mut config = config();
        change(&mut config);
        let modules = Modules::new(&config).unwrap();
        for (names, expected) in [(targets, true), (others, false)] {
            for name in names {
                assert_eq!(modules.is_target(name, name.contains("layer")), expected, "{name}");
            }
        }
    }

    /// As `check_target_module_exists` of peft 0.21.2.
    #[test]
    fn targets_are_those_of_peft() {
        let names = |names: &[&str]| Targets::Names(names.iter().map(|&name| name.to_owned()).collect());
        check(|_| {}, &[QUERY], &[KEY, "my_query", "classifier"]);
        check(|config| config.targets = names(&["y"]), &[], &[QUERY, KEY]);
        let pattern = |pattern: &str| Targets::Pattern(pattern.to_owned());
        check(|config| config.targets = pattern(r".*self\.(query|key)"), &[QUERY, KEY], &["query", "self.query.x"]);
        check(|config| config.targets = pattern("all-linear"), &[QUERY, KEY], &["classifier"]);
        // What is trained as a whole has no adapter.
        check(
            |config| config.targets = names(&["dense", "classifier"]),
            &["pooler.dense"],
            &["classifier.dense", "classifier"],
        );
        check(
            |config| (config.targets, config.excluded) = (names(&["query", "key"]), Some(names(&["self.key"]))),
            &[QUERY],
            &[KEY],
        );
        let layer_2 = "bert.encoder.layer.2.attention.self.query";
        check(|config| config.layers = vec![2], &[layer_2], &[QUERY, "query"]);
        check(|config| (config.layers, config.layers_pattern) = (vec![2], vec!["layers".to_owned()]), &[], &[layer_2]);
        check(|config| (config.layers, config.layers_pattern) = (vec![2], vec!["layer".to_owned()]), &[layer_2], &[]);
    }

    #[test]
    fn patterns_change_rank_and_scale() {
        let mut config = config();
        (config.rank, config.alpha) = (2, 4.0);
        config.rank_pattern = vec![("key".to_owned(), 3)];
        config.alpha_pattern = vec![("self.k.*".to_owned(), 9.0), ("key".to_owned(), 1.0)];
        let modules = Modules::new(&config).unwrap();
        assert_eq!([modules.rank(QUERY), modules.rank(KEY)], [2, 3]);
        assert_eq!([modules.scale(QUERY), modules.scale(KEY)], [2.0, 3.0]);
        config.rank_stabilized = true;
        let modules = Modules::new(&config).unwrap();
        assert_eq!(modules.scale(QUERY), 4.0 / 2.0_f64.sqrt());
    }

    /// `_set_trainable` of peft 0.21.2 compares the ends of names.
    #[test]
    fn all_of_a_module_is_saved() {
        let config = config();
        let modules = Modules::new(&config).unwrap();
        for name in ["classifier.weight", "classifier.out_proj.bias", "pre_classifier.weight"] {
            assert!(modules.is_saved(name), "{name}");
        }
        assert!(!modules.is_saved("bert.pooler.dense.weight"));
    }

    #[test]
    fn what_is_no_regular_expression_is_an_error() {
        let mut config = config();
        config.targets = Targets::Pattern("(query".to_owned());
        let error = Modules::new(&config).err().unwrap().to_string();
        assert!(error.starts_with("`target_modules` is (query, expected a regular expression"), "{error}");
    }
}
