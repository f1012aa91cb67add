//! Tokenizers as they lie on the hub give the tokens that transformers gives.
//!
//! `fixtures/make_foreign.py` made the folders and the expected values.

use std::fs;
use std::path::{Path, PathBuf};

use burnformer_data::tokenizer::Tokenizer;
use serde::de::DeserializeOwned;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/foreign")
}

fn read<T: DeserializeOwned>(path: &Path) -> T {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Tokens of each text alone, and of each text and a second one cut to 12 tokens.
fn tokens(tokenizer: &Tokenizer) -> Vec<(Vec<u32>, Vec<u32>)> {
    let texts: Vec<String> = read(&folder().join("texts.json"));
    let (pair, texts) = texts.split_first().unwrap();
    let encode = |text: &str, pair, most| tokenizer.encode_with_specials(text, pair, most).unwrap().ids;
    texts.iter().map(|text| (encode(text, None, None), encode(text, Some(pair), Some(12)))).collect()
}

fn check(name: &str) {
    let folder = folder().join(name);
    let expected: Vec<(Vec<u32>, Vec<u32>)> = read(&folder.join("expected.json"));
    let tokenizer = Tokenizer::load(&folder).unwrap();
    assert_eq!(tokens(&tokenizer), expected, "{name}");
    let saved = tempfile::tempdir().unwrap();
    tokenizer.save(saved.path()).unwrap();
    let again = Tokenizer::load(saved.path()).unwrap();
    assert_eq!(tokens(&again), expected, "{name}, saved");
    assert_eq!((again.fingerprint(), again.specials()), (tokenizer.fingerprint(), tokenizer.specials()), "{name}");
}

#[test]
fn tokens_beside_the_vocabulary_are_found_in_texts() {
    check("bert_added");
    check("bert_decoder");
}

#[test]
fn special_tokens_have_the_names_that_their_map_gives() {
    check("bert_map");
}

#[test]
fn a_token_that_is_listed_twice_has_the_number_of_its_last_line() {
    check("bert_twice");
}

#[test]
fn settings_beside_a_tokenizer_win_in_classes_that_have_them() {
    check("bert_contradiction");
    check("bert_defaults");
}
