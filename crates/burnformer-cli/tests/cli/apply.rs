//! `burnformer evaluate`, `predict`, `fill-mask`, `embed`, `similarity` and `inspect`.

use serde_json::Value;

use crate::support::{DEVICE, Folder, Run};

/// Runs a command on the device of the tests. All it says is that texts were cut: the models are small.
#[track_caller]
fn run(folder: &Folder, line: &str) -> Run {
    let run = folder.run(&format!("{line} {DEVICE}")).succeeds();
    assert!(run.stderr.lines().all(|line| line.contains("cut off")), "{line}: {}", run.stderr);
    run
}

fn lines(run: &Run) -> Vec<Value> {
    run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Makes sure that all of `expected` is in `found`, numbers to six digits: other batches have other roundings.
#[track_caller]
fn check_alike(expected: &Value, found: &Value) {
    match (expected, found) {
        (Value::Object(expected), _) => expected.iter().for_each(|(name, value)| check_alike(value, &found[name])),
        (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => {
            expected.iter().zip(found).for_each(|(expected, found)| check_alike(expected, found));
        }
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            assert!((a - b).abs() <= 1e-6 * a.abs().max(1.0), "{a} and {b}");
        }
        _ => assert_eq!(expected, found),
    }
}

#[test]
fn a_classifier_is_measured_as_at_the_end_of_its_training() {
    let folder = Folder::with_models();
    let line = "evaluate runs/intents --input test.csv --label-column category";
    for size in [1, 5, 32] {
        let report = run(&folder, &format!("{line} --batch-size {size} --format json")).json();
        check_alike(&folder.json("intents.json")["test"], &report);
    }
    let text = run(&folder, line).stdout;
    for part in ["model                runs/intents\n", "texts                12\n", "truth \\ predicted"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn scores_of_classes_are_whole_and_drawn() {
    let folder = Folder::with_models();
    let line = "evaluate runs/intents --input test.csv --label-column category --pictures drawn/here";
    let report = run(&folder, &format!("{line} --format json")).json();
    assert_eq!(report["classes"][1]["label"], "good");
    assert_eq!(report["classes"][1]["support"], 8);
    let number = |name: &str| report[name].as_f64().unwrap_or_else(|| panic!("{name}: {report}"));
    // Of two classes both have the same AUROC, up to rounding.
    assert!((report["classes"][0]["auroc"].as_f64().unwrap() - number("auroc")).abs() < 1e-6, "{report}");
    assert!(number("mcc").abs() <= 1.0 && number("calibration_error") <= 1.0);
    let counts = report["reliability"].as_array().unwrap().iter().map(|bin| bin["count"].as_u64().unwrap());
    assert_eq!(counts.sum::<u64>(), 12);
    for interval in ["accuracy", "macro_f1", "mcc", "auroc"] {
        let ends = &report["intervals"][interval];
        assert!(ends[0].as_f64().unwrap() <= ends[1].as_f64().unwrap(), "{interval}: {report}");
    }
    for picture in ["confusion_matrix.svg", "reliability.svg"] {
        assert!(folder.read(&format!("drawn/here/{picture}")).starts_with("<svg"), "{picture}");
    }
    let text = run(&folder, line).stdout;
    for part in ["weighted F1          ", "MCC                  ", "AUROC                ", "calibration error    "] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn classes_without_a_text_are_named() {
    let folder = Folder::with_models();
    let good = folder.read("test.csv");
    let good: Vec<&str> = good.lines().filter(|line| !line.ends_with(",bad")).collect();
    folder.write("good.csv", &format!("{}\n", good.join("\n")));
    let line = "evaluate runs/intents --input good.csv --label-column category";
    let report = run(&folder, &format!("{line} --format json")).json();
    assert_eq!(report["absent_labels"], serde_json::json!(["bad"]));
    // Its F1 is 0; where it is no answer either, scikit-learn takes the mean of the other class alone.
    let (all, occurring) = (report["macro_f1"].as_f64().unwrap(), report["macro_f1_of_occurring"].as_f64());
    let is_answer = report["confusion"][1][0].as_u64().unwrap() > 0;
    assert_eq!(occurring, (!is_answer).then_some(2.0 * all), "{report}");
    assert!(run(&folder, line).stdout.contains("absent classes       1 of 2: bad\n"));
    let whole = run(&folder, "evaluate runs/intents --input test.csv --label-column category --format json").json();
    assert_eq!((&whole["absent_labels"], whole.get("macro_f1_of_occurring")), (&serde_json::json!([]), None));
}

#[test]
fn a_pretrained_model_is_measured_as_at_the_end_of_its_training() {
    let folder = Folder::with_models();
    let line = "evaluate runs/mini --corpus corpus";
    let report = run(&folder, &format!("{line} --format json --batch-size 8")).json();
    check_alike(&folder.json("mini.json")["validation"], &report);
    let samples = |part: &str| {
        let report = run(&folder, &format!("{line} --part {part} --format json")).json();
        report["samples"].as_u64().unwrap()
    };
    // A twentieth of the documents each, and the rest.
    let [train, validation, test] = ["train", "validation", "test"].map(samples);
    assert!(
        validation == report["samples"] && train > 5 * validation && train > 5 * test,
        "{train} {validation} {test}"
    );
    assert!(samples("all") >= train + validation + test);
    assert!(run(&folder, &format!("{line} --part test")).stdout.contains("data                 corpus (test)\n"));
}

#[test]
fn texts_to_predict_come_from_arguments_input_and_files() {
    let folder = Folder::with_models();
    folder.write("texts.txt", "Kettle 1 leaks.\n\nKettle 2 holds water.\n");
    let row = |text: &str| format!("{{\"text\": \"{text}\"}}\n");
    folder.write("rows.jsonl", &["Kettle 1 leaks.", "", "Kettle 2 holds water."].map(row).concat());
    let predict = "predict runs/intents --format json";
    let on_input = |text: &[u8]| folder.run_on(&format!("{predict} {DEVICE}"), text).succeeds();
    let answers = on_input(b"Kettle 1 leaks.\n\nKettle 2 holds water.");
    let texts: Vec<Value> = lines(&answers).iter().map(|line| line["text"].clone()).collect();
    assert_eq!(texts, ["Kettle 1 leaks.", "", "Kettle 2 holds water."]);
    assert!(lines(&answers)[0]["probability"].as_f64().unwrap() >= 0.5);
    assert_eq!(run(&folder, &format!("{predict} --input texts.txt")).stdout, answers.stdout);
    assert_eq!(run(&folder, &format!("{predict} --input rows.jsonl")).stdout, answers.stdout);
    let one = folder.run_with(&format!("{predict} {DEVICE}"), "Kettle 1 leaks.").succeeds();
    check_alike(&lines(&answers)[0], &lines(&one)[0]);
    assert_eq!(lines(&run(&folder, &format!("{predict} --input texts.txt --layout file"))).len(), 1);
    assert_eq!(on_input(b"").stdout, "");
}

/// Nobody has to guess which row an answer belongs to.
#[test]
fn every_row_has_its_answer_and_its_number() {
    let folder = Folder::with_models();
    folder.write("blank.txt", "Kettle 1 leaks.\n\n   \nKettle 2 holds water.\n\u{a0}\n[MASK] boat\n");
    let rows = |line: &str| -> Vec<(u64, String)> {
        let row = |line: &Value| (line["row"].as_u64().unwrap(), line["text"].as_str().unwrap().to_owned());
        lines(&run(&folder, line)).iter().map(row).collect()
    };
    let texts = ["Kettle 1 leaks.", "", "   ", "Kettle 2 holds water.", "\u{a0}", "[MASK] boat"];
    let expected: Vec<_> = (1..).zip(texts.map(str::to_owned)).collect();
    assert_eq!(rows("predict runs/intents --input blank.txt --format json"), expected);
    assert_eq!(rows("embed runs/mini --input blank.txt"), expected);
    assert_eq!(run(&folder, "predict runs/intents --input blank.txt").stdout.lines().count(), 6);
    folder.run(&format!("embed runs/mini --input blank.txt --out all.npy {DEVICE}")).succeeds();
    let header = std::fs::read(folder.path("all.npy")).unwrap();
    assert!(String::from_utf8_lossy(&header[..128]).contains("(6, 16)"));

    // A blank row has no mask, any other one needs one.
    folder.write("masked.txt", "the [MASK] boat\n\nold [MASK]\n");
    let line = "fill-mask runs/mini --top-k 1 --format json --input";
    let masks: Vec<usize> = lines(&run(&folder, &format!("{line} masked.txt")))
        .iter()
        .map(|it| it["masks"].as_array().unwrap().len())
        .collect();
    assert_eq!(masks, [1, 0, 1]);
    folder.run(&format!("{line} blank.txt {DEVICE}")).fails_with(&["`Kettle 1 leaks.` has no `[MASK]`"]);

    // Rows that are left out keep their numbers.
    folder.write("rows.csv", "key,text\na 1,one\n,two\nb,three,3\nc,\nd,four\n");
    let line = "predict runs/intents --input rows.csv --on-bad-row skip --id-column key";
    let answers = lines(&folder.run(&format!("{line} --format json {DEVICE}")).succeeds());
    let found: Vec<_> =
        answers.iter().map(|line| (line["row"].clone(), line["id"].clone(), line["text"].clone())).collect();
    let row = |row: u64, id: &str, text: &str| {
        (row.into(), if id.is_empty() { Value::Null } else { id.into() }, Value::from(text))
    };
    assert_eq!(found, [row(1, "a 1", "one"), row(2, "", "two"), row(4, "c", ""), row(5, "d", "four")]);
    let text = folder.run(&format!("{line} {DEVICE}")).succeeds().stdout;
    let n_columns: Vec<usize> = text.lines().map(|line| line.split('\t').count()).collect();
    assert!(text.starts_with("a 1\t") && n_columns.iter().all(|n| *n == n_columns[0]), "{text}");
    assert!(
        text.lines().next().unwrap().ends_with("\tone") && text.lines().nth(1).unwrap().starts_with('\t'),
        "{text}"
    );

    let line = "rank runs/mini boat --input rows.csv --on-bad-row skip --id-column key";
    let text = folder.run(&format!("{line} {DEVICE}")).succeeds().stdout;
    assert!(text.lines().count() == 4 && text.lines().all(|line| line.split('\t').count() == 3), "{text}");

    // A document of any length is one text, though it is read in pieces.
    folder.write("long.txt", &"old boat\n\n".repeat(300_000));
    let long = run(&folder, "embed runs/mini --input long.txt --layout file");
    assert_eq!(lines(&long).len(), 1);

    let fails = |line: &str, said: &[&str]| folder.run(&format!("{line} {DEVICE}")).fails_with(said);
    let predict = "predict runs/intents --id-column key";
    fails(&format!("{predict} --input blank.txt"), &["`--id-column` cannot be used with the input format `text`"]);
    fails(&format!("{predict} --input rows.csv --group-column key"), &["cannot be used with '--group-column <NAME>'"]);
    fails(
        "embed runs/mini --input rows.csv --id-column key --out new.npy",
        &["'--id-column <NAME>' cannot be used with '--out <FILE>'"],
    );
}

#[test]
fn special_tokens_in_a_text_are_text_on_request() {
    let folder = Folder::with_models();
    let text = "old [SEP] boat";
    let answer = |line: &str| {
        let line = format!("{line} --format json {DEVICE}");
        let answer = lines(&folder.run_with(&line, text).succeeds()).remove(0);
        answer["probability"].as_f64().unwrap()
    };
    let vector = |flag: &str| folder.run_with(&format!("embed runs/mini {flag} {DEVICE}"), text).succeeds().stdout;
    assert_ne!(answer("predict runs/intents"), answer("predict runs/intents --split-special-tokens"));
    assert_ne!(vector(""), vector("--split-special-tokens"));

    // A model that was trained so reads texts so.
    let line = "finetune --model runs/mini --train train.csv --label-column category --steps 1 --split-special-tokens";
    folder.run(&format!("{line} --out runs/split {DEVICE}")).succeeds();
    assert!(folder.read("runs/split/run.toml").contains("split_special_tokens = true\n"));
    assert_eq!(folder.json("runs/split/tokenizer_config.json")["split_special_tokens"], true);
    assert_eq!(answer("predict runs/split"), answer("predict runs/split --split-special-tokens"));
    assert_eq!(folder.json("runs/intents/tokenizer_config.json").get("split_special_tokens"), None);
}

#[test]
fn texts_that_are_cut_are_told_once() {
    let folder = Folder::with_models();
    folder.write("texts.txt", &format!("old boat\n{0}\nboat\n{0}\n", "old boat ".repeat(30)));
    let said = |line: &str| folder.run(&format!("{line} --input texts.txt {DEVICE}")).succeeds().stderr;
    let expected = "warning: 2 texts are longer than 12 tokens, which is all the model takes: cut off behind\n";
    assert_eq!(said("predict runs/intents"), expected);
    assert!(said("embed runs/mini").starts_with("warning: 2 texts are longer than "));
    let csv =
        |n: usize| format!("text,category\n{}ok,good\nwell,bad\n", format!("{},bad\n", "old ".repeat(30)).repeat(n));
    folder.write("long.csv", &csv(3));
    folder.write("short.csv", &csv(0));
    let evaluate = |file: &str| {
        let line = format!("evaluate runs/intents --input {file} --label-column category {DEVICE}");
        folder.run(&line).succeeds().stderr
    };
    assert_eq!(evaluate("long.csv"), "texts cut off        3 of 5 evaluated texts, behind 12 tokens\n");
    assert_eq!(evaluate("short.csv"), "");
    let line = "finetune --model runs/mini --label-column category --steps 1 --set train.micro_batch_size=1 --max-seq-length 12 --validation short.csv";
    let tuned = folder.run(&format!("{line} --train long.csv --out long {DEVICE}")).succeeds().stderr;
    assert!(tuned.contains("texts cut off        3 of 5 training texts, behind 12 tokens\n"), "{tuned}");
    let tuned = folder.run(&format!("{line} --train short.csv --out short {DEVICE}")).succeeds().stderr;
    assert!(!tuned.contains("cut off"), "{tuned}");
}

#[test]
fn predictions_for_people_are_lines_of_fields() {
    let folder = Folder::with_models();
    let answer = folder.run_with(&format!("predict runs/intents {DEVICE}"), "A\tkettle\nleaks.").succeeds().stdout;
    let [label, probability, text] = answer.trim_end_matches('\n').split('\t').collect::<Vec<_>>()[..] else {
        panic!("{answer}")
    };
    assert!(["bad", "good"].contains(&label));
    assert!((0.5..=1.0).contains(&probability.parse::<f64>().unwrap()));
    assert_eq!(text, "A kettle leaks.");
}

#[test]
fn every_class_is_told_on_request() {
    let folder = Folder::with_models();
    let answer = lines(&run(&folder, "predict runs/intents kettle --top-k 9 --format json")).remove(0);
    let classes = answer["classes"].as_array().unwrap();
    let probabilities: Vec<f64> = classes.iter().map(|class| class["probability"].as_f64().unwrap()).collect();
    assert!(probabilities.len() == 2 && probabilities[0] >= probabilities[1], "{answer}");
    assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-6, "{answer}");
    assert_eq!(classes[0]["label"], answer["label"]);
}

#[test]
fn masks_are_filled_in_order() {
    let folder = Folder::with_models();
    let line = format!("fill-mask runs/mini --top-k 3 {DEVICE}");
    let answer = folder.run_on(&format!("{line} --format json"), b"the [MASK] boat [MASK].\nold [MASK]\n").succeeds();
    let [two, one] = <[Value; 2]>::try_from(lines(&answer)).unwrap_or_else(|_| panic!("{answer:?}"));
    let masks = |line: &Value| line["masks"].as_array().unwrap().clone();
    assert_eq!((masks(&two).len(), masks(&one).len()), (2, 1));
    assert_eq!((&masks(&two)[0]["position"], &masks(&two)[1]["position"]), (&2.into(), &4.into()));
    let fills = masks(&one)[0]["fills"].as_array().unwrap().clone();
    let probability = |fill: &Value| fill["probability"].as_f64().unwrap();
    assert!(fills.len() == 3 && fills.windows(2).all(|pair| probability(&pair[0]) >= probability(&pair[1])));

    let text = folder.run_with(&line, "the [MASK] boat [MASK].").succeeds().stdout;
    assert!(text.starts_with("the [MASK] boat [MASK].\n  mask 1\n   0."), "{text}");
    assert_eq!(text.lines().count(), 1 + 2 * 4);
}

#[test]
fn a_model_and_its_course_are_shown() {
    let folder = Folder::with_models();
    let json = run(&folder, "inspect runs/mini --format json").json();
    assert_eq!((&json["architecture"], &json["parameters"]), (&"BertForPreTraining".into(), &8184.into()));
    let sum: u64 = json["blocks"].as_array().unwrap().iter().map(|block| block["parameters"].as_u64().unwrap()).sum();
    assert_eq!(sum, 8184);
    assert_eq!((json["history"].as_array().unwrap().len(), &json["config"]["d_model"]), (12, &16.into()));
    assert_eq!(json.get("attention"), None);
    let text = run(&folder, "inspect runs/intents").stdout;
    for part in [
        "classes              bad, good\n",
        "bert.encoder.layers.1  ",
        "\ntraining history\n",
        " validation  accuracy ",
    ] {
        assert!(text.contains(part), "{text}");
    }
    // A checkpoint is a model folder as well, but not that of a run.
    let checkpoint = run(&folder, "inspect runs/mini/checkpoints/step-12 --format json").json();
    assert_eq!((&checkpoint["parameters"], &checkpoint["history"]), (&8184.into(), &Value::Array(Vec::new())));
}

#[test]
fn where_a_model_looks_is_shown() {
    let folder = Folder::with_models();
    let json = |flags: &str| {
        let line = format!("inspect runs/mini --format json {flags} {DEVICE} --text");
        folder.run_with(&line, "the old boat").succeeds().json()
    };
    let (all, second) = (json(""), json("--head 2"));
    let tokens = ["[CLS]", "the", "old", "boat", "[SEP]"];
    assert_eq!(all["attention"]["tokens"], Value::from(tokens.to_vec()));
    let heads = |json: &Value, layer: usize| json["attention"]["weights"][layer].as_array().unwrap().clone();
    for layer in 0..2 {
        let weights = heads(&all, layer);
        assert_eq!((weights.len(), &heads(&second, layer)), (2, &vec![weights[1].clone()]));
        for row in weights.iter().flat_map(|head| head.as_array().unwrap()) {
            let row: Vec<f64> = row.as_array().unwrap().iter().map(|weight| weight.as_f64().unwrap()).collect();
            assert!(row.len() == tokens.len() && (row.iter().sum::<f64>() - 1.0).abs() < 1e-5, "{row:?}");
        }
    }
    for (flags, title) in [("", "(mean over heads)"), ("--head 2", "(head 2)")] {
        let line = format!("inspect runs/intents {flags} {DEVICE} --text");
        let text = folder.run_with(&line, "the old boat").succeeds().stdout;
        assert!(text.contains(&format!("attention of layer 2 {title}: ")) && text.contains("\n   4 boat "), "{text}");
    }
}

#[test]
fn vectors_are_json_lines_or_a_file_of_rows() {
    let folder = Folder::with_models();
    folder.write("texts.txt", "Kettle 1 leaks.\nKettle 2 holds water.\n");
    let answers = lines(&run(&folder, "embed runs/mini --input texts.txt"));
    let texts: Vec<&str> = answers.iter().map(|line| line["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["Kettle 1 leaks.", "Kettle 2 holds water."]);
    let expected: Vec<f32> = answers
        .iter()
        .flat_map(|line| line["embedding"].as_array().unwrap())
        .map(|x| x.as_f64().unwrap() as f32)
        .collect();
    let written = folder.run(&format!("embed runs/mini --input texts.txt --out vectors.npy {DEVICE}")).succeeds();
    assert_eq!(written.stdout, "");
    assert!(written.stderr.contains("2 vectors of "), "{}", written.stderr);
    let bytes = std::fs::read(folder.path("vectors.npy")).unwrap();
    let found: Vec<f32> = bytes[128..].as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    assert_eq!(found, expected);
    let cls = lines(&run(&folder, "embed runs/mini --input texts.txt --pooling cls"));
    assert_ne!(cls[0]["embedding"], answers[0]["embedding"]);
}

#[test]
fn the_most_similar_text_comes_first() {
    let folder = Folder::with_models();
    let texts = "Kettle 1 leaks.\nA boat in the harbour.\nKettle 1 leaks.\n";
    let answers = folder.run_on(&format!("similarity runs/mini {DEVICE}"), texts.as_bytes()).succeeds().stdout;
    let first = answers.lines().next().unwrap();
    assert_eq!(first, "1.0000\tKettle 1 leaks.", "{answers}");
    assert_eq!(answers.lines().count(), 2);
    let answers = folder.run_on(&format!("similarity runs/mini --format json {DEVICE}"), texts.as_bytes()).succeeds();
    let answers = lines(&answers);
    assert_eq!(answers[1]["text"], "A boat in the harbour.");
    assert!(answers[1]["similarity"].as_f64().unwrap() < 0.9999);
}
