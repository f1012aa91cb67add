//! `burnformer data split`.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::Folder;

const PARTS: [&str; 3] = ["train", "validation", "test"];

/// The values of `field` in each part.
fn values(folder: &Folder, out: &str, field: &str) -> [Vec<String>; 3] {
    PARTS.map(|part| {
        let rows = folder.rows(&format!("{out}/{part}.jsonl"));
        rows.iter().map(|row| row[field].as_str().unwrap().to_owned()).collect()
    })
}

#[test]
fn every_text_is_in_one_part_and_labels_are_balanced() {
    let folder = Folder::with_text();
    let line = "data split --input reviews.csv --label-column label --by label --test 0.2 --out parts --format json";
    let report = folder.run(line).succeeds().json();
    let counts = |label: &str| PARTS.map(|part| report[part]["labels"][label].as_u64().unwrap());
    // 20 and 39 distinct texts; a tenth and a fifth of each, rounded.
    assert_eq!((counts("bad"), counts("good")), ([14, 2, 4], [27, 4, 8]));
    assert_eq!((&report["duplicates"], &report["skipped_rows"]), (&1.into(), &0.into()));

    let texts = values(&folder, "parts", "text").concat();
    let distinct: BTreeSet<_> = texts.iter().collect();
    assert_eq!((texts.len(), distinct.len()), (59, 59));
    let row = &folder.rows("parts/train.jsonl")[0];
    assert_eq!(row.as_object().unwrap().keys().collect::<Vec<_>>(), ["label", "text"]);
}

#[test]
fn a_class_whose_texts_have_another_label_too_does_not_vanish() {
    let folder = Folder::new();
    let rows = |label: &str| (0..60).map(|n| format!("kettle number {n},{label}\n")).collect::<String>();
    folder.write("conflict.csv", &format!("text,label\n{}{}", rows("x"), rows("y")));
    let run =
        folder.run("data split --input conflict.csv --label-column label --by label --out p --format json").succeeds();
    let report = run.json();
    for part in PARTS {
        assert_eq!(report[part]["labels"]["x"], report[part]["labels"]["y"], "{report}");
    }
    assert_eq!((&report["train"]["labels"]["y"], &report["duplicates"]), (&48.into(), &0.into()));
    assert_eq!(report["conflicts"]["labels"], serde_json::json!([{"labels": ["x", "y"], "texts": 60}]));
    for said in ["warning: texts with different labels: 60", "`x` and `y`: 60 texts", "`kettle number 0`"] {
        assert!(run.stderr.contains(said), "{}", run.stderr);
    }
}

#[test]
fn groups_stay_together() {
    let folder = Folder::with_text();
    let line =
        "data split --input reviews.csv --group-column author --by group --validation 0.2 --test 0.2 --out parts";
    folder.run(line).succeeds();
    let groups = values(&folder, "parts", "group").map(|groups| groups.into_iter().collect::<BTreeSet<_>>());
    // Six authors; were one of them in two parts, there would be more.
    assert_eq!(groups.iter().map(BTreeSet::len).sum::<usize>(), 6);
    assert!(groups.iter().all(|groups| !groups.is_empty()));
}

#[test]
fn the_seed_decides_and_nothing_else() {
    let folder = Folder::with_text();
    for (out, seed) in [("a", 1), ("b", 1), ("c", 2)] {
        folder.run(&format!("data split --input reviews.csv --seed {seed} --out {out}")).succeeds();
    }
    assert_eq!(values(&folder, "a", "text"), values(&folder, "b", "text"));
    assert_ne!(values(&folder, "a", "text"), values(&folder, "c", "text"));
}

#[test]
fn a_part_without_a_share_is_not_written() {
    let folder = Folder::with_text();
    let run = folder.run("data split --input reviews.csv --test 0 --out parts").succeeds();
    assert!(folder.path("parts/train.jsonl").exists() && !folder.path("parts/test.jsonl").exists());
    assert!(run.stdout.contains("duplicates removed              1\n"), "{}", run.stdout);
}

#[test]
fn a_label_and_a_pair_come_back_from_what_is_written() {
    let folder = Folder::with_tokenizer();
    folder.write("pairs.tsv", &format!("text\tpair\tlabel\n{}", "the \"boat\"\tthe lamp\tyes\na\tb\tno\nc\td\tyes\n"));
    folder
        .run("data split --input pairs.tsv --pair-column pair --label-column label --validation 0 --test 0 --out p")
        .succeeds();
    let first = serde_json::json!({"text": "the \"boat\"", "pair": "the lamp", "label": "yes"});
    assert_eq!(folder.rows("p/train.jsonl")[0], first);
    let line = "data build --input p/train.jsonl --pair-column pair --label-column label --tokenizer tokenizer --out c";
    assert_eq!(folder.run(&format!("{line} --format json")).succeeds().json()["documents"], 3);
}

#[test]
fn pieces_of_a_long_document_stay_together() {
    let folder = Folder::new();
    // Pieces end at a mebibyte, and these documents have two. All first pieces are equal.
    let (line, mebibyte) = (format!("{}\n", "the boat ".repeat(100)), 1 << 20);
    let shared = line.repeat(mebibyte / line.len() + 1);
    for name in ["a", "b", "c", "d"] {
        folder.write(&format!("{name}.txt"), &format!("{shared}{name}\n"));
    }
    folder.write("e.txt", &folder.read("a.txt"));
    let report = folder
        .run("data split --input a.txt b.txt c.txt d.txt e.txt --validation 0.25 --test 0.25 --out parts --format json")
        .succeeds()
        .json();
    assert_eq!(PARTS.map(|part| report[part]["documents"].as_u64().unwrap()), [2, 1, 1]);
    assert_eq!(report["duplicates"], 1);
    let pieces: Vec<Vec<Value>> = PARTS.map(|part| folder.rows(&format!("parts/{part}.jsonl"))).into();
    assert_eq!(pieces.iter().map(Vec::len).collect::<Vec<_>>(), [4, 2, 2]);
    for documents in pieces.iter().flat_map(|pieces| pieces.chunks(2)) {
        assert_eq!(
            (documents[0]["text"].as_str().unwrap().len() > mebibyte, documents[1]["text"].as_str().unwrap().len()),
            (true, 1)
        );
    }
}
