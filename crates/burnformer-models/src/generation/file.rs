//! Settings of generation in a model folder: `generation_config.json`, or the same keys in `config.json`, where older
//! versions of transformers kept them.

use super::keys::{METADATA, OBEYED, OF_MODEL, REFUSED, When, is_generation_key};
use super::{Convention, GenerationConfig, Sampling, TokenRules};
use crate::folder::{CONFIG, GENERATION_CONFIG};
use crate::hf::{ConfigJson, shown};
use crate::{Architecture, GptConfig, Head, ModelClass, ModelError, Seq2SeqConfig};
use burnformer_core::{ConfigError, Validate};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// Architectures of models that generate texts.
const GENERATORS: [Architecture; 4] =
    [Architecture::Marian, Architecture::Pegasus, Architecture::Burnformer, Architecture::Gpt2];

/// The settings of generation that a model folder has. They are the defaults of its model.
#[derive(Clone, Debug)]
pub struct GenerationFile {
    path: PathBuf,
    settings: Map<String, Value>,
    /// `true` for the settings that this project writes, which are there for other programs.
    is_own: bool,
}

/// A token, or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Tokens {
    One(u32),
    Many(Vec<u32>),
}

/// `early_stopping`: whether to stop, or the word `never`.
#[derive(Deserialize)]
#[serde(untagged)]
enum EarlyStopping {
    Flag(bool),
    Word(String),
}

impl GenerationFile {
    /// The settings that this project writes beside a model.
    pub(crate) fn own(settings: Map<String, Value>) -> Self {
        Self { path: PathBuf::from(GENERATION_CONFIG), settings, is_own: true }
    }

    /// The settings of generation in `folder`, whose weights are not read.
    ///
    /// # Errors
    /// If the folder holds no model that generates texts, or its settings cannot be used.
    pub fn of(folder: &Path) -> Result<Self, ModelError> {
        let class = ModelClass::expect(&[Head::Seq2Seq, Head::CausalLm], &GENERATORS, folder)?;
        let json = ConfigJson::read(folder)?;
        let own = match class.head() {
            Head::Seq2Seq => Seq2SeqConfig::load(folder)?.generation_settings(),
            _ => GptConfig::load(folder)?.generation_settings(),
        };
        Self::read(folder, &json, &own)
    }

