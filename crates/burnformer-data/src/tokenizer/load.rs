//! Reading a tokenizer from Hugging Face's files, or from the vocabulary of the original BERT.

use std::ffi::OsStr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use burnformer_core::adapter::folder_with;
use burnformer_core::files::{read_limited, read_text};
use serde_json::Value;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::processors::roberta::RobertaProcessing;
use tokenizers::{
    Encoding, ModelWrapper, NormalizerWrapper, PostProcessor as _, PostProcessorWrapper, PreTokenizerWrapper, Token,
};

use super::bytes::byte_level;
use super::class::{Class, Family};
use super::format::{self, Normalization, WORD_PIECE_SPECIALS};
use super::limits::{self, check_json, check_tokens};
use super::opus::{Opus, SOURCE_FILE, TARGET_FILE, read_tokens};
use super::pieces::Cut;
use super::sentence_piece::SentencePiece;
use super::settings::Settings;
use super::{Inner, Tokenizer, TokenizerError, TokenizerKind, unigram, word_starts};

pub(super) const TOKENIZER_FILE: &str = "tokenizer.json";
pub(super) const CONFIG_FILE: &str = "tokenizer_config.json";
/// Key of [`CONFIG_FILE`]: where tokens are cut off, `left` or `right`.
pub(super) const SIDE_KEY: &str = "truncation_side";
/// Key of [`CONFIG_FILE`]: whether special tokens written in a text are read as text.
pub(super) const SPLIT_SPECIALS_KEY: &str = "split_special_tokens";
const VOCAB_FILE: &str = "vocab.txt";
const JSON_VOCAB_FILE: &str = "vocab.json";
const MERGES_FILE: &str = "merges.txt";
const MODEL_FILES: [&str; 3] = ["sentencepiece.bpe.model", "spiece.model", "tokenizer.model"];

