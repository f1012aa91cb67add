//! Training that is stopped by a signal, and goes on as if nothing had been; or writes a checkpoint and goes on.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, Command, Stdio};

use serde_json::Value;

use crate::support::{DEVICE, Folder, SMALL};

/// A program that trains, in a process group of its own, and what it has said so far.
struct Training {
    program: Child,
    stderr: BufReader<ChildStderr>,
    said: String,
}

impl Training {
    /// Runs `line` until it trains. It cannot end before it is read on: what it has to say is more than a pipe takes.
    fn start(folder: &Folder, line: &str) -> Self {
        let mut command = folder.command(line);
        let mut program = command.process_group(0).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(program.stderr.take().unwrap());
        let mut training = Self { program, stderr, said: String::new() };
        training.wait_for(" train: ");
        training
    }

    fn wait_for(&mut self, text: &str) {
        while !self.said.contains(text) {
            assert_ne!(self.stderr.read_line(&mut self.said).unwrap(), 0, "{}", self.said);
        }
    }

    /// Sends signals as `kill` is told to, `PID` being the process.
    fn kill(&self, line: &str) {
        let line = line.replace("PID", &self.program.id().to_string());
        assert!(Command::new("sh").args(["-c", &line]).status().unwrap().success());
    }

    /// The exit status and all that was said.
    fn end(mut self) -> (Option<i32>, String) {
        self.stderr.read_to_string(&mut self.said).unwrap();
        (self.program.wait().unwrap().code(), self.said)
    }
}

/// Runs `line` and sends it a signal once it trains; returns its exit status and all that it said.
fn stopped(folder: &Folder, line: &str, signal: &str) -> (Option<i32>, String) {
    let training = Training::start(folder, line);
    training.kill(&format!("kill -{signal} PID"));
    training.end()
}

/// The step at which a run that has `said` this was stopped.
fn step(said: &str) -> &str {
    let (_, told) = said.split_once("\nstopped after step ").unwrap();
    told.split_once(", checkpoint written; to continue: `burnformer ").unwrap().0
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

    let (step, (_, told)) = (step(&said), said.split_once("; to continue: `burnformer ").unwrap());
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

#[test]
fn a_signal_sent_to_process_and_group_is_one() {
    let folder = Folder::with_models();
    let endless = format!("-v pretrain --corpus corpus {SMALL} --steps 1000000 --set train.log_every=1 {DEVICE}");
    for round in 0..12 {
        let training = Training::start(&folder, &format!("{endless} --out runs/{round}"));
        training.kill("kill -TERM PID; kill -TERM -PID; kill -CONT -PID");
        let (code, said) = training.end();
        assert_eq!(code, Some(143), "{said}");
        let step = step(&said);
        assert!(folder.path(&format!("runs/{round}/checkpoints/step-{step}/state.json")).is_file());
    }
}

#[test]
fn a_run_whose_terminal_went_away_can_be_resumed() {
    let folder = Folder::with_models();
    let line =
        format!("-v pretrain --corpus corpus {SMALL} --steps 1000000 --set train.log_every=1 {DEVICE} --out runs/gone");
    let mut training = Training::start(&folder, &line);
    // Writing fails from now on, as it does to a terminal that is gone.
    training.stderr = BufReader::new(Command::new("true").stderr(Stdio::piped()).spawn().unwrap().stderr.unwrap());
    training.kill("kill -HUP PID");
    assert_eq!(training.end().0, Some(129));
    let checkpoints = fs::read_dir(folder.path("runs/gone/checkpoints")).unwrap();
    assert!(checkpoints.map(|entry| entry.unwrap().path()).any(|path| path.join("state.json").is_file()));
}

#[test]
fn a_run_that_is_asked_for_a_checkpoint_writes_it_and_goes_on() {
    let folder = Folder::with_models();
    let line = format!("-v pretrain --corpus corpus {SMALL} --steps 600 --set train.log_every=1 {DEVICE}");
    let line = format!("{line} --set train.evaluate_every=600 --set train.checkpoint_every=600");
    folder.run(&format!("{line} --out runs/whole")).succeeds();
    let mut training = Training::start(&folder, &format!("{line} --out runs/asked"));
    training.kill("kill -USR1 PID");
    training.wait_for(": checkpoint written\n");
    let (before, _) = training.said.split_once(": checkpoint written\n").unwrap();
    let (_, step) = before.rsplit_once("step ").unwrap();
    assert!(step.parse::<u64>().unwrap() < 600, "{step}");
    let (code, said) = training.end();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(metrics(&folder, "runs/whole"), metrics(&folder, "runs/asked"));
}
