//! Tokenizers: training, loading, saving, encoding and decoding.
//!
//! The work is done by Hugging Face's library [`tokenizers`], whose files this module reads and writes.
//!
//! ```
//! use burnformer_core::{Interrupt, Silent};
//! use burnformer_data::tokenizer::{TokenizerConfig, train};
//!
//! # fn main() -> Result<(), burnformer_data::DataError> {
//! let texts = ["A rose is a rose.", "A rose by any other name"].map(|text| Ok(text.to_owned()));
//! let config = TokenizerConfig { vocab_size: 60, ..TokenizerConfig::default() };
//! let tokenizer = train(texts.into_iter(), &config, &Silent, &Interrupt::new())?;
//!
//! let ids = tokenizer.encode("Rose!")?;
//! assert_eq!(tokenizer.token(ids[0]).as_deref(), Some("rose"));
//! assert_eq!(ids[1], tokenizer.specials().unk_id.unwrap());
//! # Ok(())
//! # }
//! ```

mod alignment;
mod around;
mod bytes;
mod class;
mod encoder;
mod error;
mod format;
pub(crate) mod limits;
mod load;
mod long;
mod lowercase;
pub(crate) mod marks;
mod opus;
mod pieces;
mod save;
mod sentence_piece;
mod settings;
mod specials;
mod train;
mod unigram;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use tokenizers::{DecoderWrapper, Encoding, ModelWrapper, PostProcessor as _, Token};

pub use alignment::Alignment;
pub use around::AroundPair;
pub use encoder::Encoder;
pub use error::TokenizerError;
use long::{Long, Reading, guard, shares};
use opus::Opus;
use pieces::{Cut, MAX_WORD};
pub use specials::Specials;
pub use train::{Coverage, TokenizerConfig, train, train_covering};

/// Kind of a tokenizer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TokenizerKind {
    /// WordPiece: the longest known pieces of each word, as in BERT.
    #[default]
    WordPiece,
    /// Byte-level BPE: pairs of bytes, merged in the order learnt, as in GPT-2 and `RoBERTa`. No text is unknown.
    ByteLevelBpe,
    /// Word level: whole words between white space.
    WordLevel,
    /// Unigram: the most probable pieces, as SentencePiece finds them for XLM-R, T5 and OPUS-MT.
    Unigram,
    /// BPE of characters, with their bytes where a character is unknown, as in Llama and Gemma.
    Bpe,
}

/// Converts text to token ids and back. Cloning is cheap.
#[derive(Clone)]
pub struct Tokenizer(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    /// Finds special tokens in the text.
    marked: tokenizers::Tokenizer,
    /// Takes special tokens in the text as text.
    plain: tokenizers::Tokenizer,
    kind: TokenizerKind,
    cut: Cut,
    /// `true` if a text is encoded as if there were a blank in front, unless there is one.
    prefix_blank: bool,
    /// `true` if the blank in front of a decoded text was put there when it was encoded.
    strips_blank: bool,
    specials: Specials,
    special_ids: Vec<u32>,
    /// `true` if there are special tokens without a role.
    has_codes: bool,
    starts_word: Vec<bool>,
    fingerprint: u128,
    /// What the tokenizer of an OPUS-MT model does beside the library.
    opus: Option<Arc<Opus>>,
    max_length: Option<usize>,
    /// `true` if tokens have types in the model's input.
    has_types: bool,
    /// `true` if too many tokens are cut off at the beginning of a text.
    cuts_beginning: bool,
}

/// A text, or a pair of texts, with the special tokens around it. [`Tokenizer::encode_with_offsets`] and
/// [`Tokenizer::encode_words`] tell with an [`Alignment`] which characters and words the tokens stand for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The tokens.
    pub ids: Vec<u32>,
    /// For each token which text it belongs to: 0 or 1. It is 0 for both where models get no types, as of `RoBERTa`'s tokenizers.
    pub type_ids: Vec<u32>,
    /// For each token `true` if the tokenizer put it around the texts: it is no part of them.
    pub is_added: Vec<bool>,
    /// `true` if the texts have more tokens, which were cut off.
    pub is_cut: bool,
}

