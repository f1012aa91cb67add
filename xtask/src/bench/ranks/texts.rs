//! Texts whose samples have no padding: every batch has the same number of tokens, as in PyTorch.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

const DOCUMENTS: usize = 4;
const SENTENCES: usize = 5000;
const WORDS: usize = 12;

/// Writes `tokenizer/vocab.txt` of so many tokens, and `texts.jsonl` of their words, into `folder`.
///
/// # Errors
/// If the disk fails.
pub(super) fn write(folder: &Path, vocab_size: usize) -> Result<()> {
    let tokenizer = folder.join("tokenizer");
    fs::create_dir_all(&tokenizer)
        .and_then(|()| fs::write(tokenizer.join("vocab.txt"), vocabulary(vocab_size)))
        .and_then(|()| fs::write(folder.join("texts.jsonl"), texts(vocab_size)))
        .with_context(|| format!("cannot write into `{}`", folder.display()))
}

const SPECIAL: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

fn vocabulary(vocab_size: usize) -> String {
    let words = (0..vocab_size - SPECIAL.len()).map(|word| format!("w{word}"));
    SPECIAL.map(str::to_owned).into_iter().chain(words).map(|token| token + "\n").collect()
}

/// Long documents, whose sentences fill every sample.
fn texts(vocab_size: usize) -> String {
    // Steps of a large number mix the words; nothing is to be learnt.
    let n_words = (vocab_size - SPECIAL.len()) as u64;
    let mut words = (1_u64..).map(|place| place.wrapping_mul(0x9e37_79b9_7f4a_7c15) % n_words);
    let mut text = String::new();
    for _ in 0..DOCUMENTS {
        text += "{\"text\":\"";
        for _ in 0..SENTENCES {
            words.by_ref().take(WORDS).for_each(|word| _ = write!(text, "w{word} "));
            text += "\\n";
        }
        text += "\"}\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_a_text_is_in_the_vocabulary() {
        let vocabulary = vocabulary(50);
        assert_eq!(vocabulary.lines().count(), 50);
        let texts = texts(50);
        let documents: Vec<serde_json::Value> = texts.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(documents.len(), DOCUMENTS);
        let text = documents[1]["text"].as_str().unwrap();
        assert_eq!(text.split_whitespace().count(), SENTENCES * WORDS);
        assert!(text.split_whitespace().all(|word| vocabulary.lines().any(|token| token == word)));
    }
}
