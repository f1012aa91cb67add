//! Files that are no tokenizer, and what the errors say.

use std::fs;
use std::path::Path;

use burnformer_core::{Interrupt, Silent};
use burnformer_data::tokenizer::{Tokenizer, TokenizerConfig, TokenizerKind, train};

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
    check_error(
        &[],
        "`{}` holds no tokenizer: no `tokenizer.json`, no vocabulary (`vocab.txt`, or `vocab.json` and `merges.txt`) and no \
         model of SentencePiece (`sentencepiece.bpe.model`, `spiece.model`, `tokenizer.model`, or `source.spm` and \
         `target.spm`)",
    );
    check_error(&[("tokenizer.json", "[PAD]")], "`{}/tokenizer.json` is not a valid `tokenizer.json`");
    check_error(&[("tokenizer.json", "{}")], "`{}/tokenizer.json` is not a valid `tokenizer.json`");
    check_error(
        &[("vocab.txt", VOCABULARY), ("tokenizer_config.json", "")],
        "`{}/tokenizer_config.json` is not a valid `tokenizer_config.json`",
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

/// The message for `file` of this class.
fn other_class(file: &str, class: &str) -> String {
    format!(
        "`{{}}/{file}` belongs to a `{class}`, which is not read from such a file: use a model with another tokenizer, \
         correct `tokenizer_class` in `tokenizer_config.json`, or, if transformers has a fast one for it, write its \
         `tokenizer.json` with `save_pretrained`"
    )
}

#[test]
fn a_tokenizer_of_another_class_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let whole = changed(|_| ());
    for (name, content) in [("tokenizer.json", whole.as_str()), ("vocab.txt", VOCABULARY)] {
        for (beside, key) in [("tokenizer_config.json", "tokenizer_class"), ("config.json", "tokenizer_class")] {
            let class = format!(r#"{{ "{key}": "BertJapaneseTokenizer", "do_lower_case": false }}"#);
            check_error(&[(name, content), (beside, &class)], &other_class(name, "BertJapaneseTokenizer"));
        }
    }
    let model = ("config.json", r#"{ "model_type": "mpnet" }"#);
    check_error(&[("vocab.txt", VOCABULARY), model], &other_class("vocab.txt", "mpnet model"));
    let class = ("tokenizer_config.json", r#"{ "tokenizer_class": "RobertaTokenizer" }"#);
    check_error(&[("vocab.txt", VOCABULARY), class], &other_class("vocab.txt", "RobertaTokenizer"));
    // What a fast one does is all in its `tokenizer.json`, but not in its vocabulary.
    let class = ("tokenizer_config.json", r#"{ "tokenizer_class": "HerbertTokenizerFast" }"#);
    for (name, content) in [("tokenizer.json", whole.as_str()), class] {
        fs::write(folder.path().join(name), content).unwrap();
    }
    Tokenizer::load(folder.path()).unwrap();
    fs::rename(folder.path().join("tokenizer.json"), folder.path().join("vocab.txt")).unwrap();
    assert!(Tokenizer::load(folder.path()).unwrap_err().to_string().contains("`HerbertTokenizerFast`"));
}

#[test]
fn files_with_other_ids_in_each_class_need_its_name() {
    let spm = "\u{a}\u{9}\u{a}\u{5}<unk>\u{18}\u{2}";
    let message = |file: &str, expected: &str| {
        format!(
            "`{{}}/{file}` has other ids in each class of tokenizers: name the one it belongs to under `tokenizer_class` in \
             `tokenizer_config.json`, expected {expected}"
        )
    };
    for file in ["sentencepiece.bpe.model", "spiece.model"] {
        let expected = "`XLMRobertaTokenizer`, `CamembertTokenizer` or `T5Tokenizer`";
        check_error(&[(file, spm)], &message(file, expected));
        let class = ("tokenizer_config.json", r#"{ "tokenizer_class": "XLNetTokenizer" }"#);
        check_error(&[(file, spm), class], &other_class(file, "XLNetTokenizer"));
    }
    let merges = [("merges.txt", "#version: 0.2\na b\n"), ("vocab.json", r#"{ "a": 0, "b": 1, "ab": 2 }"#)];
    check_error(&merges, &message("merges.txt", "`RobertaTokenizer` or `GPT2Tokenizer`"));
    let class = ("tokenizer_config.json", r#"{ "tokenizer_class": "RobertaTokenizer" }"#);
    let remedy = "add it, or name the token that takes its place in `tokenizer_config.json`";
    check_error(&[merges[0], merges[1], class], &format!("`{{}}/vocab.json` has no token `</s>`: {remedy}"));
    // Without a class a model has its own ids.
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("my.model"), spm).unwrap();
    assert_eq!(Tokenizer::load(folder.path().join("my.model")).unwrap().encode("a b").unwrap(), [0]);
}

#[test]
fn added_tokens_whose_ids_cannot_be_are_refused() {
    let config = |tokens: &str| format!(r#"{{ "added_tokens_decoder": {tokens} }}"#);
    let form = "does not list added tokens with their ids, expected texts and whole numbers below 2^32";
    for tokens in ["[]", r#"{ "x": { "content": "a" } }"#, r#"{ "7": {} }"#, r#"{ "7": 8 }"#] {
        check_error(
            &[("vocab.txt", VOCABULARY), ("tokenizer_config.json", &config(tokens))],
            &format!("`{{}}/tokenizer_config.json` {form}"),
        );
    }
    for tokens in [r#"{ "covid": "7" }"#, r#"{ "covid": -7 }"#] {
        check_error(
            &[("vocab.txt", VOCABULARY), ("added_tokens.json", tokens)],
            &format!("`{{}}/added_tokens.json` {form}"),
        );
    }
    check_error(
        &[("vocab.txt", VOCABULARY), ("added_tokens.json", r#"{ "covid": 9 }"#)],
        "the added token `covid` of `{}/vocab.txt` has the id 9, but the tokenizer gives it 7: correct its id in \
         `tokenizer_config.json` or `added_tokens.json`",
    );
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vocab.txt");
    fs::write(&path, format!("\u{feff}{VOCABULARY}")).unwrap();
    fs::write(folder.path().join("tokenizer_config.json"), "\u{feff}{ \"do_lower_case\": true }").unwrap();
    let tokenizer = Tokenizer::load(&path).unwrap();
    assert_eq!((tokenizer.specials().pad_id, tokenizer.encode("PARIS").unwrap()), (Some(0), vec![5]));
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
    check_error(
        &[(
            "tokenizer.json",
            r#"{ "version": "1.0", "model": { "type": "BPE", "vocab": { "a": 0 }, "merges": [], "end_of_word_suffix": "</w>" } }"#,
        )],
        "`{}/tokenizer.json` has a BPE that marks the ends of words, expected WordPiece, BPE, Unigram or whole words",
    );
}

#[test]
fn models_of_sentencepiece_beside_a_vocabulary_are_checked() {
    let vocabulary = r#"{ "</s>": 0, "<unk>": 1, "<pad>": 2 }"#;
    let spm = "\u{a}\u{9}\u{a}\u{5}<unk>\u{18}\u{2}";
    check_error(&[("source.spm", "x"), ("vocab.json", vocabulary)], "`{}/source.spm` is not a SentencePiece model");
    check_error(
        &[("source.spm", ""), ("vocab.json", vocabulary)],
        "`{}/source.spm` is not usable: its vocabulary, merges and special tokens do not fit together",
    );
    check_error(&[("source.spm", spm)], "cannot read `{}/vocab.json`");
    check_error(
        &[("source.spm", spm), ("vocab.json", r#"{ "a": {} }"#)],
        "`{}/vocab.json` is not a valid `vocab.json`",
    );
    let remedy = "add it, or name the token that takes its place in `tokenizer_config.json`";
    check_error(
        &[("source.spm", spm), ("vocab.json", r#"{ "</s>": 0, "<unk>": 1 }"#)],
        &format!("`{{}}/vocab.json` has no token `<pad>`: {remedy}"),
    );
    check_error(
        &[("source.spm", spm), ("vocab.json", r#"{ "</s>": 0, "<unk>": 1, "<pad>": 1 }"#)],
        "`{}/vocab.json` is not usable: its vocabulary, merges and special tokens do not fit together",
    );
    check_error(
        &[("source.spm", spm), ("vocab.json", r#"{ "</s>": 0, "<unk>": 1, "<pad>": 4000000000 }"#)],
        "`{}/vocab.json` has 4000000000 as its greatest id, expected at most 65559, which bounds memory and time: use \
         another tokenizer",
    );
    for (model_type, found) in [(3, "words"), (4, "characters")] {
        let spm = format!("{spm}\u{12}\u{2}\u{18}{}", char::from(model_type));
        let expected = "expected WordPiece, BPE, Unigram or whole words";
        check_error(
            &[("source.spm", &spm), ("vocab.json", vocabulary)],
            &format!("`{{}}/source.spm` has a SentencePiece model of {found}, {expected}"),
        );
    }
    // A million pieces of two bytes each are counted before memory is taken for them.
    check_error(
        &[("source.spm", &"\u{a}\u{0}".repeat((1 << 20) + 1)), ("vocab.json", vocabulary)],
        "`{}/source.spm` has 1048577 tokens, expected at most 1048576, which bounds memory and time: use another tokenizer",
    );
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in [("source.spm", spm), ("vocab.json", vocabulary)] {
        fs::write(folder.path().join(name), content).unwrap();
    }
    assert_eq!(Tokenizer::load(folder.path()).unwrap().encode("a b").unwrap(), [1]);
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
    // A character that becomes fifty would make any text as much longer.
    let with_map = |map: &str| {
        changed(|it| it["normalizer"] = serde_json::json!({ "type": "Precompiled", "precompiled_charsmap": map }))
    };
    for map in ["BAAAAAAAAAB4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4", "AAAA", "?"] {
        check_error(&[("tokenizer.json", &with_map(map))], message);
    }
    let mut without_unknown = whole;
    without_unknown["model"]["unk_token"] = "<?>".into();
    let message = "`{}/tokenizer.json` has no token `<?>`: add it, or name the token that takes its place in \
                   `tokenizer_config.json`";
    check_error(&[("tokenizer.json", &without_unknown.to_string())], message);
}

/// A word-level tokenizer with this change.
fn changed(change: impl FnOnce(&mut serde_json::Value)) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/word_level/tokenizer.json");
    let mut whole = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    change(&mut whole);
    whole.to_string()
}

/// Each number would become the size of a table, or a time without end.
#[test]
fn numbers_beyond_their_limits_are_refused() {
    let check = |found: &str, change: &dyn Fn(&mut serde_json::Value)| {
        let message = format!("`{{}}/tokenizer.json` has {found}, which bounds memory and time: use another tokenizer");
        check_error(&[("tokenizer.json", &changed(change))], &message);
    };
    for id in [1_u64 << 31, u64::from(u32::MAX), 1 << 40] {
        let whole: serde_json::Value = serde_json::from_str(&changed(|_| ())).unwrap();
        let n = whole["model"]["vocab"].as_object().unwrap().len() + whole["added_tokens"].as_array().unwrap().len();
        let most = |n: usize| 65_536 + 8 * n - 1;
        check(&format!("{id} as its greatest id, expected at most {}", most(n + 1)), &|it| {
            it["model"]["vocab"]["far"] = id.into();
        });
        check(&format!("{id} as its greatest id, expected at most {}", most(n)), &|it| {
            it["added_tokens"][0]["id"] = id.into();
        });
    }
    let double = serde_json::json!({ "type": "Replace", "pattern": { "String": "a" }, "content": "aa" });
    check("201 steps in one of its parts, expected at most 64", &|it| {
        it["normalizer"] = serde_json::json!({ "type": "Sequence", "normalizers": vec![double.clone(); 200] });
    });
    check("1024 as the factor by which its replacements may lengthen a text, expected at most 16", &|it| {
        it["normalizer"] = serde_json::json!({ "type": "Sequence", "normalizers": vec![double.clone(); 10] });
    });
    check("9 sequences of steps within one another, expected at most 8", &|it| {
        let nest = |step, _| serde_json::json!({ "type": "Sequence", "normalizers": [step] });
        it["normalizer"] = (0..50).fold(double.clone(), nest);
    });
    check("2000 bytes in a replacement or prefix, expected at most 1024", &|it| {
        it["normalizer"] = serde_json::json!({ "type": "Prepend", "prepend": "a".repeat(2000) });
    });
    check("257 bytes in a piece, expected at most 256", &|it| {
        it["model"] =
            serde_json::json!({ "type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0.0], ["x".repeat(257), 0.0]] });
    });
    check("5000 as `max_input_chars_per_word`, expected at most 1000", &|it| {
        it["model"]["max_input_chars_per_word"] = 5000.into();
    });
    let vocabulary: String = (0..1 << 20).map(|word| format!("w{word}\n")).collect();
    check_error(
        &[("vocab.txt", &format!("{VOCABULARY}{vocabulary}"))],
        "`{}/vocab.txt` has 1048583 tokens, expected at most 1048576, which bounds memory and time: use another tokenizer",
    );
}

#[test]
fn a_post_processor_that_changes_texts_is_refused() {
    let message = "the `post_processor` of `{}/tokenizer.json` leaves out or repeats a text, or adds tokens that the \
                   vocabulary does not have, expected each text once, with special tokens around it";
    let text = |name: &str| serde_json::json!({ "Sequence": { "id": name, "type_id": 0 } });
    let (a, b) = (text("A"), text("B"));
    let template = |single: Vec<&serde_json::Value>, pair: Vec<&serde_json::Value>| serde_json::json!({ "type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": {} });
    for processor in [
        template(vec![], vec![]),
        template(vec![&a, &a], vec![&a, &b]),
        template(vec![&a], vec![&a]),
        serde_json::json!({ "type": "BertProcessing", "sep": ["<eos>", 4_000_000_000_u32], "cls": ["<bos>", 2] }),
    ] {
        check_error(&[("tokenizer.json", &changed(|it| it["post_processor"] = processor))], message);
    }
}

#[test]
fn a_text_without_any_token_is_no_input_of_a_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    fs::write(&path, changed(|it| it["post_processor"] = serde_json::Value::Null)).unwrap();
    let tokenizer = Tokenizer::load(&path).unwrap();
    let error = tokenizer.encode_with_specials(" ", None, Some(9)).unwrap_err().to_string();
    assert!(
        error.starts_with("a text has no tokens, and the tokenizer puts none around it: leave out such texts"),
        "{error}"
    );
    assert!(tokenizer.encode_with_specials(" ", None, None).unwrap().ids.is_empty());
}

#[cfg(unix)]
#[test]
fn a_pipe_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["tokenizer.json", "vocab.txt"] {
        let path = folder.path().join(name);
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let error = Tokenizer::load(&path).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot read `{}`", path.display()));
    }
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

/// The defaults of transformers 5.24: `BertTokenizer` gives types, a general class does not, `model_input_names` decides.
#[test]
fn the_second_text_has_a_type_where_the_files_say_so() {
    for kind in [TokenizerKind::WordPiece, TokenizerKind::WordLevel] {
        let config = TokenizerConfig { vocab_size: 40, kind, ..TokenizerConfig::default() };
        let tokenizer = train(
            ["the cat", "a dog"].map(|text| Ok(text.to_owned())).into_iter(),
            &config,
            &Silent,
            &Interrupt::new(),
        )
        .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let types =
            || Tokenizer::load(folder.path()).unwrap().encode_with_specials("cat", Some("dog"), None).unwrap().type_ids;
        tokenizer.save(folder.path()).unwrap();
        assert!(types().contains(&1), "{kind:?}");

        let file = folder.path().join("tokenizer_config.json");
        let saved: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        for (class, names, expected) in [
            ("BertTokenizer", None, true),
            ("PreTrainedTokenizerFast", None, false),
            ("TokenizersBackend", Some(vec!["input_ids", "token_type_ids"]), true),
            ("BertTokenizer", Some(vec!["input_ids", "attention_mask"]), false),
        ] {
            let mut config = saved.clone();
            config["tokenizer_class"] = class.into();
            config["model_input_names"] = names.into();
            std::fs::write(&file, config.to_string()).unwrap();
            assert_eq!(types().contains(&1), expected, "{kind:?}, {class}");
            // And when it is written again.
            Tokenizer::load(folder.path()).unwrap().save(folder.path()).unwrap();
            assert_eq!(types().contains(&1), expected, "{kind:?}, {class}, saved");
        }
    }
}

/// As in transformers 5.24: a class has special tokens around texts where the file has no post-processor, a general one has not.
#[test]
fn a_class_surrounds_texts_that_its_file_leaves_bare() {
    for (kind, class, around) in [
        (TokenizerKind::WordPiece, "BertTokenizer", Some(["[CLS]", "[SEP]"])),
        (TokenizerKind::ByteLevelBpe, "RobertaTokenizer", Some(["<s>", "</s>"])),
        (TokenizerKind::WordPiece, "PreTrainedTokenizerFast", None),
    ] {
        let config = TokenizerConfig { vocab_size: 300, kind, ..TokenizerConfig::default() };
        let texts = ["the cat", "a dog"].map(|text| Ok(text.to_owned()));
        let tokenizer = train(texts.into_iter(), &config, &Silent, &Interrupt::new()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        tokenizer.save(folder.path()).unwrap();
        let change = |file: &str, key: &str, value: serde_json::Value| {
            let file = folder.path().join(file);
            let mut content: serde_json::Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
            content[key] = value;
            fs::write(&file, content.to_string()).unwrap();
        };
        change("tokenizer.json", "post_processor", serde_json::Value::Null);
        change("tokenizer_config.json", "tokenizer_class", class.into());
        let loaded = Tokenizer::load(folder.path()).unwrap();
        let found = loaded.encode_with_specials("the cat", None, None).unwrap().ids;
        let mut expected = loaded.encode("the cat").unwrap();
        if let Some([begin, end]) = around {
            expected.insert(0, loaded.id(begin).unwrap());
            expected.push(loaded.id(end).unwrap());
        }
        assert_eq!(found, expected, "{class}");
    }
}
