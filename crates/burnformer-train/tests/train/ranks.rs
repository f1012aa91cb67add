//! Two processes train one model: here two threads, each with a trainer of its own.

use std::path::Path;
use std::thread;

use burn::tensor::Device;
use burnformer_core::collective::{ThreadRank, thread_ranks};
use burnformer_core::progress::Interrupt;
use burnformer_tasks::PretrainingMetricState;
use burnformer_train::{
    Collective as _, CollectiveError, Event, HistoryEntry, OnDivergence, Outcome, RunFolder, Stop, TrainConfig,
    TrainError, Trainer,
};

use crate::support::{Begin, Fixture, SEED, config, cpus, history, numbers, series};
use crate::troubled::{Troubled, Wrong};

fn pair() -> [ThreadRank; 2] {
    thread_ranks(2).try_into().ok().unwrap()
}

type Ended = (Result<Outcome<PretrainingMetricState>, TrainError>, Vec<HistoryEntry>);

/// Runs a trainer on each of two ranks; the rank `interrupted.0` is asked to stop after step `interrupted.1`.
fn run(
    fixture: &Fixture,
    device: &Device,
    config: &TrainConfig,
    path: &Path,
    begin: Begin,
    interrupted: Option<(usize, u64)>,
) -> [Ended; 2] {
    // As the processes are started one after the other.
    let writer = match begin {
        Begin::Start => RunFolder::create(path, ""),
        Begin::Resume => RunFolder::open(path),
    };
    let folders = [writer.unwrap(), RunFolder::join(path).unwrap()];
    thread::scope(|scope| {
        let ranks = pair().map(|rank| {
            let folder = &folders[rank.rank()];
            scope.spawn(move || {
                let interrupt = Interrupt::new();
                let trainer = Trainer::new(&fixture.task, config, SEED, device.clone())
                    .with_interrupt(&interrupt)
                    .with_collective(&rank);
                let mut entries = Vec::new();
                let mut on_event = |event: Event<'_>| {
                    if let Event::Metrics(entry) = event {
                        if interrupted == Some((rank.rank(), entry.step)) {
                            interrupt.request();
                        }
                        entries.push(entry.clone());
                    }
                };
                let outcome = match begin {
                    Begin::Start => trainer.start(fixture.model(device), &fixture.data(), folder, &mut on_event),
                    Begin::Resume => trainer.resume(&fixture.data(), folder, &mut on_event),
                };
                (outcome, entries)
            })
        });
        ranks.map(|rank| rank.join().unwrap())
    })
}

fn started(fixture: &Fixture, device: &Device, config: &TrainConfig) -> [Vec<HistoryEntry>; 2] {
    let place = tempfile::tempdir().unwrap();
    run(fixture, device, config, &place.path().join("run"), Begin::Start, None).map(|(outcome, entries)| {
        outcome.unwrap();
        entries
    })
}

/// With one micro-batch on each rank, the same numbers are added up in the same order.
#[test]
fn two_ranks_with_a_micro_batch_each_have_the_bits_of_one_process() {
    let fixture = Fixture::small();
    for (name, device) in cpus() {
        let config = TrainConfig { micro_batch_size: 8, grad_accum_steps: 2, ..config(8) };
        let alone = numbers(&history(&fixture, &device, &config));
        let ranks = started(&fixture, &device, &config).map(|entries| numbers(&entries));
        assert_eq!(ranks[0], alone, "{name}");
        assert_eq!(ranks[1], alone, "{name}");
    }
}

#[test]
fn two_ranks_with_unequal_shares_have_the_losses_and_gradients_of_one_process() {
    let fixture = Fixture::small();
    for (name, device) in cpus() {
        let config = TrainConfig { micro_batch_size: 8, grad_accum_steps: 5, ..config(8) };
        let alone = history(&fixture, &device, &config);
        let [zero, one] = started(&fixture, &device, &config);
        assert_eq!(numbers(&zero), numbers(&one), "{name}: the ranks disagree");
        for metric in ["loss", "mlm_loss", "nsp_loss", "gradient_norm"] {
            let (found, expected) = (series(&zero, metric), series(&alone, metric));
            assert_eq!(found.len(), 8, "{name}: `{metric}`");
            for (found, expected) in found.iter().zip(&expected) {
                // Two sums of gradients are added instead of five gradients: 1e-6, and what eight updates make of it.
                let difference = (found - expected).abs() / expected.abs();
                assert!(difference < 1e-4, "{name}: `{metric}` differs by {difference:e}");
            }
        }
        assert_eq!(series(&zero, "tokens"), series(&alone, "tokens"), "{name}");
        assert_eq!(series(&zero, "padding"), series(&alone, "padding"), "{name}");
    }
}

