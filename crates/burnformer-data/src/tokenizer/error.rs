//! Errors of tokenizers.

use std::io;
use std::path::PathBuf;

use burnformer_core::adapter::AdapterError;

use super::TokenizerKind;

/// A tokenizer that cannot be trained, loaded or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// A file cannot be read, or is not UTF-8.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The base model of an adapter, which has its tokenizer, cannot be found.
    #[error(transparent)]
    Adapter(AdapterError),
    /// A folder without a tokenizer in it.
    #[error(
        "`{}` holds no tokenizer: no `tokenizer.json`, no vocabulary (`vocab.txt`, or `vocab.json` and `merges.txt`) and no \
         model of SentencePiece (`sentencepiece.bpe.model`, `spiece.model`, `tokenizer.model`, or `source.spm` and \
         `target.spm`)",
        folder.display()
    )]
    Nothing {
        /// The folder.
        folder: PathBuf,
    },
    /// A file that is not valid JSON, or not of the expected format.
    #[error("`{}` is not a valid `{format}`", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The name that files of the expected format have.
        format: &'static str,
        /// Error of the parser, with its position.
        source: serde_json::Error,
    },
    /// A file that is no model of SentencePiece.
    #[error("`{}` is not a SentencePiece model", path.display())]
    SentencePiece {
        /// The file.
        path: PathBuf,
        /// Error of the parser.
        source: prost::DecodeError,
    },
    /// A tokenizer of a kind that is not supported.
    #[error("`{}` has {found}, expected WordPiece, BPE, Unigram or whole words", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The unsupported part, in words.
        found: &'static str,
    },
    /// An inconsistent tokenizer, such as one with merges of tokens that it does not have.
    #[error("`{}` is not usable: its vocabulary, merges and special tokens do not fit together", path.display())]
    Inconsistent {
        /// The file.
        path: PathBuf,
    },
    /// A number in a tokenizer's files that is beyond its limit: it would become the size of a table, or the time that a text
    /// takes.
    #[error("`{}` has {found} {what}, expected at most {limit}, which bounds memory and time: use another tokenizer", path.display())]
    Limit {
        /// The file.
        path: PathBuf,
        /// What the number is of, in words.
        what: &'static str,
        /// The number.
        found: u64,
        /// Largest number.
        limit: u64,
    },
    /// A post-processor that does more than put special tokens around texts.
    #[error(
        "the `post_processor` of `{}` leaves out or repeats a text, or adds tokens that the vocabulary does not have, \
         expected each text once, with special tokens around it",
        path.display()
    )]
    PostProcessor {
        /// The file.
        path: PathBuf,
    },
    /// A text without any token.
    #[error(
        "a text has no tokens, and the tokenizer puts none around it: leave out such texts, or use a tokenizer with a \
         `post_processor` that adds special tokens"
    )]
    NoTokens,
    /// A tokenizer of a class whose files are read in another way.
    #[error(
        "`{}` belongs to a `{class}`, which is not read from such a file: use a model with another tokenizer, correct \
         `tokenizer_class` in `tokenizer_config.json`, or, if transformers has a fast one for it, write its `tokenizer.json` \
         with `save_pretrained`",
        path.display()
    )]
    OtherClass {
        /// The file.
        path: PathBuf,
        /// The class in transformers.
        class: String,
    },
    /// A file that several classes read in different ways, and none is named.
    #[error(
        "`{}` has other ids in each class of tokenizers: name the one it belongs to under `tokenizer_class` in \
         `tokenizer_config.json`, expected {expected}",
        path.display()
    )]
    NoClass {
        /// The file.
        path: PathBuf,
        /// The classes that are known.
        expected: &'static str,
    },
    /// A file with tokens beside the vocabulary that has another form.
    #[error("`{}` does not list added tokens with their ids, expected texts and whole numbers below 2^32", path.display())]
    AddedTokens {
        /// The file.
        path: PathBuf,
    },
    /// A token beside the vocabulary whose id is not the one that it gets.
    #[error(
        "the added token `{token}` of `{}` has the id {id}, but the tokenizer gives it {found}: correct its id in \
         `tokenizer_config.json` or `added_tokens.json`",
        path.display()
    )]
    AddedId {
        /// The tokenizer's file.
        path: PathBuf,
        /// The token.
        token: String,
        /// Its id in the files.
        id: u32,
        /// Its id in the tokenizer.
        found: u32,
    },
    /// A special token that is not in the vocabulary.
    #[error(
        "`{}` has no token `{token}`: add it, or name the token that takes its place in `tokenizer_config.json`",
        path.display()
    )]
    MissingToken {
        /// The file.
        path: PathBuf,
        /// The token.
        token: String,
    },
    /// A tokenizer of a kind that can be read but not trained.
    #[error(
        "a tokenizer of the kind {kind:?} cannot be trained: choose WordPiece, byte-level BPE, Unigram or word level"
    )]
    NotTrained {
        /// The kind.
        kind: TokenizerKind,
    },
    /// A tokenizer that cannot tell which characters a token stands for.
    #[error(
        "the tokenizer of an OPUS-MT model does not tell which characters its tokens stand for: use another tokenizer"
    )]
    NoOffsets,
    /// The library cannot train a tokenizer on the texts.
    #[error("the tokenizer cannot be trained: {reason}")]
    Train {
        /// Error of the library.
        reason: String,
    },
    /// No text to train on.
    #[error("the texts to train a tokenizer on contain no words")]
    EmptyCorpus,
    /// The vocabulary is too small for all characters.
    #[error(
        "`vocab_size` is {vocab_size}, but special tokens and single characters alone are {needed}: raise it, or lower \
         `limit_alphabet`"
    )]
    VocabTooSmall {
        /// Requested number of tokens.
        vocab_size: usize,
        /// Smallest sufficient number.
        needed: usize,
    },
    /// A text cannot be encoded.
    #[error("the tokenizer cannot encode a text: {reason}")]
    Encode {
        /// Error of the library.
        reason: String,
    },
    /// Token ids cannot be decoded.
    #[error("the tokenizer cannot decode tokens: {reason}")]
    Decode {
        /// Error of the library.
        reason: String,
    },
    /// The special tokens leave no room for text.
    #[error("a maximum of {max_length} tokens leaves no room beside {n_specials} special tokens")]
    TooShort {
        /// Largest number of tokens.
        max_length: usize,
        /// Number of special tokens.
        n_specials: usize,
    },
    /// A question that leaves no room for its context.
    #[error(
        "a question of {n_question} tokens leaves no room for its context within {max_length} tokens: shorten it, or set \
         `max_seq_length` higher"
    )]
    NoRoom {
        /// Number of tokens of the question.
        n_question: usize,
        /// Largest number of tokens.
        max_length: usize,
    },
}

impl TokenizerError {
    pub(super) fn encode(error: tokenizers::Error) -> Self {
        Self::Encode { reason: error.to_string() }
    }
}