impl Tokenizer {
    /// Reads a tokenizer: a folder with a `tokenizer.json` or, failing that, a `vocab.txt`, a `vocab.json` and a `merges.txt`, or a
    /// model of SentencePiece; or one of those files itself. Of an OPUS-MT model the one of sources is read, or that of a
    /// `target.spm` if it is named; see [`Self::load_opus`].
    /// A folder with an adapter and no tokenizer has the one of its base model.
    ///
    /// The files beside it that transformers reads count too: `tokenizer_config.json` tells the class of the tokenizer, its
    /// special tokens, unless they have common names such as `[CLS]` or `<s>`, and how long a sequence may be; that file or
    /// `special_tokens_map.json` and `added_tokens.json` tell which tokens there are beside the vocabulary.
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
            let files = [SOURCE_FILE, TOKENIZER_FILE, VOCAB_FILE, MERGES_FILE].into_iter().chain(MODEL_FILES);
            let files: Vec<&str> = files.collect();
            let folder = folder_with(path, &files).map_err(TokenizerError::Adapter)?;
            let file = files.iter().map(|file| folder.join(file)).find(|file| file.exists());
            return Self::load(file.ok_or(TokenizerError::Nothing { folder })?);
        }
        let merges = path.with_file_name(MERGES_FILE);
        match (path.file_name().and_then(OsStr::to_str), path.extension().and_then(OsStr::to_str)) {
            (Some(MERGES_FILE), _) => Self::load_merges(path),
            (Some(JSON_VOCAB_FILE), _) if merges.exists() => Self::load_merges(&merges),
            (Some(SOURCE_FILE | TARGET_FILE), _) => Self::load_opus_side(path),
            (_, Some("json")) => Self::load_json(path),
            (_, Some("model" | "spm")) => Self::load_sentence_piece(path),
            _ => Self::load_vocab(path, None),
        }
    }

    /// Reads a model of SentencePiece, with the ids of its class.
    fn load_sentence_piece(path: &Path) -> Result<Self, TokenizerError> {
        let settings = Settings::beside(path)?;
        let model = SentencePiece::read(&read_model(path)?, path)?;
        Self::from_json(model.tokenizer_json(&settings, path)?, &settings, None, path)
    }

    /// Reads `merges.txt` and the `vocab.json` beside it.
    fn load_merges(path: &Path) -> Result<Self, TokenizerError> {
        let settings = Settings::beside(path)?;
        let family = match settings.class() {
            Class::Known(family @ (Family::Roberta | Family::Gpt2)) => *family,
            Class::General => {
                let expected = "`RobertaTokenizer` or `GPT2Tokenizer`";
                return Err(TokenizerError::NoClass { path: path.to_owned(), expected });
            }
            other => return Err(TokenizerError::OtherClass { path: path.to_owned(), class: other.to_string() }),
        };
        let vocabulary = path.with_file_name(JSON_VOCAB_FILE);
        let (merges, tokens) = (read(path)?, read_tokens(&vocabulary)?.0);
        let merges = merges.lines().filter(|line| !line.starts_with("#version") && !line.is_empty());
        let merges = merges.map(|line| line.split_once(' ').filter(|(_, right)| !right.contains(' ')));
        let Some(merges) = merges.collect::<Option<Vec<_>>>() else {
            return Err(TokenizerError::Inconsistent { path: path.to_owned() });
        };
        let json = byte_level(family, &tokens, &merges, &settings);
        let json = json.map_err(|token| TokenizerError::MissingToken { path: vocabulary, token })?;
        Self::from_json(json, &settings, None, path)
    }

    /// Reads a `tokenizer.json`.
    fn load_json(path: &Path) -> Result<Self, TokenizerError> {
        let settings = Settings::beside(path)?;
        if let Some(class) = settings.class().ignores_json() {
            return Err(TokenizerError::OtherClass { path: path.to_owned(), class: class.to_owned() });
        }
        let content = read(path)?;
        let is_unigram = check_json(&content, path)?;
        let read = || if is_unigram { unigram::read(&content) } else { serde_json::from_str(&content) };
        let library = guard(path, read)?;
        let mut library: tokenizers::Tokenizer = library.map_err(not_json(path, TOKENIZER_FILE))?;
        drop(content);
        overrule(&mut library, &settings, path)?;
        Self::assemble(library, &settings, None, path)
    }

    /// Reads the vocabulary of a BERT, one token a line; the number of the line, counted from zero, is its id, and that of
    /// the last one if a token is listed twice. The lines end as Python says: at `\n` or `\r\n`, and blanks at their ends
    /// belong to the token.
    ///
    /// `lowercase` is what `do_lower_case` in a `tokenizer_config.json` beside the file says if it is `None` here. If there
    /// is neither, text is lower-cased unless a token other than those in brackets has a letter that lower-casing changes.
    /// Accents go if text is lower-cased and Chinese characters are words of their own, unless `strip_accents` and
    /// `tokenize_chinese_chars` in that file say otherwise.
    ///
    /// # Errors
    /// [`TokenizerError`] if the file cannot be read, belongs to another tokenizer, or lacks one of `[PAD]`, `[UNK]`, `[CLS]`
    /// and `[SEP]`, or of those that take their places.
    pub fn load_vocab(path: impl AsRef<Path>, lowercase: Option<bool>) -> Result<Self, TokenizerError> {
        let path = path.as_ref();
        let settings = Settings::beside(path)?;
        if !settings.allows_bert() {
            let class = settings.class().to_string();
            return Err(TokenizerError::OtherClass { path: path.to_owned(), class });
        }
        let vocabulary = read_vocabulary(path)?;
        let normalization = Normalization {
            lowercase: lowercase.or_else(|| settings.flag("do_lower_case")).unwrap_or_else(|| !is_cased(&vocabulary)),
            strip_accents: settings.flag("strip_accents"),
            split_chinese: settings.flag("tokenize_chinese_chars").unwrap_or(true),
        };
        let [pad, unknown, begin, end, mask] = WORD_PIECE_SPECIALS;
        let specials = [
            settings.token("pad_token", pad),
            settings.token("unk_token", unknown),
            settings.token("cls_token", begin),
            settings.token("sep_token", end),
            settings.token("mask_token", mask),
        ];
        for special in &specials[..4] {
            if !vocabulary.iter().any(|(token, _)| token == special) {
                return Err(TokenizerError::MissingToken { path: path.to_owned(), token: (*special).to_owned() });
            }
        }
        Self::from_json(format::word_piece(&vocabulary, specials, normalization), &settings, None, path)
    }

    /// Builds a tokenizer from the content of a `tokenizer.json`.
    pub(super) fn from_json(
        json: Value,
        settings: &Settings,
        opus: Option<Opus>,
        path: &Path,
    ) -> Result<Self, TokenizerError> {
        let library = guard(path, || serde_json::from_value(json))?;
        Self::assemble(library.map_err(not_json(path, TOKENIZER_FILE))?, settings, opus, path)
    }

    /// `marked` with what `settings` say of it; `path` is for error messages.
    fn assemble(
        mut marked: tokenizers::Tokenizer,
        settings: &Settings,
        opus: Option<Opus>,
        path: &Path,
    ) -> Result<Self, TokenizerError> {
        let unsupported = |found| TokenizerError::Unsupported { path: path.to_owned(), found };
        let unusable = |_| TokenizerError::Inconsistent { path: path.to_owned() };
        let missing = |token| TokenizerError::MissingToken { path: path.to_owned(), token };
        // Without an offset to keep, neither can fail.
        let _ = marked.with_truncation(None);
        marked.with_padding(None);
        settings.add_tokens(&mut marked, path)?;

        let pre_tokenizer = marked.get_pre_tokenizer();
        let (kind, unknown) = match marked.get_model() {
            ModelWrapper::WordPiece(model) => (TokenizerKind::WordPiece, Some(model.unk_token.clone())),
            ModelWrapper::WordLevel(model) => (TokenizerKind::WordLevel, Some(model.unk_token.clone())),
            ModelWrapper::BPE(_) if pre_tokenizer.is_some_and(is_byte_level) => (TokenizerKind::ByteLevelBpe, None),
            ModelWrapper::BPE(model)
                if model.end_of_word_suffix.as_deref().is_some_and(|suffix| !suffix.is_empty()) =>
            {
                return Err(unsupported("a BPE that marks the ends of words"));
            }
            ModelWrapper::BPE(model) => (TokenizerKind::Bpe, model.unk_token.clone().filter(|token| !token.is_empty())),
            ModelWrapper::Unigram(_) => (TokenizerKind::Unigram, None),
        };
        let mut specials = settings.specials(&marked).map_err(missing)?;
        if let Some(unknown) = unknown {
            specials.unk_id = Some(marked.token_to_id(&unknown).ok_or_else(|| missing(unknown))?);
        }
        let added = marked.get_added_vocabulary().get_added_tokens_decoder();
        let mut special_ids: Vec<u32> = added.iter().filter(|(_, token)| token.special).map(|(&id, _)| id).collect();
        special_ids.extend(specials.ids());
        special_ids.sort_unstable();
        special_ids.dedup();

        let mut plain = match marked.get_model() {
            ModelWrapper::Unigram(model) => unigram::without_specials(&marked, model).map_err(unusable)?,
            _ => marked.clone(),
        };
        plain.set_encode_special_tokens(true);
        marked.set_encode_special_tokens(settings.flag(SPLIT_SPECIALS_KEY).unwrap_or(false));
        let cut = Cut::of(&plain);
        let strips_blank = marked.get_pre_tokenizer().is_some_and(puts_blank);
        let mut prefix_blank = false;
        if let (Cut::Blanks, Some(PreTokenizerWrapper::ByteLevel(bytes))) = (cut, marked.get_pre_tokenizer()) {
            prefix_blank = bytes.add_prefix_space;
            plain.with_pre_tokenizer(Some(bytes.add_prefix_space(false)));
        }

        let kind = opus.as_ref().map_or(kind, Opus::kind);
        let starts_word = word_starts(&marked, kind);
        let (fits, fingerprint) = guard(path, || {
            let fits = surrounds_texts(&marked, starts_word.len())?;
            Ok::<_, tokenizers::Error>((fits, unigram::fingerprint(&marked)?))
        })?
        .map_err(unusable)?;
        if !fits {
            return Err(TokenizerError::PostProcessor { path: path.to_owned() });
        }
        Ok(Self(Arc::new(Inner {
            kind,
            cut,
            prefix_blank,
            strips_blank,
            has_codes: special_ids.iter().any(|id| specials.ids().all(|role| role != *id)),
            specials,
            special_ids,
            starts_word,
            fingerprint: opus.as_ref().map_or(fingerprint, |opus| opus.fingerprint(fingerprint)),
            opus: opus.map(Arc::new),
            max_length: settings.length("model_max_length"),
            has_types: settings.has_types(),
            cuts_beginning: settings.is_text(SIDE_KEY, "left"),
            marked,
            plain,
        })))
    }
}

