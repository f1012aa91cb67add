//! What a model folder says beside its weights: prompts, dimensions, several labels, scores; and `rank`.

use burnformer::models::{BertConfig, BertForSequenceClassification, Pretrained as _};
use burnformer::ops::DeviceChoice;
use serde_json::{Value, json};

use crate::support::{DEVICE, Folder};

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The vectors of a line of `embed`.
#[track_caller]
fn vectors(folder: &Folder, line: &str) -> Vec<Value> {
    let run = folder.run(&format!("embed {line} {DEVICE}")).succeeds();
    lines(&run.stdout).into_iter().map(|mut line| line["embedding"].take()).collect()
}

#[test]
fn prompts_and_dimensions_are_those_of_the_folder_or_the_flags() {
    let folder = Folder::with_models();
    folder.run(&format!("export runs/mini --layout sentence-transformers --out mini {DEVICE}")).succeeds();
    let plain = vectors(&folder, "mini kettle");
    let asked = vectors(&folder, "mini query:kettle");
    assert_ne!(asked, plain);
    assert_eq!(vectors(&folder, "mini kettle --prompt query:"), asked);
    let mut settings = folder.json("mini/config_sentence_transformers.json");
    settings["prompts"] = json!({ "question": "query:", "answer": "" });
    settings["default_prompt_name"] = json!("question");
    settings["truncate_dim"] = json!(5);
    settings["shade"] = json!("blue");
    folder.write("mini/config_sentence_transformers.json", &settings.to_string());
    let told = folder.run(&format!("embed mini kettle --verbose {DEVICE}")).succeeds().stderr;
    assert!(told.contains("unknown keys in `mini/config_sentence_transformers.json`: shade\n"), "{told}");
    // A folder of sentence-transformers is exported as one, with all of this.
    folder.run(&format!("export mini --out again {DEVICE}")).succeeds();
    let first = |vector: &Value, n: usize| json!(vector.as_array().unwrap()[..n]);
    for model in ["mini", "again"] {
        assert_eq!(vectors(&folder, &format!("{model} kettle")), [first(&asked[0], 5)]);
        for flags in ["--prompt-name answer", "--prompt=", "--prompt-name document"] {
            assert_eq!(vectors(&folder, &format!("{model} kettle {flags}")), [first(&plain[0], 5)], "{flags}");
        }
        assert_eq!(vectors(&folder, &format!("{model} kettle --dimensions 3")), [first(&asked[0], 3)]);
    }
    let run = folder.run(&format!("export mini --layout transformers --out plain {DEVICE}")).succeeds();
    assert!(run.stderr.contains("warning: left out"), "{}", run.stderr);
    assert!(!folder.path("plain/modules.json").exists());
    let fails = |line: &str, said: &[&str]| folder.run(&format!("{line} {DEVICE}")).fails_with(said);
    let known = "expected one of `answer`, `question`, `document`, `query`";
    fails("embed mini kettle --prompt-name subject", &["no prompt `subject`", known, "hint: choose another name"]);
    fails("embed mini kettle --dimensions 4000", &["expected from 1 to", "not 4000", "hint: lower `--dimensions`"]);
    fails("embed mini kettle --prompt a --prompt-name b", &["cannot be used with"]);
}

