//! What cannot work is refused with a message, and leaves nothing behind.

use crate::support::{Folder, SMALL};

/// Runs `line` and makes sure that it fails, says `said`, and changes no file.
#[track_caller]
fn check(folder: &Folder, line: &str, said: &[&str]) {
    let before = folder.names();
    folder.run(line).fails_with(said);
    assert_eq!(folder.names(), before, "after `{line}`");
}

#[test]
fn input_that_is_not_there_or_holds_nothing() {
    let folder = Folder::with_tokenizer();
    folder.write("empty.txt", " \n");
    folder.write("data.bin", "text");
    for command in
        ["tokenizer train --out t", "data build --tokenizer tokenizer --out t", "data split --out t"].map(|command| {
            let (command, out) = command.split_at(command.find(" --").unwrap());
            format!("{command} --input INPUT{out}")
        })
    {
        let with = |input: &str| command.replace("INPUT", input);
        check(&folder, &with("nowhere.txt"), &["`nowhere.txt` matches no file"]);
        check(&folder, &with("data.bin"), &["file format of `data.bin` is unknown", "hint: set `--input-format`"]);
        check(&folder, &with("texts reviews.csv"), &["`reviews.csv` is csv", "hint: "]);
        check(
            &folder,
            &with("reviews.csv --text-column body"),
            &["no column `body`", "hint: name the columns with `--text-column`"],
        );
        check(
            &folder,
            &with("texts --label-column label"),
            &["`--label-column` cannot be used with", "`text`", "hint: "],
        );
    }
    check(&folder, "tokenizer train --input empty.txt --out t", &["contain no words"]);
    check(&folder, "data build --input empty.txt --tokenizer tokenizer --out t", &["the corpus has no text"]);
    check(&folder, "data split --input empty.txt --out t", &["there is no text to split"]);
    check(&folder, "data rust-docs --source-tree nowhere --out t", &["`nowhere` does not exist"]);
    check(&folder, "data rust-docs --project texts --out t", &["Cargo.toml` does not exist"]);
}

#[test]
fn folders_that_hold_something_else() {
    let folder = Folder::with_tokenizer();
    check(
        &folder,
        "data stats texts",
        &["`texts` is not a corpus", "hint: build a corpus with `burnformer data build`"],
    );
    check(&folder, "data stats nowhere", &["`nowhere` is not a corpus"]);
    check(&folder, "data build --input texts --tokenizer texts --out t", &["holds no tokenizer"]);
    // The lock on the folder stays behind.
    folder.run("data build --input texts --tokenizer tokenizer --out texts").fails_with(&["holds other files (`"]);
    assert!(!folder.path("texts/corpus.json").exists());
}

#[test]
fn a_place_that_is_taken_or_cannot_be_written() {
    let folder = Folder::with_tokenizer();
    for command in ["tokenizer train --input texts", "data split --input reviews.csv", "data rust-docs --source-tree ."]
    {
        check(
            &folder,
            &format!("{command} --out texts"),
            &["`texts` already exists: remove it or choose another name"],
        );
        check(&folder, &format!("{command} --out reviews.csv/t"), &["cannot create", "\n  caused by: "]);
    }
    let build = "data build --input texts --tokenizer tokenizer --out reviews.csv/t";
    check(&folder, build, &["cannot create `reviews.csv/t`\n  caused by: "]);
}

#[test]
fn settings_that_cannot_work() {
    let folder = Folder::with_text();
    let train = "tokenizer train --input texts --out t";
    check(&folder, &format!("{train} --vocab-size 0"), &["`vocab_size` is 0, expected at least 1"]);
    check(&folder, &format!("{train} --vocab-size 7"), &["`vocab_size` is 7, but special tokens and"]);
    check(&folder, &format!("{train} --set vocab_sise=9"), &["unknown key `vocab_sise`, did you mean `vocab_size`?"]);
    check(
        &folder,
        &format!("{train} --config nowhere.toml"),
        &["cannot read the settings `nowhere.toml`\n  caused by: "],
    );
    let split = "data split --input reviews.csv --out t";
    check(
        &folder,
        &format!("{split} --test 0.95"),
        &["`test` is 0.95, expected less than 1 together with `validation`"],
    );
    check(&folder, &format!("{split} --test -1"), &["`test` is -1, expected a value in [0, 1)"]);
    check(&folder, &format!("{split} --validation -0.1"), &["`validation` is -0.1, expected a value in [0, 1)"]);
    check(&folder, &format!("{split} --test NaN"), &["`test` is NaN"]);
    check(
        &folder,
        &format!("{split} --by label"),
        &["`--by label` needs the label", "hint: ", "`--label-column label`"],
    );
    check(&folder, &format!("{split} --by group"), &["`--by group` needs the group", "`--group-column group`"]);
}

