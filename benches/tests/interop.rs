//! Our side of `cargo xtask interop` reads what it writes, on every backend.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use burnformer_models::weights::Weights;
use burnformer_ops::DeviceChoice;

fn run(args: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_interop_case")).args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn folders(folder: &Path) -> Vec<std::path::PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn every_model_and_tokenizer_that_is_written_is_answered_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    run(&["make", path]);
    for device in DeviceChoice::compiled() {
        run(&["answer", path, "--device", device]);
        let models = folders(&folder.path().join("models"));
        assert_eq!(models.len(), 27);
        for model in models {
            let written: BTreeSet<String> = Weights::in_folder(&model).unwrap().names().into_iter().collect();
            let answers = Weights::open(&model.join(format!("burnformer-{device}.safetensors"))).unwrap().names();
            let of = |prefix: &str| -> BTreeSet<String> {
                answers.iter().filter_map(|name| name.strip_prefix(prefix)).map(str::to_owned).collect()
            };
            let (gradients, trained) = (of("grad."), of("step."));
            assert!(gradients.len() > 30 && trained == gradients, "{}", model.display());
            assert!(gradients.is_subset(&written), "{}", model.display());
            for name in ["loss", "hidden", "attn"] {
                assert!(answers.iter().any(|it| it.starts_with(name)), "`{name}` is missing in {}", model.display());
            }
        }
    }
    for tokenizer in folders(&folder.path().join("tokenizers")) {
        assert!(tokenizer.join("burnformer.json").exists(), "{}", tokenizer.display());
    }
}

#[test]
fn fine_tuning_writes_down_what_it_is_made_of() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    for device in DeviceChoice::compiled() {
        run(&["finetune", path, "--device", device]);
        for task in ["text-classification", "token-classification", "question-answering"] {
            let folder = folder.path().join(task);
            let json = |name: &str| -> serde_json::Value {
                serde_json::from_str(&fs::read_to_string(folder.join(name)).unwrap()).unwrap()
            };
            let losses: Vec<f64> = serde_json::from_value(json(&format!("burnformer-{device}.json"))).unwrap();
            let steps = json("steps.json");
            assert_eq!((losses.len(), steps.as_array().unwrap().len()), (50, 50), "{task}");
            assert_eq!(steps[0]["rows"].as_array().unwrap().len(), 8, "{task}");
            assert!(losses[49] < 0.9 * losses[0], "{task} has not learned: {losses:?}");
            assert_eq!(json("settings.json")["warmup_steps"], 5, "{task}");
            Weights::in_folder(&folder.join("before")).unwrap();
        }
    }
}
