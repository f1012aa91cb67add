//! Every kind of tokenizer gives the tokens that Hugging Face's libraries give, on text full of traps.
//!
//! `fixtures/make_fixtures.py` made the expected values.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burnformer_data::tokenizer::{Tokenizer, TokenizerKind};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    name: String,
    text: String,
    ids: Vec<u32>,
    tokens: Vec<String>,
    with_specials: Vec<u32>,
    pair: Vec<u32>,
    pair_type_ids: Vec<u32>,
    decoded: String,
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn check_cases(name: &str, tokenizer: &Tokenizer) {
    let mut cases: BTreeMap<String, Vec<Case>> =
        serde_json::from_str(&fs::read_to_string(fixture("tokenization.json")).unwrap()).unwrap();
    let cases = cases.remove(name).unwrap();
    assert!(cases.len() > 30);
    let mut encoder = tokenizer.encoder();
    // Twice, so that the second time everything is remembered.
    for case in cases.iter().chain(&cases) {
        let name = format!("{name}, {}", case.name);
        let mut expected = case.ids.clone();
        if tokenizer.kind() == TokenizerKind::WordLevel {
            // The library takes a whole word for a special token even where it is asked not to.
            let unknown = tokenizer.specials().unk_id.unwrap();
            for id in &mut expected {
                *id = if tokenizer.special_ids().contains(id) { unknown } else { *id };
            }
        } else {
            let tokens: Vec<_> = case.ids.iter().map(|&id| tokenizer.token(id).unwrap()).collect();
            assert_eq!(tokens, case.tokens, "{name}");
        }
        assert_eq!(tokenizer.encode(&case.text).unwrap(), expected, "{name}");
        let mut ids = Vec::new();
        encoder.encode_into(&case.text, &mut ids).unwrap();
        assert_eq!(ids, expected, "{name}");

        let encoded = tokenizer.encode_with_specials(&case.text, None, None).unwrap();
        assert_eq!(encoded.ids, case.with_specials, "{name}");
        let decoded = tokenizer.decode(&encoded.ids, true).unwrap();
        let blank = if tokenizer.kind() == TokenizerKind::ByteLevelBpe { " " } else { "" };
        assert_eq!(decoded, case.decoded.strip_prefix(blank).unwrap_or(&case.decoded), "{name}");

        let pair = tokenizer.encode_with_specials(&case.text, Some("the tower"), Some(12)).unwrap();
        assert_eq!((pair.ids, pair.type_ids), (case.pair.clone(), case.pair_type_ids.clone()), "{name}");
    }
}

/// As it is, and saved and loaded again.
fn check(name: &str, tokenizer: &Tokenizer) {
    check_cases(name, tokenizer);
    let folder = tempfile::tempdir().unwrap();
    tokenizer.save(folder.path()).unwrap();
    let again = Tokenizer::load(folder.path()).unwrap();
    assert_eq!(again.fingerprint(), tokenizer.fingerprint());
    assert_eq!(again.specials(), tokenizer.specials());
    check_cases(name, &again);
}

#[test]
fn cased_word_piece() {
    check("cased", &Tokenizer::load(fixture("vocab.txt")).unwrap());
    check("cased", &Tokenizer::load_vocab(fixture("vocab.txt"), Some(false)).unwrap());
}

#[test]
fn uncased_word_piece() {
    check("uncased", &Tokenizer::load_vocab(fixture("vocab.txt"), Some(true)).unwrap());
}

#[test]
fn word_piece_that_leaves_chinese_words_whole() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(fixture("vocab.txt"), folder.path().join("vocab.txt")).unwrap();
    let config = r#"{ "do_lower_case": true, "tokenize_chinese_chars": false, "model_max_length": 128 }"#;
    fs::write(folder.path().join("tokenizer_config.json"), config).unwrap();
    let tokenizer = Tokenizer::load(folder.path()).unwrap();
    assert_eq!(tokenizer.max_length(), Some(128));
    check("unsplit", &tokenizer);
}

#[test]
fn byte_level_bpe() {
    check("byte_level", &Tokenizer::load(fixture("byte_level")).unwrap());
}

#[test]
fn whole_words() {
    check("word_level", &Tokenizer::load(fixture("word_level/tokenizer.json")).unwrap());
}

/// `[SEP]` in a text of a user is special as in transformers, or text by a switch that is saved.
#[test]
fn special_tokens_in_a_text_are_text_by_a_switch() {
    for (name, text) in
        [("vocab.txt", "the [SEP] tower"), ("byte_level", "the </s> tower"), ("word_level", "the <eos> tower")]
    {
        let tokenizer = Tokenizer::load(fixture(name)).unwrap();
        let (end, n_around) = (tokenizer.specials().eos_id.unwrap(), 1);
        let n_ends = |tokenizer: &Tokenizer| {
            let encoded = tokenizer.encode_with_specials(text, Some(text), None).unwrap();
            let n_in_text =
                encoded.ids.iter().zip(&encoded.is_added).filter(|(id, added)| **id == end && !**added).count();
            let (offsets, _) = tokenizer.encode_with_offsets(text, None, Some(9)).unwrap();
            (n_in_text, offsets.ids.iter().filter(|id| **id == end).count() - n_around)
        };
        assert_eq!(n_ends(&tokenizer), (2, 1), "{name}");
        let split = tokenizer.clone().with_split_special_tokens(true);
        assert_eq!(n_ends(&split), (0, 0), "{name}");
        let alone = |tokenizer: &Tokenizer| tokenizer.encode_with_specials(text, None, None).unwrap();
        let of_text: Vec<u32> = alone(&split)
            .ids
            .into_iter()
            .zip(alone(&split).is_added)
            .filter(|(_, added)| !added)
            .map(|(id, _)| id)
            .collect();
        assert_eq!(of_text, tokenizer.encode(text).unwrap(), "{name}");

        let folder = tempfile::tempdir().unwrap();
        split.save(folder.path()).unwrap();
        let again = Tokenizer::load(folder.path()).unwrap();
        assert!(again.splits_special_tokens() && !tokenizer.splits_special_tokens());
        assert_eq!(n_ends(&again), (0, 0), "{name}");
        assert_eq!(n_ends(&again.with_split_special_tokens(false)), (2, 1), "{name}");
    }
}

#[test]
fn the_tokens_around_a_text_are_told() {
    let around = |name: &str| {
        let tokenizer = Tokenizer::load(fixture(name)).unwrap();
        let name = |ids: Vec<u32>| ids.into_iter().map(|id| tokenizer.token(id).unwrap()).collect::<Vec<_>>();
        let (front, behind) = tokenizer.specials_around().unwrap();
        (name(front), name(behind))
    };
    let one = |token: &str| vec![token.to_owned()];
    assert_eq!(around("vocab.txt"), (one("[CLS]"), one("[SEP]")));
    assert_eq!(around("byte_level"), (one("<s>"), one("</s>")));
}
