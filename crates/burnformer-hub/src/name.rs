//! Names of models and revisions. Both become part of addresses and of paths, so that neither may lead elsewhere.

use std::fmt;
use std::str::FromStr;

/// The name of a model on the hub, `ORG/NAME`.
///
/// ```
/// use burnformer_hub::ModelName;
///
/// assert!("google-bert/bert-base-uncased".parse::<ModelName>().is_ok());
/// assert!("../bert".parse::<ModelName>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelName(String);

/// A branch, a tag or a commit of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision(String);

/// Not the name of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected ORG/NAME, as in `google-bert/bert-base-uncased`")]
pub struct NameError;

/// Not the name of a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a branch, a tag or a commit")]
pub struct RevisionError;

impl ModelName {
    /// The name as it stands in addresses.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Revision {
    /// The revision as it stands in addresses.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ModelName {
    type Err = NameError;

    /// Accepts the characters that the hub allows in both parts of a name.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let is_part = |part: &str| {
            let characters = part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
            characters && !part.starts_with(['-', '.']) && !part.contains("..") && !part.is_empty()
        };
        match text.split_once('/') {
            Some((org, name)) if is_part(org) && is_part(name) => Ok(Self(text.to_owned())),
            _ => Err(NameError),
        }
    }
}

impl FromStr for Revision {
    type Err = RevisionError;

    /// Accepts what git allows in names of branches and tags and addresses leave as it is.
    fn from_str(text: &str) -> Result<Self, RevisionError> {
        let characters = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./+@".contains(&byte));
        let is_path = text.split('/').all(|part| !part.is_empty() && !part.starts_with('.') && !part.contains(".."));
        if characters && is_path { Ok(Self(text.to_owned())) } else { Err(RevisionError) }
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `true` if `name` leads to a file below any folder, on every system: parts that name something themselves, without characters
/// that have a meaning in a path or cannot be printed.
pub(crate) fn is_path_inside(name: &str) -> bool {
    let is_plain = |character: char| !character.is_control() && !r#"\:*?"<>|"#.contains(character);
    // Windows leaves out dots and spaces at the end of a part, so that `.. ` is the folder above.
    name.split('/')
        .all(|part| part.chars().all(is_plain) && !part.is_empty() && part.len() <= 255 && !part.ends_with(['.', ' ']))
}

/// A text of the server, short enough for a message.
pub(crate) fn shortened(text: &str) -> String {
    const SHOWN: usize = 100;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_revisions_cannot_lead_out_of_the_cache() {
        for text in ["google-bert/bert-base-uncased", "a/B.c_1"] {
            assert_eq!(text.parse::<ModelName>().unwrap().to_string(), text);
        }
        for text in
            ["", "bert", "a/", "/b", "a/b/c", "../b", "a/..", "a/b..c", "https://hub/a/b", "a/b c", "a/b?c", "-a/b"]
        {
            assert_eq!(text.parse::<ModelName>(), Err(NameError), "{text}");
        }
        for text in ["main", "refs/pr/1", "v1.0+a", "0123456789abcdef"] {
            assert_eq!(text.parse::<Revision>().unwrap().to_string(), text);
        }
        for text in ["", "..", "a/../b", "/a", "a/", "a b", "a?b", "a#b", ".a", "a%2fb"] {
            assert_eq!(text.parse::<Revision>(), Err(RevisionError), "{text}");
        }
    }
}
