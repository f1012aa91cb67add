//! Reading a tokenizer from Hugging Face's files, or from the vocabulary of the original BERT.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use burnformer_core::files::read_text;
use serde_json::{Map, Value};
use tokenizers::{Encoding, ModelWrapper, PostProcessor as _, PreTokenizerWrapper, Token};
use twox_hash::XxHash3_128;

use super::format::{self, Normalization};
use super::limits::{self, check_json, check_tokens};
use super::pieces::Cut;
use super::{Inner, Specials, Tokenizer, TokenizerError, TokenizerKind, word_starts};

pub(super) const TOKENIZER_FILE: &str = "tokenizer.json";
pub(super) const CONFIG_FILE: &str = "tokenizer_config.json";
const VOCAB_FILE: &str = "vocab.txt";

impl Tokenizer {
    /// Reads a tokenizer: a folder with a `tokenizer.json` or, failing that, a `vocab.txt`; or one of those files itself.
    /// A `tokenizer_config.json` beside it tells which special tokens there are, unless they have common names such as
    /// `[CLS]` or `<s>`, and how long a sequence may be.
    ///
    /// Truncation and padding that a `tokenizer.json` asks for are not done. A `vocab.txt` is read as by
    /// [`Self::load_vocab`].
    ///
    /// # Errors
    /// [`TokenizerError`] if something is missing, is no tokenizer, is one of another kind than [`TokenizerKind`], or is
    /// beyond a limit of [`TokenizerError::Limit`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self, TokenizerError> {
        let path = path.as_ref();
        if path.is_dir() {
            let files = [TOKENIZER_FILE, VOCAB_FILE].map(|file| path.join(file));
            let file = files.iter().find(|file| file.exists());
            return Self::load(file.ok_or_else(|| TokenizerError::Nothing { folder: path.to_owned() })?);
        }
        if path.extension().is_none_or(|extension| extension != "json") {
            return Self::load_vocab(path, None);
        }
        let content = read(path)?;
        check_json(&content, path)?;
        let library = guard(path, || serde_json::from_str(&content))?;
        let library = library.map_err(not_json(path, TOKENIZER_FILE))?;
        drop(content);
        Self::assemble(library, &config_beside(path)?, path)
    }

    /// Reads the vocabulary of a BERT, one token a line; the number of the line, counted from zero, is its id. The lines end
    /// as Python says: at `\n` or `\r\n`, and blanks at their ends belong to the token.
    ///
    /// `lowercase` is what `do_lower_case` in a `tokenizer_config.json` beside the file says if it is `None` here. If there
    /// is neither, text is lower-cased unless a token other than those in brackets has a letter that lower-casing changes.
    /// Accents go if text is lower-cased and Chinese characters are words of their own, unless `strip_accents` and
    /// `tokenize_chinese_chars` in that file say otherwise.
    ///
    /// # Errors
    /// [`TokenizerError`] if the file cannot be read, lists a token twice, or lacks one of `[PAD]`, `[UNK]`, `[CLS]` and
    /// `[SEP]`.
    pub fn load_vocab(path: impl AsRef<Path>, lowercase: Option<bool>) -> Result<Self, TokenizerError> {
        let path = path.as_ref();
        let vocabulary = read_vocabulary(path)?;
        let config = config_beside(path)?;
        let flag = |key: &str| config.get(key).and_then(Value::as_bool);
        let normalization = Normalization {
            lowercase: lowercase.or_else(|| flag("do_lower_case")).unwrap_or_else(|| !is_cased(&vocabulary)),
            strip_accents: flag("strip_accents"),
            split_chinese: flag("tokenize_chinese_chars").unwrap_or(true),
        };
        Self::from_json(format::word_piece(&vocabulary, normalization), &config, path)
    }

    /// Builds a tokenizer from the content of a `tokenizer.json`.
    pub(super) fn from_json(json: Value, config: &Map<String, Value>, path: &Path) -> Result<Self, TokenizerError> {
        let library = guard(path, || serde_json::from_value(json))?;
        Self::assemble(library.map_err(not_json(path, TOKENIZER_FILE))?, config, path)
    }

    /// `library` with what `config`, the content of a `tokenizer_config.json`, says of it; `path` is for error messages.
    fn assemble(
        mut marked: tokenizers::Tokenizer,
        config: &Map<String, Value>,
        path: &Path,
    ) -> Result<Self, TokenizerError> {
        let unsupported = |found| TokenizerError::Unsupported { path: path.to_owned(), found };
        let missing = |token| TokenizerError::MissingToken { path: path.to_owned(), token };
        // Without an offset to keep, neither can fail.
        let _ = marked.with_truncation(None);
        marked.with_padding(None);

        let pre_tokenizer = marked.get_pre_tokenizer();
        let (kind, unknown) = match marked.get_model() {
            ModelWrapper::WordPiece(model) => (TokenizerKind::WordPiece, Some(model.unk_token.clone())),
            ModelWrapper::WordLevel(model) => (TokenizerKind::WordLevel, Some(model.unk_token.clone())),
            ModelWrapper::BPE(_) if pre_tokenizer.is_some_and(is_byte_level) => (TokenizerKind::ByteLevelBpe, None),
            ModelWrapper::BPE(_) => return Err(unsupported("a BPE that does not work on bytes")),
            ModelWrapper::Unigram(_) => return Err(unsupported("a Unigram model")),
        };
        let mut specials = Specials::find(config, &marked).map_err(missing)?;
        if let Some(unknown) = unknown {
            specials.unk_id = Some(marked.token_to_id(&unknown).ok_or_else(|| missing(unknown))?);
        }
        let added = marked.get_added_vocabulary().get_added_tokens_decoder();
        let mut special_ids: Vec<u32> = added.iter().filter(|(_, token)| token.special).map(|(&id, _)| id).collect();
        special_ids.extend(specials.ids());
        special_ids.sort_unstable();
        special_ids.dedup();

        let mut plain = marked.clone();
        plain.set_encode_special_tokens(true);
        let cut = Cut::of(&plain);
        let strips_blank = marked.get_pre_tokenizer().is_some_and(puts_blank);
        let mut prefix_blank = false;
        if let (Cut::Blanks, Some(PreTokenizerWrapper::ByteLevel(bytes))) = (cut, marked.get_pre_tokenizer()) {
            prefix_blank = bytes.add_prefix_space;
            plain.with_pre_tokenizer(Some(bytes.add_prefix_space(false)));
        }

        let starts_word = word_starts(&marked);
        let (fits, json) = guard(path, || {
            let fits = surrounds_texts(&marked, starts_word.len())?;
            Ok::<_, tokenizers::Error>((fits, marked.to_string(false)?))
        })?
        .map_err(|_| TokenizerError::Inconsistent { path: path.to_owned() })?;
        if !fits {
            return Err(TokenizerError::PostProcessor { path: path.to_owned() });
        }
        Ok(Self(Arc::new(Inner {
            kind,
            cut,
            prefix_blank,
            strips_blank,
            specials,
            special_ids,
            starts_word,
            fingerprint: XxHash3_128::oneshot(json.as_bytes()),
            max_length: config.get("model_max_length").and_then(length),
            marked,
            plain,
        })))
    }
}

