//! Tokenizers of OPUS-MT, transformers' `MarianTokenizer`: SentencePiece cuts texts into pieces, and a vocabulary beside it
//! gives them their ids.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;

use burnformer_core::files::{FileError, atomic_write_bytes};
use serde_json::{Map, Value, json};
use tokenizers::{Encoding, Token};
use twox_hash::XxHash3_128;

use super::format::{added_token, special_pieces};
use super::limits::{check_ids, check_tokens};
use super::load::{CONFIG_FILE, not_json, read, read_model};
use super::long::guard;
use super::sentence_piece::{BLANK, Normalizer, Segmenter, SentencePiece};
use super::settings::Settings;
use super::{Tokenizer, TokenizerError, TokenizerKind};

pub(super) const SOURCE_FILE: &str = "source.spm";
pub(super) const TARGET_FILE: &str = "target.spm";
const VOCAB_FILE: &str = "vocab.json";
const TARGET_VOCAB_FILE: &str = "target_vocab.json";
/// The class of these tokenizers in transformers.
const CLASS: &str = "MarianTokenizer";

/// What such a tokenizer does beside the library, which has the ids of the vocabulary.
#[derive(Debug)]
pub(super) struct Opus {
    normalizer: Normalizer,
    segmenter: Segmenter,
    /// The model of SentencePiece, and the vocabulary, as they were read.
    model: Vec<u8>,
    vocabulary: String,
}

impl Opus {
    /// Kind of the tokenizer.
    pub(super) fn kind(&self) -> TokenizerKind {
        match self.segmenter {
            Segmenter::Unigram(_) => TokenizerKind::Unigram,
            Segmenter::Bpe(..) => TokenizerKind::Bpe,
        }
    }

    /// A hash of all that the tokenizer depends on, with that of the library.
    pub(super) fn fingerprint(&self, library: u128) -> u128 {
        XxHash3_128::oneshot(&[self.model.as_slice(), self.vocabulary.as_bytes(), &library.to_le_bytes()].concat())
    }

    /// The language code in front of a text, such as `>>fra<<`, and the text behind it.
    pub(super) fn code(text: &str) -> Option<(&str, &str)> {
        let end = text.strip_prefix(">>")?.find("<<")? + ">><<".len();
        Some(text.split_at(end))
    }
}

impl Tokenizer {
    /// Reads both tokenizers of an OPUS-MT model: `source.spm`, `target.spm` and `vocab.json`, and `target_vocab.json` if
    /// `tokenizer_config.json` says that they have separate vocabularies. `None` if the folder has no `source.spm`.
    ///
    /// # Errors
    /// [`TokenizerError`] if a file is missing, is no such file, or is beyond a limit.
    pub fn load_opus(folder: &Path) -> Result<Option<(Self, Self)>, TokenizerError> {
        let source = folder.join(SOURCE_FILE);
        if !source.is_file() {
            return Ok(None);
        }
        Ok(Some((Self::load_opus_side(&source)?, Self::load_opus_side(&folder.join(TARGET_FILE))?)))
    }

    /// Reads the tokenizer of one side of an OPUS-MT model: that of the target from its file, any other from that of the
    /// source.
    pub(super) fn load_opus_side(path: &Path) -> Result<Self, TokenizerError> {
        let settings = Settings::beside(path)?;
        if settings.has_entries("sp_model_kwargs") {
            return Err(TokenizerError::Unsupported { path: path.to_owned(), found: "sampling (`sp_model_kwargs`)" });
        }
        let is_target = path.file_name().is_some_and(|name| name == TARGET_FILE);
        let separate = is_target && settings.flag("separate_vocabs") == Some(true);
        let file = path.with_file_name(if separate { TARGET_VOCAB_FILE } else { VOCAB_FILE });
        let (tokens, vocabulary) = read_tokens(&file)?;
        let model = read_model(path)?;
        let specials = [("unk_token", "<unk>"), ("eos_token", "</s>"), ("pad_token", "<pad>")];
        let specials = specials.map(|(key, default)| settings.token(key, default));
        for special in specials {
            if !tokens.contains_key(special) {
                return Err(TokenizerError::MissingToken { path: file, token: special.to_owned() });
            }
        }
        let pieces = SentencePiece::read(&model, path)?;
        if pieces.byte_fallback {
            let found = "a SentencePiece model with byte fallback beside a vocabulary of its own";
            return Err(TokenizerError::Unsupported { path: path.to_owned(), found });
        }
        let segmenter = guard(|| pieces.segmenter())?;
        let opus = Opus { normalizer: pieces.normalizer, segmenter, model, vocabulary };
        Self::from_json(library(&tokens, specials), &settings, Some(opus), path)
    }

    /// `true` for a tokenizer of an OPUS-MT model.
    #[must_use]
    pub fn is_opus(&self) -> bool {
        self.0.opus.is_some()
    }

    /// `true` if the tokenizers are the two sides of an OPUS-MT model with one vocabulary.
    #[must_use]
    pub fn shares_vocabulary(&self, other: &Self) -> bool {
        matches!((&self.0.opus, &other.0.opus), (Some(own), Some(other)) if own.vocabulary == other.vocabulary)
    }