/// Changes what `settings` say otherwise than a `tokenizer.json`: they win in the classes that have such settings, with the
/// defaults of the class.
fn overrule(library: &mut tokenizers::Tokenizer, settings: &Settings, path: &Path) -> Result<(), TokenizerError> {
    if let (Class::Known(Family::Roberta | Family::Gpt2), Some(PreTokenizerWrapper::ByteLevel(bytes))) =
        (settings.class(), library.get_pre_tokenizer())
    {
        let bytes = bytes.add_prefix_space(settings.flag("add_prefix_space").unwrap_or(false));
        library.with_pre_tokenizer(Some(bytes));
    }
    if let (Class::Known(Family::Bert), Some(NormalizerWrapper::BertNormalizer(bert))) =
        (settings.class(), library.get_normalizer())
    {
        let mut bert = *bert;
        bert.lowercase = settings.flag("do_lower_case").unwrap_or(true);
        bert.strip_accents = settings.flag("strip_accents");
        bert.handle_chinese_chars = settings.flag("tokenize_chinese_chars").unwrap_or(true);
        let unusable = |_| TokenizerError::Inconsistent { path: path.to_owned() };
        library.with_normalizer(Some(bert)).map_err(unusable)?;
    }
    if library.get_post_processor().is_none() {
        surround_as_class(library, settings);
    }
    Ok(())
}

