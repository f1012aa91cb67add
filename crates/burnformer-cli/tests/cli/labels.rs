//! Texts with several labels and with scores: `finetune`, `predict` and `evaluate`; and what balances classes.

use serde_json::{Value, json};

use crate::support::{DEVICE, Folder, table};

const FINETUNE: &str = "finetune --model runs/mini --set train.micro_batch_size=8 --max-seq-length 16 --seed 7";

/// Texts about things, each with the things as labels; every fifth has none.
fn things(rows: std::ops::Range<usize>) -> Vec<(String, Vec<&'static str>)> {
    let text = |n: usize| {
        let labels: Vec<&str> = match n % 5 {
            0 => vec![],
            1 => vec!["kettle"],
            2 => vec!["boat"],
            _ => vec!["boat", "kettle"],
        };
        let named = if labels.is_empty() { "nothing".to_owned() } else { labels.join(" and the ") };
        (format!("In the harbour number {n} was the {named}."), labels)
    };
    rows.map(text).collect()
}

fn lists(rows: std::ops::Range<usize>) -> String {
    things(rows).iter().map(|(text, labels)| format!("{}\n", json!({ "text": text, "labels": labels }))).collect()
}

fn learns(flags: &str) -> String {
    format!("{FINETUNE} --epochs 30 --learning-rate 0.01 {flags} {DEVICE} --format json")
}

