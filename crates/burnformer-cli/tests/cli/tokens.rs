//! Token classification: `finetune --task token-classification`, `predict` and `evaluate` on its models.

use serde_json::Value;

use crate::support::{DEVICE, Folder};

/// Words with tags: the master of the harbour is a person, and the pier a place.
pub(crate) fn conll(sentences: std::ops::Range<usize>) -> String {
    let sentence = |n: usize| {
        let thing = ["boat", "lamp", "kettle", "clock"][n % 4];
        let end = match n % 3 {
            0 => "past O\nthe O\npier B-LOC\n",
            1 => "by O\nthe O\nharbour B-PER\nmaster I-PER\n",
            _ => "in O\nthe O\nkitchen O\n",
        };
        format!("The O\nold O\n{thing} O\ndrifted O\n{end}. O\n\n")
    };
    sentences.map(sentence).collect()
}

const FINETUNE: &str = "finetune --task token-classification --model runs/mini --set train.micro_batch_size=8";

/// A folder with a model `runs/ner` and what was reported of it in `ner.json` and `ner.log`.
fn trained() -> Folder {
    let folder = Folder::with_models();
    folder.write("train.conll", &(conll(0..48) + "by O\nthe O\nharbour I-PER\nmaster I-PER\n"));
    folder.write("dev.conll", &conll(48..60));
    // A tag that continues nothing, and a sentence that is too long.
    folder.write("test.conll", &(conll(60..66) + "a I-PER\n\n" + &"pier B-LOC\n".repeat(40)));
    let line = format!(
        "{FINETUNE} --train train.conll --validation dev.conll --test test.conll --scheme iob1 --epochs 40 --learning-rate 0.01 \
         --max-seq-length 24 --out runs/ner --format json {DEVICE}"
    );
    let run = folder.run(&line).succeeds();
    folder.write("ner.json", &run.stdout);
    folder.write("ner.log", &run.stderr);
    folder
}

#[test]
fn entities_are_learned_marked_and_measured() {
    let folder = trained();
    let (report, log) = (folder.json("ner.json"), folder.read("ner.log"));
    let test = &report["test"];
    assert_eq!((&report["training_texts"], &test["sentences"]), (&49.into(), &8.into()));
    assert_eq!((&test["invalid_tags"], &report["validation"]["invalid_tags"]), (&0.into(), &0.into()));
    let cut_off = test["words_cut_off"].as_u64().unwrap();
    assert!((18..40).contains(&cut_off), "{test}");
    assert_eq!(report["validation"]["f1"], 1.0, "{report}");
    assert_eq!(test["entities"][1]["label"], "PER");
    assert!(log.contains("new beginnings       1 (`I-` of the scheme `iob1`"), "{log}");
    assert!(log.contains("token_classifier.weight, token_classifier.bias"), "{log}");

    let config = folder.json("runs/ner/config.json");
    assert_eq!(config["architectures"][0], "BertForTokenClassification");
    assert_eq!(config["id2label"]["0"], "O");
    let settings = folder.read("runs/ner/run.toml");
    assert!(settings.starts_with("task = \"token-classification\"\n"), "{settings}");
    assert!(settings.contains("[token_classification]\nscheme = \"iob1\"\nlabel_all_tokens = false\n"), "{settings}");
    assert!(!folder.read("runs/intents/run.toml").contains("task"));
    let card = folder.read("runs/ner/README.md");
    for part in ["pipeline_tag: token-classification\n", "| tags | O, B-LOC, B-PER, I-PER |", "| test entity F1 | "] {
        assert!(card.contains(part), "{part} in {card}");
    }

    // What is measured afterwards is what was reported.
    let found = folder.run(&format!("evaluate runs/ner --input test.conll --format json {DEVICE}")).succeeds().json();
    for (name, value) in test.as_object().unwrap() {
        match (value, &found[name]) {
            (Value::Number(value), Value::Number(found)) => {
                let difference = value.as_f64().unwrap() - found.as_f64().unwrap();
                assert!(difference.abs() < 1e-5, "{name}: {value}, {found}");
            }
            (value, found) => assert_eq!(value, found, "{name}"),
        }
    }
    let drawn = folder.run(&format!("evaluate runs/ner --input test.conll --pictures none {DEVICE}")).succeeds();
    assert!(drawn.stderr.contains("there are no pictures of these scores"), "{drawn:?}");
    assert!(!folder.path("none").exists());
    // The same sentences as lists of words and tags.
    folder.write("test.jsonl", &lists(&folder.read("test.conll")));
    let line = "evaluate runs/ner --input test.jsonl --text-column words --label-column tags";
    let listed = folder.run(&format!("{line} --format json {DEVICE}")).succeeds().json();
    for name in test.as_object().unwrap().keys() {
        assert_eq!(listed[name], found[name], "{name}");
    }
    let text = folder.run(&format!("evaluate runs/ner --input test.conll {DEVICE}")).succeeds().stdout;
    for part in ["entity F1            ", "words cut off        ", "\nentity  precision  recall      f1  support\nLOC "]
    {
        assert!(text.contains(part), "{part} in {text}");
    }

    marks_characters(&folder);
    goes_on(&folder);
}

