//! Training of a tokenizer.

mod count;
mod coverage;
mod merges;
mod unigram;

use std::collections::HashSet;
use std::path::Path;

use burnformer_core::config::{ConfigError, Validate};
use burnformer_core::progress::{Interrupt, Progress};
use serde::{Deserialize, Serialize};

use self::count::count_words;
pub use self::coverage::Coverage;
use self::merges::{Goal, learn};
use self::unigram::Piece;
use super::format::{
    self, BYTE_LEVEL_SPECIALS, Normalization, UNIGRAM_SPECIALS, UNKNOWN, WORD_LEVEL_SPECIALS, WORD_PIECE_SPECIALS,
};
use super::limits::TOKENS;
use super::load::TOKENIZER_FILE;
use super::settings::Settings;
use super::{Tokenizer, TokenizerError, TokenizerKind};
use crate::DataError;

/// Settings of tokenizer training.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenizerConfig {
    /// Kind of the tokenizer: WordPiece, byte-level BPE, Unigram or word level.
    pub kind: TokenizerKind,
    /// Largest number of tokens, special tokens included, at most 1,048,576. A small corpus gives fewer.
    pub vocab_size: usize,
    /// Smallest number of occurrences of a new token: of a pair of shorter tokens, or of a whole word. Unigram ignores it.
    pub min_frequency: u64,
    /// `true` lower-cases text.
    pub lowercase: bool,
    /// `true` removes accents; absent for the value of `lowercase`.
    pub strip_accents: Option<bool>,
    /// `true` makes each Chinese character a word. Byte-level BPE and Unigram ignore it.
    pub split_chinese: bool,
    /// Number of different characters in WordPiece and Unigram, the most frequent ones; words with other characters are unknown to
    /// WordPiece, and the characters to Unigram.
    pub limit_alphabet: usize,
}

impl Default for TokenizerConfig {
    /// WordPiece with the settings of BERT, and enough characters for Chinese.
    fn default() -> Self {
        Self {
            kind: TokenizerKind::WordPiece,
            vocab_size: 30_000,
            min_frequency: 2,
            lowercase: true,
            strip_accents: None,
            split_chinese: true,
            limit_alphabet: 6_000,
        }
    }
}

impl Validate for TokenizerConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        for (field, value) in [("vocab_size", self.vocab_size), ("limit_alphabet", self.limit_alphabet)] {
            ConfigError::check_positive(field, value)?;
            ConfigError::check(field, &value, value <= TOKENS, "at most 1,048,576")?;
        }
        Ok(())
    }
}

impl TokenizerConfig {
    fn normalization(&self) -> Normalization {
        let Self { lowercase, strip_accents, split_chinese, .. } = *self;
        Normalization { lowercase, strip_accents, split_chinese }
    }

    /// The special tokens, in the order of their ids.
    fn specials(&self) -> &'static [&'static str] {
        match self.kind {
            TokenizerKind::WordPiece => &WORD_PIECE_SPECIALS,
            TokenizerKind::ByteLevelBpe => &BYTE_LEVEL_SPECIALS,
            TokenizerKind::WordLevel => &WORD_LEVEL_SPECIALS,
            TokenizerKind::Unigram => &UNIGRAM_SPECIALS,
            TokenizerKind::Bpe => &[],
        }
    }

    /// The tokenizer with this vocabulary, in the order of the ids.
    fn tokenizer(&self, tokens: Vec<String>, merges: &[(u32, u32)]) -> Result<Tokenizer, TokenizerError> {
        let vocabulary: Vec<(String, u32)> = (0..).zip(tokens).map(|(id, token)| (token, id)).collect();
        let json = match self.kind {
            TokenizerKind::WordPiece => format::word_piece(&vocabulary, WORD_PIECE_SPECIALS, self.normalization()),
            TokenizerKind::WordLevel => format::word_level(&vocabulary, self.normalization()),
            TokenizerKind::ByteLevelBpe => {
                let token = |id: u32| vocabulary[id as usize].0.as_str();
                let merges: Vec<_> = merges.iter().map(|&(left, right)| (token(left), token(right))).collect();
                format::byte_level(&vocabulary, &merges, self.normalization())
            }
            TokenizerKind::Unigram => {
                let pieces: Vec<Piece> = vocabulary.into_iter().map(|(token, _)| (token, 0.0)).collect();
                return self.of_pieces(&pieces);
            }
            kind @ TokenizerKind::Bpe => return Err(TokenizerError::NotTrained { kind }),
        };
        Tokenizer::from_json(json, &Settings::none(), None, Path::new(TOKENIZER_FILE))
    }

    /// The Unigram tokenizer with these pieces, in the order of the ids.
    fn of_pieces(&self, pieces: &[Piece]) -> Result<Tokenizer, TokenizerError> {
        let json = format::unigram(pieces, UNKNOWN, self.normalization());
        Tokenizer::from_json(json, &Settings::none(), None, Path::new(TOKENIZER_FILE))
    }
}

