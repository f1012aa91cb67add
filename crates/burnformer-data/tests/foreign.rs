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
fn tokens_are_cut_off_on_the_side_that_is_named() {
    check("bert_left");
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

#[test]
fn byte_level_bpe_comes_as_a_vocabulary_and_merges() {
    check("roberta_merges");
    check("gpt2_merges");
    check("roberta_blank");
}

#[test]
fn unigram_models_have_the_ids_of_their_class() {
    check("xlm_roberta");
    check("camembert");
    check("t5");
    check("unigram_json");
}

#[test]
fn a_unigram_model_takes_special_tokens_as_text_on_request() {
    let tokenizer = Tokenizer::load(folder().join("xlm_roberta")).unwrap();
    let (text, end) = ("the </s> ships", tokenizer.specials().eos_id.unwrap());
    let n_ends = |tokenizer: &Tokenizer| {
        let ids = tokenizer.encode_with_specials(text, None, None).unwrap().ids;
        (ids.iter().filter(|&&id| id == end).count(), ids.len())
    };
    assert_eq!(n_ends(&tokenizer).0, 2);
    let (n, length) = n_ends(&tokenizer.clone().with_split_special_tokens(true));
    assert_eq!((n, length), (1, tokenizer.encode(text).unwrap().len() + 2));
}

#[test]
fn models_of_sentencepiece_without_a_class_have_their_own_ids() {
    check("bpe_model");
    check("unigram_model");
}

#[test]
fn characters_that_bpe_does_not_know_are_bytes() {
    check("llama");
    check("gemma");
}

#[test]
fn language_codes_are_tokens_in_a_source() {
    let path = folder().with_file_name("byte_level").join("tokenizer.json");
    let mut whole: serde_json::Value = read(&path);
    let n = whole["model"]["vocab"].as_object().unwrap().len();
    let mut code = whole["added_tokens"][0].clone();
    (code["content"], code["id"]) = (">>fra<<".into(), n.into());
    whole["added_tokens"].as_array_mut().unwrap().push(code);
    let saved = tempfile::tempdir().unwrap();
    let path = saved.path().join("tokenizer.json");
    let without = Tokenizer::load(folder().with_file_name("byte_level")).unwrap();
    fs::write(&path, whole.to_string()).unwrap();
    let tokenizer = Tokenizer::load(&path).unwrap();
    let text = "the tower";
    let expected = [&[n as u32], &tokenizer.encode(" the tower").unwrap()[..]].concat();
    assert_eq!(tokenizer.encode_source(">>fra<< the tower").unwrap(), expected);
    let mut ids = Vec::new();
    tokenizer.encoder().encode_source_into(">>fra<< the tower", &mut ids).unwrap();
    assert_eq!(ids, expected);
    assert_eq!(tokenizer.encode_source(text).unwrap(), tokenizer.encode(text).unwrap());
    // Elsewhere, and without such tokens, what is written is text.
    assert!(!tokenizer.encode(">>fra<< the tower").unwrap().contains(&(n as u32)));
    assert_eq!(without.encode_source("a </s>").unwrap(), without.encode("a </s>").unwrap());
}

/// A text, its tokens as source and as target, and the text of the latter without and with special tokens.
type OpusCase = (String, Vec<u32>, Vec<u32>, String, String);

fn check_opus(name: &str, shared: bool) {
    let folder = folder().join(name);
    let cases: Vec<OpusCase> = read(&folder.join("expected.json"));
    let saved = tempfile::tempdir().unwrap();
    let (source, target) = Tokenizer::load_opus(&folder).unwrap().unwrap();
    source.save_opus(&target, saved.path()).unwrap();
    let again = Tokenizer::load_opus(saved.path()).unwrap().unwrap();
    for (source, target) in [(&source, &target), (&again.0, &again.1)] {
        assert_eq!(source.shares_vocabulary(target), shared, "{name}");
        let (mut source_encoder, mut target_encoder) = (source.encoder(), target.encoder());
        for (text, source_ids, target_ids, decoded, with_specials) in &cases {
            for (tokenizer, encoder, expected) in
                [(source, &mut source_encoder, source_ids), (target, &mut target_encoder, target_ids)]
            {
                let mut ids = Vec::new();
                encoder.encode_into(text, &mut ids).unwrap();
                assert_eq!(ids, tokenizer.encode(text).unwrap(), "{name}, {text:?}");
                ids.extend(tokenizer.specials().eos_id);
                assert_eq!(&ids, expected, "{name}, {text:?}");
                assert_eq!(
                    &tokenizer.encode_with_specials(text, None, None).unwrap().ids,
                    expected,
                    "{name}, {text:?}"
                );
            }
            assert_eq!(&target.decode(target_ids, true).unwrap(), decoded, "{name}, {text:?}");
            assert_eq!(&target.decode(target_ids, false).unwrap(), with_specials, "{name}, {text:?}");
        }
    }
}

#[test]
fn opus_mt_has_pieces_of_sentencepiece_and_ids_of_its_vocabulary() {
    check_opus("opus", true);
    check_opus("opus_separate", false);
}