/// Sentences of CoNLL columns as JSON lines of lists.
fn lists(conll: &str) -> String {
    let sentence = |rows: &str| {
        let (words, tags): (Vec<&str>, Vec<&str>) = rows.lines().filter_map(|row| row.split_once(' ')).unzip();
        format!("{}\n", serde_json::json!({ "words": words, "tags": tags }))
    };
    conll.trim_end().split("\n\n").map(sentence).collect()
}

/// Characters are counted as people do, whatever their bytes.
fn marks_characters(folder: &Folder) {
    let line = format!("predict runs/ner {DEVICE}");
    let texts = "The old \u{1f600} drifted past the p\u{00ef}er .\nIn the kitchen .\nThe old lamp drifted by the HARBOUR  master .\n";
    let lines = folder.run_on(&line, texts.as_bytes()).succeeds().stdout;
    let rows: Vec<Vec<&str>> = lines.lines().map(|line| line.split('\t').collect()).collect();
    let found: Vec<_> = rows.iter().map(|row| (row[0], row[1], row[2], row[3], row[5])).collect();
    assert_eq!(found, [("1", "27", "31", "LOC", "p\u{00ef}er"), ("3", "28", "43", "PER", "HARBOUR  master")]);
    assert!(rows.iter().all(|row| (0.25..=1.0).contains(&row[4].parse::<f64>().unwrap())), "{lines}");

    let json = folder.run_on(&format!("{line} --format json"), texts.as_bytes()).succeeds().stdout;
    let rows: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((rows.len(), &rows[1]["entities"]), (3, &serde_json::json!([])));
    assert_eq!(rows.iter().map(|row| row["row"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!((&rows[0]["entities"][0]["start"], &rows[0]["words_cut_off"]), (&27.into(), &0.into()));
    let long = folder.run_with(&line, &"the old pier ".repeat(20)).succeeds();
    assert!(
        long.stderr.contains("1 text is longer than 24 tokens, which is all the model takes: cut off behind\n"),
        "{long:?}"
    );
}

fn goes_on(folder: &Folder) {
    let steps = folder.json("ner.json")["steps"].as_u64().unwrap() + 1;
    let line = format!("finetune --out runs/ner --resume --steps {steps} --format json {DEVICE}");
    let report = folder.run(&line).succeeds().json();
    assert_eq!((&report["steps"], report["validation"]["entities"].is_array()), (&steps.into(), true));
}

#[test]
fn what_does_not_fit_the_task_is_refused() {
    let folder = Folder::with_models();
    folder.write("train.conll", &conll(0..12));
    let fails = |line: &str, said: &[&str]| folder.run(&format!("{line} --out new {DEVICE}")).fails_with(said);
    fails(&format!("{FINETUNE} --train train.conll --label-column 7"), &["has 2 columns, expected at least 7"]);
    fails(
        &format!("{FINETUNE} --train train.conll --label-column tag"),
        &["`--label-column` is `tag`, expected the number"],
    );
    let csv = format!("{FINETUNE} --train train.csv --label-column category");
    fails(&csv, &["token classification needs words with tags", "`--input-format conll`"]);
    let text = "finetune --model runs/mini --train train.conll";
    fails(text, &["text classification needs labelled texts", "--task token-classification"]);
    let baseline = format!("{FINETUNE} --train train.conll --test train.conll --baseline");
    fails(&baseline, &["`--baseline` cannot be used for token classification"]);
    let limited = format!("{FINETUNE} --train train.conll --max-per-class 3");
    fails(&limited, &["`--max-per-class` cannot be used for token classification"]);
    let set = format!("{FINETUNE} --train train.conll --set task=text-classification");
    fails(&set, &["`task` is text-classification, expected token-classification"]);
    let predict = folder.run(&format!("evaluate runs/intents --input train.conll {DEVICE}"));
    predict.fails_with(&["has no class"]);
}

const BROKEN: &str = "Anna B-PER\nRoe I-PER\n\nby O\nharbour I-PER\n\nin O\nParis B-LOC\n\n";

#[test]
fn a_sentence_that_breaks_its_scheme_is_told_skipped_or_read_as_asked() {
    let folder = Folder::with_models();
    folder.write("train.conll", &BROKEN.repeat(4));
    let line = format!("{FINETUNE} --train train.conll --validation train.conll --steps 1 {DEVICE}");
    let said = [
        "the sentence in line 4 of `train.conll` breaks the scheme `bio`: word 2, `harbour`, has the tag `I-PER` behind `O`",
        "`--scheme iob1`",
        "`--on-bad-row skip`",
    ];
    folder.run(&format!("{line} --out new")).fails_with(&said);
    let skipped = folder.run(&format!("{line} --on-bad-row skip --out skipped --format json")).succeeds();
    assert_eq!(skipped.json()["training_texts"], 8);
    assert!(skipped.stderr.contains("skipped rows: 4; the first errors:"), "{skipped:?}");
    let read = folder.run(&format!("{line} --scheme iob1 --label-all-tokens --out read --format json")).succeeds();
    assert_eq!(read.json()["training_texts"], 12);
    assert!(read.stderr.contains("new beginnings       4"), "{read:?}");
    // Sentences that a model is measured on are counted.
    let measured = folder.run(&format!("evaluate skipped --input train.conll --format json {DEVICE}")).succeeds();
    assert_eq!((&measured.json()["sentences"], &measured.json()["invalid_tags"]), (&12.into(), &4.into()));
    assert!(measured.json()["strict"]["f1"].is_number(), "{measured:?}");
    let other =
        format!("finetune --model runs/mini --train train.csv --label-column category --scheme bio --out new {DEVICE}");
    folder.run(&other).fails_with(&["`--scheme` cannot be used for text classification", "leave out `--scheme`"]);
}

#[test]
fn parts_of_speech_and_spans_are_tags_too() {
    let folder = Folder::with_models();
    let sentence = |n: usize| {
        format!("1\tThe\t_\tDET\t_\t_\t0\t_\t_\t_\n2\t{}\t_\tNOUN\t_\t_\t0\t_\t_\t_\n\n", ["boat", "lamp"][n % 2])
    };
    folder.write("train.conllu", &(0..20).map(sentence).collect::<String>());
    let line = format!(
        "{FINETUNE} --train train.conllu --input-format conll --text-column 2 --label-column 4 --validation train.conllu \
         --epochs 10 --learning-rate 0.01 --out runs/pos {DEVICE}"
    );
    let text = folder.run(&line).succeeds().stdout;
    assert!(text.contains("\ntag   precision  recall      f1  support\nDET "), "{text}");
    assert!(!text.contains("entity"), "{text}");
    let marked = folder.run_with(&format!("predict runs/pos --format json {DEVICE}"), "The lamp").succeeds().json();
    let words: Vec<_> = marked["entities"].as_array().unwrap().iter().map(|it| it["text"].as_str().unwrap()).collect();
    assert_eq!(words, ["The", "lamp"]);

    let spans = "{\"text\": \"the old pier\", \"entities\": [[8, 12, \"LOC\"]]}\n{\"text\": \"the old lamp\", \"entities\": []}\n";
    folder.write("train.jsonl", &spans.repeat(5));
    let line = format!("{FINETUNE} --train train.jsonl --label-column entities --validation train.jsonl --steps 1");
    let report = folder.run(&format!("{line} --out runs/spans --format json {DEVICE}")).succeeds().json();
    assert_eq!((&report["validation"]["sentences"], &report["validation"]["words"]), (&10.into(), &30.into()));
    folder.write("bad.jsonl", "{\"text\": \"the pier\", \"entities\": [[4, 12, \"LOC\"]]}\n");
    let line = format!("{FINETUNE} --train bad.jsonl --label-column entities --out new {DEVICE}");
    folder
        .run(&line)
        .fails_with(&["`entities.0` in line 1 of `bad.jsonl` is the span from character 4 to 12 of a text with 8"]);
}

#[test]
fn one_sentence_is_too_little_for_two_parts() {
    let folder = Folder::with_models();
    folder.write("one.conll", "The O\nboat B-THING\n");
    let line =
        "finetune --task token-classification --model runs/mini --input-format conll --train one.conll --out new";
    let said =
        ["nothing is left for validation, because there are too few different rows", "hint: name validation data"];
    folder.run(&format!("{line} {DEVICE}")).fails_with(&said);
}
