//! What Unigram models need beside the library.

use std::io::{self, Write};

use serde_json::Value;
use tokenizers::models::unigram::Unigram;
use tokenizers::{AddedToken, ModelWrapper, TokenizerBuilder};
use twox_hash::XxHash3_128;

/// Reads the content of a `tokenizer.json` with such a model. Scores get the values that SentencePiece's `f32` have: JSON as
/// it is read here has them but for the last digit, which would change each time a tokenizer is read and written.
pub(super) fn read(content: &str) -> serde_json::Result<tokenizers::Tokenizer> {
    let mut json: Value = serde_json::from_str(content)?;
    let mut model = json["model"].take();
    let tokens: Vec<(String, f64)> = serde_json::from_value(model["vocab"].take())?;
    let tokens = tokens.into_iter().map(|(token, score)| (token, settled(score))).collect();
    let unknown = model["unk_id"].as_u64().and_then(|id| usize::try_from(id).ok());
    let byte_fallback = model["byte_fallback"].as_bool().unwrap_or(false);
    let model = Unigram::from(tokens, unknown, byte_fallback).map_err(serde::de::Error::custom)?;
    // The library without its vocabulary, which it would build first, then the tokens beside it.
    let added = json["added_tokens"].take();
    json["added_tokens"] = Value::Array(Vec::new());
    json["model"] = serde_json::json!({ "type": "WordLevel", "unk_token": "", "vocab": {} });
    let mut library: tokenizers::Tokenizer = serde_json::from_value(json)?;
    library.with_model(model);
    let added: Option<Vec<AddedToken>> = serde_json::from_value(added)?;
    library.add_tokens(added.unwrap_or_default()).map_err(serde::de::Error::custom)?;
    Ok(library)
}

fn settled(score: f64) -> f64 {
    let near = f64::from(score as f32);
    if (score - near).abs() <= 4.0 * f64::EPSILON * score.abs() { near } else { score }
}

/// `library`, whose model is `model`, without the special tokens of the model: they are never found in a text, but ids and
/// scores stay as they are.
pub(super) fn without_specials(
    library: &tokenizers::Tokenizer,
    model: &Unigram,
) -> tokenizers::Result<tokenizers::Tokenizer> {
    // No character of a text.
    const NEVER: char = '\u{10ffff}';
    let added = library.get_added_vocabulary();
    let name = |token: &str| if added.is_special_token(token) { format!("{NEVER}{token}") } else { token.to_owned() };
    let tokens = model.iter().map(|(token, score)| (name(token), *score)).collect();
    let model = Unigram::from(tokens, unknown(model), model.byte_fallback())?;
    let plain = TokenizerBuilder::new()
        .with_model(ModelWrapper::from(model))
        .with_normalizer(library.get_normalizer().cloned())
        .with_pre_tokenizer(library.get_pre_tokenizer().cloned())
        .with_post_processor(library.get_post_processor().cloned())
        .with_decoder(library.get_decoder().cloned())
        .with_added_vocabulary(added.clone());
    Ok(plain.build()?.into())
}

/// A hash of all that a tokenizer depends on; of scores what `f32` tells.
pub(super) fn fingerprint(library: &tokenizers::Tokenizer) -> tokenizers::Result<u128> {
    let ModelWrapper::Unigram(model) = library.get_model() else {
        return Ok(XxHash3_128::oneshot(library.to_string(false)?.as_bytes()));
    };
    let mut added: Vec<_> = library.get_added_vocabulary().get_added_tokens_decoder().iter().collect();
    added.sort_unstable_by_key(|(id, _)| **id);
    let steps = (library.get_normalizer(), library.get_pre_tokenizer());
    let steps = (steps, library.get_post_processor(), library.get_decoder());
    let mut bytes = serde_json::to_vec(&(steps, added, unknown(model), model.byte_fallback()))?;
    for (token, score) in model.iter() {
        bytes.extend((token.len() as u64).to_le_bytes());
        bytes.extend(token.as_bytes());
        bytes.extend((*score as f32).to_le_bytes());
    }
    Ok(XxHash3_128::oneshot(&bytes))
}

/// The id of unknown tokens of a model. The library tells it in its JSON alone, before the vocabulary, so only the beginning is
/// written.
fn unknown(model: &Unigram) -> Option<usize> {
    const KEY: &str = "\"unk_id\":";
    let mut beginning = Beginning(Vec::new());
    // It ends with an error, as most of it is left out.
    let _ = serde_json::to_writer(&mut beginning, model);
    let text = String::from_utf8_lossy(&beginning.0);
    let digits = &text[text.find(KEY)? + KEY.len()..];
    digits[..digits.find(|c: char| !c.is_ascii_digit())?].parse().ok()
}

/// The first bytes of what is written.
struct Beginning(Vec<u8>);

impl Write for Beginning {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() > 100 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_of_f32_are_what_they_were_and_others_stay() {
        let score = f64::from(-2.164_745_f32);
        assert_eq!(settled(score.next_up()).to_bits(), score.to_bits());
        assert_eq!(settled(score).to_bits(), score.to_bits());
        assert_eq!(settled(-2.164_745_123_456_789).to_bits(), (-2.164_745_123_456_789_f64).to_bits());
        assert_eq!(settled(0.0), 0.0);
    }

    #[test]
    fn the_id_of_unknown_tokens_is_found() {
        let tokens = |n: usize| (0..n).map(|token| (token.to_string(), 0.0)).collect();
        assert_eq!(unknown(&Unigram::from(tokens(20), Some(13), false).unwrap()), Some(13));
        assert_eq!(unknown(&Unigram::from(tokens(20), None, true).unwrap()), None);
    }
}
