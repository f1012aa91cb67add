//! What the files beside a tokenizer say of it: `tokenizer_config.json`, `special_tokens_map.json`, `added_tokens.json`, and
//! `config.json` for its class.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use serde_json::{Map, Value};
use tokenizers::AddedToken;

use super::class::{Class, Family};
use super::limits::{TOKENS, check_tokens};
use super::load::{CONFIG_FILE, not_json, read};
use super::specials::{content, role_keys};
use super::{Specials, TokenizerError};

const SPECIAL_TOKENS_FILE: &str = "special_tokens_map.json";
const ADDED_TOKENS_FILE: &str = "added_tokens.json";
const MODEL_FILE: &str = "config.json";
/// Key of the names of a model's inputs.
pub(super) const INPUTS_KEY: &str = "model_input_names";
/// Name of the types of tokens among them.
const TYPES: &str = "token_type_ids";
/// The names of a model's inputs, without and with types.
pub(super) const INPUTS: [&str; 2] = ["input_ids", "attention_mask"];
pub(super) const INPUTS_WITH_TYPES: [&str; 3] = ["input_ids", TYPES, "attention_mask"];

/// What files beside a tokenizer say of it.
pub(super) struct Settings {
    /// The keys of `tokenizer_config.json`, under those of `special_tokens_map.json`.
    keys: Map<String, Value>,
    class: Class,
    /// `true` if the class is named, and not only the kind of model.
    is_named: bool,
    /// Tokens beside the vocabulary, by id.
    added: BTreeMap<u32, AddedToken>,
}

impl Settings {
    /// Of a tokenizer that has no files beside it.
    pub(super) fn none() -> Self {
        Self { keys: Map::new(), class: Class::General, is_named: false, added: BTreeMap::new() }
    }

    /// Reads the files in the folder of `path`, in the order in which transformers takes them.
    pub(super) fn beside(path: &Path) -> Result<Self, TokenizerError> {
        let object = |name: &'static str| object(&path.with_file_name(name), name);
        let mut keys = object(CONFIG_FILE)?;
        let (class, is_named) = match keys.get("tokenizer_class").and_then(Value::as_str) {
            Some(name) => (Class::named(name), true),
            None => class_of_model(&object(MODEL_FILE)?),
        };
        let file = |name: &str| path.with_file_name(name);
        let mut added = BTreeMap::new();
        // Newer folders say all in one place, and what older versions wrote beside it is not read.
        if let Some(tokens) = keys.remove("added_tokens_decoder") {
            let Value::Object(tokens) = tokens else { return Err(no_tokens(&file(CONFIG_FILE))) };
            for (id, token) in tokens {
                let token = id.parse().ok().zip(added_token(&token, None));
                added.extend([token.ok_or_else(|| no_tokens(&file(CONFIG_FILE)))?]);
            }
        } else {
            keys.extend(object(SPECIAL_TOKENS_FILE)?);
            let special: HashSet<&str> = keys.iter().flat_map(|(key, value)| named(key, value)).collect();
            for (token, id) in object(ADDED_TOKENS_FILE)? {
                let is_special = special.contains(token.as_str());
                let id = id.as_u64().and_then(|id| u32::try_from(id).ok());
                let id = id.ok_or_else(|| no_tokens(&file(ADDED_TOKENS_FILE)))?;
                added.insert(id, AddedToken::from(token, is_special));
            }
        }
        check_tokens(added.len(), path)?;
        Ok(Self { keys, class, is_named, added })
    }

    /// `true` if the second text of a pair has type 1 in the model's input: if `model_input_names` lists the types or, without
    /// that key, if the class gives them. A general class does not.
    pub(super) fn has_types(&self) -> bool {
        match self.keys.get(INPUTS_KEY).and_then(Value::as_array) {
            Some(names) => names.iter().any(|name| name == TYPES),
            None => match self.class {
                Class::General => !self.is_named,
                Class::Known(family) => family == Family::Bert,
                Class::Other(_) => true,
            },
        }
    }

    /// The class of the tokenizer.
    pub(super) fn class(&self) -> &Class {
        &self.class
    }

    /// `true` if files of the original BERT may belong to the tokenizer: a model whose tokenizer is not named may have one that
    /// is not usual for it.
    pub(super) fn allows_bert(&self) -> bool {
        match self.class {
            Class::General | Class::Known(Family::Bert) => true,
            Class::Known(_) => !self.is_named,
            Class::Other(_) => false,
        }
    }

