//! Files that are no tokenizer, and what the errors say.

use std::fs;
use std::path::Path;

use burnformer_data::tokenizer::Tokenizer;

const VOCABULARY: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nparis\n##ian\n";

/// Loads a folder with these files and checks the message of the error, in which `{}` stands for the folder.
fn check_error(files: &[(&str, &str)], expected: &str) {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(folder.path().join(name), content).unwrap();
    }
    let error = Tokenizer::load(folder.path()).unwrap_err();
    assert_eq!(error.to_string(), expected.replace("{}", &folder.path().display().to_string()));
}

#[test]
fn errors_name_the_file_and_the_remedy() {
    check_error(&[], "`{}` holds neither `tokenizer.json` nor `vocab.txt`");
    check_error(&[("tokenizer.json", "[PAD]")], "`{}/tokenizer.json` is not a valid `tokenizer.json`");
    check_error(&[("tokenizer.json", "{}")], "`{}/tokenizer.json` is not a valid `tokenizer.json`");
    check_error(
        &[("vocab.txt", VOCABULARY), ("tokenizer_config.json", "")],
        "`{}/tokenizer_config.json` is not a valid `tokenizer_config.json`",
    );
    check_error(
        &[("vocab.txt", &format!("{VOCABULARY}the\nparis\n"))],
        "`{}/vocab.txt` lists the token `paris` twice, in lines 6 and 9: remove one of them",
    );
    let remedy = "add it, or name the token that takes its place in `tokenizer_config.json`";
    check_error(
        &[("vocab.txt", &VOCABULARY.replace("[SEP]", "[sep]"))],
        &format!("`{{}}/vocab.txt` has no token `[SEP]`: {remedy}"),
    );
    check_error(
        &[("vocab.txt", VOCABULARY), ("tokenizer_config.json", r#"{ "mask_token": { "content": "<m>" } }"#)],
        &format!("`{{}}/vocab.txt` has no token `<m>`: {remedy}"),
    );
}

#[test]
fn a_file_that_is_missing_or_no_text_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vocab.txt");
    let message = format!("cannot read `{}`", path.display());
    assert_eq!(Tokenizer::load(&path).unwrap_err().to_string(), message);
    fs::write(&path, b"[PAD]\n\xff\n").unwrap();
    assert_eq!(Tokenizer::load(&path).unwrap_err().to_string(), message);
}

#[test]
fn tokenizers_of_other_kinds_are_refused() {
    let kinds = "expected WordPiece, byte-level BPE or whole words";
    let with_model = |model: &str| format!(r#"{{ "version": "1.0", "added_tokens": [], "model": {model} }}"#);
    for (model, found) in [
        (r#"{ "type": "BPE", "vocab": { "a": 0 }, "merges": [] }"#, "a BPE that does not work on bytes"),
        (r#"{ "type": "Unigram", "unk_id": 0, "vocab": [["a", 0.0]] }"#, "a Unigram model"),
    ] {
        let message = format!("`{{}}/tokenizer.json` has {found}, {kinds}");
        check_error(&[("tokenizer.json", &with_model(model))], &message);
    }
}

#[test]
fn a_tokenizer_that_contradicts_itself_is_refused() {
    let whole =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/word_level/tokenizer.json"));
    let whole: serde_json::Value = serde_json::from_str(&whole.unwrap()).unwrap();
    let mut without_template_token = whole.clone();
    without_template_token["post_processor"]["special_tokens"] = serde_json::json!({});
    let message = "`{}/tokenizer.json` is not usable: its vocabulary, merges and special tokens do not fit together";
    check_error(&[("tokenizer.json", &without_template_token.to_string())], message);
    let merges = serde_json::json!({ "type": "BPE", "vocab": { "a": 0, "b": 1 }, "merges": [["a", "b"]] });
    let mut without_merged = whole.clone();
    without_merged["model"] = merges;
    check_error(&[("tokenizer.json", &without_merged.to_string())], message);
    let mut without_unknown = whole;
    without_unknown["model"]["unk_token"] = "<?>".into();
    let message = "`{}/tokenizer.json` has no token `<?>`: add it, or name the token that takes its place in \
                   `tokenizer_config.json`";
    check_error(&[("tokenizer.json", &without_unknown.to_string())], message);
}

#[test]
fn a_vocabulary_without_capitals_lowers_text() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vocab.txt");
    let load = |content: &str| {
        fs::write(&path, content).unwrap();
        Tokenizer::load(&path).unwrap()
    };
    assert_eq!(load(VOCABULARY).encode("Parisian PARIS").unwrap(), [5, 6, 5]);
    assert_eq!(load(&VOCABULARY.replace("paris", "Paris")).encode("Parisian paris").unwrap(), [5, 6, 1]);
    assert_eq!(load(&VOCABULARY.replace('\n', "\r\n")).encode("Paris").unwrap(), [5]);
    let cased = Tokenizer::load_vocab(&path, Some(false)).unwrap();
    assert_eq!(cased.encode("Paris").unwrap(), [1]);
    assert_eq!(cased.vocab_size(), 7);
    assert!(cased.starts_word(5) && !cased.starts_word(6) && cased.starts_word(1000));
    assert_eq!((cased.token(5).as_deref(), cased.token(7), cased.id("##ian")), (Some("paris"), None, Some(6)));
    assert_eq!(cased.decode(&[2, 5, 6, 99, 3], true).unwrap(), "parisian");
}
