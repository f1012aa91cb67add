//! Models of SentencePiece, as their files hold them.

mod charsmap;
mod convert;
mod normalizer;
mod proto;
mod segment;

use std::collections::HashSet;
use std::path::Path;

use prost::Message as _;
use prost::encoding::{DecodeContext, decode_key, skip_field};
use serde_json::{Map, Value, json};

pub(super) use self::charsmap::CharsMap;
pub(super) use self::normalizer::{BLANK, Normalizer};
use self::proto::{ModelProto, ModelType, PieceType};
pub(super) use self::segment::Segmenter;
use super::TokenizerError;
use super::limits::{check_pieces, check_tokens};

/// A model of SentencePiece.
pub(super) struct SentencePiece {
    pub(super) pieces: Vec<Piece>,
    /// `true` for BPE, `false` for unigram.
    pub(super) is_bpe: bool,
    /// Characters that no piece has become their bytes.
    pub(super) byte_fallback: bool,
    /// The map from characters to what replaces them, as it is in the file.
    charsmap: Vec<u8>,
    pub(super) normalizer: Normalizer,
}

/// A piece of the vocabulary.
pub(super) struct Piece {
    pub(super) text: String,
    pub(super) score: f32,
    pub(super) kind: PieceType,
}

impl SentencePiece {
    /// Reads the content of a model file; `path` is for error messages.
    ///
    /// # Errors
    /// [`TokenizerError`] if it is no such file, or a model that is not supported or beyond a limit.
    pub(super) fn read(bytes: &[u8], path: &Path) -> Result<Self, TokenizerError> {
        let invalid = |source| TokenizerError::SentencePiece { path: path.to_owned(), source };
        let inconsistent = || TokenizerError::Inconsistent { path: path.to_owned() };
        let unsupported = |found| TokenizerError::Unsupported { path: path.to_owned(), found };
        check_tokens(count_pieces(bytes).map_err(invalid)?, path)?;
        let model = ModelProto::decode(bytes).map_err(invalid)?;
        let (trainer, spec) = (model.trainer_spec.unwrap_or_default(), model.normalizer_spec.unwrap_or_default());
        let is_bpe = match trainer.model_type() {
            ModelType::Unigram => false,
            ModelType::Bpe => true,
            ModelType::Word => return Err(unsupported("a SentencePiece model of words")),
            ModelType::Char => return Err(unsupported("a SentencePiece model of characters")),
        };
        if trainer.treat_whitespace_as_suffix() {
            return Err(unsupported("a SentencePiece model with blanks behind words"));
        }
        if !spec.escape_whitespaces() {
            return Err(unsupported("a SentencePiece model that keeps blanks as they are"));
        }
        let pieces = model.pieces.into_iter().map(|piece| {
            let kind = PieceType::try_from(piece.r#type.unwrap_or(PieceType::Normal as i32));
            let (score, kind) = (piece.score(), kind.map_err(|_| inconsistent())?);
            let text = piece.piece.filter(|text| !text.is_empty()).ok_or_else(inconsistent)?;
            if score.is_finite() { Ok(Piece { text, score, kind }) } else { Err(inconsistent()) }
        });
        let pieces = pieces.collect::<Result<Vec<_>, _>>()?;
        if !pieces.iter().any(|piece| piece.kind == PieceType::Unknown) {
            return Err(inconsistent());
        }
        let user_defined = pieces.iter().filter(|piece| piece.kind == PieceType::UserDefined);
        let user_defined: Vec<String> = user_defined.map(|piece| piece.text.clone()).collect();
        check_pieces(pieces.iter().map(|piece| piece.text.len()), user_defined.len(), path)?;
        let charsmap = spec.precompiled_charsmap().to_vec();
        let map = CharsMap::read(&charsmap).ok_or_else(inconsistent)?;
        let (adds_blank, removes_blanks) = (spec.add_dummy_prefix(), spec.remove_extra_whitespaces());
        let normalizer = Normalizer { map, adds_blank, removes_blanks, user_defined };
        Ok(Self { pieces, is_bpe, byte_fallback: trainer.byte_fallback(), charsmap, normalizer })
    }

    fn of_kind(&self, kind: PieceType) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter(move |piece| piece.kind == kind).map(|piece| piece.text.as_str())
    }

    /// What cuts texts as SentencePiece does.
    pub(super) fn segmenter(&self) -> tokenizers::Result<Segmenter> {
        Segmenter::new(self)
    }

    /// The `model` of a `tokenizer.json` that finds the pieces `names` with their scores; the place of a name is its id.
    pub(super) fn json(&self, names: &[(String, f32)], unknown_id: u32, unknown: &str) -> Value {
        if !self.is_bpe {
            return json!({
                "type": "Unigram",
                "unk_id": unknown_id,
                "vocab": names,
                "byte_fallback": self.byte_fallback,
            });
        }
        let vocabulary: Map<String, Value> =
            names.iter().zip(0_u32..).map(|((name, _), id)| (name.clone(), id.into())).collect();
        json!({
            "type": "BPE",
            "dropout": null,
            "unk_token": unknown,
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": true,
            "byte_fallback": self.byte_fallback,
            // What a user defined has no merges.
            "ignore_merges": !self.normalizer.user_defined.is_empty(),
            "vocab": vocabulary,
            "merges": self.merges(),
        })
    }

    /// The merges of a BPE model, best first: each pair of pieces that make another one, by its score.
    fn merges(&self) -> Vec<(&str, &str)> {
        let normal = || self.pieces.iter().filter(|piece| piece.kind == PieceType::Normal);
        let known: HashSet<&str> = normal().map(|piece| piece.text.as_str()).collect();
        let mut merged: Vec<&Piece> = normal().collect();
        merged.sort_by(|a, b| b.score.total_cmp(&a.score));
        let halves = merged
            .into_iter()
            .flat_map(|piece| piece.text.char_indices().skip(1).map(|(at, _)| piece.text.split_at(at)));
        halves.filter(|(left, right)| known.contains(left) && known.contains(right)).collect()
    }
}

/// The number of pieces of a model file, before memory is taken for them.
fn count_pieces(mut bytes: &[u8]) -> Result<usize, prost::DecodeError> {
    let mut n = 0;
    while !bytes.is_empty() {
        let (tag, wire_type) = decode_key(&mut bytes)?;
        n += usize::from(tag == 1);
        skip_field(wire_type, tag, &mut bytes, DecodeContext::default())?;
    }
    Ok(n)
}
