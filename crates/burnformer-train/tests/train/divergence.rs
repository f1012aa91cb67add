//! Steps without finite numbers, what becomes of a run that has many of them, and jumps of the loss.

use std::fs;
use std::path::Path;

use burnformer_train::{
    History, OnDivergence, OptimizerConfig, ScheduleConfig, SgdConfig, Stop, TrainConfig, TrainError,
};

use crate::support::{Begin, Fixture, config, cpus, numbers, series};
use crate::troubled::{Troubled, Wrong};

fn read(run: &Path, step: u64, file: &str) -> Vec<u8> {
    fs::read(run.join(format!("checkpoints/step-{step}/{file}"))).unwrap()
}

fn checkpoints(run: &Path) -> Vec<u64> {
    let names = fs::read_dir(run.join("checkpoints")).unwrap().map(|entry| entry.unwrap().file_name());
    let mut steps: Vec<u64> =
        names.map(|name| name.to_str().unwrap().strip_prefix("step-").unwrap().parse().unwrap()).collect();
    steps.sort_unstable();
    steps
}

#[test]
fn a_step_that_is_not_finite_leaves_no_trace() {
    let fixture = Fixture::small();
    let (_, device) = cpus().remove(0);
    for wrong in [Wrong::Loss, Wrong::Gradient] {
        let place = tempfile::tempdir().unwrap();
        let run = place.path().join("run");
        let config = TrainConfig { checkpoint_every: 1, keep_checkpoints: 9, ..config(3) };
        let task = Troubled::at(&fixture, &config, &[3], wrong);
        let ended = task.run(&fixture, &device, &config, &run, Begin::Start, None);
        assert_eq!(ended.told("skipped"), ["3"]);
        let state = ended.outcome.unwrap().state;
        assert_eq!((state.step, state.health.skipped, state.health.skipped_in_a_row), (3, 1, 1));
        for file in ["model.safetensors", "optimizer.safetensors"] {
            assert_eq!(read(&run, 3, file), read(&run, 2, file), "{wrong:?}: {file}");
        }
        let state: serde_json::Value = serde_json::from_slice(&read(&run, 3, "state.json")).unwrap();
        assert_eq!(state["optimizer_steps"], 2, "{wrong:?}");
    }
}

#[test]
fn metrics_are_those_of_the_steps_that_were_done() {
    let fixture = Fixture::small();
    let (_, device) = cpus().remove(0);
    for wrong in [Wrong::Loss, Wrong::Gradient] {
        let place = tempfile::tempdir().unwrap();
        let config = TrainConfig { log_every: 4, evaluate_every: 100, ..config(8) };
        let task = Troubled::at(&fixture, &config, &[3, 5, 6, 7, 8], wrong);
        let config = TrainConfig { max_skipped_steps: 9, ..config };
        let ended = task.run(&fixture, &device, &config, &place.path().join("run"), Begin::Start, None);
        ended.outcome.as_ref().unwrap();
        assert_eq!(ended.told("skipped"), ["3", "5", "6", "7", "8"]);
        let lines: Vec<_> = ended.entries.iter().filter(|entry| entry.split == "train").collect();
        assert!(lines[0].values.iter().all(|(_, value)| value.is_finite()), "{:?}", lines[0]);
        assert_eq!((lines[0].value("skipped"), lines[1].value("skipped")), (Some(1.0), Some(4.0)));
        // There is nothing to average, which is no loss of zero.
        for name in ["loss", "mlm_accuracy", "gradient_norm"] {
            assert!(lines[1].value(name).unwrap().is_nan(), "{name}: {:?}", lines[1]);
        }
    }
    // A run without such steps says nothing of them.
    assert!(series(&crate::support::history(&fixture, &device, &config(2)), "skipped").is_empty());
}

