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