#[test]
fn command_lines_that_make_no_sense() {
    let folder = Folder::with_text();
    for (line, said) in [
        ("data stats corpus --seq-lenght 3", "tip: a similar argument exists: '--seq-length'"),
        ("data stats corpus --seq-length 4", "4 is not in 5..=1048576"),
        ("data stats", "<CORPUS>"),
        ("data statistics", "unrecognized subcommand"),
        (
            "tokenizer train --input texts --kind letters --out t",
            "[possible values: word-piece, byte-level-bpe, unigram, word-level]",
        ),
        ("data build --input texts --tokenizer t --language english --out t", "expected the code of a language"),
        ("data rust-docs --kinds fn,method --out t", "invalid value 'method'"),
        ("data rust-docs --project . --source-tree . --out t", "cannot be used with"),
        ("data split --input reviews.csv --delimiter ab --out t", "expected one character"),
        ("devices --device cuda", "unknown device `cuda`, expected `auto`"),
        ("completions tcsh", "invalid value 'tcsh'"),
    ] {
        check(&folder, line, &[said]);
    }
}

#[test]
fn a_device_that_is_not_there_is_the_one_condition_that_is_not_met() {
    let folder = Folder::new();
    let run = folder.run("devices --device wgpu:99 --format json");
    assert_eq!(run.status, Some(1), "{run:?}");
    assert!(run.json()["chosen"].is_null());
    assert!(run.stderr.starts_with("warning: device `wgpu:99` "), "{run:?}");

    let json = folder.run("devices --format json").succeeds().json();
    let names: Vec<_> = json["devices"].as_array().unwrap().iter().map(|device| &device["device"]).collect();
    assert!(names.contains(&&json["chosen"]), "{json}");
    let text = folder.run("devices").succeeds().stdout;
    assert!(text.contains(&format!("* {}", json["chosen"].as_str().unwrap())), "{text}");

    for (product, dtype) in json["products"].as_array().unwrap().iter().zip(["f32", "bf16", "int8"]) {
        assert_eq!(product["dtype"], dtype);
        assert!(text.contains(&format!("  {dtype:<10} {}\n", product["by"].as_str().unwrap())), "{text}");
    }
}

#[test]
fn a_corpus_of_one_document_is_told_how_to_be_more() {
    let folder = Folder::with_tokenizer();
    let lines = (0..40).map(|n| format!("The kettle {n} sang.\nNobody listened.\n"));
    folder.write("one.txt", &lines.clone().collect::<String>());
    folder.write("many.txt", &lines.map(|text| text + "\n").collect::<String>());
    let build = |input: &str, out: &str| {
        folder.run(&format!("data build --input {input} --tokenizer tokenizer --out {out}")).succeeds();
    };
    let pretrain =
        |corpus: &str| folder.run(&format!("pretrain --corpus {corpus} {SMALL} --steps 2 --dry-run --out new"));
    build("one.txt", "one");
    pretrain("one").fails_with(&[
        "1 document cannot be divided",
        "hint: set the shares",
        "`data build --layout blank-lines`",
    ]);
    let whole = "--set data.split.validation=0 --set data.split.test=0";
    pretrain(&format!("one {whole}")).fails_with(&["at least two documents", "`data build --layout blank-lines`"]);
    folder.run("data split --input one.txt --out parts").fails_with(&["`--layout blank-lines`"]);
    build("many.txt --layout blank-lines", "many");
    pretrain("many").succeeds();
}
