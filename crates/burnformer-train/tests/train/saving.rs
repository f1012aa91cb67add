//! Which checkpoints are written and kept, and what a full disk does.

use std::fs;
use std::path::Path;

use burnformer_core::config::Validate;
use burnformer_train::{OptimizerConfig, SgdConfig, TrainConfig, average_checkpoints};

use crate::support::{Begin, Fixture, config, cpus, numbers};
use crate::troubled::Troubled;

/// The steps of the checkpoints of a run, in order.
fn checkpoints(run: &Path) -> Vec<u64> {
    let names = fs::read_dir(run.join("checkpoints")).unwrap().map(|entry| entry.unwrap().file_name());
    let mut steps: Vec<u64> =
        names.map(|name| name.to_str().unwrap().strip_prefix("step-").unwrap().parse().unwrap()).collect();
    steps.sort_unstable();
    steps
}

/// A checkpoint after every step, as if each of them took minutes, changes nothing in what comes of the run.
#[test]
fn checkpoints_by_time_change_no_result() {
    let fixture = Fixture::small();
    let (name, device) = cpus().remove(0);
    let place = tempfile::tempdir().unwrap();
    let run = |minutes, path: &str, steps, begin| {
        let config = TrainConfig { checkpoint_minutes: minutes, log_every: 3, keep_checkpoints: 2, ..config(steps) };
        let ended =
            Troubled::with_room(&fixture, 99).run(&fixture, &device, &config, &place.path().join(path), begin, None);
        ended.outcome.as_ref().unwrap();
        (numbers(&ended.entries), ended.told("checkpoint").len())
    };
    let (expected, n_scheduled) = run(None, "steps", 12, Begin::Start);
    let (found, n_written) = run(Some(1e-12), "time", 12, Begin::Start);
    assert!(n_scheduled < 8 && n_written >= 12, "{n_scheduled} and {n_written}");
    assert_eq!(found, expected, "{name}");
    let [steps, time] = ["steps", "time"].map(|run| place.path().join(run));
    assert_eq!(checkpoints(&time), checkpoints(&steps), "{name}");
    let weights = |run: &Path| fs::read(run.join("model.safetensors")).unwrap();
    assert_eq!(weights(&time), weights(&steps), "{name}");

    // Nor does it if the run is killed behind one of them.
    for path in ["steps-killed", "time-killed"] {
        let minutes = path.starts_with("time").then_some(1e-12);
        run(minutes, path, 7, Begin::Start);
    }
    let out = place.path().join("mean");
    fs::create_dir(&out).unwrap();
    let [steps, time] = ["steps-killed", "time-killed"].map(|run| place.path().join(run));
    assert_eq!(average_checkpoints(&time, 2, &out).unwrap(), average_checkpoints(&steps, 2, &out).unwrap());
}

#[test]
fn the_best_and_those_of_every_so_many_steps_are_kept() {
    let fixture = Fixture::small();
    let (_, device) = cpus().remove(0);
    let place = tempfile::tempdir().unwrap();
    let run = |path: &str, config: TrainConfig| {
        let run = place.path().join(path);
        fixture.run(&device, &config, &run, Begin::Start, None).0.unwrap();
        checkpoints(&run)
    };
    // The rate is so small that all evaluations are equal: the first ones are the best.
    let optimizer = OptimizerConfig::Sgd(SgdConfig { learning_rate: 1e-30, momentum: 0.0, weight_decay: 0.0 });
    let config = TrainConfig { optimizer, evaluate_every: 3, checkpoint_every: 5, ..config(14) };
    assert_eq!(run("one", config.clone()), [3, 14]);
    assert_eq!(run("two", TrainConfig { keep_best: 2, ..config.clone() }), [3, 6, 14]);
    assert_eq!(run("many", TrainConfig { keep_every: Some(4), keep_checkpoints: 2, ..config }), [3, 4, 8, 12, 14]);
}

