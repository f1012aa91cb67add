//! The description of a corpus, a JSON file beside its shards.

use std::path::{Path, PathBuf};

use burnformer_core::files::{atomic_write_bytes, read_limited};
use serde::{Deserialize, Serialize};

use super::CorpusError;
use crate::DataError;

/// Name of the description in the folder of a corpus.
const FILE: &str = "corpus.json";
/// Largest description, in bytes: ten million names of labels fit in.
const LIMIT: u64 = 256 << 20;

/// Description of a corpus: contents and sources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Hash of everything the result depends on: sources, tokenizers, sentence ends, settings.
    pub build: Hash,
    /// `false` while it is being built.
    pub complete: bool,
    /// Position at which the build continues.
    pub next: Position,
    /// Fingerprint of the tokenizer.
    pub tokenizer: Hash,
    /// Fingerprint of the tokenizer of second texts, if they have one of their own.
    pub pair_tokenizer: Option<Hash>,
    /// Entries of the vocabulary, of the larger one if there are two.
    pub vocab_size: u64,
    /// Records that were pairs of texts; absent from the description of a corpus that did not count them.
    #[serde(default)]
    pub pairs: Option<u64>,
    /// Contents of each shard.
    pub shards: Vec<Counts>,
    /// Names of the labels, in the order in which they first appear.
    pub labels: Vec<String>,
    /// Bytes of text, in UTF-8.
    pub text_bytes: u64,
    /// Number of unknown tokens.
    pub unknown_tokens: u64,
    /// Number of marks that carry meaning in their script, such as vowel signs, and that the tokenizer strips with accents; 0 in the
    /// description of a corpus that did not count them.
    #[serde(default)]
    pub stripped_marks: u64,
    /// Number of records skipped because they have no tokens.
    pub empty_records: u64,
    /// Number of rows skipped because they could not be read.
    pub skipped_rows: u64,
}

/// Contents of a shard or a corpus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Number of documents; one that spans several shards counts once in each.
    pub documents: u64,
    /// Number of sentences.
    pub sentences: u64,
    /// Number of tokens.
    pub tokens: u64,
}

/// A position in the sources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// The part.
    pub part: usize,
    /// Number of its records before the position, skipped ones included.
    pub record: u64,
}

/// A hash of 128 bits, written in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hash(pub u128);

impl std::fmt::Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl From<Hash> for String {
    fn from(hash: Hash) -> Self {
        hash.to_string()
    }
}

impl TryFrom<String> for Hash {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        u128::from_str_radix(&text, 16).map(Self)
    }
}

impl Manifest {
    /// Contents of all shards together.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let sum = |count: fn(&Counts) -> u64| self.shards.iter().map(count).fold(0, u64::saturating_add);
        let (documents, sentences) = (sum(|shard| shard.documents), sum(|shard| shard.sentences));
        Counts { documents, sentences, tokens: sum(|shard| shard.tokens) }
    }

    /// Reads the description in `folder`; `None` if there is none.
    pub(super) fn load(folder: &Path) -> Result<Option<Self>, CorpusError> {
        let path = folder.join(FILE);
        match read_limited(&path, LIMIT) {
            Ok(bytes) => match serde_json::from_slice(&bytes) {
                Ok(manifest) => Ok(Some(manifest)),
                Err(source) => Err(CorpusError::Manifest { path, source }),
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(CorpusError::Read { path, source }),
        }
    }

    /// Reads the description of a finished corpus.
    pub(super) fn load_finished(folder: &Path) -> Result<Self, CorpusError> {
        let manifest = Self::load(folder)?.ok_or_else(|| CorpusError::NotACorpus { folder: folder.to_owned() })?;
        if manifest.complete { Ok(manifest) } else { Err(CorpusError::Unfinished { folder: folder.to_owned() }) }
    }

    pub(super) fn save(&self, folder: &Path) -> Result<(), DataError> {
        let path = folder.join(FILE);
        let mut text =
            serde_json::to_vec_pretty(self).map_err(|source| CorpusError::Manifest { path: path.clone(), source })?;
        text.push(b'\n');
        Ok(atomic_write_bytes(&path, text)?)
    }
}

/// Path of shard number `number`.
pub(super) fn shard_path(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("shard-{number:05}.bin"))
}

/// `true` if a build may replace or remove a file of this name.
pub(super) fn is_own_file(name: &str) -> bool {
    let shard = name.strip_prefix("shard-").and_then(|rest| rest.strip_suffix(".bin"));
    name == FILE || shard.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}
