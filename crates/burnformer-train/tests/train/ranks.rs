//! A run has the same bits on any number of ranks.

use burn::tensor::Device;
use burnformer_train::{
    AdamConfig, Collective as _, CollectiveError, HistoryEntry, OnDivergence, OptimizerConfig, RunFolder, SgdConfig,
    Stop, TrainConfig, TrainError, Trainer,
};

use crate::support::{Begin, Fixture, SEED, config, cpus, numbers};
use crate::team::{Team, assert_same, with_causes};
use crate::troubled::{Troubled, Wrong};

/// Runs in `place` with one process, and holds against it what so many ranks write and report.
fn assert_same_bits(fixture: &Fixture, device: &Device, config: &TrainConfig, sizes: &[usize], what: &str) {
    let place = tempfile::tempdir().unwrap();
    let alone = place.path().join("alone");
    let (outcome, expected) = fixture.run(device, config, &alone, Begin::Start, None);
    outcome.unwrap();
    let team = Team { task: &fixture.task, fixture, device, config };
    for &n in sizes {
        let path = place.path().join(format!("{n} ranks"));
        for (rank, (outcome, entries)) in team.run(&path, Begin::Start, n, None).into_iter().enumerate() {
            outcome.unwrap();
            assert_eq!(text(&entries), text(&expected), "{what}: rank {rank} of {n}");
        }
        assert_same(&path, &alone, &format!("{what}: {n} ranks"));
    }
}

/// Lines of metrics as text, in which not a number equals itself.
fn text(entries: &[HistoryEntry]) -> String {
    format!("{:#?}", numbers(entries))
}

/// Weights, moments, metrics and states, with dropout; shares that are equal, unequal, and empty.
#[test]
fn any_number_of_ranks_has_the_bits_of_one_process() {
    let fixture = Fixture::small();
    for (name, device) in cpus() {
        for n_micro_batches in [1, 3, 4, 7] {
            let config = TrainConfig { micro_batch_size: 4, grad_accum_steps: n_micro_batches, ..config(6) };
            assert_same_bits(
                &fixture,
                &device,
                &config,
                &[2, 3, 4],
                &format!("{name}, {n_micro_batches} micro-batches"),
            );
        }
    }
}

#[test]
fn every_optimiser_and_setting_has_the_bits_of_one_process() {
    let fixture = Fixture::small();
    let (_, device) = cpus().remove(0);
    let base = TrainConfig { micro_batch_size: 4, grad_accum_steps: 5, ..config(6) };
    let sgd = |momentum| OptimizerConfig::Sgd(SgdConfig { learning_rate: 0.05, momentum, weight_decay: 0.01 });
    let settings = [
        ("lamb", TrainConfig { optimizer: OptimizerConfig::Lamb(AdamConfig::default()), ..base.clone() }),
        ("sgd", TrainConfig { optimizer: sgd(0.9), clip_norm: None, ..base.clone() }),
        ("plain sgd", TrainConfig { optimizer: sgd(0.0), ..base.clone() }),
        ("average", TrainConfig { ema_decay: Some(0.9), ..base.clone() }),
        ("unfreezing", TrainConfig { unfreeze_every: Some(2), ..base.clone() }),
        ("tokens", TrainConfig { micro_batch_tokens: Some(100), ..base.clone() }),
        ("checkpointing", TrainConfig { activation_checkpointing: true, ..base }),
    ];
    for (name, config) in settings {
        assert_same_bits(&fixture, &device, &config, &[3], name);
    }
}

#[test]
fn an_interrupt_of_any_rank_stops_all_and_any_number_resumes() {
    let fixture = Fixture::small();
    let (_, device) = cpus().remove(0);
    let place = tempfile::tempdir().unwrap();
    let config = TrainConfig { micro_batch_size: 4, grad_accum_steps: 5, unfreeze_every: Some(2), ..config(8) };
    let alone = place.path().join("alone");
    fixture.run(&device, &config, &alone, Begin::Start, None).0.unwrap();
    let team = Team { task: &fixture.task, fixture: &fixture, device: &device, config: &config };
    for (interrupted, n, then) in [(0, 2, 4), (3, 4, 1), (3, 4, 3), (0, 1, 2)] {
        let path = place.path().join(format!("{interrupted} {n} {then}"));
        for (outcome, _) in team.run(&path, Begin::Start, n, Some((interrupted, 3))) {
            let outcome = outcome.unwrap();
            assert_eq!((outcome.stop, outcome.state.step), (Stop::Interrupted, 3));
        }
        for (outcome, _) in team.run(&path, Begin::Resume, then, None) {
            assert_eq!(outcome.unwrap().stop, Stop::Finished);
        }
        assert_same(&path, &alone, &format!("rank {interrupted} of {n} interrupted, {then} went on"));
    }
}

#[test]
fn a_rank_that_is_lost_ends_the_others() {
    let fixture = Fixture::small();
    let (_, device) = cpus().remove(0);
    let place = tempfile::tempdir().unwrap();
    let [zero, one] = burnformer_core::collective::thread_ranks(2).try_into().ok().unwrap();
    drop(one);
    let config = config(4);
    let folder = RunFolder::create(&place.path().join("run"), "").unwrap();
    let trainer = Trainer::new(&fixture.task, &config, SEED, device.clone()).with_collective(&zero);
    let error = trainer.start(fixture.model(&device), &fixture.data(), &folder, &mut |_| {}).unwrap_err();
    assert!(matches!(error, TrainError::Collective(CollectiveError::Lost { rank: 0, size: 2, .. })), "{error}");
    assert!(with_causes(&error).contains("resume from the last checkpoint"), "{error}");
    assert_eq!(zero.rank(), 0);
}

#[test]
fn ranks_skip_steps_and_go_back_together() {
    let fixture = Fixture::small();
    let (_, device) = cpus().remove(0);
    let place = tempfile::tempdir().unwrap();
    let config = TrainConfig {
        grad_accum_steps: 2,
        on_divergence: OnDivergence::RollBack,
        max_skipped_steps: 2,
        checkpoint_every: 4,
        ..config(8)
    };
    let task = Troubled::at(&fixture, &config, &[2, 6, 7], Wrong::Gradient);
    let alone = place.path().join("alone");
    let expected = task.run(&fixture, &device, &config, &alone, Begin::Start, None);
    assert_eq!(expected.told("skipped"), ["2", "6", "7"]);
    let path = place.path().join("ranks");
    let team = Team { task: &task, fixture: &fixture, device: &device, config: &config };
    for (outcome, entries) in team.run(&path, Begin::Start, 3, None) {
        assert_eq!(outcome.unwrap().state.health, expected.outcome.as_ref().unwrap().state.health);
        assert_eq!(text(&entries), text(&expected.entries));
    }
    assert_same(&path, &alone, "rolled back");
}