    /// Writes the tokenizers of both sides of an OPUS-MT model into `folder` as [`Self::load_opus`] and transformers read
    /// them. `target` may be that of the source.
    ///
    /// # Errors
    /// [`FileError::Io`] if something cannot be written, or a tokenizer is no such one.
    pub fn save_opus(&self, target: &Self, folder: &Path) -> Result<(), FileError> {
        let failed = |attempt, path: &Path, source| FileError::Io { attempt, path: path.to_owned(), source };
        let (Some(source), Some(other)) = (&self.0.opus, &target.0.opus) else {
            let mixed =
                io::Error::new(io::ErrorKind::InvalidInput, "only one of the tokenizers is that of an OPUS-MT model");
            return Err(failed("write", folder, mixed));
        };
        fs::create_dir_all(folder).map_err(|error| failed("create", folder, error))?;
        let separate = source.vocabulary != other.vocabulary;
        let mut config: Map<String, Value> = self.config();
        config.insert("tokenizer_class".to_owned(), CLASS.into());
        config.insert("separate_vocabs".to_owned(), separate.into());
        let config_file = folder.join(CONFIG_FILE);
        let config =
            serde_json::to_string_pretty(&config).map_err(|error| failed("write", &config_file, error.into()))?;
        atomic_write_bytes(&config_file, config + "\n")?;
        if separate {
            atomic_write_bytes(&folder.join(TARGET_VOCAB_FILE), &other.vocabulary)?;
        }
        atomic_write_bytes(&folder.join(VOCAB_FILE), &source.vocabulary)?;
        atomic_write_bytes(&folder.join(TARGET_FILE), &other.model)?;
        // The last one, by which the folder is known.
        atomic_write_bytes(&folder.join(SOURCE_FILE), &source.model)
    }

    /// Appends the tokens of a piece of a text: the vocabulary may have what no piece of SentencePiece covers, and lack pieces.
    pub(super) fn encode_opus(&self, opus: &Opus, text: &str, ids: &mut Vec<u32>) -> Result<(), TokenizerError> {
        let text = opus.normalizer.normalize(text);
        let ordinary = |piece| self.id(piece).filter(|id| self.special_ids().binary_search(id).is_err());
        let pieces = guard(|| opus.segmenter.pieces(&text))?;
        ids.extend(pieces.into_iter().filter_map(|piece| ordinary(piece).or(self.specials().unk_id)));
        Ok(())
    }

    /// The tokens of a text in the form of the library.
    pub(super) fn opus_encoding(&self, text: &str) -> Result<Encoding, TokenizerError> {
        let token = |id| Token::new(id, self.token(id).unwrap_or_default(), (0, 0));
        Ok(Encoding::from_tokens(self.encode(text)?.into_iter().map(token).collect(), 0))
    }

    /// The text of tokens: pieces joined, without the blank in front of them; special tokens with a blank behind.
    pub(super) fn opus_text(&self, ids: &[u32], skip_specials: bool) -> String {
        let (mut text, mut begins) = (String::new(), true);
        for &id in ids {
            let Some(token) = self.token(id) else { continue };
            if self.special_ids().binary_search(&id).is_err() {
                let piece = token.strip_prefix(BLANK).filter(|_| begins).unwrap_or(&token);
                begins &= piece.is_empty();
                text += &piece.replace(BLANK, " ");
            } else if !skip_specials {
                text += &token;
                text.push(' ');
                begins = true;
            }
        }
        text.trim().to_owned()
    }
}

/// The tokens of a `vocab.json` with their ids, and the content of the file.
///
/// # Errors
/// [`TokenizerError`] if the file is none, gives an id to two tokens, or is beyond a limit.
pub(super) fn read_tokens(path: &Path) -> Result<(HashMap<String, u32>, String), TokenizerError> {
    let content = read(path)?;
    let tokens: HashMap<String, u32> = serde_json::from_str(&content).map_err(not_json(path, VOCAB_FILE))?;
    check_tokens(tokens.len(), path)?;
    check_ids(tokens.values().copied(), tokens.len(), path)?;
    let mut ids: Vec<u32> = tokens.values().copied().collect();
    ids.sort_unstable();
    if ids.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(TokenizerError::Inconsistent { path: path.to_owned() });
    }
    Ok((tokens, content))
}

/// The content of a `tokenizer.json` with the ids of a vocabulary. It puts the special tokens around texts; what is in them
/// is not looked for here.
fn library(tokens: &HashMap<String, u32>, specials: [&str; 3]) -> Value {
    let [unknown, end, _] = specials;
    let added = specials.iter().map(|token| added_token(tokens[*token] as usize, token, false, true));
    json!({
        "version": "1.0",
        "added_tokens": added.collect::<Vec<_>>(),
        "normalizer": null,
        "pre_tokenizer": null,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": special_pieces(["", end].into_iter(), "", |_| 0),
            "pair": special_pieces(["", "", end].into_iter(), "", |_| 0),
            "special_tokens": { end: { "id": end, "ids": [tokens[end]], "tokens": [end] } },
        },
        "decoder": null,
        "model": { "type": "WordLevel", "unk_token": unknown, "vocab": tokens },
    })
}
