//! A run that was stopped goes on as if it had not been.

use std::fs;
use std::path::Path;

use burnformer_train::{Stop, TrainConfig};

use crate::support::{Begin, Fixture, config, cpus, numbers};

fn weights(run: &Path, step: u64) -> Vec<u8> {
    fs::read(run.join(format!("checkpoints/step-{step}/model.safetensors"))).unwrap()
}

#[test]
fn a_resumed_run_equals_one_that_was_never_stopped() {
    let fixture = Fixture::small();
    for (name, device) in cpus() {
        for (log_every, stop_at) in [(1, 6), (1, 8), (3, 6)] {
            let config = TrainConfig { log_every, ..config(12) };
            let place = tempfile::tempdir().unwrap();
            let (whole, parts) = (place.path().join("whole"), place.path().join("parts"));
            let (outcome, expected) = fixture.run(&device, &config, &whole, Begin::Start, None);
            assert_eq!(outcome.unwrap().stop, Stop::Finished);

            let (outcome, mut found) = fixture.run(&device, &config, &parts, Begin::Start, Some(stop_at));
            let outcome = outcome.unwrap();
            assert_eq!((outcome.stop, outcome.state.step), (Stop::Interrupted, stop_at));
            let (outcome, rest) = fixture.run(&device, &config, &parts, Begin::Resume, None);
            assert_eq!(outcome.unwrap().stop, Stop::Finished);
            found.extend(rest);

            assert_eq!(numbers(&found), numbers(&expected), "{name}");
            assert_eq!(weights(&parts, 12), weights(&whole, 12), "{name}: weights");
            let lines = |run: &Path| fs::read_to_string(run.join("metrics.jsonl")).unwrap().lines().count();
            assert_eq!(lines(&parts), lines(&whole), "{name}: lines of metrics");
        }
    }
}

#[test]
fn what_a_killed_run_did_after_its_checkpoint_is_done_again() {
    let fixture = Fixture::small();
    let (name, device) = cpus().remove(0);
    let place = tempfile::tempdir().unwrap();
    let run = place.path().join("run");
    let config = TrainConfig { keep_checkpoints: 9, ..config(12) };
    let (_, expected) = fixture.run(&device, &config, &run, Begin::Start, None);
    let last = weights(&run, 12);
    // As if the machine had gone down: the checkpoints behind step 5 are lost, and a line of metrics is torn.
    for step in 6..=12 {
        let _ = fs::remove_dir_all(run.join(format!("checkpoints/step-{step}")));
    }
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    fs::write(run.join("metrics.jsonl"), &metrics[..metrics.len() - 20]).unwrap();
    let (outcome, rest) = fixture.run(&device, &config, &run, Begin::Resume, None);
    outcome.unwrap();
    let expected: Vec<_> = expected.into_iter().filter(|entry| entry.step > 5).collect();
    assert_eq!(numbers(&rest), numbers(&expected), "{name}");
    assert_eq!(weights(&run, 12), last);
}

#[test]
fn the_top_of_the_folder_has_the_best_model_and_few_checkpoints_stay() {
    let fixture = Fixture::small();
    let (_, device) = cpus().remove(0);
    let place = tempfile::tempdir().unwrap();
    let run = place.path().join("run");
    let (outcome, _) = fixture.run(&device, &config(12), &run, Begin::Start, None);
    let outcome = outcome.unwrap();
    let best = outcome.state.best.unwrap();
    assert_eq!(outcome.published, best.step);
    assert_eq!(fs::read(run.join("model.safetensors")).unwrap(), weights(&run, best.step));
    for file in ["config.json", "tokenizer.json", "tokenizer_config.json", "learning_curves.svg", "metrics.jsonl"] {
        assert!(run.join(file).is_file(), "{file}");
    }
    assert!(!run.join("state.json").exists() && !run.join("optimizer.safetensors").exists());
    let checkpoints = fs::read_dir(run.join("checkpoints")).unwrap().count();
    assert_eq!(checkpoints, if best.step == 12 { 1 } else { 2 });
}
