//! No damage of a checkpoint goes unnoticed.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use burnformer_tasks::{PretrainingTask, Scores, Task};
use burnformer_train::{
    GradientRule, GradientSums, HistoryEntry, MicroBatch, OptimizerConfig, RunFolder, SgdConfig, TrainConfig,
    TrainError, Trainer, average_checkpoints,
};

use crate::support::{Begin, Fixture, SEED, config, cpus, numbers};

/// Changes one bit of a file; a second time, changes it back.
fn flip(path: &Path, bit: usize) {
    let mut file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    let place = SeekFrom::Start(bit as u64 / 8);
    file.seek(place).unwrap();
    file.read_exact(&mut byte).unwrap();
    file.seek(place).unwrap();
    file.write_all(&[byte[0] ^ (1 << (bit % 8))]).unwrap();
}

#[test]
fn every_bit_of_the_state_of_a_checkpoint_is_covered_by_a_checksum() {
    let fixture = Fixture::small();
    let (_, device) = cpus().remove(0);
    let place = tempfile::tempdir().unwrap();
    let (run, out) = (place.path().join("run"), place.path().join("out"));
    fs::create_dir(&out).unwrap();
    fixture.run(&device, &config(5), &run, Begin::Start, None).0.unwrap();
    let path = run.join("checkpoints/step-5/state.json");
    // Reads and checks as resuming does, but without making a model of it.
    let read = || average_checkpoints(&run, 1, &out);
    assert_eq!(read().unwrap(), [5]);
    for bit in 0..8 * fs::read(&path).unwrap().len() {
        flip(&path, bit);
        assert!(matches!(read(), Err(TrainError::Damaged { .. })), "bit {bit}");
        flip(&path, bit);
    }
}

#[test]
fn a_bit_that_changes_in_any_file_is_found_and_the_run_resumes_before_it() {
    let fixture = Fixture::small();
    let (name, device) = cpus().remove(0);
    let place = tempfile::tempdir().unwrap();
    let run = place.path().join("run");
    let config = TrainConfig { keep_checkpoints: 9, ..config(6) };
    let (_, expected) = fixture.run(&device, &config, &run, Begin::Start, None);
    let last = run.join("checkpoints/step-6");
    let files: Vec<_> = fs::read_dir(&last).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(files.len() > 5, "{files:?}");
    let weights = fs::read(last.join("model.safetensors")).unwrap();
    for file in files {
        for quarter in 0..=4 {
            let n_bits = 8 * fs::read(last.join(&file)).unwrap().len();
            let bit = (n_bits - 1) * quarter / 4;
            flip(&last.join(&file), bit);
            let (outcome, found) = fixture.run(&device, &config, &run, Begin::Resume, None);
            assert_eq!(outcome.unwrap().state.step, 6);
            let expected: Vec<_> = expected.iter().filter(|entry| entry.step > 5).cloned().collect();
            assert_eq!(numbers(&found), numbers(&expected), "{name}: bit {bit} of {file:?}");
            assert_eq!(fs::read(last.join("model.safetensors")).unwrap(), weights, "{name}: bit {bit} of {file:?}");
        }
    }
}

#[test]
fn a_checkpoint_under_the_name_of_another_step_is_not_resumed_from() {
    let fixture = Fixture::small();
    let (_, device) = cpus().remove(0);
    let place = tempfile::tempdir().unwrap();
    let run = place.path().join("run");
    let config = TrainConfig { keep_checkpoints: 9, ..config(6) };
    fixture.run(&device, &config, &run, Begin::Start, None).0.unwrap();
    let step = |step: u64| run.join(format!("checkpoints/step-{step}"));
    fs::rename(step(6), step(7)).unwrap();
    let error = average_checkpoints(&run, 1, place.path()).unwrap_err().to_string();
    assert!(error.ends_with("is damaged: `state.json` is of step 6, expected 7"), "{error}");
    let (outcome, found) = fixture.run(&device, &config, &run, Begin::Resume, None);
    assert_eq!((outcome.unwrap().state.step, found[0].step), (6, 6));
}

