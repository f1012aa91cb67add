//! Errors of a run are typed and lose nothing.

use std::fs;

use burnformer_train::{OptimizerConfig, ScheduleConfig, SgdConfig, Stop, TrainConfig, TrainError};

use crate::support::{Begin, Fixture, config, cpus, empty_metric_state};

#[test]
fn a_damaged_checkpoint_is_passed_over_and_the_last_one_missed() {
    let fixture = Fixture::small();
    let (_, device) = cpus().remove(0);
    let place = tempfile::tempdir().unwrap();
    let run = place.path().join("run");
    let config = TrainConfig { keep_checkpoints: 9, ..config(12) };
    fixture.run(&device, &config, &run, Begin::Start, None).0.unwrap();
    let last = fs::read(run.join("checkpoints/step-12/model.safetensors")).unwrap();
    let damage = |step: u64| {
        let path = run.join(format!("checkpoints/step-{step}/model.safetensors"));
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(path, bytes).unwrap();
    };
    damage(12);
    let (outcome, entries) = fixture.run(&device, &config, &run, Begin::Resume, None);
    outcome.unwrap();
    assert!(entries[0].step > 4 && entries[0].step < 12, "{:?}", entries[0]);
    assert_eq!(fs::read(run.join("checkpoints/step-12/model.safetensors")).unwrap(), last);

    for entry in fs::read_dir(run.join("checkpoints")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        damage(name.strip_prefix("step-").unwrap().parse().unwrap());
    }
    let error = fixture.run(&device, &config, &run, Begin::Resume, None).0.unwrap_err();
    assert!(matches!(error, TrainError::NoCheckpoint { .. }), "{error}");
}

#[test]
fn a_loss_that_is_no_number_ends_the_run() {
    let fixture = Fixture::small();
    let (_, device) = cpus().remove(0);
    let place = tempfile::tempdir().unwrap();
    let optimizer = OptimizerConfig::Sgd(SgdConfig { learning_rate: 1e30, momentum: 0.9, weight_decay: 0.0 });
    let schedule = ScheduleConfig::Constant { warmup_steps: 0 };
    let config = TrainConfig { optimizer, schedule, clip_norm: None, ..config(12) };
    // Neither a line of metrics nor a checkpoint comes of it, whichever is due first.
    for (name, log_every, checkpoint_every) in [("metrics", 1, 100), ("checkpoint", 100, 3)] {
        let config = TrainConfig { log_every, checkpoint_every, evaluate_every: 100, ..config.clone() };
        let run = place.path().join(name);
        let error = fixture.run(&device, &config, &run, Begin::Start, None).0.unwrap_err();
        assert!(error.to_string().contains("lower `train.optimizer.learning_rate`"), "{name}: {error}");
        assert_eq!(fs::read_dir(run.join("checkpoints")).unwrap().count(), 0, "{name}");
    }
}

#[test]
fn a_folder_is_not_overwritten_and_a_run_not_mixed_up() {
    let fixture = Fixture::small();
    let (_, device) = cpus().remove(0);
    let place = tempfile::tempdir().unwrap();
    let (run, config) = (place.path().join("run"), config(4));
    let error =
        |config: &TrainConfig, begin| fixture.run(&device, config, &run, begin, None).0.unwrap_err().to_string();
    assert!(error(&config, Begin::Resume).ends_with("is not a run folder: it has no `run.toml`"));
    fs::create_dir(&run).unwrap();
    fs::write(run.join("thesis.txt"), "years of work").unwrap();
    assert!(error(&config, Begin::Start).contains("holds other files (`thesis.txt`)"));
    fs::remove_file(run.join("thesis.txt")).unwrap();
    fixture.run(&device, &config, &run, Begin::Start, None).0.unwrap();
    assert!(error(&config, Begin::Start).contains("already holds a run: resume it"));
    let other = TrainConfig { window: 128, ..config };
    assert!(error(&other, Begin::Resume).contains("cannot resume the run with another `data`"));
}

#[test]
fn too_little_text_for_a_step_is_said() {
    let fixture = Fixture::small();
    let (_, device) = cpus().remove(0);
    let place = tempfile::tempdir().unwrap();
    let config = TrainConfig { micro_batch_size: 1000, window: 1000, ..config(4) };
    let error = fixture.run(&device, &config, &place.path().join("run"), Begin::Start, None).0.unwrap_err();
    assert!(error.to_string().contains("a step takes 1000: lower `train.micro_batch_size`"), "{error}");
}

#[test]
fn a_run_ends_when_evaluations_do_not_get_better() {
    let fixture = Fixture::small();
    let (_, device) = cpus().remove(0);
    let place = tempfile::tempdir().unwrap();
    let optimizer = OptimizerConfig::Sgd(SgdConfig { learning_rate: 1e-30, momentum: 0.0, weight_decay: 0.0 });
    let config = TrainConfig { optimizer, patience: Some(2), ..config(100) };
    let outcome = fixture.run(&device, &config, &place.path().join("run"), Begin::Start, None).0.unwrap();
    assert_eq!((outcome.stop, outcome.state.step, outcome.published), (Stop::Early, 12, 4));
    assert_eq!(outcome.state.metric_state, empty_metric_state(&fixture));
}
