//! Limits of a tokenizer's files, held against the content before anything is built from it.
//!
//! A tokenizer is a file of others: its numbers become sizes of tables, and its steps run on every text.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::TokenizerError;
use super::load::{TOKENIZER_FILE, not_json};
use super::sentence_piece::CharsMap;

/// Largest `tokenizer.json`, `tokenizer_config.json` or `vocab.txt`, in bytes: four times that of the largest published ones.
pub(super) const FILE_BYTES: u64 = 128 << 20;
/// Largest model of SentencePiece, in bytes: published ones have up to some 10 MB.
pub(super) const MODEL_BYTES: u64 = 32 << 20;
/// Largest number of tokens of a vocabulary. Published multilingual ones have up to 901,629 (XLM-V); each token takes some
/// 250 bytes.
pub(crate) const TOKENS: usize = 1 << 20;
/// The greatest id is below this plus [`IDS_PER_TOKEN`] times the number of tokens: tables have a place for every id, so
/// their size is bounded by what is in the file.
const FREE_IDS: u64 = 1 << 16;
/// See [`FREE_IDS`].
const IDS_PER_TOKEN: u64 = 8;
/// Largest number of normalisation steps, and of other steps of one part. Published tokenizers have up to ten.
const STEPS: usize = 64;
/// Largest depth of sequences of steps within one another.
const DEPTH: usize = 8;
/// Largest factor by which replacements may lengthen a text, all together. Those of published tokenizers make three bytes of
/// a blank.
const GROWTH: u64 = 16;
/// Longest replacement or prefix, in bytes.
const CONTENT: usize = 1024;
/// Longest piece of a Unigram model, in bytes. The time grows with the square of it; published ones have up to some 100.
const PIECE: u64 = 256;
/// Largest number of pieces of a SentencePiece model that a user defined: each is looked for at each character.
const USER_DEFINED: u64 = 1024;
/// Longest word in which WordPiece looks for tokens, in characters. The time grows with the cube of it; BERT has 100.
const WORD_CHARS: u64 = 1000;

/// What [`check_json`] looks at; the rest is the library's.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Outline {
    added_tokens: Vec<Added>,
    normalizer: Value,
    pre_tokenizer: Value,
    post_processor: Value,
    decoder: Value,
    model: Model,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Added {
    id: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Model {
    vocab: Vocabulary,
    max_input_chars_per_word: u64,
    continuing_subword_prefix: Option<String>,
}

/// Sizes of a vocabulary, without the vocabulary.
#[derive(Default)]
struct Vocabulary {
    n_tokens: u64,
    greatest: u64,
    /// `true` for that of Unigram.
    is_list: bool,
    /// Bytes of the longest token of Unigram, which looks for all of them from each character on.
    longest: u64,
}

impl<'de> Deserialize<'de> for Vocabulary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Count;
        impl<'de> Visitor<'de> for Count {
            type Value = Vocabulary;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a vocabulary")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vocabulary, A::Error> {
                let mut found = Vocabulary::default();
                while let Some((IgnoredAny, id)) = map.next_entry::<_, u64>()? {
                    found.n_tokens += 1;
                    found.greatest = found.greatest.max(id);
                }
                Ok(found)
            }

            // Unigram lists its tokens.
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vocabulary, A::Error> {
                let mut found = Vocabulary { is_list: true, ..Vocabulary::default() };
                while let Some((piece, IgnoredAny)) = list.next_element::<(Cow<'de, str>, _)>()? {
                    found.n_tokens += 1;
                    found.longest = found.longest.max(piece.len() as u64);
                }
                Ok(found)
            }
        }
        deserializer.deserialize_any(Count)
    }
}

/// Checks the content of a `tokenizer.json` against the limits. `true` if its model lists its tokens, as Unigram does.
///
/// # Errors
/// [`TokenizerError::Limit`] or [`TokenizerError::Inconsistent`]; [`TokenizerError::Json`] if it is not JSON of this kind.
pub(super) fn check_json(content: &str, path: &Path) -> Result<bool, TokenizerError> {
    let outline: Outline = serde_json::from_str(content).map_err(not_json(path, TOKENIZER_FILE))?;
    let check = |what, found, limit| check(path, what, found, limit);
    let Outline { added_tokens, normalizer, pre_tokenizer, post_processor, decoder, model } = outline;
    let n_tokens = model.vocab.n_tokens + added_tokens.len() as u64;
    check("tokens", n_tokens, TOKENS as u64)?;
    let greatest = added_tokens.iter().map(|token| token.id).fold(model.vocab.greatest, u64::max);
    check("as its greatest id", greatest, greatest_id(n_tokens))?;
    check("bytes in a piece", model.vocab.longest, PIECE)?;
    check("as `max_input_chars_per_word`", model.max_input_chars_per_word, WORD_CHARS)?;
    let prefix = model.continuing_subword_prefix.map_or(0, |prefix| prefix.len());
    check("bytes in `continuing_subword_prefix`", prefix as u64, CONTENT as u64)?;
    let mut is_readable = true;
    for part in [&normalizer, &pre_tokenizer, &post_processor, &decoder] {
        let mut steps = Steps { n: 0, depth: 0, growth: 1, longest: 0, is_readable: true };
        steps.add(part, 1);
        check("steps in one of its parts", steps.n as u64, STEPS as u64)?;
        check("sequences of steps within one another", steps.depth as u64, DEPTH as u64)?;
        check("bytes in a replacement or prefix", steps.longest as u64, CONTENT as u64)?;
        check("as the factor by which its replacements may lengthen a text", steps.growth, GROWTH)?;
        is_readable &= steps.is_readable;
    }
    if !is_readable || lacks_special_token(&post_processor, 0) {
        return Err(TokenizerError::Inconsistent { path: path.to_owned() });
    }
    Ok(model.vocab.is_list)
}

