//! How SentencePiece cuts a normalised text into pieces.

use std::collections::HashMap;
use std::ops::Range;

use tokenizers::Model as _;
use tokenizers::models::bpe::BPE;

use super::{PieceType, SentencePiece};

/// What is taken off the least score of a piece for a character that no piece covers.
const UNKNOWN_PENALTY: f32 = 10.0;
/// The token of the library for what no piece covers: no character of a text.
const UNKNOWN: &str = "\u{10ffff}";

/// Cuts texts as the original does, to the last bit of a score; the library adds scores in another precision.
#[derive(Debug)]
pub(in crate::tokenizer) enum Segmenter {
    /// The most probable pieces.
    Unigram(Unigram),
    /// Pairs of pieces merged by their scores, and the pieces that a user defined.
    Bpe(Box<BPE>, Vec<String>),
}

/// Source: `Model::EncodeOptimized` in `unigram_model.cc` of SentencePiece.
#[derive(Debug)]
pub(in crate::tokenizer) struct Unigram {
    scores: HashMap<String, f32>,
    /// Bytes of the longest piece.
    longest: usize,
    unknown_score: f32,
}

/// The best pieces from the beginning of a text to a place.
#[derive(Clone, Copy)]
struct Best {
    score: f32,
    /// Where the last piece begins; `None` if no pieces end here.
    start: Option<usize>,
    is_known: bool,
}

impl Segmenter {
    pub(super) fn new(model: &SentencePiece) -> tokenizers::Result<Self> {
        if !model.is_bpe {
            return Ok(Self::Unigram(Unigram::new(model)));
        }
        let pieces = model.of_kind(PieceType::Normal).chain([UNKNOWN]);
        let pieces: Vec<(String, f32)> = pieces.map(|piece| (piece.to_owned(), 0.0)).collect();
        let mut bpe: BPE = serde_json::from_str(&model.json(&pieces, 0, UNKNOWN).to_string())?;
        bpe.ignore_merges = false;
        Ok(Self::Bpe(Box::new(bpe), model.normalizer.user_defined.clone()))
    }

    /// The pieces of a normalised text. Characters side by side that no piece covers are one.
    pub(in crate::tokenizer) fn pieces<'a>(&self, text: &'a str) -> tokenizers::Result<Vec<&'a str>> {
        match self {
            Self::Unigram(model) => Ok(model.pieces(text)),
            Self::Bpe(model, user_defined) => {
                let mut pieces = Vec::new();
                let (mut rest, mut at) = (text, 0);
                while let Some(behind) = rest.get(at..).filter(|behind| !behind.is_empty()) {
                    let whole = user_defined.iter().filter(|piece| behind.starts_with(piece.as_str()));
                    let Some(length) = whole.map(String::len).max() else {
                        at += behind.chars().next().map_or(1, char::len_utf8);
                        continue;
                    };
                    merged(model, &rest[..at], &mut pieces)?;
                    pieces.push(&behind[..length]);
                    (rest, at) = (&behind[length..], 0);
                }
                merged(model, rest, &mut pieces)?;
                Ok(pieces)
            }
        }
    }
}

fn merged<'a>(model: &BPE, text: &'a str, pieces: &mut Vec<&'a str>) -> tokenizers::Result<()> {
    if !text.is_empty() {
        pieces.extend(model.tokenize(text)?.into_iter().filter_map(|token| text.get(token.offsets.0..token.offsets.1)));
    }
    Ok(())
}

impl Unigram {
    fn new(model: &SentencePiece) -> Self {
        let normal = || model.pieces.iter().filter(|piece| piece.kind == PieceType::Normal);
        let least = normal().map(|piece| piece.score).fold(f32::MAX, f32::min);
        let greatest = normal().map(|piece| piece.score).fold(f32::MIN_POSITIVE, f32::max);
        // What a user defined is always chosen.
        let user_defined = model.of_kind(PieceType::UserDefined);
        let user_defined = user_defined.map(|piece| (piece.to_owned(), piece.len() as f32 * greatest - 0.1));
        let scores: HashMap<String, f32> =
            normal().map(|piece| (piece.text.clone(), piece.score)).chain(user_defined).collect();
        let longest = scores.keys().map(String::len).max().unwrap_or(0);
        Self { scores, longest, unknown_score: least - UNKNOWN_PENALTY }
    }

    fn pieces<'a>(&self, text: &'a str) -> Vec<&'a str> {
        let mut best = vec![Best { score: 0.0, start: None, is_known: true }; text.len() + 1];
        for (start, first) in text.char_indices() {
            let here = best[start].score;
            let single = start + first.len_utf8();
            let mut has_single = false;
            let most = text.len().min(start + self.longest);
            for end in (single..=most).filter(|&end| text.is_char_boundary(end)) {
                let Some(score) = self.scores.get(&text[start..end]) else { continue };
                has_single |= end == single;
                let (score, there) = (score + here, &mut best[end]);
                if there.start.is_none() || score > there.score {
                    *there = Best { score, start: Some(start), is_known: true };
                }
            }
            let (score, there) = (self.unknown_score + here, &mut best[single]);
            if !has_single && (there.start.is_none() || score > there.score) {
                *there = Best { score, start: Some(start), is_known: false };
            }
        }
        let mut ranges: Vec<(Range<usize>, bool)> = Vec::new();
        let mut end = text.len();
        while let Best { start: Some(start), is_known, .. } = best[end] {
            match ranges.last_mut() {
                Some((behind, false)) if !is_known => behind.start = start,
                _ => ranges.push((start..end, is_known)),
            }
            end = start;
        }
        ranges.into_iter().rev().map(|(range, _)| &text[range]).collect()
    }
}