#[test]
fn several_labels_of_a_text_are_learned_predicted_and_measured() {
    let folder = Folder::with_models();
    folder.write("train.jsonl", &lists(0..60));
    folder.write("test.jsonl", &lists(60..80));
    let task = "--task multi-label-classification --train train.jsonl --label-column labels";
    let report = folder.run(&learns(&format!("{task} --test test.jsonl --out runs/things"))).succeeds().json();
    assert_eq!((&report["test"]["texts"], &report["test"]["labels"][0]["label"]), (&20.into(), &"boat".into()));
    assert!(report["test"]["micro"]["f1"].as_f64().unwrap() > 0.8, "{report}");
    let config = folder.json("runs/things/config.json");
    assert_eq!(config["problem_type"], "multi_label_classification");
    assert!(folder.read("runs/things/README.md").contains("| labels | boat, kettle |"));

    let evaluate = |flags: &str| folder.run(&format!("evaluate runs/things {flags} {DEVICE}")).succeeds().stdout;
    let found: Value =
        serde_json::from_str(&evaluate("--input test.jsonl --label-column labels --format json")).unwrap();
    assert_eq!(found["micro"], report["test"]["micro"]);
    // The same labels in cells, and in columns.
    let rows = things(60..80);
    let cells: String = rows.iter().map(|(text, labels)| format!("{text}\t{}\n", labels.join("; "))).collect();
    folder.write("cells.tsv", &format!("text\tlabels\n{cells}"));
    let flag = |labels: &[&str], label: &str| u8::from(labels.contains(&label));
    let columns: String =
        rows.iter().map(|(text, it)| format!("{text},{},{}\n", flag(it, "boat"), flag(it, "kettle"))).collect();
    folder.write("columns.csv", &format!("text,boat,kettle\n{columns}"));
    let lines = [
        "--input cells.tsv --label-column labels --label-separator ;",
        "--input columns.csv --label-columns boat,kettle",
    ];
    for line in lines {
        let other: Value = serde_json::from_str(&evaluate(&format!("{line} --format json"))).unwrap();
        assert_eq!((&other["micro"], &other["labels"]), (&found["micro"], &found["labels"]), "{line}");
    }
    let text = evaluate("--input test.jsonl --label-column labels");
    for part in ["subset accuracy ", "\nlabel   precision  recall      f1  support\nboat "] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let predicted =
        folder.run_with(&format!("predict runs/things --format json {DEVICE}"), &rows[3].0).succeeds().json();
    let mut labels: Vec<&str> = predicted["labels"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    labels.sort_unstable();
    assert_eq!(labels, ["boat", "kettle"]);
    // By default the threshold is that of the run.
    let settings = folder.read("runs/things/run.toml");
    let (rest, own) = settings.split_once("[multi_label]\n").unwrap();
    let stricter = own.replacen("threshold = 0.5", "threshold = 1.0", 1);
    folder.write("runs/things/run.toml", &format!("{rest}[multi_label]\n{stricter}"));
    let predict = |flags: &str| folder.run(&format!("predict runs/things Kettle {flags} {DEVICE}")).succeeds().stdout;
    assert_eq!(predict(""), "\t\tKettle\n");
    assert!(predict("--threshold 0").contains("boat"));
    folder.write("runs/things/run.toml", &settings);

    let fails = |line: &str, said: &[&str]| folder.run(&format!("{line} {DEVICE}")).fails_with(said);
    let said = ["has the unknown class `lamp`, known are `boat`, `kettle`"];
    folder.write("lamp.jsonl", "{\"text\": \"a\", \"labels\": [\"lamp\"]}\n");
    fails("evaluate runs/things --input lamp.jsonl --label-column labels", &said);
    fails(
        "evaluate runs/things --input columns.csv --label-columns boat",
        &["lack the label `kettle`", "`--label-columns`"],
    );
    let new = format!("{FINETUNE} --out new");
    fails(
        &format!("{new} --train cells.tsv --label-column labels --task multi-label-classification"),
        &["has an empty `labels`"],
    );
    folder.write("one.csv", &table(0..12, "category"));
    fails(
        &format!("{new} --train one.csv --label-column category --task multi-label-classification"),
        &["every text has one label", "`--label-separator`"],
    );
    fails(
        &format!("{new} --train train.jsonl --label-column labels"),
        &["has a list of labels, expected one class", "`--task multi-label-classification`"],
    );
    fails(
        &format!("{new} {task} --class-weights balanced"),
        &["`--class-weights` cannot be used for multi-label classification"],
    );
    let set = format!("{new} {task} --set multi_label.threshold=2");
    fails(&set, &["`multi_label.threshold` is 2, expected a value in [0, 1]"]);
}

/// Pairs of texts with a score, which the thing in the second text decides on.
fn scored(rows: std::ops::Range<usize>) -> String {
    let row = |n: usize| {
        let things = ["boat", "lamp", "kettle"];
        let (first, second) = (things[n % 3], things[n / 3 % 3]);
        let score = ["0.0", "0.5", "1.0"][n / 3 % 3];
        format!("The old {first}.\tThe {second} of the harbour.\t{score}\n")
    };
    format!("first\tsecond\tscore\n{}", rows.map(row).collect::<String>())
}

#[test]
fn scores_are_learned_predicted_and_measured() {
    let folder = Folder::with_models();
    folder.write("train.tsv", &scored(0..45));
    let columns = "--text-column first --pair-column second --label-column score";
    for (task, out, problem) in [("regression", "score", json!("regression")), ("text-ranking", "rank", Value::Null)] {
        let line =
            learns(&format!("--task {task} --train train.tsv --validation train.tsv {columns} --out runs/{out}"));
        let report = folder.run(&line).succeeds().json();
        let scores = &report["validation"];
        assert_eq!(scores["texts"], 45);
        assert!(scores["pearson"].as_f64().unwrap() > 0.5, "{task}: {report}");
        assert_eq!(scores["ranking"]["queries"].as_u64(), (task == "text-ranking").then_some(3));
        let config = folder.json(&format!("runs/{out}/config.json"));
        assert_eq!((&config["problem_type"], &config["id2label"]), (&problem, &json!({ "0": "LABEL_0" })));
        let evaluated = format!("evaluate runs/{out} --input train.tsv {columns} --format json {DEVICE}");
        let found = folder.run(&evaluated).succeeds().json();
        let difference = found["pearson"].as_f64().unwrap() - scores["pearson"].as_f64().unwrap();
        assert!(difference.abs() < 1e-4, "{task}: {found}");
        let text = folder.run(&format!("evaluate runs/{out} --input train.tsv {columns} {DEVICE}")).succeeds().stdout;
        assert!(text.contains("Spearman             "), "{text}");
        let predict = format!("predict runs/{out} --input train.tsv {columns} --format json {DEVICE}");
        let lines = folder.run(&predict).succeeds().stdout;
        let score = |line: &str| serde_json::from_str::<Value>(line).unwrap()["score"].as_f64().unwrap();
        assert_eq!(lines.lines().map(score).filter(|score| score.is_finite()).count(), 45);
        // It goes on, with the same metrics.
        let steps = report["steps"].as_u64().unwrap() + 1;
        let line = format!("finetune --out runs/{out} --resume --steps {steps} --format json {DEVICE}");
        assert_eq!(folder.run(&line).succeeds().json()["steps"], steps);
    }
    let ranked = folder.run_on(&format!("rank runs/rank The {DEVICE}"), b"The boat.\nThe lamp.\n").succeeds().stdout;
    assert_eq!(ranked.lines().count(), 2);

    let fails =
        |line: &str, said: &[&str]| folder.run(&format!("{FINETUNE} {line} --out new {DEVICE}")).fails_with(said);
    let said = ["text ranking needs pairs of texts, found no second text", "`--pair-column`"];
    let alone = "train.tsv --text-column first --label-column score";
    fails(&format!("--task text-ranking --train {alone}"), &said);
    folder.run(&format!("evaluate runs/rank --input {alone} {DEVICE}")).fails_with(&said);
    folder.write("bad.csv", "text,score\na,0.5\nb,high\nc,2\n");
    let bad = "--train bad.csv --label-column score";
    fails(
        &format!("--task regression {bad}"),
        &["line 3 of `bad.csv` has the score `high`, expected a finite number", "`--on-bad-row skip`"],
    );
    fails(
        &format!("--task text-ranking {bad} --on-bad-row skip"),
        &["skipped rows: 2", "every text has the score `0.5`"],
    );
    folder.write("large.csv", "text,score\na,0.5\nc,2\n");
    fails(
        "--task text-ranking --train large.csv --label-column score",
        &["line 3 of `large.csv` has the score `2`, expected a number from 0 to 1", "`--task regression`"],
    );
    folder.write("same.csv", "text,score\na,1\nb,1.0\n");
    fails("--task regression --train same.csv --label-column score", &["every text has the score `1`"]);
}

#[test]
fn texts_out_of_scope_are_told_apart_by_the_probability_of_the_answer() {
    let folder = Folder::with_models();
    let outside: String = (0..6).map(|n| format!("Boat {n} left the pier.,none\n")).collect();
    folder.write("train.csv", &(table(0..48, "category") + &outside));
    folder.write("test.csv", &(table(48..60, "category") + &outside));
    let data = "--train train.csv --test test.csv --label-column category --out-of-scope none";
    let report = folder.run(&learns(&format!("{data} --out runs/scope"))).succeeds().json();
    let (test, labels) = (&report["test"], json!(["bad", "good"]));
    assert_eq!((&test["labels"], &test["texts"], &test["out_of_scope"]["texts"]), (&labels, &12.into(), &6.into()));
    let auroc = test["out_of_scope"]["auroc"].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&auroc), "{report}");
    assert_eq!(report["validation"].get("out_of_scope"), None);
    // The run knows the class when its model is evaluated.
    let evaluate = format!("evaluate runs/scope --input test.csv --label-column category {DEVICE}");
    assert!(folder.run(&evaluate).succeeds().stdout.contains("out-of-scope AUROC   "));
    let run = folder.run(&format!("{evaluate} --format json")).succeeds().json();
    assert!((run["out_of_scope"]["auroc"].as_f64().unwrap() - auroc).abs() < 1e-9);
}