#[test]
fn texts_are_ranked_by_embeddings_or_by_a_cross_encoder() {
    let folder = Folder::with_models();
    let texts = ["A boat in the harbour.", "Kettle 1 leaks.", "Kettle 2 holds water."];
    folder.write("texts.txt", &texts.map(|text| format!("{text}\n")).concat());
    let rank = |line: &str| folder.run_with(&format!("rank {line} {DEVICE}"), "Kettle 1 leaks.").succeeds().stdout;
    let ranked = lines(
        &folder
            .run_with(&format!("rank runs/mini --input texts.txt --format json {DEVICE}"), texts[1])
            .succeeds()
            .stdout,
    );
    assert_eq!((ranked.len(), &ranked[0]["index"], &ranked[0]["text"]), (3, &json!(1), &json!(texts[1])));
    assert!((ranked[0]["score"].as_f64().unwrap() - 1.0).abs() < 1e-5);
    assert_eq!(rank("runs/mini --input texts.txt --top-k 1"), "1.0000\tKettle 1 leaks.\n");

    let fails = |line: &str, said: &[&str]| folder.run(&format!("{line} {DEVICE}")).fails_with(said);
    fails("rank runs/intents kettle --input texts.txt", &["expected a cross-encoder", "hint: classify"]);
    score_model(&folder);
    let score = |text: &str, pair: &str| {
        folder.write("pair.jsonl", &json!({ "text": text, "with": pair }).to_string());
        let line = format!("predict score --input pair.jsonl --pair-column with --format json {DEVICE}");
        lines(&folder.run(&line).succeeds().stdout)[0]["score"].as_f64().unwrap()
    };
    let ranked = lines(&rank("score --input texts.txt --format json"));
    let scores: Vec<f64> = ranked.iter().map(|line| line["score"].as_f64().unwrap()).collect();
    assert!(scores.is_sorted_by(|a, b| a >= b) && scores.iter().all(|score| (0.0..1.0).contains(score)), "{scores:?}");
    for (line, found) in ranked.iter().zip(scores) {
        let expected = score("Kettle 1 leaks.", line["text"].as_str().unwrap());
        assert!((expected - found).abs() < 1e-6, "{line}: {expected}");
    }
}

/// Makes `score`, a cross-encoder of random weights.
fn score_model(folder: &Folder) {
    let (from, to) = (folder.path("runs/mini"), folder.path("score"));
    std::fs::create_dir(&to).unwrap();
    let device = DeviceChoice::Auto.open().unwrap();
    let config = BertConfig { init_std: 0.5, ..BertConfig::load(&from).unwrap() };
    BertForSequenceClassification::init(&config, &["LABEL_0".to_owned()], 1, &device).save(&to).unwrap();
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        std::fs::copy(from.join(name), to.join(name)).unwrap();
    }
    let mut config = folder.json("score/config.json");
    config["problem_type"] = Value::Null;
    folder.write("score/config.json", &config.to_string());
}

#[test]
fn a_text_may_have_any_number_of_labels() {
    let folder = Folder::with_models();
    folder.run(&format!("export runs/intents --out many {DEVICE}")).succeeds();
    let config = folder.read("many/config.json").replace("single_label", "multi_label");
    folder.write("many/config.json", &config);
    let predict = |flags: &str| folder.run(&format!("predict many kettle {flags} {DEVICE}")).succeeds().stdout;
    let json = lines(&predict("--format json")).remove(0);
    let classes = json["classes"].as_array().unwrap();
    let probabilities: Vec<f64> = classes.iter().map(|class| class["probability"].as_f64().unwrap()).collect();
    assert!(probabilities.is_sorted_by(|a, b| a >= b), "{json}");
    assert!((probabilities.iter().sum::<f64>() - 1.0).abs() > 1e-6, "{json}");
    let names: Vec<&str> = classes.iter().map(|class| class["label"].as_str().unwrap()).collect();
    let text = predict("--threshold 0");
    let columns: Vec<&str> = text.trim_end().split('\t').collect();
    assert_eq!((columns[0], columns[2]), (names.join(", ").as_str(), "kettle"));
    assert_eq!(predict("--threshold 1"), "\t\tkettle\n");
    assert_eq!(lines(&predict("--threshold 1 --format json"))[0]["labels"], json!([]));

    let fails = |line: &str, said: &[&str]| folder.run(&format!("{line} {DEVICE}")).fails_with(said);
    fails("predict many kettle --threshold 1.5", &["`--threshold` is 1.5", "in [0, 1]"]);
    fails("predict runs/intents kettle --threshold 0.5", &["a model that gives a text one class"]);
    let evaluated = folder.run(&format!("evaluate many --input test.csv --label-column category {DEVICE}")).succeeds();
    assert!(evaluated.stdout.contains("subset accuracy "), "{evaluated:?}");
    let inspected = folder.run(&format!("inspect many {DEVICE}")).succeeds().stdout;
    assert!(inspected.contains("answer to a text     any number of labels\n"), "{inspected}");
}