/// Checks the ids of a vocabulary of `n_tokens`.
pub(super) fn check_ids(ids: impl Iterator<Item = u32>, n_tokens: usize, path: &Path) -> Result<(), TokenizerError> {
    check(path, "as its greatest id", ids.max().unwrap_or(0).into(), greatest_id(n_tokens as u64))
}

/// The greatest id that a vocabulary of `n_tokens` may have.
fn greatest_id(n_tokens: u64) -> u64 {
    FREE_IDS + IDS_PER_TOKEN * n_tokens - 1
}

/// Checks the lengths of the pieces of a SentencePiece model in bytes, and the number of those that a user defined.
pub(super) fn check_pieces(
    lengths: impl Iterator<Item = usize>,
    n_user_defined: usize,
    path: &Path,
) -> Result<(), TokenizerError> {
    check(path, "bytes in a piece", lengths.max().unwrap_or(0) as u64, PIECE)?;
    check(path, "pieces defined by a user", n_user_defined as u64, USER_DEFINED)
}

/// Checks the number of tokens of a vocabulary.
pub(super) fn check_tokens(found: usize, path: &Path) -> Result<(), TokenizerError> {
    check(path, "tokens", found as u64, TOKENS as u64)
}

fn check(path: &Path, what: &'static str, found: u64, limit: u64) -> Result<(), TokenizerError> {
    if found > limit { Err(TokenizerError::Limit { path: path.to_owned(), what, found, limit }) } else { Ok(()) }
}

/// The names under which a part has other parts.
const PARTS: [&str; 4] = ["normalizers", "pretokenizers", "processors", "decoders"];

/// Sizes of the steps of a part.
struct Steps {
    n: usize,
    depth: usize,
    /// Factor by which they may lengthen a text.
    growth: u64,
    /// Longest text that one of them adds, in bytes.
    longest: usize,
    /// `false` if a map of characters cannot be read or has longer replacements than published ones.
    is_readable: bool,
}

impl Steps {
    fn add(&mut self, step: &Value, depth: usize) {
        let Value::Object(fields) = step else { return };
        self.n += 1;
        self.depth = self.depth.max(depth);
        // Deeper ones are refused, without a look at them.
        if depth > DEPTH {
            return;
        }
        for part in PARTS.iter().filter_map(|name| fields.get(*name)?.as_array()).flatten() {
            self.add(part, depth + 1);
        }
        let length = |name: &str| fields.get(name).and_then(Value::as_str).map_or(0, str::len);
        self.longest = self.longest.max(length("content")).max(length("prepend"));
        if let Some(map) = fields.get("precompiled_charsmap") {
            let map = map.as_str().and_then(|map| BASE64_STANDARD.decode(map).ok());
            self.is_readable &= map.is_some_and(|map| CharsMap::read(&map).is_some());
        }
        if let Some(pattern) = fields.get("pattern") {
            let content = length("content") as u64;
            let text = |name: &str| pattern.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
            let factor = match (text("String"), text("Regex")) {
                (Some(text), _) => content.div_ceil(text.len() as u64),
                // It matches once, at the beginning of a text.
                (None, Some(regex)) if regex.starts_with(r"\A") && !regex.contains('|') => 1,
                // A regular expression may match one byte, or nothing between any two.
                _ => content + 1,
            };
            self.growth = self.growth.saturating_mul(factor.max(1));
        }
    }
}

/// Whether a template puts a special token around texts that it does not list. The library would panic.
fn lacks_special_token(processor: &Value, depth: usize) -> bool {
    let of = |name: &str| processor.get(name).and_then(Value::as_array).into_iter().flatten();
    let listed = processor.get("special_tokens");
    let lacks = |piece: &Value| {
        let Some(id) = piece.get("SpecialToken").and_then(|token| token.get("id")?.as_str()) else { return false };
        listed.and_then(|listed| listed.get(id)).is_none()
    };
    of("single").chain(of("pair")).any(lacks)
        || depth < DEPTH && of("processors").any(|processor| lacks_special_token(processor, depth + 1))
}