#[test]
fn runs_of_all_tasks_and_techniques_go_on_from_a_checkpoint_to_the_same_bits() {
    let folder = Folder::with_models();
    folder.write("lists.jsonl", &lists(0..48));
    folder.write("scores.tsv", &scored(0..48));
    let scores = "--train scores.tsv --text-column first --pair-column second --label-column score";
    let classes = "--train train.csv --label-column category";
    for (out, line) in [
        ("labels", "--task multi-label-classification --train lists.jsonl --label-column labels".to_owned()),
        ("score", format!("--task regression {scores}")),
        ("rank", format!("--task text-ranking {scores}")),
        ("weights", format!("{classes} --class-weights balanced --label-smoothing 0.1")),
        ("drop", format!("{classes} --balanced-sampling --r-drop 1")),
    ] {
        let every = "--steps 6 --set train.checkpoint_every=3 --set train.keep_checkpoints=5";
        folder.run(&format!("{FINETUNE} {line} {every} --out runs/{out} {DEVICE}")).succeeds();
        let files = ["model.safetensors", "config.json", "metrics.jsonl"].map(|name| format!("runs/{out}/{name}"));
        let content = || files.clone().map(|name| std::fs::read(folder.path(&name)).unwrap());
        let expected = content();
        std::fs::remove_dir_all(folder.path(&format!("runs/{out}/checkpoints/step-6"))).unwrap();
        folder.run(&format!("finetune --out runs/{out} --resume {DEVICE}")).succeeds();
        let [model, config, metrics] = content();
        assert!(model == expected[0] && config == expected[1], "{out}");
        let losses = |text: &[u8]| -> Vec<Value> {
            let lines = std::str::from_utf8(text).unwrap().lines().map(|line| serde_json::from_str(line).unwrap());
            lines.map(|line: Value| line["loss"].clone()).collect()
        };
        assert_eq!(losses(&metrics), losses(&expected[2]), "{out}");
    }
}