impl Tokenizer {
    /// The tokens of `text`, without special tokens around it. Special tokens in the text, such as `[MASK]`, count as
    /// text.
    ///
    /// For many texts an [`Encoder`] is faster. A word of more than 16 KiB counts as several.
    ///
    /// # Errors
    /// [`TokenizerError::Encode`] for a text on which a regular expression of the tokenizer fails.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        self.encode_beginning(text, usize::MAX)
    }

    /// The tokens of `text` as [`Self::encode`], or if there are more than `n` of them, at least the first `n + 1`: of a longer text
    /// no more is read.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn encode_beginning(&self, text: &str, n: usize) -> Result<Vec<u32>, TokenizerError> {
        let mut ids = Vec::new();
        let text = self.with_prefix(self.take_code(text, &mut ids));
        if text.len() <= MAX_WORD {
            self.encode_piece(&text, &mut ids)?;
            return Ok(ids);
        }
        for piece in self.cut().pieces(&text) {
            self.encode_piece(piece, &mut ids)?;
            if ids.len() > n {
                break;
            }
        }
        Ok(ids)
    }

    /// The tokens of a text to translate, as [`Self::encode`] gives them. If the tokenizer has special tokens without a role of
    /// [`Specials`], as language codes such as `>>fra<<` are, special tokens written in the text are special.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn encode_source(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        self.encode_source_beginning(text, usize::MAX)
    }

    /// The tokens of a text as [`Self::encode_source`], or if there are more than `n` of them, at least the first `n + 1`: of a
    /// longer text no more is read.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn encode_source_beginning(&self, text: &str, n: usize) -> Result<Vec<u32>, TokenizerError> {
        if self.0.opus.is_some() || !self.0.has_codes {
            return self.encode_beginning(text, n);
        }
        Ok(Reading::new(self, text, n.saturating_add(1), false).finish()?.encoding.get_ids().to_vec())
    }

    /// Encodes as [`Self::encode`] does, with a memory for what was encoded before.
    #[must_use]
    pub fn encoder(&self) -> Encoder {
        Encoder::new(self.clone())
    }

    /// The tokens of `text`, or of `text` and `pair`, with the special tokens that models expect around them, as in
    /// `[CLS] text [SEP] pair [SEP]`. Special tokens written in the text are special, as in transformers, so that a user can ask
    /// for `[MASK]`; see [`Self::with_split_special_tokens`].
    ///
    /// More than `max_length` tokens are cut at the end of the longer text, then of both alike. A text of any length takes the
    /// memory of the tokens that are kept and of 256 KiB of text, and no more of it is read than these tokens need. A
    /// `truncation_side` of `left` in `tokenizer_config.json` has them cut at the beginning, for which all are read.
    ///
    /// # Errors
    /// [`TokenizerError::TooShort`] if the special tokens alone are `max_length` or more, [`TokenizerError::NoTokens`] if
    /// there is a `max_length`, as for a model, and no token at all, [`TokenizerError::Encode`] as [`Self::encode`].
    pub fn encode_with_specials(
        &self,
        text: &str,
        pair: Option<&str>,
        max_length: Option<usize>,
    ) -> Result<Encoded, TokenizerError> {
        let (text, pair) = self.read(text, pair, max_length, false)?;
        let n_tokens = text.n_tokens + pair.as_ref().map_or(0, |pair| pair.n_tokens);
        let (text, pair) = self.truncate(text, pair, max_length)?;
        let is_cut = n_tokens > text.len() + pair.as_ref().map_or(0, Encoding::len);
        let encoded = self.encoded(&self.surround(text, pair)?, is_cut);
        if max_length.is_some() && encoded.ids.is_empty() {
            return Err(TokenizerError::NoTokens);
        }
        Ok(encoded)
    }

    /// The special tokens that models expect in front of a text and behind it.
    ///
    /// # Errors
    /// [`TokenizerError::Encode`] if the tokenizer contradicts itself.
    pub fn specials_around(&self) -> Result<(Vec<u32>, Vec<u32>), TokenizerError> {
        let text = Encoding::from_tokens(vec![Token::new(0, "a".to_owned(), (0, 1))], 0);
        let encoded = self.encoded(&self.surround(text, None)?, false);
        let place = encoded.is_added.iter().position(|is_added| !is_added).unwrap_or(encoded.ids.len());
        let (front, rest) = encoded.ids.split_at(place);
        Ok((front.to_vec(), rest.get(1..).unwrap_or_default().to_vec()))
    }

    /// What the library makes of texts.
    fn encoded(&self, encoding: &Encoding, is_cut: bool) -> Encoded {
        let is_added: Vec<bool> =
            encoding.get_special_tokens_mask().iter().map(|&is_special| is_special == 1).collect();
        // A word that looks like a special token is in the vocabulary as one.
        let unknown = self.0.specials.unk_id.filter(|_| self.splits_special_tokens());
        let ids = encoding.get_ids().iter().zip(&is_added).map(|(&id, is_added)| match unknown {
            Some(unknown) if !is_added && self.0.special_ids.binary_search(&id).is_ok() => unknown,
            _ => id,
        });
        let type_ids = match self.0.has_types {
            true => encoding.get_type_ids().to_vec(),
            false => vec![0; encoding.len()],
        };
        Encoded { ids: ids.collect(), type_ids, is_added, is_cut }
    }

    /// Reads the texts as far as their first `max_length` tokens need.
    fn read(
        &self,
        text: &str,
        pair: Option<&str>,
        max_length: Option<usize>,
        offsets: bool,
    ) -> Result<(Long, Option<Long>), TokenizerError> {
        let max_length = max_length.filter(|_| !self.0.cuts_beginning);
        let limit = max_length.map_or(usize::MAX, |length| length.saturating_sub(self.n_specials(pair.is_some())));
        let reading = |text| Reading::new(self, text, limit, offsets);
        match pair {
            None => Ok((reading(text).finish()?, None)),
            Some(pair) => {
                let (text, pair) = reading(text).finish_both(reading(pair), limit)?;
                Ok((text, Some(pair)))
            }
        }
    }

    /// Number of special tokens around a text or a pair of texts.
    fn n_specials(&self, is_pair: bool) -> usize {
        self.0.marked.get_post_processor().map_or(0, |it| it.added_tokens(is_pair))
    }

    /// Cuts tokens off so that those of both texts and the special tokens around them are at most `max_length`.
    fn truncate(
        &self,
        text: Long,
        pair: Option<Long>,
        max_length: Option<usize>,
    ) -> Result<(Encoding, Option<Encoding>), TokenizerError> {
        let Some(max_length) = max_length else { return Ok((text.encoding, pair.map(|pair| pair.encoding))) };
        let n_specials = self.n_specials(pair.is_some());
        if max_length <= n_specials {
            return Err(TokenizerError::TooShort { max_length, n_specials });
        }
        let n_pair = pair.as_ref().map(|pair| pair.n_tokens);
        let (n_text, n_pair) = shares(text.n_tokens, n_pair, max_length - n_specials);
        let at_beginning = self.0.cuts_beginning;
        Ok((text.truncate(n_text, at_beginning), pair.map(|pair| pair.truncate(n_pair, at_beginning))))
    }

    /// Puts special tokens around the texts.
    fn surround(&self, text: Encoding, mut pair: Option<Encoding>) -> Result<Encoding, TokenizerError> {
        if let Some(pair) = &mut pair {
            pair.set_type_ids(vec![1; pair.len()]);
        }
        guard(|| self.0.marked.post_process(text, pair, true))
    }

    /// The text of `ids`. WordPiece and word level do not keep white space. Ids that
    /// do not exist are left out, and special tokens too if `skip_specials` is `true`.
    ///
    /// # Errors
    /// [`TokenizerError::Decode`] if a regular expression of the tokenizer fails.
    pub fn decode(&self, ids: &[u32], skip_specials: bool) -> Result<String, TokenizerError> {
        if self.0.opus.is_some() {
            return Ok(self.opus_text(ids, skip_specials));
        }
        let text = self.0.marked.decode(ids, skip_specials);
        let text = text.map_err(|error| TokenizerError::Decode { reason: error.to_string() })?;
        Ok(match self.0.marked.get_decoder() {
            Some(DecoderWrapper::WordPiece(decoder)) if decoder.cleanup => close_up(text),
            _ if self.0.strips_blank => text.strip_prefix(' ').map(str::to_owned).unwrap_or(text),
            _ => text,
        })
    }

    /// The token with this id.
    #[must_use]
    pub fn token(&self, id: u32) -> Option<String> {
        self.0.marked.id_to_token(id)
    }

    /// The id of this token.
    #[must_use]
    pub fn id(&self, token: &str) -> Option<u32> {
        self.0.marked.token_to_id(token)
    }

    /// The number of rows that an embedding of all tokens needs: one more than the greatest id.
    #[must_use]
    pub fn vocab_size(&self) -> usize {
        self.0.starts_word.len()
    }

    /// Kind of the tokenizer.
    #[must_use]
    pub fn kind(&self) -> TokenizerKind {
        self.0.kind
    }

    /// The special tokens, by role.
    #[must_use]
    pub fn specials(&self) -> &Specials {
        &self.0.specials
    }

    /// The ids of all special tokens, in ascending order.
    #[must_use]
    pub fn special_ids(&self) -> &[u32] {
        &self.0.special_ids
    }

    /// `true` if a word begins with this token, `false` if the token goes on with the word in front of it.
    ///
    /// In WordPiece the latter have the prefix `##`. In BPE and Unigram a word begins with a blank.
    #[must_use]
    pub fn starts_word(&self, id: u32) -> bool {
        self.0.starts_word.get(id as usize).copied().unwrap_or(true)
    }

    /// Fingerprint: tokenizers with the same fingerprint give the same tokens. Saving and loading keep it.
    #[must_use]
    pub fn fingerprint(&self) -> u128 {
        self.0.fingerprint
    }

    /// Longest sequence of the model that the tokenizer belongs to, special tokens included; `None` if not given.
    #[must_use]
    pub fn max_length(&self) -> Option<usize> {
        self.0.max_length
    }

    /// The same tokenizer for a model whose longest sequence is `max_length`, special tokens included.
    #[must_use]
    pub fn with_max_length(self, max_length: usize) -> Self {
        let mut inner = Arc::unwrap_or_clone(self.0);
        inner.max_length = Some(max_length);
        Self(Arc::new(inner))
    }

    /// The same tokenizer, which reads special tokens written in a text as text, `[SEP]` as a bracket and letters, or as special
    /// tokens. It is `split_special_tokens` of `tokenizer_config.json`, and saved there.
    #[must_use]
    pub fn with_split_special_tokens(self, splits: bool) -> Self {
        let mut inner = Arc::unwrap_or_clone(self.0);
        inner.marked.set_encode_special_tokens(splits);
        Self(Arc::new(inner))
    }

    /// `true` if special tokens written in a text are read as text.
    #[must_use]
    pub fn splits_special_tokens(&self) -> bool {
        self.0.marked.get_encode_special_tokens()
    }

    fn cut(&self) -> Cut {
        self.0.cut
    }

    /// The text behind the language code of an OPUS-MT model, such as `>>fra<<`, whose token is appended to `ids`; otherwise
    /// the text itself.
    fn take_code<'a>(&self, text: &'a str, ids: &mut Vec<u32>) -> &'a str {
        let (Some(_), Some((code, behind))) = (&self.0.opus, Opus::code(text)) else { return text };
        ids.extend(self.id(code).or(self.0.specials.unk_id));
        behind
    }

    /// `text` as it is to be cut into pieces.
    fn with_prefix<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.0.prefix_blank && !text.is_empty() && !text.starts_with(' ') {
            Cow::Owned(format!(" {text}"))
        } else {
            Cow::Borrowed(text)
        }
    }

    /// Appends the tokens of a piece of a text.
    fn encode_piece(&self, piece: &str, ids: &mut Vec<u32>) -> Result<(), TokenizerError> {
        if let Some(opus) = &self.0.opus {
            return self.encode_opus(opus, piece, ids);
        }
        let encoding = guard(|| self.0.plain.encode_fast(piece, false))?;
        // A word that looks like a special token is in the vocabulary as one.
        let unknown = self.0.specials.unk_id.filter(|_| self.0.kind != TokenizerKind::ByteLevelBpe);
        ids.extend(encoding.get_ids().iter().map(|&id| match unknown {
            Some(unknown) if self.0.special_ids.binary_search(&id).is_ok() => unknown,
            _ => id,
        }));
        Ok(())
    }
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokenizer")
            .field("kind", &self.0.kind)
            .field("vocab_size", &self.vocab_size())
            .field("specials", &self.0.specials)
            .finish_non_exhaustive()
    }
}

