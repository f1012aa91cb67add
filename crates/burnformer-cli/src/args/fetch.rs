//! `burnformer fetch`.

use std::path::PathBuf;

use clap::Args;

/// Download a model from the Hugging Face hub
///
/// Downloads the configuration, one set of weights (safetensors if there is one), the tokenizer and the modules of
/// sentence-transformers into the cache that Hugging Face's programs use, and prints the model folder. Files that are in the
/// cache are not downloaded again; an interrupted download continues where it stopped.
///
/// Environment variables: `HF_HOME` and `HF_HUB_CACHE` (place of the cache), `HF_TOKEN` (for private and gated models;
/// default: the token stored by `hf auth login`), `HF_ENDPOINT` (another server), `HTTPS_PROXY`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  burnformer fetch google-bert/bert-base-uncased --out models/bert
  burnformer fetch sentence-transformers/all-MiniLM-L6-v2 --revision main
  burnformer similarity $(burnformer fetch sentence-transformers/all-MiniLM-L6-v2) 'It leaks.' 'It drips.'")]
pub(crate) struct FetchArgs {
    /// Model name on the hub
    #[arg(value_name = "ORG/NAME", value_parser = name)]
    pub(crate) name: String,

    /// Branch, tag or commit
    #[arg(long, value_name = "REVISION", default_value = "main", value_parser = revision)]
    pub(crate) revision: String,

    /// Copy the model to this folder; must not exist
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
}

/// The characters that the hub allows in both parts of a name; it is part of addresses and of paths.
fn name(text: &str) -> Result<String, String> {
    let is_part = |part: &str| {
        let characters = part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        characters && !part.starts_with(['-', '.']) && !part.contains("..") && !part.is_empty()
    };
    match text.split_once('/') {
        Some((org, name)) if is_part(org) && is_part(name) => Ok(text.to_owned()),
        _ => Err("expected ORG/NAME, as in `google-bert/bert-base-uncased`".to_owned()),
    }
}

/// What git allows in names of branches and tags, and addresses leave as it is.
fn revision(text: &str) -> Result<String, String> {
    let characters = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./+@".contains(&byte));
    let is_path = text.split('/').all(|part| !part.is_empty() && !part.starts_with('.') && !part.contains(".."));
    match characters && is_path {
        true => Ok(text.to_owned()),
        false => Err("expected a branch, a tag or a commit".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_revisions_cannot_lead_out_of_the_cache() {
        for text in ["google-bert/bert-base-uncased", "a/B.c_1"] {
            assert_eq!(name(text).as_deref(), Ok(text));
        }
        for text in
            ["", "bert", "a/", "/b", "a/b/c", "../b", "a/..", "a/b..c", "https://hub/a/b", "a/b c", "a/b?c", "-a/b"]
        {
            assert!(name(text).is_err(), "{text}");
        }
        for text in ["main", "refs/pr/1", "v1.0+a", "0123456789abcdef"] {
            assert_eq!(revision(text).as_deref(), Ok(text));
        }
        for text in ["", "..", "a/../b", "/a", "a/", "a b", "a?b", "a#b", ".a", "a%2fb"] {
            assert!(revision(text).is_err(), "{text}");
        }
    }
}