#[test]
fn a_run_with_skipped_steps_is_resumed_exactly() {
    let fixture = Fixture::small();
    let (name, device) = cpus().remove(0);
    for log_every in [1, 3] {
        let config = TrainConfig { log_every, max_skipped_steps: 4, ..config(12) };
        let task = Troubled::at(&fixture, &config, &[3, 5, 6, 7, 10], Wrong::Gradient);
        let place = tempfile::tempdir().unwrap();
        let run =
            |name: &str, begin, stop_at| task.run(&fixture, &device, &config, &place.path().join(name), begin, stop_at);
        let whole = run("whole", Begin::Start, None);
        assert_eq!(whole.outcome.as_ref().unwrap().state.health.skipped, 5);
        // Also in the middle of a row of skipped steps.
        for stop_at in [3, 6, 9] {
            let parts = stop_at.to_string();
            let begun = run(&parts, Begin::Start, Some(stop_at));
            assert_eq!(begun.outcome.unwrap().stop, Stop::Interrupted);
            let rest = run(&parts, Begin::Resume, None);
            assert_eq!(rest.outcome.unwrap().state.health, whole.outcome.as_ref().unwrap().state.health);
            let found: Vec<_> = begun.entries.into_iter().chain(rest.entries).collect();
            // As text, in which not a number equals itself.
            assert_eq!(format!("{:?}", numbers(&found)), format!("{:?}", numbers(&whole.entries)), "{name}: {stop_at}");
            let weights = |run: &str| read(&place.path().join(run), 12, "model.safetensors");
            assert!(weights(&parts) == weights("whole"), "{name}: stopped at {stop_at}");
        }
    }
}

#[test]
fn a_run_that_has_diverged_stops_with_a_diagnosis_and_is_resumed_before_it() {
    let fixture = Fixture::small();
    let (_, device) = cpus().remove(0);
    let place = tempfile::tempdir().unwrap();
    let run = place.path().join("run");
    let config = TrainConfig { checkpoint_every: 2, evaluate_every: 100, max_skipped_steps: 3, ..config(12) };
    let task = Troubled::at(&fixture, &config, &[5, 6, 7, 8], Wrong::Gradient);
    let ended = task.run(&fixture, &device, &config, &run, Begin::Start, None);
    assert_eq!(ended.told("skipped"), ["5", "6", "7"]);
    let error = ended.outcome.unwrap_err();
    assert!(matches!(error, TrainError::Diverged { step: 7, skipped: 3, .. }), "{error:?}");
    let said = error.to_string();
    for part in
        ["after 3 skipped steps in a row", "at a learning rate of", "the first is `bert.embeddings.", "`roll-back`"]
    {
        assert!(said.contains(part), "`{part}` is not in: {said}");
    }
    // Not of a step among them: what the weights are worth is not known there.
    assert_eq!(checkpoints(&run), [4]);
    let cured = Troubled::at(&fixture, &config, &[], Wrong::Gradient);
    assert_eq!(cured.run(&fixture, &device, &config, &run, Begin::Resume, None).outcome.unwrap().state.step, 12);
}

#[test]
fn weights_that_are_not_finite_are_not_written() {
    let fixture = Fixture::small();
    let (_, device) = cpus().remove(0);
    let place = tempfile::tempdir().unwrap();
    let run = place.path().join("run");
    // The first update makes the weights infinite: beyond what a float of 32 bits can hold.
    let optimizer = OptimizerConfig::Sgd(SgdConfig { learning_rate: 1e300, momentum: 0.0, weight_decay: 0.0 });
    let schedule = ScheduleConfig::Constant { warmup_steps: 0 };
    let config = TrainConfig { optimizer, schedule, checkpoint_every: 1, evaluate_every: 100, ..config(4) };
    let task = Troubled::at(&fixture, &config, &[], Wrong::Loss);
    let error = task.run(&fixture, &device, &config, &run, Begin::Start, None).outcome.unwrap_err();
    assert!(error.to_string().contains("the first weight that is not finite is in `bert.embeddings."), "{error}");
    assert!(checkpoints(&run).is_empty());
}

/// A run that rolls back when the batches `places` have gone wrong, two at a time.
fn rolling(steps: u64) -> TrainConfig {
    TrainConfig {
        on_divergence: OnDivergence::RollBack,
        max_skipped_steps: 2,
        checkpoint_every: 4,
        evaluate_every: 100,
        ..config(steps)
    }
}