/// The library panics on some files that contradict themselves, such as merges of tokens that do not exist.
fn guard<T>(path: &Path, work: impl FnOnce() -> T) -> Result<T, TokenizerError> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| TokenizerError::Inconsistent { path: path.to_owned() })
}

/// Whether the post-processor puts tokens of the vocabulary around texts and leaves the texts as they are, so that those of
/// the right length stay so.
fn surrounds_texts(library: &tokenizers::Tokenizer, vocab_size: usize) -> tokenizers::Result<bool> {
    // What else may be inconsistent shows in texts.
    library.encode(("a", "b"), true)?;
    library.encode("a", true)?;
    let Some(processor) = library.get_post_processor() else { return Ok(true) };
    let text = || Encoding::from_tokens(vec![Token::new(0, "a".to_owned(), (0, 1))], 0);
    for (is_pair, adds) in [(false, false), (false, true), (true, false), (true, true)] {
        let encoding = processor.process(text(), is_pair.then(text), adds)?;
        let expected = 1 + usize::from(is_pair) + if adds { processor.added_tokens(is_pair) } else { 0 };
        if encoding.len() != expected || encoding.get_ids().iter().any(|&id| id as usize >= vocab_size) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is_byte_level(pre_tokenizer: &PreTokenizerWrapper) -> bool {
    match pre_tokenizer {
        PreTokenizerWrapper::ByteLevel(_) => true,
        PreTokenizerWrapper::Sequence(steps) => steps.as_ref().iter().any(is_byte_level),
        _ => false,
    }
}

/// Whether texts are encoded as if there were a blank in front.
fn puts_blank(pre_tokenizer: &PreTokenizerWrapper) -> bool {
    match pre_tokenizer {
        PreTokenizerWrapper::ByteLevel(bytes) => bytes.add_prefix_space,
        PreTokenizerWrapper::Sequence(steps) => steps.as_ref().iter().any(puts_blank),
        _ => false,
    }
}

/// A number of tokens. Hugging Face writes ten to the thirtieth for a length that is not known.
fn length(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|length| usize::try_from(length).ok())
}

/// The content of the `tokenizer_config.json` in the folder of `path`, or nothing if there is none.
fn config_beside(path: &Path) -> Result<Map<String, Value>, TokenizerError> {
    let file = path.with_file_name(CONFIG_FILE);
    if !file.exists() {
        return Ok(Map::new());
    }
    serde_json::from_str(&read(&file)?).map_err(not_json(&file, CONFIG_FILE))
}

fn read_vocabulary(path: &Path) -> Result<Vec<(String, u32)>, TokenizerError> {
    let content = read(path)?;
    check_tokens(content.lines().count(), path)?;
    let mut lines = HashMap::new();
    let mut vocabulary = Vec::new();
    for (line, token) in content.lines().enumerate() {
        if let Some(first) = lines.insert(token, line) {
            let token = token.to_owned();
            return Err(TokenizerError::DuplicateToken {
                path: path.to_owned(),
                token,
                first: first + 1,
                second: line + 1,
            });
        }
        vocabulary.push((token.to_owned(), line as u32));
    }
    for token in ["[UNK]", "[PAD]", "[CLS]", "[SEP]"] {
        if !lines.contains_key(token) {
            return Err(TokenizerError::MissingToken { path: path.to_owned(), token: token.to_owned() });
        }
    }
    Ok(vocabulary)
}

fn is_cased(vocabulary: &[(String, u32)]) -> bool {
    vocabulary.iter().any(|(token, _)| !token.starts_with('[') && token.to_lowercase() != *token)
}

fn read(path: &Path) -> Result<String, TokenizerError> {
    read_text(path, limits::FILE_BYTES).map_err(|source| TokenizerError::Read { path: path.to_owned(), source })
}

pub(super) fn not_json(path: &Path, format: &'static str) -> impl FnOnce(serde_json::Error) -> TokenizerError {
    move |source| TokenizerError::Json { path: path.to_owned(), format, source }
}