    /// Those in `folder`, which holds a model with this `config.json` beside which this project writes `own`.
    pub(crate) fn read(folder: &Path, config: &ConfigJson, own: &Map<String, Value>) -> Result<Self, ModelError> {
        let path = folder.join(GENERATION_CONFIG);
        if path.exists() {
            let mut settings = ConfigJson::read_file(path.clone())?.settings;
            settings.retain(|key, _| !METADATA.contains(&key.as_str()));
            let is_own = settings == *own;
            return Ok(Self { path, settings, is_own });
        }
        let is_known = |key: &str| OBEYED.contains(&key) || REFUSED.iter().any(|it| it.key == key);
        let settings = config.settings.iter().filter(|(key, value)| is_known(key) && !value.is_null());
        let settings: Map<_, _> = settings.map(|(key, value)| (key.clone(), value.clone())).collect();
        let has_several_ends = settings.get("eos_token_id").is_some_and(Value::is_array);
        if !has_several_ends && settings.keys().all(|key| OF_MODEL.contains(&key.as_str())) {
            return Ok(Self { path: folder.join(CONFIG), ..Self::own(own.clone()) });
        }
        Ok(Self { path: folder.join(CONFIG), settings, is_own: false })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The content, for another folder: all keys but those of other programs that change nothing.
    pub(crate) fn settings(&self) -> &Map<String, Value> {
        &self.settings
    }

    /// The token that a target of an encoder–decoder begins with, if the file says it.
    pub(crate) fn start(&self) -> Result<Option<u32>, ModelError> {
        let start = self.get("decoder_start_token_id")?;
        if start.is_some() { Ok(start) } else { self.get("bos_token_id") }
    }

    /// Refuses a start token that a model of `vocab_size` tokens does not have.
    pub(crate) fn check_start(&self, start: u32, vocab_size: usize) -> Result<(), ModelError> {
        if (start as usize) < vocab_size {
            return Ok(());
        }
        let key = "decoder_start_token_id";
        Err(self.setting(key, &Value::from(start), &format!("less than {vocab_size}, the number of tokens")))
    }

    /// The settings of generation by this file: what it leaves out is as in transformers, but for the longest text,
    /// which is the model's. Those that this project writes itself are `default`.
    ///
    /// # Errors
    /// If a value has another type than its key, or cannot work.
    pub fn config(&self, default: GenerationConfig) -> Result<GenerationConfig, ModelError> {
        if self.is_own {
            return Ok(default);
        }
        let none = GenerationConfig::transformers();
        let (early_stopping, heuristic_stopping) = self.early_stopping()?;
        let config = GenerationConfig {
            n_beams: self.get("num_beams")?.unwrap_or(none.n_beams),
            n_best: 1,
            convention: Convention::Transformers,
            length_penalty: self.get("length_penalty")?.unwrap_or(none.length_penalty),
            early_stopping,
            heuristic_stopping,
            min_length: self.get("min_new_tokens")?.unwrap_or(0),
            min_total_length: match self.get::<usize>("min_new_tokens")? {
                Some(_) => 0,
                None => self.get("min_length")?.unwrap_or(0),
            },
            max_length: self.get("max_new_tokens")?,
            max_total_length: self.get("max_length")?,
            repetition_penalty: self.get("repetition_penalty")?.unwrap_or(none.repetition_penalty),
            no_repeat_ngram_size: self.get("no_repeat_ngram_size")?.filter(|size| *size > 0),
            token_rules: self.token_rules()?,
            renormalize: self.get("renormalize_logits")?.unwrap_or(false),
            sampling: self.get("do_sample")?.unwrap_or(false).then(|| self.sampling(Some(50))).transpose()?,
        };
        self.check_values(&config)?;
        Ok(config)
    }

    /// The settings of sampling by this file, where a caller asks to sample: all tokens where it does not say how many.
    ///
    /// # Errors
    /// If a value has another type than its key.
    pub fn asked_sampling(&self) -> Result<Sampling, ModelError> {
        if self.is_own { Ok(Sampling::default()) } else { self.sampling(None) }
    }

    /// Refuses what generation by `settings` would leave out: keys of the file that would change the texts and are not
    /// supported.
    ///
    /// # Errors
    /// [`ModelError::GenerationKey`] with the first such key.
    pub fn check(&self, settings: &GenerationConfig) -> Result<(), ModelError> {
        let refuse = |key, remedy| {
            let found = self.settings.get(key).map(|value| format!("`{}`", shown(value))).unwrap_or_default();
            Err(ModelError::GenerationKey { path: self.path.clone(), key, found, remedy })
        };
        if settings.sampling.is_some() && settings.n_beams > 1 {
            return refuse("num_beams", "with `do_sample` set `num_beams` to 1, or search without `do_sample`");
        }
        for it in &REFUSED {
            let is_used = match it.when {
                When::Always => true,
                When::Sampling => settings.sampling.is_some(),
                When::Beams => settings.n_beams > 1,
            };
            if is_used && self.settings.get(it.key).is_some_and(|value| !is_neutral(value, it.neutral)) {
                return refuse(it.key, "remove the key, or generate without the settings of the file");
            }
        }
        Ok(())
    }

    /// The keys that are unknown here, so that nobody knows what they would change.
    #[must_use]
    pub fn unknown_keys(&self) -> Vec<String> {
        self.settings.keys().filter(|key| !is_generation_key(key)).cloned().collect()
    }

    fn token_rules(&self) -> Result<TokenRules, ModelError> {
        let forced_first = match self.get("forced_bos_token_id")? {
            None if self.get("force_bos_token_to_be_generated")? == Some(true) => self.get("bos_token_id")?,
            forced => forced,
        };
        let mut bad_words: Vec<Vec<u32>> = self.get("bad_words_ids")?.unwrap_or_default();
        bad_words.retain(|word| !word.is_empty());
        Ok(TokenRules {
            eos_ids: self.tokens("eos_token_id")?,
            bad_words,
            forced_first,
            forced_last: self.tokens("forced_eos_token_id")?,
            suppressed: self.get("suppress_tokens")?.unwrap_or_default(),
            suppressed_first: self.get("begin_suppress_tokens")?.unwrap_or_default(),
        })
    }

    /// Whether to stop at enough texts, and whether by the present length of those that go on.
    fn early_stopping(&self) -> Result<(bool, bool), ModelError> {
        let key = "early_stopping";
        Ok(match self.get::<EarlyStopping>(key)? {
            None => (false, true),
            Some(EarlyStopping::Flag(flag)) => (flag, !flag),
            Some(EarlyStopping::Word(word)) if word == "never" => (false, false),
            Some(EarlyStopping::Word(word)) => {
                return Err(self.setting(key, &Value::from(word), "`true`, `false` or `never`"));
            }
        })
    }

    fn sampling(&self, default_top_k: Option<usize>) -> Result<Sampling, ModelError> {
        Ok(Sampling {
            temperature: self.get("temperature")?.unwrap_or(1.0),
            top_k: self.get("top_k")?.or(default_top_k).filter(|top_k| *top_k > 0),
            top_p: self.get("top_p")?.filter(|top_p| *top_p < 1.0),
        })
    }

    /// Refuses values that cannot work, by the key of the file.
    fn check_values(&self, config: &GenerationConfig) -> Result<(), ModelError> {
        // Beams and sampling together are refused once the caller has had a say.
        let config =
            GenerationConfig { n_beams: if config.sampling.is_some() { 1 } else { config.n_beams }, ..config.clone() };
        let Err(error) = config.validate() else { return Ok(()) };
        let ConfigError::OutOfRange { field, range, .. } = &error else { return Err(error.into()) };
        let key = match field.as_str() {
            "n_beams" => "num_beams",
            "max_length" => "max_new_tokens",
            "max_total_length" => "max_length",
            "min_length" => "min_new_tokens",
            "sampling.temperature" => "temperature",
            "sampling.top_k" => "top_k",
            "sampling.top_p" => "top_p",
            "length_penalty" => "length_penalty",
            "repetition_penalty" => "repetition_penalty",
            "token_rules.eos_ids" => "eos_token_id",
            _ => return Err(error.into()),
        };
        Err(self.setting(key, self.settings.get(key).unwrap_or(&Value::Null), range))
    }

    fn tokens(&self, key: &'static str) -> Result<Vec<u32>, ModelError> {
        Ok(match self.get(key)? {
            None => Vec::new(),
            Some(Tokens::One(token)) => vec![token],
            Some(Tokens::Many(tokens)) => tokens,
        })
    }

    /// The value at `key`, if there is one that is not null.
    fn get<'a, T: Deserialize<'a>>(&'a self, key: &'static str) -> Result<Option<T>, ModelError> {
        let value = self.settings.get(key).filter(|value| !value.is_null());
        let path = || self.path.clone();
        value.map(T::deserialize).transpose().map_err(|source| ModelError::SettingType { path: path(), key, source })
    }

    fn setting(&self, key: &'static str, found: &Value, expected: &str) -> ModelError {
        let found = format!("`{}`", shown(found));
        ModelError::Setting { path: self.path.clone(), key, found, expected: expected.to_owned() }
    }
}

/// `true` for null, and for the value that `neutral` says, whether it is written as a whole number or not.
fn is_neutral(value: &Value, neutral: &str) -> bool {
    let neutral: Value = serde_json::from_str(neutral).expect("the table holds JSON");
    value.is_null() || *value == neutral || value.as_f64().is_some_and(|value| Some(value) == neutral.as_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn file(settings: Value) -> GenerationFile {
        let Value::Object(settings) = settings else { unreachable!() };
        GenerationFile { path: "m/generation_config.json".into(), settings, is_own: false }
    }

    fn config(settings: Value) -> Result<GenerationConfig, ModelError> {
        file(settings).config(GenerationConfig::default())
    }

    #[test]
    fn what_a_file_leaves_out_is_as_in_transformers() {
        assert_eq!(config(json!({"transformers_version": "5.24.0"})).unwrap(), GenerationConfig::transformers());
    }

    #[test]
    fn every_obeyed_key_is_read() {
        let found = config(json!({
            "bad_words_ids": [[9], [4, 5]], "begin_suppress_tokens": [3], "early_stopping": "never", "eos_token_id": [1, 2],
            "forced_bos_token_id": 7, "forced_eos_token_id": 1, "length_penalty": -0.5, "max_length": 30, "min_length": 4,
            "no_repeat_ngram_size": 3, "num_beams": 5, "renormalize_logits": true, "repetition_penalty": 1.2,
            "suppress_tokens": [8],
        }));
        let expected = GenerationConfig {
            n_beams: 5,
            length_penalty: -0.5,
            heuristic_stopping: false,
            min_total_length: 4,
            max_total_length: Some(30),
            repetition_penalty: 1.2,
            no_repeat_ngram_size: Some(3),
            renormalize: true,
            token_rules: TokenRules {
                eos_ids: vec![1, 2],
                bad_words: vec![vec![9], vec![4, 5]],
                forced_first: Some(7),
                forced_last: vec![1],
                suppressed: vec![8],
                suppressed_first: vec![3],
            },
            ..GenerationConfig::transformers()
        };
        assert_eq!(found.unwrap(), expected);
        let found = config(json!({"max_new_tokens": 9, "min_new_tokens": 2, "min_length": 7, "early_stopping": true}));
        let expected = GenerationConfig {
            max_length: Some(9),
            min_length: 2,
            early_stopping: true,
            heuristic_stopping: false,
            ..GenerationConfig::transformers()
        };
        assert_eq!(found.unwrap(), expected);
        let forced = config(json!({"force_bos_token_to_be_generated": true, "bos_token_id": 6})).unwrap();
        assert_eq!(forced.token_rules.forced_first, Some(6));
    }

    #[test]
    fn sampling_is_that_of_transformers_where_the_file_asks_for_it() {
        let sampling = |settings| config(settings).unwrap().sampling;
        assert_eq!(sampling(json!({"temperature": 0.7, "top_k": 5})), None);
        let expected = Sampling { temperature: 0.7, top_k: Some(50), top_p: Some(0.9) };
        assert_eq!(sampling(json!({"do_sample": true, "temperature": 0.7, "top_p": 0.9})), Some(expected));
        let all = Sampling { temperature: 1.0, top_k: None, top_p: None };
        assert_eq!(sampling(json!({"do_sample": true, "top_k": 0, "top_p": 1.0})), Some(all));
        let asked = file(json!({"temperature": 0.7})).asked_sampling().unwrap();
        assert_eq!(asked, Sampling { temperature: 0.7, ..Sampling::default() });
    }

    #[test]
    fn a_value_that_cannot_work_is_named_by_its_key() {
        let check = |settings, expected: &str| assert_eq!(config(settings).unwrap_err().to_string(), expected);
        let within = "in `m/generation_config.json`";
        check(json!({"num_beams": 0}), &format!("`num_beams` {within} is `0`, expected 1 to 1024"));
        check(json!({"max_length": 0}), &format!("`max_length` {within} is `0`, expected at least 1"));
        check(
            json!({"do_sample": true, "top_p": 0.0}),
            &format!("`top_p` {within} is `0.0`, expected a value in (0, 1]"),
        );
        check(
            json!({"early_stopping": "x"}),
            &format!("`early_stopping` {within} is `x`, expected `true`, `false` or `never`"),
        );
        check(json!({"num_beams": "4"}), &format!("`num_beams` {within} cannot be used"));
        check(json!({"eos_token_id": -1}), &format!("`eos_token_id` {within} cannot be used"));
    }

    #[test]
    fn a_key_that_would_change_the_texts_is_refused_where_it_would() {
        let check = |settings: Value| {
            let file = file(settings);
            file.check(&file.config(GenerationConfig::default()).unwrap())
        };
        for (settings, key) in [
            (json!({"num_beam_groups": 2, "num_beams": 4}), "num_beam_groups"),
            (json!({"typical_p": 0.9, "do_sample": true}), "typical_p"),
            (json!({"stop_strings": ["x"]}), "stop_strings"),
            (json!({"num_beams": 4, "do_sample": true}), "num_beams"),
        ] {
            let error = check(settings).unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{key}` in `m/generation_config.json` is `")), "{error}");
        }
        for settings in [
            json!({"num_beam_groups": 2}),
            json!({"num_beam_groups": 1, "diversity_penalty": 0.0, "num_beams": 4}),
            json!({"typical_p": 0.9}),
            json!({"typical_p": 1, "do_sample": true, "stop_strings": null, "guidance_scale": 1.0}),
        ] {
            assert!(check(settings.clone()).is_ok(), "{settings}");
        }
    }

    #[test]
    fn only_unknown_keys_are_listed() {
        let file = file(json!({"num_beams": 2, "use_cache": true, "stop_strings": null, "my_key": 1}));
        assert_eq!(file.unknown_keys(), ["my_key"]);
    }
}
