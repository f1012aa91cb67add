//! BERT's tokenization of real questions, as Hugging Face's swift-transformers recorded it from the Python original.
//!
//! The data is not part of the repository: it lies in `shared` beside it, or where `BURNFORMER_SHARED` says. Without it these
//! tests check nothing and say so.

use std::fs::File;
use std::io::{BufReader, copy};
use std::path::{Path, PathBuf};

use burnformer_data::tokenizer::Tokenizer;
use flate2::read::GzDecoder;
use serde::Deserialize;
use serde::de::DeserializeOwned;

fn shared() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let folder = std::env::var_os("BURNFORMER_SHARED").map_or_else(beside, PathBuf::from).join("data");
    if folder.join("golden_tokenization").is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: there is no data in `{}`", folder.display());
    None
}

fn golden<T: DeserializeOwned>(shared: &Path, name: &str) -> T {
    let file = File::open(shared.join("golden_tokenization").join(format!("{name}.json.gz"))).unwrap();
    serde_json::from_reader(BufReader::new(GzDecoder::new(file))).unwrap()
}

fn vocabulary(shared: &Path, name: &str) -> Tokenizer {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    let mut packed = GzDecoder::new(File::open(shared.join("vocab").join(format!("{name}.gz"))).unwrap());
    copy(&mut packed, &mut File::create(&path).unwrap()).unwrap();
    Tokenizer::load(path).unwrap()
}

fn tokens(tokenizer: &Tokenizer, ids: &[u32]) -> Vec<String> {
    ids.iter().map(|&id| tokenizer.token(id).unwrap()).collect()
}

/// Joins pieces of words, as far as that is possible: unknown words are lost.
fn words(tokens: &[String]) -> Option<Vec<String>> {
    let mut words: Vec<String> = Vec::new();
    for token in tokens {
        match (token.strip_prefix("##"), words.last_mut()) {
            (Some(rest), Some(word)) => word.push_str(rest),
            _ if token == "[UNK]" => return None,
            _ => words.push(token.clone()),
        }
    }
    Some(words)
}

#[derive(Deserialize)]
struct Question {
    original: String,
    basic: Vec<String>,
    wordpiece: Vec<String>,
}

#[test]
fn questions_are_tokenized_as_by_the_original() {
    let Some(shared) = shared() else { return };
    let tokenizer = vocabulary(&shared, "bert-base-uncased.txt");
    let mut encoder = tokenizer.encoder();
    let questions: Vec<Question> = golden(&shared, "question_tokens");
    let basic: Vec<Vec<String>> = golden(&shared, "basic_tokenized_questions");
    let ids: Vec<Vec<u32>> = golden(&shared, "tokenized_questions");
    assert_eq!((questions.len(), basic.len(), ids.len()), (10_570, 10_570, 10_570));
    for ((question, basic), ids) in questions.iter().zip(&basic).zip(&ids) {
        let text = &question.original;
        let mut encoded = Vec::new();
        encoder.encode_into(text, &mut encoded).unwrap();
        assert_eq!(&encoded, ids, "{text}");
        assert_eq!(tokenizer.encode(text).unwrap(), encoded, "{text}");
        let tokens = tokens(&tokenizer, &encoded);
        assert_eq!(tokens, question.wordpiece, "{text}");
        assert_eq!(basic, &question.basic, "{text}");
        if let Some(words) = words(&tokens) {
            assert_eq!(&words, basic, "{text}");
        }
    }
}

#[derive(Deserialize)]
struct Case {
    input: String,
    encoded: CaseIds,
    decoded_with_special: String,
    decoded_without_special: String,
}

#[derive(Deserialize)]
struct CaseIds {
    input_ids: Vec<u32>,
    token_type_ids: Option<Vec<u32>>,
}

#[test]
fn inputs_are_encoded_and_decoded_as_by_transformers() {
    let Some(shared) = shared() else { return };
    let tokenizer = vocabulary(&shared, "bert-base-uncased.txt");
    let mut cases: serde_json::Map<String, serde_json::Value> = golden(&shared, "tokenizer_tests");
    // The other models in the file have vocabularies that are not there.
    for model in ["bert-base-uncased", "google-bert/bert-base-uncased"] {
        let cases: Vec<Case> = serde_json::from_value(cases.remove(model).unwrap()).unwrap();
        assert_eq!(cases.len(), 18);
        for case in cases {
            let encoded = tokenizer.encode_with_specials(&case.input, None, None).unwrap();
            assert_eq!(encoded.ids, case.encoded.input_ids, "{:?}", case.input);
            assert_eq!(Some(encoded.type_ids), case.encoded.token_type_ids, "{:?}", case.input);
            assert_eq!(tokenizer.decode(&encoded.ids, false).unwrap(), case.decoded_with_special);
            assert_eq!(tokenizer.decode(&encoded.ids, true).unwrap(), case.decoded_without_special);
        }
    }
}

#[derive(Deserialize)]
struct Paragraph {
    text: String,
    bpe_tokens: Vec<String>,
    token_ids: Vec<u32>,
    decoded_text: String,
}

#[test]
fn a_french_paragraph_is_encoded_as_by_transformers() {
    let Some(shared) = shared() else { return };
    let tokenizer = vocabulary(&shared, "bert-base-uncased.txt");
    let paragraph: Paragraph = golden(&shared, "bert_uncased_encoded");
    let encoded = tokenizer.encode_with_specials(&paragraph.text, None, None).unwrap();
    assert_eq!(encoded.ids, paragraph.token_ids);
    assert_eq!(tokens(&tokenizer, &tokenizer.encode(&paragraph.text).unwrap()), paragraph.bpe_tokens);
    assert_eq!(tokenizer.decode(&encoded.ids, false).unwrap(), paragraph.decoded_text);
}

#[test]
fn a_vocabulary_is_cased_if_it_has_capitals() {
    let Some(shared) = shared() else { return };
    for (name, kept) in [("bert-base-uncased.txt", "paris"), ("bert-base-cased.txt", "Paris")] {
        let tokenizer = vocabulary(&shared, name);
        assert_eq!(tokens(&tokenizer, &tokenizer.encode("Paris").unwrap()), [kept]);
    }
}

#[test]
fn a_vocabulary_and_the_tokenizer_made_from_it_agree() {
    let Some(shared) = shared() else { return };
    let questions: Vec<Question> = golden(&shared, "question_tokens");
    for name in ["bert-base-uncased", "bert-base-cased"] {
        let from_vocabulary = vocabulary(&shared, &format!("{name}.txt"));
        let from_json = vocabulary(&shared, &format!("{name}.tokenizer.json"));
        assert_eq!(from_json.specials(), from_vocabulary.specials());
        assert_eq!(from_json.special_ids(), from_vocabulary.special_ids());
        for question in questions.iter().step_by(10) {
            let text = &question.original;
            assert_eq!(from_json.encode(text).unwrap(), from_vocabulary.encode(text).unwrap(), "{text}");
        }
    }
}
