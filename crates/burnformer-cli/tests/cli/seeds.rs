//! `--seeds`: runs that differ in the seed alone.

use std::fs;

use serde_json::Value;

use crate::support::{DEVICE, Folder, SMALL};

const FINETUNE: &str = "finetune --model runs/mini --train train.csv --label-column category --test test.csv --seed 7 \
                        --set train.micro_batch_size=8 --max-seq-length 12 --steps 3";

fn seeds(folder: &Folder, line: &str) -> Value {
    folder.run(&format!("{line} --format json {DEVICE}")).succeeds().json()
}

fn model(folder: &Folder, run: &str) -> Vec<u8> {
    fs::read(folder.path(&format!("{run}/model.safetensors"))).unwrap()
}

#[test]
fn runs_of_several_seeds_are_those_of_each_and_have_a_mean() {
    let folder = Folder::with_models();
    let report = seeds(&folder, &format!("{FINETUNE} --seeds 3 --out several"));
    let found: Vec<_> = report["runs"].as_array().unwrap().iter().map(|run| run["seed"].as_u64().unwrap()).collect();
    assert_eq!(found, [7, 8, 9]);
    for score in report["scores"].as_array().unwrap() {
        let (name, mean) = (score["name"].as_str().unwrap(), score["mean"].as_f64().unwrap());
        let (part, metric) = name.split_once('.').unwrap();
        let values: Vec<_> = score["values"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect();
        for (value, run) in values.iter().zip(report["runs"].as_array().unwrap()) {
            let scores = &run["report"][part];
            let found = scores[metric].as_f64().or(scores["metrics"][metric].as_f64());
            assert_eq!(Some(*value), found, "{name}");
        }
        assert!((mean - values.iter().sum::<f64>() / 3.0).abs() < 1e-12, "{score}");
    }
    let names: Vec<_> = report["scores"].as_array().unwrap().iter().map(|score| &score["name"]).collect();
    for name in ["validation.loss", "validation.macro_f1", "test.accuracy"] {
        assert!(names.contains(&&name.into()), "{names:?}");
    }
    assert_eq!(folder.json("several/seeds.json"), report);
    // Each is the run of its seed, with the steps of the first.
    let one = format!("{} --seed 8 --out one {DEVICE}", FINETUNE.replace(" --seed 7", ""));
    folder.run(&one).succeeds();
    assert_eq!(model(&folder, "several/seed-8"), model(&folder, "one"));
    assert_ne!(model(&folder, "several/seed-8"), model(&folder, "several/seed-9"));
    // And for people.
    let text = folder.run(&format!("finetune --out several --resume {DEVICE}")).succeeds().stdout;
    assert!(
        text.contains("several, seeds 7, 8, 9\n") && text.contains("validation loss ") && text.contains(" ± "),
        "{text}"
    );
}

/// Killed in the second run, or before it began: what is there is not trained again.
#[test]
fn runs_of_several_seeds_that_were_killed_go_on() {
    let folder = Folder::with_models();
    let whole = seeds(&folder, &format!("{FINETUNE} --seeds 3 --out several"));
    let models = |folder: &Folder| [7, 8, 9].map(|seed| model(folder, &format!("several/seed-{seed}")));
    let expected = models(&folder);
    let time = |name: &str| fs::metadata(folder.path(name)).unwrap().modified().unwrap();
    let first = time("several/seed-7/checkpoints/step-3/state.json");
    fs::remove_file(folder.path("several/seeds.json")).unwrap();
    fs::remove_dir_all(folder.path("several/seed-9")).unwrap();
    for file in ["model.safetensors", "checkpoints/step-3/state.json"] {
        fs::remove_file(folder.path(&format!("several/seed-8/{file}"))).unwrap();
    }
    fs::remove_dir_all(folder.path("several/seed-8/checkpoints/step-3")).unwrap();
    let again = seeds(&folder, "finetune --out several --resume --test test.csv");
    assert_eq!(again["scores"], whole["scores"]);
    assert_eq!(models(&folder), expected);
    assert_eq!(time("several/seed-7/checkpoints/step-3/state.json"), first);
}

#[test]
fn every_recipe_takes_several_seeds() {
    let folder = Folder::with_models();
    let lines = [
        (format!("pretrain --corpus corpus {SMALL} --steps 1"), "validation.loss"),
        (format!("pretrain --objective causal-lm --corpus corpus {SMALL} --steps 1"), "validation.perplexity"),
        (
            "train-seq2seq --corpus pairs --init runs/de-en --set train.micro_batch_tokens=256 --steps 1".to_owned(),
            "validation.loss",
        ),
    ];
    for (number, (line, score)) in lines.into_iter().enumerate() {
        let report = seeds(&folder, &format!("{line} --seeds 2 --out several-{number}"));
        let scores = report["scores"].as_array().unwrap();
        assert!(scores.iter().any(|found| found["name"] == score), "{line}: {scores:?}");
    }
}

#[test]
fn seeds_that_cannot_be_are_refused() {
    let folder = Folder::with_models();
    let refused = |line: String, said: &[&str]| folder.run(&format!("{line} {DEVICE}")).fails_with(said);
    refused(format!("{FINETUNE} --seeds 1 --out several"), &["1 is not in 2..=1000"]);
    refused("finetune --out several --resume --seeds 2".to_owned(), &["--seeds", "cannot be used with"]);
    let last = FINETUNE.replace("--seed 7", &format!("--seed {}", i64::MAX));
    refused(format!("{last} --seeds 2 --out several"), &["`seed` is 9223372036854775807, expected"]);
    refused(format!("{FINETUNE} --seeds 2 --freeze 9 --out several"), &["`train.freeze` is 9"]);
    assert!(!folder.path("several").exists());
    refused(format!("{FINETUNE} --seeds 2 --out runs/mini"), &["already holds a run"]);
    // A plan writes nothing.
    let plan = seeds(&folder, &format!("{FINETUNE} --seeds 2 --out several --dry-run"));
    assert!(plan["steps"] == 3 && !folder.path("several").exists(), "{plan}");
    // Another command than that of the runs.
    seeds(&folder, &format!("{FINETUNE} --seeds 2 --out several"));
    refused("pretrain --out several --resume".to_owned(), &["finetune"]);
    refused(
        "finetune --out several --resume --dry-run".to_owned(),
        &["runs of several seeds", "leave out `--dry-run`"],
    );
}
