//! Fast encoding of many texts, with a cache of short pieces.

use twox_hash::XxHash3_64;

use super::pieces::MAX_WORD;
use super::{Tokenizer, TokenizerError};

/// Number of cached pieces: a power of two, so that a hash finds its slot by a mask. Four megabytes.
const SLOTS: usize = 1 << 16;
/// Largest length of a cached piece, in bytes.
const MAX_PIECE: usize = 32;
/// Largest number of tokens of a cached piece.
const MAX_IDS: usize = 8;

/// Encodes texts one after the other with the same results as [`Tokenizer::encode`], but several times faster where the
/// tokenizer allows it. Each thread needs one of its own.
///
/// Words that occur often are looked up in a table of fixed size; all others go through the library.
pub struct Encoder {
    tokenizer: Tokenizer,
    slots: Vec<Slot>,
    fresh: Vec<u32>,
    /// The last piece of [`MAX_WORD`] bytes, and its tokens: a word of any length is often one letter over and over.
    giant: (String, Vec<u32>),
}

/// A piece of text and its tokens. No piece is empty, so neither is a slot in use.
#[derive(Clone)]
struct Slot {
    piece: [u8; MAX_PIECE],
    ids: [u32; MAX_IDS],
    piece_length: u8,
    n_ids: u8,
}

impl Encoder {
    pub(super) fn new(tokenizer: Tokenizer) -> Self {
        let empty = Slot { piece: [0; MAX_PIECE], ids: [0; MAX_IDS], piece_length: 0, n_ids: 0 };
        Self { tokenizer, slots: vec![empty; SLOTS], fresh: Vec::new(), giant: Default::default() }
    }

    /// Appends the tokens of `text` to `ids`. Special tokens written in the text are taken as text.
    ///
    /// # Errors
    /// [`TokenizerError::Encode`] as [`Tokenizer::encode`]; `ids` may then hold a part of the tokens.
    pub fn encode_into(&mut self, text: &str, ids: &mut Vec<u32>) -> Result<(), TokenizerError> {
        let Self { tokenizer, slots, fresh, giant } = self;
        let text = tokenizer.take_code(text, ids);
        for piece in tokenizer.cut().pieces(&tokenizer.with_prefix(text)) {
            if piece.len() == MAX_WORD {
                if giant.0 != piece {
                    giant.0.clear();
                    giant.1.clear();
                    tokenizer.encode_piece(piece, &mut giant.1)?;
                    piece.clone_into(&mut giant.0);
                }
                ids.extend_from_slice(&giant.1);
                continue;
            }
            if piece.len() > MAX_PIECE {
                tokenizer.encode_piece(piece, ids)?;
                continue;
            }
            // The mask keeps the value below `SLOTS`, so nothing is lost.
            let slot = &mut slots[XxHash3_64::oneshot(piece.as_bytes()) as usize & (SLOTS - 1)];
            if &slot.piece[..usize::from(slot.piece_length)] != piece.as_bytes() {
                fresh.clear();
                tokenizer.encode_piece(piece, fresh)?;
                if fresh.len() > MAX_IDS {
                    ids.extend_from_slice(fresh);
                    continue;
                }
                slot.piece[..piece.len()].copy_from_slice(piece.as_bytes());
                slot.ids[..fresh.len()].copy_from_slice(fresh);
                (slot.piece_length, slot.n_ids) = (piece.len() as u8, fresh.len() as u8);
            }
            ids.extend_from_slice(&slot.ids[..usize::from(slot.n_ids)]);
        }
        Ok(())
    }

    /// Appends the tokens of a text to translate to `ids`, as [`Tokenizer::encode_source`] gives them.
    ///
    /// # Errors
    /// As [`Self::encode_into`].
    pub fn encode_source_into(&mut self, text: &str, ids: &mut Vec<u32>) -> Result<(), TokenizerError> {
        if !self.tokenizer.0.has_codes {
            return self.encode_into(text, ids);
        }
        ids.extend(self.tokenizer.encode_source(text)?);
        Ok(())
    }
}