/// The second rank has nothing to do: it takes over gradients, totals and metrics.
#[test]
fn a_rank_without_a_micro_batch_follows() {
    let fixture = Fixture::small();
    let (name, device) = cpus().remove(0);
    let config = config(4);
    let alone = numbers(&history(&fixture, &device, &config));
    for found in started(&fixture, &device, &config) {
        assert_eq!(numbers(&found), alone, "{name}");
    }
}

#[test]
fn an_interrupt_of_any_rank_stops_all_and_any_number_resumes() {
    let fixture = Fixture::small();
    let (_, device) = cpus().remove(0);
    let place = tempfile::tempdir().unwrap();
    let config = TrainConfig { grad_accum_steps: 2, ..config(8) };
    let alone = numbers(&history(&fixture, &device, &config));
    for (interrupted, n_ranks) in [(0, 2), (1, 2), (1, 1)] {
        let path = place.path().join(format!("{interrupted} {n_ranks}"));
        let begun = run(&fixture, &device, &config, &path, Begin::Start, Some((interrupted, 3)));
        let mut found = numbers(&begun[0].1);
        for (outcome, _) in begun {
            let outcome = outcome.unwrap();
            assert_eq!((outcome.stop, outcome.state.step), (Stop::Interrupted, 3));
        }
        let (outcome, rest) = match n_ranks {
            1 => fixture.run(&device, &config, &path, Begin::Resume, None),
            _ => {
                let [zero, one] = run(&fixture, &device, &config, &path, Begin::Resume, None);
                assert_eq!(numbers(&zero.1), numbers(&one.1));
                zero
            }
        };
        assert_eq!(outcome.unwrap().stop, Stop::Finished);
        found.extend(numbers(&rest));
        assert_eq!(found, alone, "rank {interrupted} interrupted, {n_ranks} went on");
    }
}

#[test]
fn a_rank_that_is_lost_ends_the_others() {
    let fixture = Fixture::small();
    let (_, device) = cpus().remove(0);
    let place = tempfile::tempdir().unwrap();
    let [zero, one] = pair();
    drop(one);
    let config = config(4);
    let folder = RunFolder::create(&place.path().join("run"), "").unwrap();
    let trainer = Trainer::new(&fixture.task, &config, SEED, device.clone()).with_collective(&zero);
    let error = trainer.start(fixture.model(&device), &fixture.data(), &folder, &mut |_| {}).unwrap_err();
    assert!(matches!(error, TrainError::Collective(CollectiveError::Lost { rank: 0, size: 2, .. })), "{error}");
    assert!(error.to_string().contains("resume from the last checkpoint"), "{error}");
}

#[test]
fn ranks_skip_steps_and_go_back_together() {
    let fixture = Fixture::small();
    let (name, device) = cpus().remove(0);
    let place = tempfile::tempdir().unwrap();
    let config = TrainConfig {
        grad_accum_steps: 2,
        on_divergence: OnDivergence::RollBack,
        max_skipped_steps: 2,
        checkpoint_every: 4,
        ..config(8)
    };
    let task = Troubled::at(&fixture, &config, &[2, 6, 7], Wrong::Gradient);
    let alone = task.run(&fixture, &device, &config, &place.path().join("alone"), Begin::Start, None);
    assert_eq!(alone.told("skipped"), ["2", "6", "7"]);
    let path = place.path().join("ranks");
    let folders = [RunFolder::create(&path, "").unwrap(), RunFolder::join(&path).unwrap()];
    let found = thread::scope(|scope| {
        let ranks = pair().map(|rank| {
            let (folder, task, config, fixture, device) = (&folders[rank.rank()], &task, &config, &fixture, &device);
            scope.spawn(move || {
                let trainer = Trainer::new(task, config, SEED, device.clone()).with_collective(&rank);
                let mut entries = Vec::new();
                let mut on_event = |event: Event<'_>| {
                    if let Event::Metrics(entry) = event {
                        entries.push(entry.clone());
                    }
                };
                let outcome = trainer.start(fixture.model(device), &fixture.data(), folder, &mut on_event);
                (outcome.unwrap().state.health, entries)
            })
        });
        ranks.map(|rank| rank.join().unwrap())
    });
    for (health, entries) in found {
        assert_eq!(health, alone.outcome.as_ref().unwrap().state.health, "{name}");
        // As text, in which not a number equals itself.
        assert_eq!(format!("{:?}", numbers(&entries)), format!("{:?}", numbers(&alone.entries)), "{name}");
    }
}