/// Behind its last checkpoint a process may be killed before it removes those that are not to be kept.
#[test]
fn a_finished_run_that_is_resumed_keeps_no_more_checkpoints() {
    let fixture = Fixture::small();
    let (_, device) = cpus().remove(0);
    let run = tempfile::tempdir().unwrap();
    let optimizer = OptimizerConfig::Sgd(SgdConfig { learning_rate: 1e-30, momentum: 0.0, weight_decay: 0.0 });
    let many = TrainConfig { optimizer, evaluate_every: 3, checkpoint_every: 5, keep_checkpoints: 9, ..config(14) };
    fixture.run(&device, &many, run.path(), Begin::Start, None).0.unwrap();
    assert_eq!(checkpoints(run.path()), [3, 5, 10, 14]);
    let one = TrainConfig { keep_checkpoints: 1, ..many };
    fixture.run(&device, &one, run.path(), Begin::Resume, None).0.unwrap();
    assert_eq!(checkpoints(run.path()), [3, 14]);
}

#[test]
fn a_disk_that_is_full_in_the_middle_of_a_checkpoint_leaves_the_one_before() {
    let fixture = Fixture::small();
    let (name, device) = cpus().remove(0);
    let place = tempfile::tempdir().unwrap();
    let [whole, parts] = ["whole", "parts"].map(|run| place.path().join(run));
    let (_, expected) = fixture.run(&device, &config(12), &whole, Begin::Start, None);
    let run =
        |room, begin| Troubled::with_room(&fixture, room).run(&fixture, &device, &config(12), &parts, begin, None);
    let begun = run(1, Begin::Start);
    let error = begun.outcome.unwrap_err();
    assert!(error.to_string().starts_with("cannot write `"), "{error}");
    assert_eq!(checkpoints(&parts), [4]);
    let rest = run(99, Begin::Resume);
    rest.outcome.unwrap();
    let found: Vec<_> = begun.entries.into_iter().filter(|entry| entry.step <= 4).chain(rest.entries).collect();
    assert_eq!(numbers(&found), numbers(&expected), "{name}");
    let weights = |run: &Path| fs::read(run.join("model.safetensors")).unwrap();
    assert_eq!(weights(&parts), weights(&whole), "{name}");
}

/// Settings of a run that was begun before there were these keys.
#[test]
fn old_settings_go_on_as_they_did() {
    let mut settings = serde_json::to_value(TrainConfig::default()).unwrap();
    let table = settings.as_object_mut().unwrap();
    for key in [
        "checkpoint_minutes",
        "keep_best",
        "keep_every",
        "max_skipped_steps",
        "on_divergence",
        "roll_back_factor",
        "max_roll_backs",
        "check_every",
    ] {
        assert!(table.remove(key).is_some(), "{key}");
    }
    let read: TrainConfig = serde_json::from_value(settings).unwrap();
    assert_eq!(read, TrainConfig { checkpoint_minutes: None, ..TrainConfig::default() });
}

#[test]
fn settings_that_cannot_work_are_named() {
    let check = |change: fn(&mut TrainConfig), key: &str| {
        let mut config = config(4);
        change(&mut config);
        let error = config.validate().unwrap_err().to_string();
        assert!(error.contains(&format!("`{key}`")), "{error}");
    };
    check(|it| it.checkpoint_minutes = Some(0.0), "checkpoint_minutes");
    check(|it| it.checkpoint_minutes = Some(f64::NAN), "checkpoint_minutes");
    check(|it| it.keep_best = 0, "keep_best");
    check(|it| it.keep_every = Some(0), "keep_every");
    check(|it| it.max_skipped_steps = 0, "max_skipped_steps");
    check(|it| it.check_every = 0, "check_every");
    for factor in [|it: &mut TrainConfig| it.roll_back_factor = 0.0, |it: &mut TrainConfig| it.roll_back_factor = 1.5] {
        check(factor, "roll_back_factor");
    }
}
