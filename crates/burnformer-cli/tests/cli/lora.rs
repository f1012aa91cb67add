//! Low-rank adapters: `finetune --lora`, and every command on the folders that it writes.

use std::fs;

use crate::support::{DEVICE, Folder};

const FINETUNE: &str = "finetune --model runs/mini --train train.csv --label-column category --test test.csv \
    --set train.micro_batch_size=8 --seed 7 --max-seq-length 12 --lora --lora-targets all-linear";

/// A folder with an adapter in `runs/adapter`, and what was reported of it in `adapter.json` and `adapter.log`.
fn trained(flags: &str) -> Folder {
    let folder = Folder::with_models();
    let run = folder.run(&format!("{FINETUNE} {flags} --out runs/adapter --format json {DEVICE}")).succeeds();
    folder.write("adapter.json", &run.stdout);
    folder.write("adapter.log", &run.stderr);
    folder
}

fn bytes(folder: &Folder, name: &str) -> Vec<u8> {
    fs::read(folder.path(name)).unwrap()
}

fn predictions(folder: &Folder, model: &str) -> String {
    let line = format!("predict {model} --input test.csv --text-column text --format json {DEVICE}");
    folder.run(&line).succeeds().stdout
}

#[test]
fn an_adapter_is_trained_used_and_merged() {
    let folder = trained("--epochs 30 --learning-rate 0.02");
    let report = folder.json("adapter.json");
    assert!(report["test"]["loss"].as_f64().unwrap() < 0.69, "{report}");

    // The adapter and the head, and nothing of the base.
    assert!(!folder.path("runs/adapter/model.safetensors").exists());
    let config = folder.json("runs/adapter/adapter_config.json");
    assert_eq!(config["peft_type"], "LORA");
    assert_eq!(config["task_type"], "SEQ_CLS");
    assert_eq!(config["base_model_name_or_path"], "runs/mini");
    assert_eq!(config["modules_to_save"], serde_json::json!(["classifier", "score"]));
    let size = |name: &str| bytes(&folder, name).len();
    assert!(size("runs/adapter/adapter_model.safetensors") < size("runs/mini/model.safetensors"));

    // A model like any other.
    let expected = predictions(&folder, "runs/adapter");
    let evaluated = format!("evaluate runs/adapter --input test.csv --label-column category --format json {DEVICE}");
    assert_eq!(folder.run(&evaluated).succeeds().json()["accuracy"], report["test"]["accuracy"]);
    folder.run(&format!("inspect runs/adapter {DEVICE}")).succeeds();
    folder.run(&format!("embed runs/adapter Kettle --out vectors.npy {DEVICE}")).succeeds();
    folder.run("average runs/adapter --last 1 --out mean").succeeds();
    let last = predictions(&folder, &format!("runs/adapter/checkpoints/step-{}", report["steps"]));
    assert_eq!(predictions(&folder, "mean --base runs/mini"), last);

    // Merged, it needs no base.
    folder.run(&format!("export runs/adapter --out merged {DEVICE}")).succeeds();
    assert!(folder.path("merged/model.safetensors").exists() && !folder.path("merged/adapter_config.json").exists());
    fs::rename(folder.path("runs/mini"), folder.path("moved")).unwrap();
    assert_eq!(predictions(&folder, "merged"), expected);
    folder.run(&format!("predict runs/adapter Kettle {DEVICE}")).fails_with(&[
        "the base model of the adapter in `runs/adapter` is `runs/mini`, and there is no such folder",
        "hint: name the folder of the base model with `--base`",
    ]);
    assert_eq!(predictions(&folder, "runs/adapter --base moved"), expected);
    folder.run(&format!("predict merged --base moved Kettle {DEVICE}")).fails_with(&["hint: leave out `--base`"]);
}

