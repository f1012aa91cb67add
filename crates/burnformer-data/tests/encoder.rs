//! An encoder that remembers what it has seen gives the tokens that the library gives.

use std::path::{Path, PathBuf};

use burnformer_data::tokenizer::{Encoder, Tokenizer};
use proptest::prelude::*;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn tokenizers() -> Vec<Tokenizer> {
    let vocab = fixture("vocab.txt");
    vec![
        Tokenizer::load_vocab(&vocab, Some(true)).unwrap(),
        Tokenizer::load_vocab(&vocab, Some(false)).unwrap(),
        Tokenizer::load(fixture("byte_level")).unwrap(),
        Tokenizer::load(fixture("word_level")).unwrap(),
    ]
}

/// White space of all kinds, control and format characters, marks, ideographs, punctuation and special tokens.
fn trap() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ \t\n\r\u{b}\u{c}\u{1c}-\u{1f}\u{85}\u{a0}\u{1680}\u{180e}\u{2000}-\u{200f}\u{2028}-\u{202f}\u{205f}-\u{2064}\u{3000}\u{feff}]{1,4}",
        "[\u{0}-\u{8}\u{7f}-\u{9f}\u{ad}\u{fffd}\u{e000}]",
        "[\u{300}-\u{345}\u{591}-\u{5bd}\u{1dc0}\u{20d0}\u{fe00}\u{338}]{1,3}",
        "[\u{3400}\u{4dbf}\u{4dc0}\u{4e00}\u{9fff}\u{a000}\u{f900}\u{fa20}\u{20000}\u{2a6df}\u{2f800}北京的]{1,3}",
        "[!-/:-@\\[-`{-~。！？；「」“”‘’…—]{1,3}",
        "[aeéèßİıΣςΑЯ한あア１Ａ½²ﬁ🚢]{1,5}",
        "the|The|ships|LETTERS|tower|x{90,110}|'s|'ll|1[.]2",
        r"\[MASK\]|\[UNK\]|<mask>|</s>|<unk>|<eos>|\[PAD\]",
        any::<char>().prop_map(String::from),
    ]
}

fn check_same(encoders: &mut [(Tokenizer, Encoder)], text: &str) {
    for (tokenizer, encoder) in encoders {
        let expected = tokenizer.encode(text).unwrap();
        for _ in 0..2 {
            let mut ids = vec![7];
            encoder.encode_into(text, &mut ids).unwrap();
            assert_eq!(ids[1..], expected, "{tokenizer:?} on {text:?}");
        }
        let special = |id: &u32| tokenizer.special_ids().contains(id) && Some(*id) != tokenizer.specials().unk_id;
        assert!(!expected.iter().any(special), "{tokenizer:?} on {text:?}");
    }
}

#[test]
fn what_is_remembered_is_what_the_library_says() {
    let mut encoders: Vec<_> = tokenizers().into_iter().map(|it| (it.clone(), it.encoder())).collect();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(2000));
    let texts = prop::collection::vec(trap(), 0..12).prop_map(|parts| parts.concat());
    let encoders = std::cell::RefCell::new(&mut encoders);
    let result = runner.run(&texts, |text| {
        check_same(&mut encoders.borrow_mut(), &text);
        Ok(())
    });
    result.unwrap();
}

#[test]
fn every_character_separates_words_as_it_does_for_the_library() {
    let mut encoders: Vec<_> = tokenizers().into_iter().map(|it| (it.clone(), it.encoder())).collect();
    for c in ('\0'..='\u{3100}').chain('\u{e000}'..='\u{e010}').chain('\u{fe00}'..='\u{ffff}') {
        check_same(&mut encoders, &format!("the{c}ships {c} {c}"));
    }
}

proptest! {
    #[test]
    fn byte_level_bpe_loses_nothing(text in any::<String>()) {
        let tokenizer = Tokenizer::load(fixture("byte_level")).unwrap();
        let decoded = tokenizer.decode(&tokenizer.encode(&text).unwrap(), false).unwrap();
        // A blank in front is there for every text.
        prop_assert_eq!(decoded, text.strip_prefix(' ').unwrap_or(&text));
    }
}

/// A word of any length is encoded in parts.
#[test]
fn a_giant_word_has_the_tokens_of_its_parts() {
    let folder = tempfile::tempdir().unwrap();
    let vocab = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\n";
    std::fs::write(folder.path().join("vocab.txt"), vocab).unwrap();
    let tokenizer = Tokenizer::load(folder.path()).unwrap();
    let mut encoder = tokenizer.encoder();
    for letter in ["a", "b"] {
        let text = format!("a {} b", letter.repeat((16 << 10) * 3 + 5));
        let mut ids = Vec::new();
        encoder.encode_into(&text, &mut ids).unwrap();
        assert_eq!(ids, [5, 1, 1, 1, 1, 6]);
        assert_eq!(ids, tokenizer.encode(&text).unwrap());
    }
}