/// Puts the special tokens of the class around texts, which it does where a `tokenizer.json` has no post-processor too.
fn surround_as_class(library: &mut tokenizers::Tokenizer, settings: &Settings) {
    let token = |key: &str, default: &str| {
        let token = settings.token(key, default).to_owned();
        library.token_to_id(&token).map(|id| (token, id))
    };
    let processor: PostProcessorWrapper = match settings.class() {
        Class::Known(Family::Bert) => match (token("sep_token", "[SEP]"), token("cls_token", "[CLS]")) {
            (Some(sep), Some(cls)) => BertProcessing::new(sep, cls).into(),
            _ => return,
        },
        Class::Known(Family::Roberta) => match (token("sep_token", "</s>"), token("cls_token", "<s>")) {
            (Some(sep), Some(cls)) => RobertaProcessing::new(sep, cls).into(),
            _ => return,
        },
        _ => return,
    };
    library.with_post_processor(Some(processor));
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

fn read_vocabulary(path: &Path) -> Result<Vec<(String, u32)>, TokenizerError> {
    let content = read(path)?;
    check_tokens(content.lines().count(), path)?;
    Ok(content.lines().zip(0..).map(|(token, line)| (token.to_owned(), line)).collect())
}

fn is_cased(vocabulary: &[(String, u32)]) -> bool {
    vocabulary.iter().any(|(token, _)| !token.starts_with('[') && token.to_lowercase() != *token)
}

/// The content of a model of SentencePiece.
pub(super) fn read_model(path: &Path) -> Result<Vec<u8>, TokenizerError> {
    read_limited(path, limits::MODEL_BYTES).map_err(|source| TokenizerError::Read { path: path.to_owned(), source })
}

/// The text of a file, without a byte-order mark.
pub(super) fn read(path: &Path) -> Result<String, TokenizerError> {
    let read = read_text(path, limits::FILE_BYTES);
    let mut content = read.map_err(|source| TokenizerError::Read { path: path.to_owned(), source })?;
    if content.starts_with('\u{feff}') {
        content.drain(..'\u{feff}'.len_utf8());
    }
    Ok(content)
}

pub(super) fn not_json(path: &Path, format: &'static str) -> impl FnOnce(serde_json::Error) -> TokenizerError {
    move |source| TokenizerError::Json { path: path.to_owned(), format, source }
}
