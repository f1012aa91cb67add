//! Models that are cut into parts, each on a rank of its own, are trained as whole ones but for rounding.

use std::path::Path;
use std::thread;

use burn::tensor::Device;
use burnformer_core::collective::{Collective as _, ThreadRank, thread_ranks};
use burnformer_core::progress::Interrupt;
use burnformer_models::weights::Weights;
use burnformer_nn::Cut;
use burnformer_tasks::PretrainingMetricState;
use burnformer_train::{Event, HistoryEntry, Outcome, RunFolder, Stop, TrainConfig, TrainError, Trainer};

use crate::support::{Begin, Fixture, SEED, config, cpus, numbers, series};

type Ended = (Result<Outcome<PretrainingMetricState>, TrainError>, Vec<HistoryEntry>);

/// Runs a trainer on each of `n` ranks, of which `n_parts` in a row have one model; asks them to stop after `stop_at`.
fn run(
    fixture: &Fixture,
    device: &Device,
    config: &TrainConfig,
    path: &Path,
    begin: Begin,
    (n, n_parts): (usize, usize),
    stop_at: Option<u64>,
) -> Vec<Ended> {
    let writer = match begin {
        Begin::Start => RunFolder::create(path, ""),
        Begin::Resume => RunFolder::open(path),
    };
    let folders: Vec<_> = [writer.unwrap()].into_iter().chain((1..n).map(|_| RunFolder::join(path).unwrap())).collect();
    let run_one = |rank: ThreadRank, folder: &RunFolder| {
        let interrupt = Interrupt::new();
        let trainer = Trainer::new(&fixture.task, config, SEED, device.clone())
            .with_interrupt(&interrupt)
            .with_tensor_parallel(n_parts)
            .with_collective(&rank);
        let mut entries = Vec::new();
        let mut on_event = |event: Event<'_>| {
            if let Event::Metrics(entry) = event {
                if Some(entry.step) == stop_at && rank.rank() == 0 {
                    interrupt.request();
                }
                entries.push(entry.clone());
            }
        };
        let outcome = match begin {
            Begin::Start => {
                let model = Cut::parts(rank.rank() % n_parts, n_parts).within(|| fixture.model(device));
                trainer.start(model, &fixture.data(), folder, &mut on_event)
            }
            Begin::Resume => trainer.resume(&fixture.data(), folder, &mut on_event),
        };
        (outcome, entries)
    };
    let run_one = &run_one;
    thread::scope(|scope| {
        let ranks: Vec<_> = thread_ranks(n)
            .into_iter()
            .zip(&folders)
            .map(|(rank, folder)| {
                // Ranks wait for each other in their passes: each has threads of its own, as a process has.
                let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
                scope.spawn(move || pool.install(|| run_one(rank, folder)))
            })
            .collect();
        ranks.into_iter().map(|rank| rank.join().unwrap()).collect()
    })
}

/// A model with four heads that are trained with dropout everywhere.
fn fixture() -> Fixture {
    Fixture::new(60, 32, |model| {
        (model.d_model, model.n_heads, model.d_ff, model.n_layers) = (32, 4, 64, 2);
        (model.dropout, model.attention_dropout) = (0.1, 0.1);
    })
}

/// The greatest difference of a loss or a gradient's norm, relative to it.
#[track_caller]
fn assert_near(name: &str, found: &[HistoryEntry], expected: &[HistoryEntry], tolerance: f64) {
    for metric in ["loss", "mlm_loss", "nsp_loss", "gradient_norm"] {
        let (found, expected) = (series(found, metric), series(expected, metric));
        assert_eq!(found.len(), expected.len(), "{name}: `{metric}`");
        for (step, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let difference = (found - expected).abs() / expected.abs();
            assert!(difference < tolerance, "{name}: `{metric}` of step {} differs by {difference:e}", step + 1);
        }
    }
}