/// Two adapters of one base, beside a whole model.
#[test]
fn several_adapters_answer_one_after_the_other() {
    let folder = trained("--steps 6");
    let other = format!("{FINETUNE} --lora-rank 3 --steps 6 --learning-rate 0.03 --out runs/other {DEVICE}");
    folder.run(&other).succeeds();
    let all = "runs/adapter --adapter runs/other --adapter runs/intents";
    let line = format!("predict {all} Kettle Boat --format json {DEVICE}");
    let said = folder.run(&line).succeeds().stdout;
    let said: Vec<serde_json::Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let models: Vec<_> = said.iter().map(|row| row["model"].as_str().unwrap()).collect();
    assert_eq!(models, ["runs/adapter", "runs/adapter", "runs/other", "runs/other", "runs/intents", "runs/intents"]);
    for row in &said {
        let (model, text) = (row["model"].as_str().unwrap(), row["text"].as_str().unwrap());
        let alone = folder.run(&format!("predict {model} {text} --format json {DEVICE}")).succeeds().json();
        assert_eq!(alone["label"], row["label"]);
        let [found, expected] = [row, &alone].map(|row| row["probability"].as_f64().unwrap());
        assert!((found - expected).abs() < 1e-5, "{row} {alone}");
    }
    let text = folder.run(&format!("predict runs/adapter --adapter runs/other Kettle {DEVICE}")).succeeds().stdout;
    assert!(text.lines().nth(1).unwrap().starts_with("runs/other\t"), "{text}");
}

#[test]
fn a_resumed_run_has_the_same_adapter() {
    let flags = "--lora-dropout 0.1 --steps 10 --set train.checkpoint_every=3 --set train.keep_checkpoints=5";
    let folder = trained(flags);
    let names = ["adapter_model.safetensors", "adapter_config.json", "checkpoints/step-10/optimizer.safetensors"];
    let all = || names.map(|name| bytes(&folder, &format!("runs/adapter/{name}")));
    let expected = all();
    // Moments of the adapter and the head alone.
    assert!(expected[2].len() < 5 * expected[0].len() / 2, "{} {}", expected[2].len(), expected[0].len());
    for step in ["step-9", "step-10"] {
        fs::remove_dir_all(folder.path(&format!("runs/adapter/checkpoints/{step}"))).unwrap();
    }
    folder.run(&format!("finetune --out runs/adapter --resume {DEVICE}")).succeeds();
    for ((name, found), expected) in names.iter().zip(all()).zip(expected) {
        assert!(found == expected, "{name}");
    }
}

#[test]
fn the_plan_counts_what_is_trained() {
    let folder = Folder::with_models();
    let plan = |flags: &str| {
        folder.run(&format!("{flags} --out runs/adapter --dry-run --format json {DEVICE}")).succeeds().json()
    };
    let adapter = plan(FINETUNE);
    let whole = plan(&FINETUNE.replace("--lora --lora-targets all-linear", ""));
    assert!(adapter["trained"].as_u64().unwrap() < whole["parameters"].as_u64().unwrap());
    assert!(whole.get("trained").is_none());
}

#[test]
fn settings_that_cannot_work_are_named() {
    let folder = Folder::with_models();
    let fails = |flags: &str, said: &[&str]| {
        folder.run(&format!("{FINETUNE} {flags} --out runs/adapter {DEVICE}")).fails_with(said);
    };
    fails("--set lora.lora_dropout=1", &["`lora.lora_dropout` is 1, expected a value in [0, 1)"]);
    fails("--set lora.target_modules=(query", &["`lora.target_modules` is (query, expected a regular expression"]);
    fails("--set lora.rank=3", &["rank"]);
    fails(
        "--set lora.target_modules=q_proj",
        &["named by `target_modules` (`q_proj`)", "hint: name modules with `--lora-targets`"],
    );
    for alpha in ["0", "-8"] {
        fails(&format!("--lora-alpha={alpha}"), &["`lora.lora_alpha` is", "expected a finite value above 0"]);
    }
    for part in ["body", "1"] {
        let said = format!("`train.freeze` is {part}, expected absent: an adapter freezes the base anyway");
        fails(&format!("--freeze {part}"), &[&said, "`lora.layers_to_transform`"]);
    }
    assert!(!folder.path("runs/adapter").exists());
    for flag in ["--lora-rank 4", "--lora-alpha 4", "--lora-dropout 0.1", "--lora-targets key"] {
        let line = format!("finetune --out runs/intents --resume {flag} {DEVICE}");
        folder.run(&line).fails_with(&["cannot be used with", "--resume"]);
    }
}

#[test]
fn unknown_keys_are_those_of_their_file() {
    let folder = trained("--steps 2");
    let file = "runs/adapter/adapter_config.json";
    let mut json = folder.json(file);
    json["shade"] = "blue".into();
    folder.write(file, &json.to_string());
    let said = folder.run(&format!("predict runs/adapter Kettle --verbose {DEVICE}")).succeeds().stderr;
    assert!(said.contains(&format!("unknown keys in `{file}`: shade\n")), "{said}");
}