/// Checkpoints of version 0.1.0 have no checksum of `state.json`.
#[test]
fn a_checkpoint_without_a_checksum_of_its_state_is_resumed_from_if_it_is_old() {
    let fixture = Fixture::small();
    let (_, device) = cpus().remove(0);
    let place = tempfile::tempdir().unwrap();
    let run = place.path().join("run");
    fixture.run(&device, &config(5), &run, Begin::Start, None).0.unwrap();
    let path = run.join("checkpoints/step-5/state.json");
    let mut state: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    state.as_object_mut().unwrap().remove("checksum").unwrap();
    state["state"].as_object_mut().unwrap().remove("interval").unwrap();
    let mut resume = |format: u64| {
        state["format"] = format.into();
        fs::write(&path, serde_json::to_vec_pretty(&state).unwrap()).unwrap();
        fixture.run(&device, &config(6), &run, Begin::Resume, None).0
    };
    assert!(matches!(resume(2), Err(TrainError::NoCheckpoint { .. })));
    assert_eq!(resume(1).unwrap().state.step, 6);
}

/// Killed between two lines of metrics: what was counted for the next one is not lost.
#[test]
fn a_line_of_metrics_is_the_same_if_the_run_was_resumed_within_it() {
    let fixture = Fixture::small();
    let (name, device) = cpus().remove(0);
    let place = tempfile::tempdir().unwrap();
    let run = place.path().join("run");
    let config = TrainConfig { log_every: 4, keep_checkpoints: 9, ..config(8) };
    let (_, expected) = fixture.run(&device, &config, &run, Begin::Start, None);
    for step in 6..=8 {
        let _ = fs::remove_dir_all(run.join(format!("checkpoints/step-{step}")));
    }
    let (outcome, found) = fixture.run(&device, &config, &run, Begin::Resume, None);
    outcome.unwrap();
    let expected: Vec<_> = expected.into_iter().filter(|entry| entry.step > 5).collect();
    assert_eq!(numbers(&found), numbers(&expected), "{name}");
    let time = |entry: &HistoryEntry| entry.value("seconds").is_some_and(|seconds| seconds > 0.0);
    assert!(found.iter().any(time), "{found:?}");
}

/// Published is what was written; if that has changed, what was written last.
#[test]
fn a_damaged_best_model_is_not_published() {
    let fixture = Fixture::small();
    let (_, device) = cpus().remove(0);
    let place = tempfile::tempdir().unwrap();
    let run = place.path().join("run");
    // So small a rate that the first evaluation stays the best.
    let optimizer = OptimizerConfig::Sgd(SgdConfig { learning_rate: 1e-30, momentum: 0.0, weight_decay: 0.0 });
    let config = TrainConfig { optimizer, ..config(8) };
    assert_eq!(fixture.run(&device, &config, &run, Begin::Start, None).0.unwrap().published, 4);
    flip(&run.join("checkpoints/step-4/model.safetensors"), 9000);
    let longer = TrainConfig { steps: 9, ..config };
    assert_eq!(fixture.run(&device, &longer, &run, Begin::Resume, None).0.unwrap().published, 9);
    let weights = |path: &str| fs::read(run.join(path)).unwrap();
    assert_eq!(weights("model.safetensors"), weights("checkpoints/step-9/model.safetensors"));
}

/// A rule that forgets to add gradients.
struct Nothing;

impl GradientRule<PretrainingTask> for Nothing {
    fn add(
        &self,
        micro_batch: MicroBatch<'_, PretrainingTask>,
        _: &mut GradientSums,
    ) -> Vec<(<PretrainingTask as Task>::Batch, Scores)> {
        let forward = micro_batch.forward(&micro_batch.batch, micro_batch.totals);
        vec![(micro_batch.batch, forward.scores)]
    }
}

#[test]
fn a_step_without_a_gradient_is_an_error() {
    let fixture = Fixture::small();
    let (_, device) = cpus().remove(0);
    let place = tempfile::tempdir().unwrap();
    let config = config(4);
    let folder = RunFolder::create(&place.path().join("run"), "").unwrap();
    let trainer = Trainer::new(&fixture.task, &config, SEED, device.clone()).with_rule(&Nothing);
    let error = trainer.start(fixture.model(&device), &fixture.data(), &folder, &mut |_| {}).unwrap_err();
    assert!(matches!(error, TrainError::NoGradient { step: 1 }), "{error}");
}