/// Greatest difference of a weight or moment in two files of a run.
fn difference(found: &Path, expected: &Path) -> f32 {
    let (mut found, mut expected) = (Weights::open(found).unwrap(), Weights::open(expected).unwrap());
    assert_eq!(found.names(), expected.names());
    let names = found.names();
    let differences = names.iter().map(|name| {
        let (found, expected) = (found.read(name).unwrap(), expected.read(name).unwrap());
        assert_eq!(found.shape(), expected.shape(), "{name}");
        found.iter::<f32>().zip(expected.iter::<f32>()).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max)
    });
    differences.fold(0.0, f32::max)
}

#[test]
fn fifty_steps_in_parts_are_those_of_one_process() {
    let fixture = fixture();
    let place = tempfile::tempdir().unwrap();
    for (name, device) in cpus() {
        let config = TrainConfig { grad_accum_steps: 2, evaluate_every: 25, checkpoint_every: 25, ..config(50) };
        let alone_at = place.path().join(format!("{name} alone"));
        let (outcome, alone) = fixture.run(&device, &config, &alone_at, Begin::Start, None);
        outcome.unwrap();
        for (n, n_parts) in [(2, 2), (4, 4), (4, 2)] {
            let what = format!("{name}: {n} ranks, {n_parts} parts");
            let path = place.path().join(&what);
            let found = run(&fixture, &device, &config, &path, Begin::Start, (n, n_parts), None);
            for (outcome, entries) in &found {
                assert_eq!(outcome.as_ref().unwrap().stop, Stop::Finished, "{what}");
                assert_eq!(numbers(entries), numbers(&found[0].1), "{what}: the ranks disagree");
            }
            assert_near(&what, &found[0].1, &alone, 1e-5);
            for file in ["model.safetensors", "checkpoints/step-50/optimizer.safetensors"] {
                let difference = difference(&path.join(file), &alone_at.join(file));
                assert!(difference < 1e-5, "{what}: a value of {file} differs by {difference:e}");
            }
        }
    }
}

#[test]
fn a_run_in_parts_goes_on_in_any_number_of_parts() {
    let fixture = fixture();
    let (name, device) = cpus().remove(0);
    let place = tempfile::tempdir().unwrap();
    let config = TrainConfig { ema_decay: Some(0.9), activation_checkpointing: true, ..config(12) };
    let alone_at = place.path().join("alone");
    let (outcome, alone) = fixture.run(&device, &config, &alone_at, Begin::Start, None);
    outcome.unwrap();
    for (first, second) in [((2, 2), (1, 1)), ((2, 2), (4, 4)), ((1, 1), (4, 2))] {
        let what = format!("{name}: {first:?}, then {second:?}");
        let path = place.path().join(&what);
        let begun = run(&fixture, &device, &config, &path, Begin::Start, first, Some(7)).swap_remove(0);
        assert_eq!(begun.0.unwrap().stop, Stop::Interrupted, "{what}");
        let ended = run(&fixture, &device, &config, &path, Begin::Resume, second, None).swap_remove(0);
        assert_eq!(ended.0.unwrap().stop, Stop::Finished, "{what}");
        let entries: Vec<_> = begun.1.into_iter().chain(ended.1).collect();
        assert_near(&what, &entries, &alone, 1e-5);
        let step = Path::new("checkpoints/step-12");
        for file in ["model.safetensors", "trained.safetensors", "optimizer.safetensors"] {
            let difference = difference(&path.join(step).join(file), &alone_at.join(step).join(file));
            assert!(difference < 1e-5, "{what}: a value of {file} differs by {difference:e}");
        }
    }
}

#[test]
fn processes_that_cannot_be_dealt_to_the_parts_are_refused() {
    let fixture = Fixture::small();
    let (_, device) = cpus().remove(0);
    let place = tempfile::tempdir().unwrap();
    for (outcome, _) in run(&fixture, &device, &config(2), &place.path().join("run"), Begin::Start, (3, 2), None) {
        let error = outcome.unwrap_err();
        assert!(matches!(error, TrainError::TensorRanks { ranks: 3, n_tensor: 2 }), "{error}");
        assert!(error.to_string().ends_with("need a multiple of 2 processes, found 3"), "{error}");
    }
}