    /// The value of a key that is a truth value.
    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        self.keys.get(key)?.as_bool()
    }

    /// The value of a key that is a number of tokens. Hugging Face writes ten to the thirtieth for one that is not known.
    pub(super) fn length(&self, key: &str) -> Option<usize> {
        self.keys.get(key)?.as_u64().and_then(|length| usize::try_from(length).ok())
    }

    /// `true` if the value of a key is this text.
    pub(super) fn is_text(&self, key: &str, text: &str) -> bool {
        self.keys.get(key).and_then(Value::as_str) == Some(text)
    }

    /// `true` if the value of a key is an object with something in it.
    pub(super) fn has_entries(&self, key: &str) -> bool {
        self.keys.get(key).and_then(Value::as_object).is_some_and(|entries| !entries.is_empty())
    }

    /// The special token that a key such as `unk_token` names.
    pub(super) fn token<'a>(&'a self, key: &str, default: &'a str) -> &'a str {
        self.keys.get(key).and_then(content).unwrap_or(default)
    }

    /// A property of the special token that a key names, if it comes with properties.
    pub(super) fn token_flag(&self, key: &str, property: &str) -> Option<bool> {
        let token = self.keys.get(key)?.as_object()?;
        Some(token.get(property).and_then(Value::as_bool).unwrap_or(false))
    }

    /// The special tokens of `library` by role.
    pub(super) fn specials(&self, library: &tokenizers::Tokenizer) -> Result<Specials, String> {
        Specials::find(&self.keys, library)
    }

    /// Adds the tokens that the files name to `library`, as transformers does; `path` is for error messages.
    ///
    /// # Errors
    /// [`TokenizerError::AddedId`] if the vocabulary leaves no room for the id of a token.
    pub(super) fn add_tokens(&self, library: &mut tokenizers::Tokenizer, path: &Path) -> Result<(), TokenizerError> {
        let unusable = |_| TokenizerError::Inconsistent { path: path.to_owned() };
        if !self.added.is_empty() {
            library.add_tokens(self.added.values().cloned()).map_err(unusable)?;
        }
        for (&id, token) in &self.added {
            let found = library.token_to_id(&token.content);
            if found != Some(id) {
                let token = token.content.clone();
                return Err(TokenizerError::AddedId { path: path.to_owned(), token, id, found: found.unwrap_or(0) });
            }
        }
        let is_added = |library: &tokenizers::Tokenizer, token: &AddedToken| {
            library.get_added_vocabulary().get_vocab().contains_key(&token.content)
        };
        let mut new: Vec<AddedToken> = Vec::new();
        for (key, value) in &self.keys {
            let tokens = values(key, value).take(TOKENS + 1).filter_map(|value| added_token(value, Some(true)));
            // A role's token that is nowhere is an error of its own.
            let is_role = role_keys().any(|role| role == key);
            new.extend(tokens.filter(|token| {
                !is_added(library, token) && (!is_role || library.token_to_id(&token.content).is_some())
            }));
        }
        check_tokens(new.len(), path)?;
        if !new.is_empty() {
            library.add_tokens(new).map_err(unusable)?;
        }
        Ok(())
    }
}

/// The class that a `config.json` names or its kind of model has, and whether it is named.
fn class_of_model(config: &Map<String, Value>) -> (Class, bool) {
    let text = |key: &str| config.get(key).and_then(Value::as_str);
    match (text("tokenizer_class"), text("model_type")) {
        (Some(name), _) => (Class::named(name), true),
        (None, Some(model_type)) => (Class::of_model(model_type), false),
        (None, None) => (Class::General, false),
    }
}

/// The values of `key` that are special tokens: one, a list, or an object of names.
fn values<'a>(key: &str, value: &'a Value) -> Box<dyn Iterator<Item = &'a Value> + 'a> {
    match (key, value) {
        ("additional_special_tokens" | "extra_special_tokens", Value::Array(tokens)) => Box::new(tokens.iter()),
        ("extra_special_tokens" | "model_specific_special_tokens", Value::Object(tokens)) => Box::new(tokens.values()),
        _ if key.ends_with("_token") => Box::new(std::iter::once(value)),
        _ => Box::new(std::iter::empty()),
    }
}

fn named<'a>(key: &str, value: &'a Value) -> impl Iterator<Item = &'a str> {
    values(key, value).filter_map(content)
}

/// A token as it is or as an object with its properties; `special` overrides the property of that name.
fn added_token(value: &Value, special: Option<bool>) -> Option<AddedToken> {
    let flag = |key: &str| value.get(key).and_then(Value::as_bool);
    let special = special.or_else(|| flag("special")).unwrap_or(false);
    Some(AddedToken {
        content: content(value)?.to_owned(),
        single_word: flag("single_word").unwrap_or(false),
        lstrip: flag("lstrip").unwrap_or(false),
        rstrip: flag("rstrip").unwrap_or(false),
        normalized: flag("normalized").unwrap_or(!special),
        special,
    })
}

fn no_tokens(path: &Path) -> TokenizerError {
    TokenizerError::AddedTokens { path: path.to_owned() }
}

/// The content of a file that is one JSON object, or nothing if there is no such file.
fn object(path: &Path, name: &'static str) -> Result<Map<String, Value>, TokenizerError> {
    if !path.exists() {
        return Ok(Map::new());
    }
    serde_json::from_str(&read(path)?).map_err(not_json(path, name))
}