/// Removes spaces that the original text probably did not have, as transformers' `clean_up_tokenization_spaces`.
fn close_up(mut text: String) -> String {
    for (apart, together) in
        [(" ' ", "'"), (" n't", "n't"), (" 'm", "'m"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re")]
    {
        if text.contains(apart) {
            text = text.replace(apart, together);
        }
    }
    text
}

/// Which tokens begin a word, by id.
fn word_starts(library: &tokenizers::Tokenizer, kind: TokenizerKind) -> Vec<bool> {
    let vocabulary = library.get_vocab(true);
    let marks_blanks = |blank: char| vocabulary.keys().any(|token| token.starts_with(blank));
    let blank = match kind {
        TokenizerKind::ByteLevelBpe => Some(format::BLANK),
        // Without such tokens nothing tells where words begin.
        TokenizerKind::Bpe | TokenizerKind::Unigram => Some(sentence_piece::BLANK).filter(|&it| marks_blanks(it)),
        TokenizerKind::WordPiece | TokenizerKind::WordLevel => None,
    };
    let begins = |token: &str| match library.get_model() {
        ModelWrapper::WordPiece(model) => {
            model.continuing_subword_prefix.is_empty() || !token.starts_with(&model.continuing_subword_prefix)
        }
        _ => blank.is_none_or(|blank| token.starts_with(blank)),
    };
    let vocab_size = vocabulary.values().max().map_or(0, |&id| id as usize + 1);
    let mut starts = vec![true; vocab_size];
    for (token, &id) in &vocabulary {
        starts[id as usize] = begins(token);
    }
    starts
}
