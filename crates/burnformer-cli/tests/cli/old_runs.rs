//! Run folders of version 0.1.0: they are resumed, and their models are loaded. `make.sh` beside the fixture made them.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::support::{DEVICE, Folder};

/// The modification time of `classes.csv` when its run began, which that run asks for: 2026-01-01T00:00:00Z.
const MODIFIED: Duration = Duration::from_secs(1_767_225_600);
/// Kernels of different processors round differently.
const TOLERANCE: f64 = 1e-4;

fn old_runs() -> Folder {
    let folder = Folder::new();
    copy(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/runs_of_0_1_0")), &folder.path(""));
    let classes = File::options().write(true).open(folder.path("classes.csv")).unwrap();
    classes.set_modified(SystemTime::UNIX_EPOCH + MODIFIED).unwrap();
    folder
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let from = entry.unwrap().path();
        let to = to.join(from.file_name().unwrap());
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::write(to, fs::read(from).unwrap()).unwrap();
        }
    }
}

/// Resumes the run of `command` from step 3, and compares what it measures from there on with what version 0.1.0 measured
/// in a run that was not interrupted.
fn check(command: &str) {
    let folder = old_runs();
    folder.run(&format!("{command} --out {command} --resume {DEVICE}")).succeeds();
    let expected = folder.json("expected.json");
    let expected = expected[command].as_array().unwrap();
    let rows = folder.rows(&format!("{command}/metrics.jsonl"));
    let rows: Vec<&Value> = rows.iter().filter(|row| row["step"].as_u64() > Some(3)).collect();
    assert_eq!(rows.len(), expected.len());
    for (row, expected) in rows.into_iter().zip(expected) {
        for (name, expected) in expected.as_object().unwrap() {
            match (row[name].as_f64(), expected.as_f64()) {
                (Some(found), Some(expected)) => {
                    assert!(
                        (found - expected).abs() <= TOLERANCE * expected.abs(),
                        "{name} of {row}: {expected} expected"
                    );
                }
                _ => assert_eq!(row[name], *expected, "{name} of {row}"),
            }
        }
    }
}

#[test]
fn pretraining_of_an_old_run_is_resumed() {
    check("pretrain");
}

#[test]
fn fine_tuning_of_an_old_run_is_resumed() {
    check("finetune");
}

#[test]
fn training_of_an_old_translator_is_resumed() {
    check("train-seq2seq");
}

#[test]
fn models_of_old_runs_are_loaded() {
    let folder = old_runs();
    folder.run(&format!("fill-mask pretrain [MASK] {DEVICE}")).succeeds();
    folder.run(&format!("inspect pretrain {DEVICE}")).succeeds();
    folder.run(&format!("predict finetune/checkpoints/step-3 bread {DEVICE}")).succeeds();
    folder.run(&format!("translate train-seq2seq/checkpoints/step-3 Hund {DEVICE}")).succeeds();
}