#[test]
fn a_run_that_has_diverged_goes_back_and_on_with_other_samples() {
    let fixture = Fixture::small();
    let (name, device) = cpus().remove(0);
    let place = tempfile::tempdir().unwrap();
    let config = rolling(12);
    let task = Troubled::at(&fixture, &config, &[7, 8], Wrong::Gradient);
    let run =
        |name: &str, begin, stop_at| task.run(&fixture, &device, &config, &place.path().join(name), begin, stop_at);
    let whole = run("whole", Begin::Start, None);
    assert_eq!(
        whole.told,
        [
            "checkpoint 0",
            "checkpoint 4",
            "skipped 7",
            "skipped 8",
            "8 back to 4, rate times 0.5",
            "checkpoint 4",
            "checkpoint 8",
            "checkpoint 12",
        ]
    );
    let state = &whole.outcome.as_ref().unwrap().state;
    assert_eq!((state.step, state.health.skipped, state.health.roll_backs), (12, 2, 1));
    // Each step has one line, the later ones with half the rate that the schedule has for them.
    let history = History::read(place.path().join("whole/metrics.jsonl")).unwrap();
    let steps: Vec<u64> = history.iter().filter(|entry| entry.split == "train").map(|entry| entry.step).collect();
    assert_eq!(steps, (1..=12).collect::<Vec<_>>());
    let rates = series(&history, "learning_rate");
    let plain = series(
        &crate::support::history(&fixture, &device, &TrainConfig { evaluate_every: 100, ..rolling(12) }),
        "learning_rate",
    );
    for (step, (found, plain)) in (1..).zip(rates.iter().zip(&plain)) {
        assert_eq!(*found, if step > 4 { plain * 0.5 } else { *plain }, "step {step}");
    }
    // Four batches that were done, two that went wrong, two that were done in vain, eight that follow.
    assert_eq!(state.position.window * 8 + state.position.batch as u64, 16);

    // Stopped before and after it, the run is the same.
    for stop_at in [5, 9, 11] {
        let parts = stop_at.to_string();
        let begun = run(&parts, Begin::Start, Some(stop_at));
        assert_eq!(begun.outcome.unwrap().stop, Stop::Interrupted);
        assert_eq!(run(&parts, Begin::Resume, None).outcome.unwrap().state.health, state.health, "{name}: {stop_at}");
        let found = History::read(place.path().join(&parts).join("metrics.jsonl")).unwrap();
        assert_eq!(numbers(&found), numbers(&history), "{name}: stopped at {stop_at}");
        let weights = |run: &str| read(&place.path().join(run), 12, "model.safetensors");
        assert!(weights(&parts) == weights("whole"), "{name}: stopped at {stop_at}");
    }
}

#[test]
fn a_run_goes_back_to_its_beginning_and_not_for_ever() {
    let fixture = Fixture::small();
    let (_, device) = cpus().remove(0);
    let place = tempfile::tempdir().unwrap();
    let config = rolling(8);
    let task = Troubled::at(&fixture, &config, &[1, 2], Wrong::Loss);
    let ended = task.run(&fixture, &device, &config, &place.path().join("first"), Begin::Start, None);
    assert_eq!(ended.told("2 back"), ["to 0, rate times 0.5"]);
    assert_eq!(ended.outcome.unwrap().state.step, 8);

    let limited = TrainConfig { max_roll_backs: 2, roll_back_factor: 0.1, ..config };
    let task = Troubled::at(&fixture, &limited, &(6..=40).collect::<Vec<_>>(), Wrong::Loss);
    let ended = task.run(&fixture, &device, &limited, &place.path().join("limited"), Begin::Start, None);
    let backs: Vec<_> = ended.told.iter().filter(|told| told.contains("back")).collect();
    assert_eq!(backs.len(), 2, "{backs:?}");
    assert!(backs[0].ends_with("rate times 0.1"), "{backs:?}");
    assert!(matches!(ended.outcome, Err(TrainError::Diverged { .. })));
}

#[test]
fn a_loss_that_jumps_is_reported() {
    let fixture = Fixture::small();
    let (_, device) = cpus().remove(0);
    let place = tempfile::tempdir().unwrap();
    let run = place.path().join("run");
    let with_rate = |learning_rate, steps| TrainConfig {
        optimizer: OptimizerConfig::Sgd(SgdConfig { learning_rate, momentum: 0.0, weight_decay: 0.0 }),
        schedule: ScheduleConfig::Constant { warmup_steps: 0 },
        evaluate_every: 100,
        ..config(steps)
    };
    let task = Troubled::at(&fixture, &config(1), &[], Wrong::Loss);
    let quiet = task.run(&fixture, &device, &with_rate(1e-30, 15), &run, Begin::Start, None);
    assert!(quiet.told("spike").is_empty(), "{:?}", quiet.told);
    let loud = task.run(&fixture, &device, &with_rate(100.0, 18), &run, Begin::Resume, None);
    assert!(!loud.told("spike").is_empty(), "{:?}", loud.entries);
    assert_eq!(
        loud.outcome.unwrap().state.health.spikes,
        loud.told.iter().filter(|it| it.starts_with("spike")).count() as u64
    );
}
