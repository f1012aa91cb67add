//! What goes wrong on one rank ends the run on all, and the last checkpoint stands.

use std::fs;
use std::sync::Arc;

use burn::tensor::Device;
use burnformer_data::DataError;
use burnformer_data::datasets::{Dataset, PretrainingDataset, PretrainingSample};
use burnformer_models::BertForPreTraining;
use burnformer_train::{Collective as _, Data, Event, TrainConfig, TrainError, Trainer};

use crate::support::{Begin, Fixture, SEED, config, cpus};
use crate::team::{Ended, Team, assert_same, on_ranks, with_causes};
use crate::troubled::Troubled;

/// Samples, one of which cannot be read.
struct Torn {
    inner: Arc<PretrainingDataset>,
    bad: u64,
}

impl Dataset for Torn {
    type Sample = PretrainingSample;

    fn per_epoch(&self) -> u64 {
        self.inner.per_epoch()
    }

    fn sample(&self, number: u64) -> Result<PretrainingSample, DataError> {
        match number == self.bad {
            true => Err(DataError::InputChanged),
            false => self.inner.sample(number),
        }
    }

    fn length(&self, number: u64) -> Result<usize, DataError> {
        self.inner.length(number)
    }
}

/// Makes sure that one rank has ended with an error of its own, and all others because of it.
fn assert_agreed(ended: &[Result<(), TrainError>]) {
    let errors: Vec<_> = ended.iter().map(|result| with_causes(result.as_ref().unwrap_err())).collect();
    let failed: Vec<_> = (0..errors.len()).filter(|&rank| !errors[rank].contains("has failed")).collect();
    let [failed] = failed[..] else { panic!("{errors:?}") };
    for (rank, error) in errors.iter().enumerate().filter(|(rank, _)| *rank != failed) {
        let expected = format!("rank {failed} has failed: {}", errors[failed]);
        assert!(error.ends_with(&expected), "rank {rank}: {error}");
    }
}

fn ends(ended: Vec<Ended>) -> Vec<Result<(), TrainError>> {
    ended.into_iter().map(|(outcome, _)| outcome.map(drop)).collect()
}

/// The rank that has the sample stops the others, in training and in evaluation, and the run goes on from its checkpoint.
#[test]
fn a_sample_that_one_rank_cannot_read_stops_all() {
    let fixture = Fixture::small();
    let (_, device) = cpus().remove(0);
    let config = TrainConfig { micro_batch_size: 4, grad_accum_steps: 3, checkpoint_every: 2, ..config(8) };
    let place = tempfile::tempdir().unwrap();
    let alone = place.path().join("alone");
    fixture.run(&device, &config, &alone, Begin::Start, None).0.unwrap();
    for in_training in [true, false] {
        let path = place.path().join(format!("torn {in_training}"));
        // In the second window of samples, and among the samples that are evaluated.
        let torn = Arc::new(Torn { inner: Arc::clone(&fixture.samples), bad: if in_training { 100 } else { 2 } });
        let whole = Arc::new(Torn { inner: Arc::clone(&fixture.samples), bad: u64::MAX });
        let data = |(train, validation): (&Arc<Torn>, &Arc<Torn>)| Data {
            train: Arc::clone(train),
            validation: Some(Arc::clone(validation)),
            collator: fixture.collator(),
            fingerprint: "test".to_owned(),
        };
        let ended = on_ranks(3, &path, Begin::Start, |rank, folder| {
            let trainer = Trainer::new(&fixture.task, &config, SEED, device.clone()).with_collective(&rank);
            let data = data(if in_training { (&torn, &whole) } else { (&whole, &torn) });
            trainer.start(fixture.model(&device), &data, folder, &mut |_| {}).map(drop)
        });
        assert_agreed(&ended);
        for (outcome, _) in (Team { task: &fixture.task, fixture: &fixture, device: &device, config: &config }).run(
            &path,
            Begin::Resume,
            2,
            None,
        ) {
            outcome.unwrap();
        }
        assert_same(&path, &alone, "resumed");
    }
}

