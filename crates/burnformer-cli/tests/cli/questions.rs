//! Question answering: `finetune --task question-answering`, `predict` and `evaluate` on its models.

use std::fs;

use serde_json::{Value, json};

use crate::support::{DEVICE, Folder};

/// What drifted, and past what; every fourth question has no answer. Every fifth context is longer than a window.
fn question(n: usize) -> Value {
    let thing = ["boat", "lamp", "kettle", "clock"][n / 3 % 4];
    let place = ["pier", "harbour", "kitchen"][n % 3];
    let tail = if n.is_multiple_of(5) { " The old master of it was by the pier .".repeat(3) } else { String::new() };
    let context = format!("The old {thing} drifted past the {place} .{tail}");
    let start = |answer: &str| context.find(&format!("{answer} ")).unwrap();
    let (question, answers) = match n % 4 {
        0 => ("What drifted?", json!([{ "text": thing, "answer_start": start(thing) }])),
        1 | 2 => (
            "Past the ?",
            json!([{ "text": place, "answer_start": start(place) }, { "text": place, "answer_start": start(place) }]),
        ),
        _ => ("in by of ?", json!([])),
    };
    json!({ "context": context, "qas": [{ "id": format!("q{n}"), "question": question, "answers": answers }] })
}

pub(crate) fn squad(questions: std::ops::Range<usize>) -> String {
    let paragraphs: Vec<Value> = questions.map(question).collect();
    json!({ "version": "v2.0", "data": [{ "title": "harbour", "paragraphs": paragraphs }] }).to_string()
}

const FINETUNE: &str = "finetune --task question-answering --model runs/mini --set train.micro_batch_size=8 --max-seq-length 24 \
                        --set question_answering.stride=6";

#[test]
fn answers_are_learned_found_and_measured() {
    let folder = Folder::with_models();
    folder.write("train.json", &squad(0..48));
    folder.write("dev.json", &squad(48..72));
    let line = format!(
        "{FINETUNE} --train train.json --validation dev.json --test dev.json --epochs 30 --learning-rate 0.01 --out runs/qa \
         --format json {DEVICE}"
    );
    let run = folder.run(&line).succeeds();
    let (report, log) = (run.json(), &run.stderr);
    let test = &report["test"];
    assert_eq!((&test["questions"], &test["unanswerable"]), (&24.into(), &6.into()));
    assert!(test["windows"].as_u64().unwrap() > 24, "{test}");
    let data = folder.json("runs/qa/data_report.json");
    assert_eq!((&data["training"]["rows"], &data["training"]["counts"]["without an answer"]), (&48.into(), &12.into()));
    assert!(test["f1"].as_f64().unwrap() > 0.7 && test["by_kind"]["threshold"] == 0.0, "{report}");
    assert!(log.contains("qa_outputs.weight, qa_outputs.bias"), "{log}");
    let config = folder.json("runs/qa/config.json");
    assert_eq!((&config["architectures"][0], config.get("id2label")), (&"BertForQuestionAnswering".into(), None));
    let settings = folder.read("runs/qa/run.toml");
    assert!(settings.contains("no_answers = true") && settings.contains("stride = 6"), "{settings}");
    assert!(!folder.read("runs/intents/run.toml").contains("question_answering"));
    let card = folder.read("runs/qa/README.md");
    for part in ["pipeline_tag: question-answering\n", "| test F1 | ", "--context 'A text.'"] {
        assert!(card.contains(part), "{part} in {card}");
    }

    is_measured_as_reported(&folder, test);
    finds_answers(&folder);
    refuses(&folder);
}

fn is_measured_as_reported(folder: &Folder, test: &Value) {
    let line = format!("evaluate runs/qa --input dev.json --predictions answers.json --format json {DEVICE}");
    let found = folder.run(&line).succeeds().json();
    for name in ["exact_match", "f1", "loss"] {
        let difference = test[name].as_f64().unwrap() - found[name].as_f64().unwrap();
        assert!(difference.abs() < 1e-5, "{name}: {test}, {found}");
    }
    let (answers, differences) = (folder.json("answers.json"), folder.json("answers.no_answer.json"));
    assert_eq!((answers.as_object().unwrap().len(), differences.as_object().unwrap().len()), (24, 24));
    let right = (48..72).filter(|&n| {
        let question = &question(n)["qas"][0];
        let expected = question["answers"].get(0).map_or("", |answer| answer["text"].as_str().unwrap());
        answers[question["id"].as_str().unwrap()] == expected
    });
    assert!((right.count() as f64 / 24.0 - found["exact_match"].as_f64().unwrap()).abs() < 1e-9);
    // The same questions in columns of other names.
    let rows = (48..72).map(|n| {
        let paragraph = question(n);
        let (context, question) = (&paragraph["context"], &paragraph["qas"][0]);
        let row = json!({ "text": context, "ask": question["question"], "answers": question["answers"], "id": n });
        row.to_string().replace("\"answers\":[]", "\"answers\":{\"text\":[],\"answer_start\":[]}") + "\n"
    });
    folder.write("dev.jsonl", &rows.collect::<String>());
    let line = "evaluate runs/qa --input dev.jsonl --text-column text --pair-column ask --label-column answers";
    let listed = folder.run(&format!("{line} --format json {DEVICE}")).succeeds().json();
    assert_eq!((&listed["f1"], &listed["exact_match"]), (&found["f1"], &found["exact_match"]));
}

