//! `burnformer data build` and `burnformer data stats`.

use crate::support::Folder;

const BUILD: &str = "data build --input texts --tokenizer tokenizer --out corpus --format json";

#[test]
fn a_corpus_is_built_once_and_then_used() {
    let folder = Folder::with_tokenizer();
    let built = folder.run(BUILD).succeeds().json();
    assert_eq!((&built["documents"], &built["sentences"], &built["reused"]), (&12.into(), &48.into(), &false.into()));
    let again = folder.run(BUILD).succeeds();
    assert_eq!(again.json()["reused"], true);
    assert_eq!(again.json()["build"], built["build"]);
    assert_eq!(again.stderr, "");
}

#[test]
fn a_corpus_of_other_text_is_not_replaced_in_silence() {
    let folder = Folder::with_tokenizer();
    folder.run(BUILD).succeeds();
    let run = folder.run(&BUILD.replace("--input texts", "--input texts/1.txt")).succeeds();
    assert_eq!(run.json()["documents"], 1);
    assert_eq!(run.stderr, "warning: replaced the previous corpus in `corpus`, which was built from other text\n");
}

#[test]
fn bad_rows_end_the_build_or_are_counted_and_shown() {
    let folder = Folder::with_tokenizer();
    folder.write("rows.jsonl", "{\"text\": \"The old boat.\"}\n{\"txt\": \"A lamp.\"}\n{\"text\": \"The clock.\"}\n");
    let build = "data build --input rows.jsonl --tokenizer tokenizer --out rows";
    folder.run(build).fails_with(&["line 2 of `rows.jsonl` has no `text`", "hint: "]);
    assert!(!folder.path("rows").exists());

    let run = folder.run(&format!("{build} --on-bad-row skip")).succeeds();
    assert!(
        run.stdout.contains("documents            2\n") && run.stdout.contains("rows skipped         1\n"),
        "{run:?}"
    );
    let warning = "warning: skipped rows: 1; the first errors:\n  line 2 of `rows.jsonl` has no `text`, it has `txt`\n";
    assert_eq!(run.stderr, warning);
}

#[test]
fn layouts_and_labels_reach_the_corpus() {
    let folder = Folder::with_tokenizer();
    folder.write("poem.txt", "The boat.\nThe lamp.\n\nThe clock.\n");
    let count = |layout: &str| {
        let line = format!("data build --input poem.txt --layout {layout} --tokenizer tokenizer --out {layout}");
        let report = folder.run(&format!("{line} --format json")).succeeds().json();
        (report["documents"].as_u64().unwrap(), report["sentences"].as_u64().unwrap())
    };
    assert_eq!((count("lines"), count("blank-lines"), count("file")), ((1, 3), (2, 3), (1, 3)));

    let line =
        "data build --input reviews.csv --label-column label --group-column author --tokenizer tokenizer --out l";
    let report = folder.run(&format!("{line} --format json")).succeeds().json();
    assert_eq!(report["labels"], serde_json::json!(["bad", "good"]));
    let statistics = folder.run("data stats l --format json").succeeds().json();
    assert_eq!((&statistics["groups"], &statistics["duplicates"]), (&6.into(), &1.into()));
    assert_eq!(statistics["labels"][0], serde_json::json!({"label": "bad", "documents": 21}));
}

#[test]
fn statistics_have_counts_and_the_share_of_padding() {
    let folder = Folder::with_tokenizer();
    folder.run(BUILD).succeeds();
    let json = folder.run("data stats corpus --seq-length 32 --format json").succeeds().json();
    assert_eq!((&json["documents"], &json["sentences"]), (&12.into(), &48.into()));
    let padding = json["padding_share"].as_f64().unwrap();
    assert!((0.0..1.0).contains(&padding), "{padding}");
    let text = folder.run("data stats corpus").succeeds();
    for line in ["documents            12\n", "padding in batches", "tokens in a sentence"] {
        assert!(text.stdout.contains(line), "{}", text.stdout);
    }
}

#[test]
fn padding_that_cannot_be_measured_is_left_out_with_a_reason() {
    let folder = Folder::with_tokenizer();
    folder.write("one.txt", "The boat.");
    folder.run("data build --input one.txt --tokenizer tokenizer --out one").succeeds();
    let run = folder.run("data stats one --format json").succeeds();
    assert!(run.json()["padding_share"].is_null());
    assert!(run.stderr.starts_with("padding is not measured: "), "{run:?}");
}
