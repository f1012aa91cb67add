//! The parts of SentencePiece's model file that are read: a protocol buffer.
//!
//! Source: `sentencepiece_model.proto` of SentencePiece 0.2.

/// A model file.
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::tokenizer) struct ModelProto {
    #[prost(message, repeated, tag = "1")]
    pub(in crate::tokenizer) pieces: Vec<Piece>,
    #[prost(message, optional, tag = "2")]
    pub(in crate::tokenizer) trainer_spec: Option<TrainerSpec>,
    #[prost(message, optional, tag = "3")]
    pub(in crate::tokenizer) normalizer_spec: Option<NormalizerSpec>,
}

/// A piece of the vocabulary; its place is its id.
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::tokenizer) struct Piece {
    #[prost(string, optional, tag = "1")]
    pub(in crate::tokenizer) piece: Option<String>,
    #[prost(float, optional, tag = "2")]
    pub(in crate::tokenizer) score: Option<f32>,
    #[prost(enumeration = "PieceType", optional, tag = "3", default = "Normal")]
    pub(in crate::tokenizer) r#type: Option<i32>,
}

/// What a piece is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub(in crate::tokenizer) enum PieceType {
    /// Found in texts.
    Normal = 1,
    /// Stands for what no piece covers.
    Unknown = 2,
    /// Never found in texts: `</s>`.
    Control = 3,
    /// Always one piece where it occurs in a text.
    UserDefined = 4,
    /// In the vocabulary, but not found in texts.
    Unused = 5,
    /// A byte of what no other piece covers.
    Byte = 6,
}

/// What the model is.
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::tokenizer) struct TrainerSpec {
    #[prost(enumeration = "ModelType", optional, tag = "3", default = "Unigram")]
    pub(in crate::tokenizer) model_type: Option<i32>,
    #[prost(bool, optional, tag = "24")]
    pub(in crate::tokenizer) treat_whitespace_as_suffix: Option<bool>,
    #[prost(bool, optional, tag = "35")]
    pub(in crate::tokenizer) byte_fallback: Option<bool>,
}

/// How texts are cut into pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub(in crate::tokenizer) enum ModelType {
    Unigram = 1,
    Bpe = 2,
    Word = 3,
    Char = 4,
}

/// What happens to a text before it is cut.
#[derive(Clone, PartialEq, prost::Message)]
pub(in crate::tokenizer) struct NormalizerSpec {
    #[prost(bytes = "vec", optional, tag = "2")]
    pub(in crate::tokenizer) precompiled_charsmap: Option<Vec<u8>>,
    #[prost(bool, optional, tag = "3", default = "true")]
    pub(in crate::tokenizer) add_dummy_prefix: Option<bool>,
    #[prost(bool, optional, tag = "4", default = "true")]
    pub(in crate::tokenizer) remove_extra_whitespaces: Option<bool>,
    #[prost(bool, optional, tag = "5", default = "true")]
    pub(in crate::tokenizer) escape_whitespaces: Option<bool>,
}