#[test]
fn a_full_disk_of_the_rank_that_writes_stops_all() {
    let fixture = Fixture::small();
    let (_, device) = cpus().remove(0);
    let config = TrainConfig { checkpoint_every: 2, ..config(8) };
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("run");
    let full = Troubled::with_room(&fixture, 1);
    let team = Team { task: &full, fixture: &fixture, device: &device, config: &config };
    let ended = ends(team.run(&path, Begin::Start, 3, None));
    assert_agreed(&ended);
    assert!(path.join("checkpoints/step-2/state.json").is_file());
    let team = Team { task: &fixture.task, fixture: &fixture, device: &device, config: &config };
    team.run(&path, Begin::Resume, 2, None).into_iter().for_each(|(outcome, _)| drop(outcome.unwrap()));
}

/// Before the first step, with the last checkpoint, and with the published model.
#[test]
fn files_that_cannot_be_written_stop_all() {
    let fixture = Fixture::small();
    let (_, device) = cpus().remove(0);
    let config = config(2);
    for name in ["metrics.jsonl", "learning_curves.svg", "model.safetensors"] {
        let place = tempfile::tempdir().unwrap();
        let ended = on_ranks(2, &place.path().join("run"), Begin::Start, |rank, folder| {
            let rank_of = rank.rank();
            let trainer = Trainer::new(&fixture.task, &config, SEED, device.clone()).with_collective(&rank);
            if rank_of == 0 {
                // A folder in the place of the file.
                fs::create_dir_all(folder.path().join(name).join("full")).unwrap();
            }
            trainer.start(fixture.model(&device), &fixture.data(), folder, &mut |_| {}).map(drop)
        });
        assert_agreed(&ended);
    }
}

#[test]
fn ranks_with_other_weights_stop_before_the_first_step() {
    let fixture = Fixture::small();
    let (_, device) = cpus().remove(0);
    let config = config(2);
    let place = tempfile::tempdir().unwrap();
    let ended = on_ranks(3, &place.path().join("run"), Begin::Start, |rank, folder| {
        let seed = if rank.rank() == 2 { SEED + 1 } else { SEED };
        let model = BertForPreTraining::init(fixture.task.config(), seed, &device.clone().autodiff());
        let trainer = Trainer::new(&fixture.task, &config, SEED, device.clone()).with_collective(&rank);
        trainer.start(model, &fixture.data(), folder, &mut |_| {}).map(drop)
    });
    for result in ended {
        let error = result.unwrap_err();
        let TrainError::OtherWeights { step: 0, rank: 2, path } = &error else { panic!("{error:?}") };
        assert!(path.starts_with("bert."), "{path}");
    }
}

/// Micro-batches of a step and ranks, if some of these have nothing to do.
fn idle(fixture: &Fixture, device: &Device, config: &TrainConfig, n: usize) -> Vec<Option<(usize, usize)>> {
    let place = tempfile::tempdir().unwrap();
    on_ranks(n, &place.path().join("run"), Begin::Start, |rank, folder| {
        let trainer = Trainer::new(&fixture.task, config, SEED, device.clone()).with_collective(&rank);
        let mut idle = None;
        let mut on_event = |event: Event<'_>| {
            if let Event::IdleRanks { n_micro_batches, n_ranks } = event {
                idle = Some((n_micro_batches, n_ranks));
            }
        };
        trainer.start(fixture.model(device), &fixture.data(), folder, &mut on_event).unwrap();
        idle
    })
}

#[test]
fn ranks_without_work_are_told() {
    let fixture = Fixture::small();
    let (_, device) = cpus().remove(0);
    let config = TrainConfig { micro_batch_size: 4, grad_accum_steps: 2, ..config(1) };
    assert_eq!(idle(&fixture, &device, &config, 3), [Some((2, 3)); 3]);
    assert_eq!(idle(&fixture, &device, &config, 2), [None; 2]);
}
