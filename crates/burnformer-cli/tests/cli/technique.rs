//! Flags of what is trained, and how.

use crate::support::{DEVICE, Folder, SMALL};

const FINETUNE: &str = "finetune --model runs/mini --train train.csv --label-column category \
                        --set train.micro_batch_size=8 --max-seq-length 12 --steps 4";

#[test]
fn flags_of_technique_are_settings() {
    let folder = Folder::with_models();
    let flags = "--layer-decay 0.75 --freeze 1 --unfreeze-every 2 --ema-decay 0.5 --patience 3";
    folder.run(&format!("{FINETUNE} {flags} --out flags {DEVICE}")).succeeds();
    let sets = "--set train.layer_decay=0.75 --set train.freeze=1 --set train.unfreeze_every=2 --set train.ema_decay=0.5 \
                --set train.patience=3";
    folder.run(&format!("{FINETUNE} {sets} --out sets {DEVICE}")).succeeds();
    for file in ["run.toml", "model.safetensors"] {
        let [flags, sets] = ["flags", "sets"].map(|run| std::fs::read(folder.path(&format!("{run}/{file}"))).unwrap());
        assert!(flags == sets, "{file}");
    }
    let settings = folder.read("flags/run.toml");
    for line in ["layer_decay = 0.75\n", "freeze = 1\n", "unfreeze_every = 2\n", "ema_decay = 0.5\n", "patience = 3\n"]
    {
        assert!(settings.contains(line), "{settings}");
    }
    assert!(folder.path("flags/checkpoints/step-4/trained.safetensors").is_file());
    assert!(!folder.path("flags/trained.safetensors").exists());
    folder.run(&format!("finetune --out flags --resume {DEVICE}")).succeeds();
}

#[test]
fn technique_that_cannot_be_is_refused_with_a_remedy_and_leaves_nothing() {
    let folder = Folder::with_models();
    for (flags, said) in [
        ("--freeze 9", "`train.freeze` is 9, but the model has 2 layers: set it to 2 or less, or to `body`"),
        ("--freeze head", "expected `embeddings`, `body`, or a number of layers, 1 or more"),
        ("--freeze 0", "expected `embeddings`, `body`, or a number of layers, 1 or more"),
        ("--layer-decay 1.5", "`train.layer_decay` is 1.5, expected more than 0, at most 1"),
        ("--ema-decay 1", "`train.ema_decay` is 1, expected more than 0, less than 1"),
        ("--unfreeze-every 0", "0 is not in 1.."),
        ("--patience 0", "0 is not in 1.."),
    ] {
        folder.run(&format!("{FINETUNE} {flags} --out new {DEVICE}")).fails_with(&[said]);
        assert!(!folder.path("new").exists(), "{flags}");
    }
    folder.run(&format!("{FINETUNE} --freeze 2 --out frozen {DEVICE}")).succeeds();
    // What the checkpoint depends on stays.
    folder
        .run(&format!("finetune --out frozen --resume --set train.freeze=1 {DEVICE}"))
        .fails_with(&["`train.freeze` was 2, is now 1"]);
    folder
        .run(&format!("finetune --out frozen --resume --set train.ema_decay=0.9 {DEVICE}"))
        .fails_with(&["`train.ema_decay` was absent, is now 0.9"]);
}

#[test]
fn early_stopping_needs_evaluations() {
    let folder = Folder::with_models();
    let line = format!("pretrain --corpus corpus {SMALL} --steps 9 --set train.evaluate_every=1 --patience 1");
    let none = "--set data.split.validation=0";
    let said = "`train.patience` stops a run by its evaluations, but there are no validation samples";
    folder.run(&format!("{line} {none} --out none {DEVICE}")).fails_with(&[said]);
    assert!(!folder.path("none").exists());
    // A rate of nothing improves nothing.
    let still = "--learning-rate 1e-30 --format json";
    let report = folder.run(&format!("{line} {still} --out early {DEVICE}")).succeeds().json();
    assert_eq!((&report["stopped"], &report["steps"]), (&"early stopping".into(), &2.into()));
}

#[test]
fn a_trained_model_goes_on_at_a_tenth_of_the_rate() {
    let folder = Folder::with_models();
    folder
        .run(&format!("pretrain --objective causal-lm --corpus corpus {SMALL} --steps 2 --out runs/gpt {DEVICE}"))
        .succeeds();
    let rate = |line: String| {
        let plan = folder.run(&format!("{line} --dry-run --format json --out new")).succeeds().json();
        let settings = plan["settings"].as_str().unwrap().to_owned();
        let line = settings.lines().find_map(|line| line.strip_prefix("learning_rate = ")).unwrap().to_owned();
        line.parse::<f64>().unwrap()
    };
    for (objective, model) in [("masked-lm", "runs/mini"), ("causal-lm", "runs/gpt")] {
        let fresh = rate(format!("pretrain --objective {objective} --corpus corpus {SMALL}"));
        let trained = rate(format!("pretrain --objective {objective} --corpus corpus --init {model}"));
        assert!((trained / fresh - 0.1).abs() < 1e-9, "{objective}: {trained}, of fresh weights {fresh}");
    }
}
