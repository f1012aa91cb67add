//! What Unigram models need beside the library.

use serde::Deserialize;
use tokenizers::ModelWrapper;
use tokenizers::models::unigram::Unigram;
use twox_hash::XxHash3_128;

#[derive(Deserialize)]
struct Unknown {
    unk_id: Option<usize>,
}

/// The id of unknown tokens of a model, which the library keeps to itself.
fn unknown(model: &Unigram) -> tokenizers::Result<Option<usize>> {
    let Unknown { unk_id } = serde_json::from_str(&serde_json::to_string(model)?)?;
    Ok(unk_id)
}

/// Gives the scores of a Unigram model the values that SentencePiece's `f32` have: JSON as it is read here has them but for the
/// last digit, and that would change each time a tokenizer is read and written.
pub(super) fn settle(library: &mut tokenizers::Tokenizer) -> tokenizers::Result<()> {
    let ModelWrapper::Unigram(model) = library.get_model() else { return Ok(()) };
    let tokens = model.iter().map(|(token, score)| (token.clone(), settled(*score))).collect();
    let model = Unigram::from(tokens, unknown(model)?, model.byte_fallback())?;
    library.with_model(model);
    Ok(())
}

fn settled(score: f64) -> f64 {
    let near = f64::from(score as f32);
    if (score - near).abs() <= 4.0 * f64::EPSILON * score.abs() { near } else { score }
}

/// The model without the tokens for which `is_special` holds: they are never found, but ids and scores stay as they are.
pub(super) fn without(model: &Unigram, is_special: impl Fn(&str) -> bool) -> tokenizers::Result<Unigram> {
    // No character of a text.
    const NEVER: char = '\u{10ffff}';
    let name = |token: &str| if is_special(token) { format!("{NEVER}{token}") } else { token.to_owned() };
    let tokens = model.iter().map(|(token, score)| (name(token), *score)).collect();
    Unigram::from(tokens, unknown(model)?, model.byte_fallback())
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
    let mut bytes = serde_json::to_vec(&(steps, added, unknown(model)?, model.byte_fallback()))?;
    for (token, score) in model.iter() {
        bytes.extend((token.len() as u64).to_le_bytes());
        bytes.extend(token.as_bytes());
        bytes.extend((*score as f32).to_le_bytes());
    }
    Ok(XxHash3_128::oneshot(&bytes))
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
}