#[test]
fn rare_classes_count_as_much_as_frequent_ones_if_asked() {
    let folder = Folder::with_models();
    // One in eight.
    let row = |n: usize| {
        let (label, text) = if n.is_multiple_of(8) { ("bad", "leaks") } else { ("good", "holds water") };
        format!("Kettle number {n} {text}.,{label}\n")
    };
    folder.write("rare.csv", &format!("text,category\n{}", (0..64).map(row).collect::<String>()));
    let run = |flags: &str, out: &str| {
        let line = learns(&format!("--train rare.csv --label-column category {flags} --out runs/{out}"));
        folder.run(&line).succeeds().json();
        folder.rows(&format!("runs/{out}/metrics.jsonl"))
    };
    let plain = run("", "plain");
    let first = |metrics: &[Value]| metrics[0].clone();
    for (flags, name) in [
        ("--class-weights balanced", "weighted"),
        ("--class-weights bad=7", "named"),
        ("--balanced-sampling", "sampled"),
        ("--label-smoothing 0.2", "smoothed"),
        ("--r-drop 1", "dropped"),
    ] {
        let metrics = run(flags, name);
        assert_ne!(metrics.last(), plain.last(), "{flags} changes nothing");
        // The same again, and the same when it is interrupted.
        assert_eq!(first(&run(flags, &format!("{name}-again")))["loss"], first(&metrics)["loss"], "{flags}");
    }
    let fails = |line: &str, said: &[&str]| {
        let line = format!("{FINETUNE} --train rare.csv --label-column category {line} --out new {DEVICE}");
        folder.run(&line).fails_with(said);
    };
    fails(
        "--class-weights ugly=2",
        &["`classification.class_weights` names the class `ugly`, which no text has: the classes are bad, good"],
    );
    fails("--class-weights bad", &["expected `balanced`, or weights such as `spam=5,ham=1`"]);
    fails("--class-weights bad=2,bad=3", &["the class `bad` has several weights, expected one"]);
    fails("--out-of-scope zz", &["`classification.out_of_scope` names the class `zz`", "the classes are bad, good"]);
    fails("--label-smoothing 1", &["`classification.label_smoothing` is 1, expected a value in [0, 1)"]);
    fails("--r-drop -1", &["`classification.r_drop` is -1, expected a finite number of at least 0"]);
    fails("--threshold 0.5", &["`--threshold` cannot be used for text classification"]);
}

#[test]
fn a_blank_cell_of_labels_asks_for_their_separator() {
    let folder = Folder::with_models();
    folder.write("train.csv", "text,labels\nthe boat,boat;pier\nnothing,\nthe pier,pier\n");
    let task = "--task multi-label-classification --label-column labels";
    let said = ["has an empty `labels`", "hint: set `--label-separator`, "];
    folder.run(&format!("{FINETUNE} {task} --train train.csv --out runs/a {DEVICE}")).fails_with(&said);
    let line = format!(
        "{task} --train train.csv --validation train.csv --label-separator ; --steps 1 --out runs/a \
                        --set train.micro_batch_size=2"
    );
    folder.run(&format!("{FINETUNE} {line} {DEVICE}")).succeeds();
    folder.write("blank.csv", "text,labels\nnothing,\nthe pier,pier\n");
    let evaluate = format!("evaluate runs/a --input blank.csv --label-column labels {DEVICE}");
    folder.run(&evaluate).fails_with(&said);
    folder.run(&format!("{evaluate} --label-separator ;")).succeeds();
}
