//! Prompts: texts in front of texts, by name.

use std::collections::BTreeMap;

use crate::TaskError;

/// Prompts of a model, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prompts {
    pub(super) texts: BTreeMap<String, String>,
    /// Name of the prompt of texts for which none is asked.
    pub(super) default: Option<String>,
}

/// Names that every model knows; the prompt is empty unless its files give one.
const COMMON: [&str; 2] = ["document", "query"];

impl Prompts {
    /// The prompt with this name.
    ///
    /// # Errors
    /// [`TaskError::NoPrompt`] if the model has none.
    pub fn named(&self, name: &str) -> Result<&str, TaskError> {
        self.find(name).ok_or_else(|| TaskError::NoPrompt { name: name.to_owned(), known: self.names() })
    }

    /// The prompt of texts for which none is asked; it may be empty.
    #[must_use]
    pub fn default_prompt(&self) -> &str {
        self.default.as_deref().and_then(|name| self.find(name)).unwrap_or_default()
    }

    /// The prompt of what is looked for; it may be empty.
    #[must_use]
    pub fn query(&self) -> &str {
        self.find("query").unwrap_or_default()
    }

    /// The prompt of what is searched; it may be empty.
    #[must_use]
    pub fn document(&self) -> &str {
        ["document", "passage", "corpus"].iter().find_map(|&name| self.texts.get(name)).map_or("", String::as_str)
    }

    /// The names of all prompts.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let common = COMMON.iter().filter(|&&name| !self.texts.contains_key(name)).map(ToString::to_string);
        self.texts.keys().cloned().chain(common).collect()
    }

    pub(super) fn find(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(String::as_str).or_else(|| COMMON.contains(&name).then_some(""))
    }
}
