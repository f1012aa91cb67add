//! Tokenizers of both kinds that transformers has classes for.

use std::path::Path;

use anyhow::Result;
use burnformer_core::{Interrupt, Silent, atomic_write_bytes};
use burnformer_data::tokenizer::{Tokenizer, TokenizerConfig, TokenizerKind, train};

use crate::material::Material;

/// Writes a tokenizer of each kind.
pub(crate) fn make(tokenizers: &Path) -> Result<()> {
    let material = Material::read();
    for (name, kind, lowercase) in [
        ("wordpiece", TokenizerKind::WordPiece, true),
        ("wordpiece-cased", TokenizerKind::WordPiece, false),
        ("byte-level", TokenizerKind::ByteLevelBpe, false),
    ] {
        let vocab_size = material.vocab_size;
        let config = TokenizerConfig { kind, vocab_size, lowercase, min_frequency: 1, ..TokenizerConfig::default() };
        let texts: Vec<_> = material.known_texts().cloned().map(Ok).collect();
        let tokenizer = train(texts.into_iter(), &config, &Silent, &Interrupt::new())?;
        tokenizer.with_max_length(512).save(&tokenizers.join(name))?;
    }
    Ok(())
}

/// Writes the tokens of every text, and of every text with the next one: whole, and cut.
pub(crate) fn answer(folder: &Path) -> Result<()> {
    let tokenizer = Tokenizer::load(folder)?;
    let Material { texts, max_lengths, .. } = Material::read();
    let mut answers = Vec::new();
    for (text, next) in texts.iter().zip(texts.iter().cycle().skip(1)) {
        for (pair, max_length) in [None, Some(next.as_str())].into_iter().zip(max_lengths) {
            for max_length in [None, Some(max_length)] {
                let encoded = tokenizer.encode_with_specials(text, pair, max_length)?;
                answers.push([encoded.ids, encoded.type_ids]);
            }
        }
    }
    Ok(atomic_write_bytes(&folder.join("burnformer.json"), serde_json::to_vec(&answers)?)?)
}
