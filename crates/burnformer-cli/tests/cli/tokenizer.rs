//! `burnformer tokenizer train`.

use serde_json::Value;

use crate::support::Folder;

fn vocabulary(folder: &Folder, name: &str) -> Value {
    let file: Value = serde_json::from_str(&folder.read(&format!("{name}/tokenizer.json"))).unwrap();
    file["model"]["vocab"].clone()
}

#[test]
fn every_kind_is_trained_in_the_format_of_hugging_face() {
    let folder = Folder::with_text();
    for (kind, model, size) in
        [("word-piece", "WordPiece", 120), ("byte-level-bpe", "BPE", 300), ("word-level", "WordLevel", 25)]
    {
        let line =
            format!("tokenizer train --input texts --kind {kind} --vocab-size {size} --out {kind} --format json");
        let report = folder.run(&line).succeeds().json();
        assert_eq!((&report["kind"], &report["vocab_size"]), (&kind.into(), &size.into()));
        assert_eq!(vocabulary(&folder, kind).as_object().unwrap().len(), size);
        let file: Value = serde_json::from_str(&folder.read(&format!("{kind}/tokenizer.json"))).unwrap();
        assert_eq!(file["model"]["type"], model);
        assert!(folder.path(kind).join("tokenizer_config.json").is_file());
    }
}

#[test]
fn the_same_text_gives_the_same_tokenizer() {
    let folder = Folder::with_text();
    for out in ["one", "two"] {
        folder.run(&format!("tokenizer train --input texts --vocab-size 100 --out {out}")).succeeds();
    }
    assert_eq!(folder.read("one/tokenizer.json"), folder.read("two/tokenizer.json"));
}

#[test]
fn case_is_told_apart_on_request() {
    let folder = Folder::with_text();
    folder.run("tokenizer train --input texts --kind word-level --out uncased").succeeds();
    folder.run("tokenizer train --input texts --kind word-level --cased --out cased").succeeds();
    let (uncased, cased) = (vocabulary(&folder, "uncased"), vocabulary(&folder, "cased"));
    assert!(uncased["the"].is_number() && uncased["The"].is_null(), "{uncased}");
    assert!(cased["the"].is_number() && cased["The"].is_number(), "{cased}");
}

#[test]
fn flags_go_before_settings_and_those_before_the_file() {
    let folder = Folder::with_text();
    folder.write("small.toml", "vocab_size = 60\nkind = \"word-level\"\nmin_frequency = 1\n");
    let report = |flags: &str, out: &str| {
        let line = format!("tokenizer train --input texts --config small.toml {flags} --out {out} --format json");
        folder.run(&line).succeeds().json()
    };
    // The words of the text are fewer than 60 only if rare ones are left out.
    assert!(report("", "a")["vocab_size"].as_u64().unwrap() > 40);
    assert_eq!(report("--set vocab_size=20", "b")["vocab_size"], 20);
    assert_eq!(report("--set vocab_size=20 --vocab-size 15", "c")["vocab_size"], 15);
    assert_eq!(report("", "d")["kind"], "word-level");
}

#[test]
fn a_text_with_fewer_tokens_than_asked_for_is_noted() {
    let run = Folder::with_text().run("tokenizer train --input texts --kind word-level --out t").succeeds();
    assert!(run.stderr.contains("fewer than the 8192 allowed"), "{run:?}");
}

/// What follows from a warning is followed, and helps.
#[test]
fn text_that_a_tokenizer_destroys_is_told_with_a_remedy() {
    let folder = Folder::with_text();
    // A script without blanks between words, and one with vowel signs.
    folder
        .write("thai.txt", &format!("{}\n", "\u{e01}\u{e34}\u{e19}\u{e02}\u{e49}\u{e32}\u{e27}".repeat(40)).repeat(30));
    folder.write("hindi.txt", &"\u{92f}\u{939} \u{928}\u{939}\u{940}\u{902} \u{939}\u{941}\u{906}\n".repeat(30));
    let said = |line: &str| folder.run(line).succeeds().stderr;
    let (unknown, marks) = ("of the tokens are unknown (", "stripping accents removes ");
    let train = |flags: &str| said(&format!("tokenizer train --set vocab_size=400 {flags}"));

    let thai = train("--input thai.txt --out thai");
    assert!(thai.contains("warning: 100.0 % of the tokens are unknown (30)") && thai.contains(marks), "{thai}");
    let built = said("data build --input thai.txt --tokenizer thai --out thai-corpus");
    assert!(
        built.contains(unknown) && built.contains(marks) && built.contains("`burnformer tokenizer train"),
        "{built}"
    );
    assert!(
        thai.contains("train with `--kind byte-level-bpe`") && thai.contains("`--set strip_accents=false`"),
        "{thai}"
    );
    let remedied = train("--input thai.txt --kind byte-level-bpe --set strip_accents=false --out better");
    assert!(!remedied.contains("warning"), "{remedied}");
    let built = said("data build --input thai.txt --tokenizer better --out better-corpus");
    assert!(!built.contains("warning"), "{built}");

    let hindi = train("--input hindi.txt --out hindi");
    assert!(hindi.contains("warning: stripping accents removes 60 marks") && !hindi.contains(unknown), "{hindi}");
    assert!(!train("--input hindi.txt --cased --out cased").contains("warning"));
    let english = train("--input texts --out english");
    assert!(!english.contains("warning"), "{english}");
    let few = train("--input texts --kind word-level --vocab-size 8 --out few");
    assert!(few.contains(unknown) && few.contains("raise `--vocab-size`"), "{few}");
}
