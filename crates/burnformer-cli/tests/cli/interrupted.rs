//! Training that is stopped by a signal, and goes on as if nothing had been.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{DEVICE, Folder, SMALL};

/// Runs `line` and sends it a signal once it trains; returns its exit status and all that it said.
fn stopped(folder: &Folder, line: &str, signal: &str) -> (Option<i32>, String) {
    let mut program = folder.command(line).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(program.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains(" train: ") {
        assert_ne!(stderr.read_line(&mut said).unwrap(), 0, "{said}");
    }
    // It cannot end before: what it has to say is more than a pipe takes.
    let process = program.id().to_string();
    assert!(Command::new("kill").args([&format!("-{signal}"), &process]).status().unwrap().success());
    stderr.read_to_string(&mut said).unwrap();
    (program.wait().unwrap().code(), said)
}

/// The metrics of a run but for those that depend on the clock.
fn metrics(folder: &Folder, run: &str) -> Vec<Value> {
    let mut rows = folder.rows(&format!("{run}/metrics.jsonl"));
    for row in &mut rows {
        row.as_object_mut().unwrap().retain(|name, _| name != "seconds" && name != "tokens_per_s");
    }
    rows
}

/// Makes sure that the run of `line` ends with the same weights whether a signal stops it on its way or not.
fn check(line: &str, signal: &str, status: i32) {
    let folder = Folder::with_models();
    let line = format!(
        "-v {line} --steps 600 --set train.log_every=1 --set train.evaluate_every=600 --set train.checkpoint_every=600 {DEVICE}"
    );
    folder.run(&format!("{line} --out runs/whole")).succeeds();
    let (code, said) = stopped(&folder, &format!("{line} --out runs/parts"), signal);
    assert_eq!(code, Some(status), "{said}");
    assert!(said.contains("\nstopping at the next safe point; press Ctrl-C again to stop at once\n"), "{said}");
    assert!(said.ends_with("--resume`\ninterrupted\n"), "{said}");

    let (_, told) = said.split_once("\nstopped after step ").unwrap();
    let (step, told) = told.split_once(", checkpoint written; to continue: `burnformer ").unwrap();
    assert!(step.parse::<u64>().unwrap() < 600);
    assert!(folder.path(&format!("runs/parts/checkpoints/step-{step}/state.json")).is_file());
    assert!(folder.path("runs/parts/model.safetensors").is_file());

    let (resume, _) = told.split_once('`').unwrap();
    folder.run(&format!("{resume} {DEVICE}")).succeeds();
    let weights = |run: &str| fs::read(folder.path(&format!("runs/{run}/model.safetensors"))).unwrap();
    assert!(weights("whole") == weights("parts"), "stopped after step {step}");
    assert_eq!(metrics(&folder, "runs/whole"), metrics(&folder, "runs/parts"));
    assert!(folder.path("runs/parts/README.md").is_file());
}

#[test]
fn pretraining_stopped_by_ctrl_c_goes_on_as_if_nothing_had_been() {
    check(&format!("pretrain --corpus corpus {SMALL}"), "INT", 130);
}

#[test]
fn fine_tuning_stopped_by_sigterm_goes_on_as_if_nothing_had_been() {
    let line = "finetune --model runs/mini --train train.csv --label-column category --set train.micro_batch_size=8";
    check(line, "TERM", 143);
}