fn finds_answers(folder: &Folder) {
    let line = format!("predict runs/qa {DEVICE} --context");
    let json = folder.run_with(&format!("{line} _ --top-k 3 --format json"), "What drifted?");
    let answer: Value = serde_json::from_str(&json.succeeds().stdout).unwrap();
    assert!(answer["answers"].as_array().unwrap().len() <= 3 && answer["question"] == "What drifted?", "{answer}");
    let lines = folder.run(&format!("predict runs/qa --input dev.json --format json {DEVICE}")).succeeds().stdout;
    let rows: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((rows.len(), &rows[3]["row"], &rows[3]["id"]), (24, &4.into(), &"q51".into()));
    let answers = folder.json("answers.json");
    for (row, n) in rows.iter().zip(48..) {
        let (id, context) = (row["id"].as_str().unwrap(), question(n)["context"].as_str().unwrap().to_owned());
        assert_eq!(row["answer"], answers[id]);
        if let (Some(start), Some(end)) = (row["start"].as_u64(), row["end"].as_u64()) {
            assert_eq!(row["answer"], context[start as usize..end as usize]);
        }
    }
    let text = folder.run(&format!("predict runs/qa --input dev.json --threshold -1000 {DEVICE}")).succeeds().stdout;
    assert!(text.lines().count() == 24 && text.lines().all(|line| line.contains("\t(no answer)\t")), "{text}");
}

fn refuses(folder: &Folder) {
    let fails = |line: &str, said: &[&str]| folder.run(&format!("{line} {DEVICE}")).fails_with(said);
    fails("predict runs/qa Who?", &["needs a text to find the answer in", "--context"]);
    fails("predict runs/intents --context a b", &["`--context` cannot be used with a model that does not answer"]);
    fails("evaluate runs/qa --corpus corpus", &["cannot be evaluated on a corpus", "--input"]);
    fails("evaluate runs/intents --input a --predictions b", &["a model that does not answer questions"]);
    fails("evaluate runs/qa --input train.csv", &["the input format `csv` holds no questions with answers"]);
    fails("evaluate runs/intents --input dev.json", &["has no `text`"]);
    let train = "finetune --task question-answering --model runs/mini --out new --train";
    fails(&format!("{train} harbour.jsonl"), &["begins an object without `context`, it has `text`"]);
    let wrong = folder.read("dev.json").replacen("\"answer_start\":8", "\"answer_start\":9", 1);
    folder.write("wrong.json", &wrong);
    let said =
        "the answer `boat` of question `q48` is not at character 9 of its context, which has `oat ` there: it is at 8";
    fails(&format!("{train} wrong.json"), &[said]);
    let skipped = folder.run(&format!("evaluate runs/qa --input wrong.json --on-bad-row skip --format json {DEVICE}"));
    let skipped = skipped.succeeds();
    assert_eq!(skipped.json()["questions"], 23);
    assert!(skipped.stderr.contains("skipped rows: 1"), "{}", skipped.stderr);
    folder.write("twice.json", &folder.read("dev.json").replace("\"q49\"", "\"q48\""));
    let twice = "evaluate runs/qa --input twice.json --predictions twice-answers.json";
    fails(twice, &["several questions have the identifier `q48`"]);
    assert!(!folder.path("twice-answers.json").exists());
}

#[test]
fn data_of_another_task_and_data_without_answers_are_refused_with_a_remedy() {
    let folder = Folder::with_models();
    folder.write("train.json", &squad(0..8));
    folder.run(&format!("finetune --model runs/mini --train train.json --out new {DEVICE}")).fails_with(&[
        "`paragraphs`",
        "hint: this is the JSON of SQuAD: fine-tune on it with `--task question-answering`",
    ]);
    let none: Vec<Value> = (0..8).map(|n| question(4 * n + 3)).collect();
    folder.write("none.json", &json!({ "data": [{ "paragraphs": none }] }).to_string());
    folder
        .run(&format!("{FINETUNE} --train none.json --out new {DEVICE}"))
        .fails_with(&["none of the 8 questions has an answer"]);
    assert!(!folder.path("new").exists());
}

#[test]
fn an_export_reads_the_windows_of_its_run() {
    let folder = Folder::with_models();
    folder.write("train.json", &squad(0..40));
    let line = "finetune --task question-answering --model runs/mini --set train.micro_batch_size=8 --max-seq-length 24 \
                --train train.json --steps 4 --out runs/qa";
    folder.run(&format!("{line} {DEVICE}")).succeeds();
    folder.run(&format!("export runs/qa --out exported {DEVICE}")).succeeds();
    let scores = |model: &str| {
        let line = format!("evaluate {model} --input train.json --format json {DEVICE}");
        let report = folder.run(&line).succeeds().json();
        ["windows", "exact_match", "f1"].map(|name| report[name].clone())
    };
    assert!(scores("runs/qa")[0].as_u64().unwrap() > 40);
    assert_eq!(scores("exported"), scores("runs/qa"));
}

#[test]
fn a_resumed_run_has_the_same_bits() {
    let folder = Folder::with_models();
    folder.write("train.json", &squad(0..40));
    let line = format!(
        "{FINETUNE} --train train.json --steps 8 --set train.checkpoint_every=4 --set train.keep_checkpoints=9"
    );
    folder.run(&format!("{line} --out runs/whole {DEVICE}")).succeeds();
    folder.run(&format!("{line} --out runs/halved {DEVICE}")).succeeds();
    let last = fs::read_dir(folder.path("runs/halved/checkpoints")).unwrap().map(|entry| entry.unwrap().path()).max();
    fs::remove_dir_all(last.unwrap()).unwrap();
    folder.run(&format!("finetune --out runs/halved --resume {DEVICE}")).succeeds();
    for file in ["model.safetensors", "metrics.jsonl"] {
        let read = |run: &str| fs::read(folder.path(&format!("runs/{run}/{file}"))).unwrap();
        assert!(file == "metrics.jsonl" || read("whole") == read("halved"), "{file}");
    }
}
