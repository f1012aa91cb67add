//! `burnformer export`: what is written is used by the other commands.

use std::fs;

use serde_json::{Value, json};

use crate::support::{DEVICE, Folder};

#[track_caller]
fn run(folder: &Folder, line: &str) -> String {
    folder.run(&format!("{line} {DEVICE}")).succeeds().stdout
}

/// The answers as JSON lines.
#[track_caller]
fn lines(folder: &Folder, line: &str) -> Vec<Value> {
    run(folder, line).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_classifier_in_fewer_bits_answers_as_before() {
    let folder = Folder::with_models();
    folder.write("texts.txt", "Kettle 1 leaks.\nKettle 2 holds water.\n");
    let predict = |model: &str| lines(&folder, &format!("predict {model} --input texts.txt --format json"));
    let expected = predict("runs/intents");
    let size = |name: &str| fs::metadata(folder.path(&format!("{name}.safetensors"))).unwrap().len();
    for (dtype, pytorch) in [("f32", None), ("f16", Some("float16")), ("bf16", Some("bfloat16")), ("int8", None)] {
        run(&folder, &format!("export runs/intents --out out/{dtype} --dtype {dtype}"));
        for (found, expected) in predict(&format!("out/{dtype}")).iter().zip(&expected) {
            assert_eq!(found["label"], expected["label"]);
            let [found, expected] = [found, expected].map(|it| it["probability"].as_f64().unwrap());
            assert!(
                (found - expected).abs() < if dtype == "f32" { 1e-6 } else { 0.02 },
                "{dtype}: {found}, {expected}"
            );
        }
        let config = folder.json(&format!("out/{dtype}/config.json"));
        assert_eq!(config["architectures"], json!(["BertForSequenceClassification"]));
        assert_eq!(config["dtype"].as_str(), pytorch);
    }
    let whole = size("out/f32/model");
    assert!(size("out/f16/model") < whole && size("out/bf16/model") < whole && size("out/int8/model.int8") < whole);
    assert!(!folder.path("out/int8/model.safetensors").exists(), "others would take integers for weights");
    let names: Vec<String> = folder.names().iter().map(|path| folder.relative(path).display().to_string()).collect();
    assert!(
        names.iter().all(|name| !name.starts_with("out/f16/checkpoints") && name != "out/f16/run.toml"),
        "{names:?}"
    );
}

/// `--dtype int8` rounds what `f32` computes with, and an exported folder of integers is computed with in either way.
#[test]
fn every_command_computes_with_integers() {
    let folder = Folder::with_models();
    folder.write("texts.txt", "Kettle 1 leaks.\nKettle 2 holds water.\n");
    run(&folder, "export runs/mini --out int8 --dtype int8");
    run(&folder, "export runs/intents --out intents-int8 --dtype int8");
    let numbers = |line: &str| -> Vec<f64> {
        let vector = |line: Value| line["embedding"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect();
        lines(&folder, line).into_iter().flat_map(|line| -> Vec<f64> { vector(line) }).collect()
    };
    let expected = numbers("embed runs/mini --input texts.txt");
    for line in ["runs/mini --dtype int8", "int8", "int8 --dtype int8"] {
        let found = numbers(&format!("embed {line} --input texts.txt"));
        assert_ne!(found, expected, "{line}");
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() < 0.05, "{line}: {found}, {expected}");
        }
    }
    for line in [
        "predict intents-int8 --dtype int8 --input texts.txt",
        "similarity runs/mini --dtype int8 kettle water",
        "rank runs/mini --dtype int8 kettle --input texts.txt",
        "fill-mask int8 --dtype int8 [MASK]",
        "evaluate runs/intents --dtype int8 --input test.csv --label-column category",
        "evaluate runs/mini --dtype int8 --corpus corpus",
        "evaluate runs/de-en --dtype int8 --input test.de --pair-input test.en",
        "translate runs/de-en --dtype int8 12",
    ] {
        assert!(!run(&folder, line).is_empty(), "{line}");
    }
}

#[test]
fn a_folder_of_sentence_transformers_makes_the_same_vectors() {
    let folder = Folder::with_models();
    folder.write("texts.txt", "Kettle 1 leaks.\nKettle 2 holds water.\n");
    let embed = |line: &str| lines(&folder, &format!("embed {line} --input texts.txt"));
    let export = "export runs/mini --layout sentence-transformers --out";
    run(&folder, &format!("{export} mean"));
    assert_eq!(embed("mean"), embed("runs/mini"));
    run(&folder, &format!("{export} cls --pooling cls"));
    assert_eq!(embed("cls"), embed("runs/mini --pooling cls"));
    assert_eq!(folder.json("cls/1_Pooling/config.json")["pooling_mode_cls_token"], true);
    // What the folder says is kept, and its vectors may have any length.
    run(&folder, &format!("{export} plain --normalize false"));
    run(&folder, "export plain --layout sentence-transformers --out again");
    let long = embed("again");
    assert_eq!(long, embed("plain"));
    let norm =
        |line: &Value| line["embedding"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap().powi(2)).sum::<f64>();
    assert!((norm(&long[0]) - 1.0).abs() > 0.1 && (norm(&embed("mean")[0]) - 1.0).abs() < 1e-5);
    assert_eq!(folder.json("again/modules.json").as_array().unwrap().len(), 2);
    assert_eq!(folder.json("again/config.json")["architectures"], json!(["BertModel"]));
}

#[test]
fn what_cannot_be_exported_is_said_and_leaves_nothing() {
    let folder = Folder::with_models();
    let check = |line: &str, expected: &[&str]| {
        let before = folder.names();
        let run = folder.run(&format!("{line} {DEVICE}"));
        assert_ne!(run.status, Some(0), "{run:?}");
        for part in expected {
            assert!(run.stderr.contains(part), "{line}: {}", run.stderr);
        }
        assert_eq!(folder.names(), before, "{line}");
    };
    check("export runs/mini --out runs/intents", &["`runs/intents`", "exist"]);
    check("export corpus --out out", &["`corpus` is not a model folder"]);
    let hint = "add `--layout sentence-transformers`, or remove `--pooling` and `--normalize`";
    check("export runs/mini --out out --pooling cls", &["`--layout transformers` has no pooling", hint]);
    let mut config = folder.json("runs/intents/config.json");
    config["architectures"] = json!(["BertForMultipleChoice"]);
    folder.write("runs/intents/config.json", &config.to_string());
    check("export runs/intents --out out", &["`BertForMultipleChoice`, expected `BertForPreTraining`"]);
    let mut config = folder.json("runs/mini/config.json");
    config["hidden_size"] = json!(24);
    folder.write("runs/mini/config.json", &config.to_string());
    check("export runs/mini --out out", &["has shape", "expected"]);
}