/// Trains a tokenizer on `texts`, which are read once. The same texts give the same tokenizer, bit by bit, on any
/// number of threads.
///
/// [`Texts`](crate::source::Texts) reads them from a source and reports its progress; `progress` is for the training.
/// Memory depends on the number of different words, not on the amount of text; it is some hundred bytes per word. A word of
/// more than 16 KiB counts as several.
///
/// The special tokens come first: `[PAD]`, `[UNK]`, `[CLS]`, `[SEP]`, `[MASK]` for WordPiece; `<s>`, `<pad>`, `</s>`,
/// `<unk>`, `<mask>` for byte-level BPE and Unigram; `<unk>`, `<pad>`, `<bos>`, `<eos>` for whole words, which follow by falling
/// frequency. For WordPiece and BPE, single characters follow, then what merging the commonest pair of tokens over and over
/// gives; for Unigram, the pieces of words by falling probability, which are cut down from the most frequent ones. Training of
/// Unigram uses one thread and returns from an interruption before its thread ends.
///
/// Source: Sennrich et al. 2016, "Neural Machine Translation of Rare Words with Subword Units", section 3.2. WordPiece
/// is trained in the same way, as in Hugging Face's library, with the tokens within a word marked by `##`. Unigram: Kudo 2018,
/// "Subword Regularization", section 3.2, by Hugging Face's trainer.
///
/// # Errors
/// [`DataError::Config`] if `config` is not valid; the first error of `texts`; [`DataError::Interrupted`];
/// [`TokenizerError::EmptyCorpus`] without any word; [`TokenizerError::VocabTooSmall`]; [`TokenizerError::NotTrained`].
pub fn train(
    texts: impl Iterator<Item = Result<String, DataError>> + Send,
    config: &TokenizerConfig,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Tokenizer, DataError> {
    Ok(train_covering(texts, config, progress, interrupt)?.0)
}

/// Trains a tokenizer as [`train`], and tells what it does to the texts.
///
/// # Errors
/// As [`train`].
pub fn train_covering(
    texts: impl Iterator<Item = Result<String, DataError>> + Send,
    config: &TokenizerConfig,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<(Tokenizer, Coverage), DataError> {
    config.validate()?;
    let specials: Vec<String> = config.specials().iter().map(|&token| token.to_owned()).collect();
    // Only the parts that cut text into words matter yet.
    let blank = config.tokenizer(specials.clone(), &[])?;
    let counted = count_words(&blank, texts, interrupt)?;
    let words = &counted.words;
    if words.is_empty() {
        return Err(TokenizerError::EmptyCorpus.into());
    }
    let goal = Goal { vocab_size: config.vocab_size, min_frequency: config.min_frequency };
    let learn = |alphabet| learn(specials.clone(), words, alphabet, &goal, progress, interrupt);
    let tokenizer = match config.kind {
        TokenizerKind::WordLevel => config.tokenizer(commonest(specials, words, &goal)?, &[])?,
        TokenizerKind::Unigram => {
            let (specials, limit) = (config.specials(), config.limit_alphabet);
            config.of_pieces(&unigram::learn(specials, UNKNOWN, words, limit, &goal, progress, interrupt)?)?
        }
        kind => {
            let bytes = kind == TokenizerKind::ByteLevelBpe;
            let learnt = learn(if bytes { Alphabet::Bytes } else { Alphabet::Commonest(config.limit_alphabet) })?;
            config.tokenizer(learnt.tokens, &learnt.merges)?
        }
    };
    let coverage = Coverage::of(&tokenizer, &counted)?;
    Ok((tokenizer, coverage))
}

/// The commonest words behind the special tokens; those equally common in the order of their characters.
fn commonest(mut specials: Vec<String>, words: &[(String, u64)], goal: &Goal) -> Result<Vec<String>, TokenizerError> {
    if goal.vocab_size <= specials.len() {
        return Err(TokenizerError::VocabTooSmall { vocab_size: goal.vocab_size, needed: specials.len() + 1 });
    }
    let known: HashSet<&String> = specials.iter().collect();
    let is_common = |(word, count): &&(String, u64)| *count >= goal.min_frequency && !known.contains(word);
    let mut words: Vec<_> = words.iter().filter(is_common).collect();
    words.sort_unstable_by(|(left, left_count), (right, right_count)| {
        right_count.cmp(left_count).then_with(|| left.cmp(right))
    });
    words.truncate(goal.vocab_size - specials.len());
    specials.extend(words.into_iter().map(|(word, _)| word.clone()));
    Ok(specials)
}

/// Which characters are tokens from the beginning.
#[derive(Clone, Copy, Debug)]
enum Alphabet {
    /// Those that stand for bytes, whether they occur or not. Tokens within a word are as those at its beginning.
    Bytes,
    /// So many of those that occur, the commonest ones. Tokens within a word have a prefix.
    Commonest(usize),
}
