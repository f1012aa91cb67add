//! Which characters and words tokens stand for, as Hugging Face's libraries say it, on text full of traps.
//!
//! `fixtures/make_fixtures.py` made the expected values.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use burnformer_data::tokenizer::{Alignment, Encoded, Tokenizer};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    name: String,
    form: String,
    text: String,
    ids: Vec<u32>,
    offsets: Vec<(usize, usize)>,
    words: Vec<Option<u32>>,
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn tokenizers() -> Vec<(&'static str, Tokenizer)> {
    let vocab = |lowercase| Tokenizer::load_vocab(fixture("vocab.txt"), Some(lowercase)).unwrap();
    let load = |folder| Tokenizer::load(fixture(folder)).unwrap();
    vec![
        ("cased", vocab(false)),
        ("uncased", vocab(true)),
        ("byte_level", load("byte_level")),
        ("word_level", load("word_level")),
    ]
}

/// Words of a text as Python's `str.split` cuts it.
fn words(text: &str) -> Vec<&str> {
    let is_blank = |c: char| c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}');
    text.split(is_blank).filter(|word| !word.is_empty()).collect()
}

#[test]
fn offsets_and_words_are_those_of_hugging_face() {
    let cases: BTreeMap<String, Vec<Case>> =
        serde_json::from_str(&fs::read_to_string(fixture("alignment.json")).unwrap()).unwrap();
    for (name, tokenizer) in tokenizers() {
        for case in &cases[name] {
            let place = format!("{name}, {}, {}", case.name, case.form);
            let (encoded, alignment) = match case.form.as_str() {
                "text" => tokenizer.encode_with_offsets(&case.text, None, None),
                "pair" => tokenizer.encode_with_offsets(&case.text, Some("the tower"), Some(12)),
                _ => tokenizer.encode_words(&words(&case.text), Some(20)),
            }
            .unwrap();
            assert_eq!(encoded.ids, case.ids, "{place}");
            assert_eq!(alignment.word_ids, case.words, "{place}");
            // What has no characters is `(0, 0)` there.
            let offsets =
                alignment.offsets.into_iter().map(|it| it.map_or((0, 0), |Range { start, end }| (start, end)));
            assert_eq!(offsets.collect::<Vec<_>>(), case.offsets, "{place}");
        }
    }
}

/// The characters of `text` at `range`.
fn at(text: &str, range: &Range<usize>) -> String {
    text.chars().skip(range.start).take(range.len()).collect()
}

/// What each token stands for.
fn surfaces(text: &str, (_, alignment): &(Encoded, Alignment)) -> Vec<String> {
    alignment.offsets.iter().flatten().map(|range| at(text, range)).collect()
}

#[test]
fn characters_at_the_offsets_are_the_surface() {
    let (text, all) = ("Zoë ate 🚢 und 北京!", tokenizers());
    let of = |name: &str| &all.iter().find(|(it, _)| *it == name).unwrap().1;
    let surfaces = |name: &str| surfaces(text, &of(name).encode_with_offsets(text, None, None).unwrap());
    assert_eq!(surfaces("word_level"), ["Zoë", "ate", "🚢", "und", "北京!"]);
    // The accent is gone from the token, not from the text.
    let uncased = surfaces("uncased");
    assert_eq!(uncased.concat(), "Zoëate🚢und北京!");
    assert_eq!(uncased[uncased.len() - 3..], ["北", "京", "!"]);
    // An emoji has four bytes and a token for each, all of which stand for the whole of it.
    assert_eq!(surfaces("byte_level").iter().filter(|it| *it == "🚢").count(), 4);
}

#[test]
fn a_word_has_the_tokens_it_has_in_text_and_offsets_of_its_own() {
    for (name, tokenizer) in tokenizers() {
        let words = ["the", "keeper", "Köln", "", "tower"];
        let (encoded, alignment) = tokenizer.encode_words(&words, None).unwrap();
        let text = tokenizer.encode_with_specials("the keeper Köln tower", None, None).unwrap();
        assert_eq!(encoded, text, "{name}");
        let mut pieces: BTreeMap<u32, String> = BTreeMap::new();
        for (word, offsets) in alignment.word_ids.iter().zip(&alignment.offsets) {
            assert_eq!(word.is_some(), offsets.is_some(), "{name}");
            if let (Some(word), Some(range)) = (word, offsets) {
                *pieces.entry(*word).or_default() += &at(words[*word as usize], range);
            }
        }
        // An empty word has no token.
        assert_eq!(pieces.keys().copied().collect::<Vec<_>>(), [0, 1, 2, 4], "{name}");
        assert_eq!((&pieces[&0][..], &pieces[&1][..], &pieces[&4][..]), ("the", "keeper", "tower"), "{name}");
    }
}

#[test]
fn what_is_cut_off_is_counted() {
    for (name, tokenizer) in tokenizers() {
        let (whole, alignment) = tokenizer.encode_words(&["the"; 9], None).unwrap();
        assert_eq!(alignment.n_cut_off, 0, "{name}");
        let (cut, alignment) = tokenizer.encode_words(&["the"; 9], Some(6)).unwrap();
        assert_eq!((cut.ids.len(), alignment.n_cut_off), (6, whole.ids.len() - 6), "{name}");
        assert_eq!(alignment.word_ids.len(), 6, "{name}");
        assert_eq!(alignment.offsets.iter().flatten().count(), 4, "{name}");
        let error = tokenizer.encode_words(&["the"], Some(2)).unwrap_err();
        assert_eq!(error.to_string(), "a maximum of 2 tokens leaves no room beside 2 special tokens", "{name}");
    }
}

/// As of GPT-2: no blank in front of texts, and blanks belong to the offsets.
fn like_gpt2() -> Tokenizer {
    let text = fs::read_to_string(fixture("byte_level/tokenizer.json")).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let bytes = |add_prefix_space: bool| serde_json::json!({ "type": "ByteLevel", "add_prefix_space": add_prefix_space, "trim_offsets": false, "use_regex": true });
    (json["pre_tokenizer"], json["post_processor"]) = (bytes(false), bytes(true));
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("tokenizer.json"), json.to_string()).unwrap();
    Tokenizer::load(folder.path()).unwrap()
}

#[test]
fn words_of_byte_level_bpe_get_a_blank_in_front() {
    let tokenizer = like_gpt2();
    let (words, alignment) = tokenizer.encode_words(&["the", "keeper"], None).unwrap();
    assert_eq!(words.ids, tokenizer.encode(" the keeper").unwrap());
    assert_ne!(words.ids, tokenizer.encode("the keeper").unwrap());
    let end = |word| alignment.word_ids.iter().zip(&alignment.offsets).rfind(|it| *it.0 == Some(word));
    assert_eq!(alignment.offsets[0].as_ref().map(|range| range.start), Some(0));
    assert_eq!(end(0).and_then(|it| it.1.clone()).map(|range| range.end), Some(3));
    assert_eq!(end(1).and_then(|it| it.1.clone()).map(|range| range.end), Some(6));
}
