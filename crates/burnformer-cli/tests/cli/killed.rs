//! Runs that were killed before they had written anything to resume from.

use std::fs;

use crate::support::{DEVICE, Folder, SMALL};

/// A run of 12 steps in `out`, whose checkpoints and model are removed: what is left of one that was killed before them.
fn killed(folder: &Folder, out: &str) {
    let line = format!("pretrain --corpus corpus {SMALL} --steps 12 --out {out} {DEVICE}");
    folder.run(&line).succeeds();
    for entry in fs::read_dir(folder.path(out)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        match name.as_str() {
            "run.toml" | "checkpoints.toml" | "metrics.jsonl" | ".lock" => {}
            "checkpoints" => {
                fs::remove_dir_all(&path).unwrap();
                fs::create_dir(&path).unwrap();
            }
            _ => fs::remove_file(path).unwrap(),
        }
    }
}

#[test]
fn a_run_that_was_killed_before_its_first_checkpoint_is_resumed_from_its_first_step() {
    let folder = Folder::with_models();
    killed(&folder, "runs/a");
    folder.run(&format!("inspect runs/a {DEVICE}")).fails_with(&[
        "`runs/a` is not a model folder",
        "hint: this run has not published a model yet",
        "continue it with `--resume`",
    ]);
    folder.run(&format!("predict runs/a text {DEVICE}")).fails_with(&["hint: this run has not published a model yet"]);
    let resumed = folder.run(&format!("pretrain --out runs/a --resume {DEVICE}")).succeeds();
    assert!(resumed.stderr.contains("has no checkpoint yet: the run starts from its first step"), "{}", resumed.stderr);
    let weights = |run: &str| fs::read(folder.path(&format!("runs/{run}/model.safetensors"))).unwrap();
    folder.run(&format!("pretrain --corpus corpus {SMALL} --steps 12 --out runs/b {DEVICE}")).succeeds();
    assert!(weights("a") == weights("b"));
    // What lacks its checkpoints only, and has a model, is not begun anew.
    fs::remove_dir_all(folder.path("runs/b/checkpoints")).unwrap();
    fs::create_dir(folder.path("runs/b/checkpoints")).unwrap();
    folder
        .run(&format!("pretrain --out runs/b --resume {DEVICE}"))
        .fails_with(&["no usable checkpoint to resume from"]);
}

#[test]
fn a_run_is_started_where_one_was_killed_before_its_settings_were_written() {
    let folder = Folder::with_models();
    killed(&folder, "runs/a");
    for file in ["run.toml", "checkpoints.toml", "metrics.jsonl"] {
        fs::remove_file(folder.path("runs/a").join(file)).unwrap();
    }
    folder.write("runs/a/.unfinished-x", "seed");
    folder.run(&format!("pretrain --corpus corpus {SMALL} --steps 12 --out runs/a {DEVICE}")).succeeds();
    assert!(folder.path("runs/a/model.safetensors").is_file() && !folder.path("runs/a/.unfinished-x").exists());
}
