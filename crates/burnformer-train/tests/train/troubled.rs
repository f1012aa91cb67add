//! A task that goes wrong at chosen batches or savings, and runs of it.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::tensor::Device;
use burnformer_core::files::FileError;
use burnformer_core::progress::Interrupt;
use burnformer_data::batches::{Batch, Batches, PretrainingBatch};
use burnformer_models::{BertForPreTraining, Staged};
use burnformer_nn::DropoutRng;
use burnformer_tasks::{Forward, PretrainingMetricState, PretrainingTask, ScoreValues, Task, TaskError};
use burnformer_train::{Event, HistoryEntry, Outcome, RunFolder, TrainConfig, TrainError, Trainer};

use crate::support::{Begin, Fixture, SEED};

/// What goes wrong with a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Wrong {
    /// Its loss is not finite, while its gradient is.
    Loss,
    /// Its gradient is not finite, while its loss is.
    Gradient,
}

pub(crate) struct Troubled<'a> {
    inner: &'a PretrainingTask,
    /// Numbers of samples of the batches that go wrong.
    numbers: HashSet<u64>,
    wrong: Wrong,
    /// How often the model can be saved before the disk is full.
    room: AtomicUsize,
}

impl<'a> Troubled<'a> {
    /// The task of `fixture`, for whose batches at these places, counted from 1, something goes wrong.
    pub(crate) fn at(fixture: &'a Fixture, config: &TrainConfig, places: &[usize], wrong: Wrong) -> Self {
        let samples = Arc::clone(&fixture.samples);
        let batches = Batches::endless(samples, &fixture.collator(), &config.batches(), SEED, Default::default());
        let batches = batches.unwrap().zip(1..).take(places.iter().copied().max().unwrap_or(0));
        let bad = batches.filter(|(_, place)| places.contains(place));
        let numbers = bad.flat_map(|(batch, _)| batch.unwrap().numbers().to_vec()).collect();
        Self { inner: &fixture.task, numbers, wrong, room: AtomicUsize::new(usize::MAX) }
    }

    /// The task of `fixture`, on a disk with room for so many models.
    pub(crate) fn with_room(fixture: &'a Fixture, room: usize) -> Self {
        Self { inner: &fixture.task, numbers: HashSet::new(), wrong: Wrong::Loss, room: AtomicUsize::new(room) }
    }

    fn is_wrong(&self, batch: &PretrainingBatch, wrong: Wrong) -> bool {
        self.wrong == wrong && batch.numbers().iter().any(|number| self.numbers.contains(number))
    }

    /// Starts a run in `folder`, or goes on with it; asks it to stop after its first line of training of the step `stop_at`.
    /// Returns its end, its lines of metrics, and what else happened.
    pub(crate) fn run(
        &self,
        fixture: &Fixture,
        device: &Device,
        config: &TrainConfig,
        folder: &Path,
        begin: Begin,
        stop_at: Option<u64>,
    ) -> Ended {
        let interrupt = Interrupt::new();
        let trainer = Trainer::new(self, config, SEED, device.clone()).with_interrupt(&interrupt);
        let (mut entries, mut told) = (Vec::new(), Vec::new());
        let mut on_event = |event: Event<'_>| match event {
            Event::Metrics(entry) => {
                if Some(entry.step) == stop_at && entry.split == "train" {
                    interrupt.request();
                }
                entries.push(entry.clone());
            }
            Event::Skipped { step, .. } => told.push(format!("skipped {step}")),
            Event::RolledBack { from, to, learning_rate_factor, .. } => {
                told.push(format!("{from} back to {to}, rate times {learning_rate_factor}"));
            }
            Event::Spike { step, .. } => told.push(format!("spike {step}")),
            Event::Checkpoint { step } => told.push(format!("checkpoint {step}")),
            _ => {}
        };
        let outcome = match begin {
            Begin::Start => RunFolder::create(folder, "")
                .and_then(|folder| trainer.start(fixture.model(device), &fixture.data(), &folder, &mut on_event)),
            Begin::Resume => {
                RunFolder::open(folder).and_then(|folder| trainer.resume(&fixture.data(), &folder, &mut on_event))
            }
        };
        Ended { outcome, entries, told }
    }
}

/// The end of a run, and what it told.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) outcome: Result<Outcome<PretrainingMetricState>, TrainError>,
    pub(crate) entries: Vec<HistoryEntry>,
    pub(crate) told: Vec<String>,
}

impl Ended {
    /// What was told and begins with `word`, without it.
    pub(crate) fn told(&self, word: &str) -> Vec<&str> {
        self.told.iter().filter_map(|told| told.strip_prefix(word)).map(str::trim_start).collect()
    }
}

impl Task for Troubled<'_> {
    type Model = BertForPreTraining;
    type Batch = PretrainingBatch;
    type Counts = <PretrainingTask as Task>::Counts;
    type MetricState = PretrainingMetricState;
    type Error = TaskError;

    fn counts(&self, batch: &PretrainingBatch) -> Self::Counts {
        self.inner.counts(batch)
    }

    fn forward(
        &self,
        model: &BertForPreTraining,
        batch: &PretrainingBatch,
        totals: &Self::Counts,
        rng: DropoutRng,
        device: &Device,
    ) -> Forward {
        let mut forward = self.inner.forward(model, batch, totals, rng, device);
        if self.is_wrong(batch, Wrong::Gradient) {
            forward.loss = forward.loss * f32::NAN;
        }
        forward
    }

    fn staged(&self) -> Option<Arc<dyn Staged>> {
        self.inner.staged()
    }

    fn body(&self, model: &BertForPreTraining, batch: &PretrainingBatch, rng: DropoutRng, device: &Device) {
        self.inner.body(model, batch, rng, device);
    }

    fn metric_state(&self) -> PretrainingMetricState {
        self.inner.metric_state()
    }

    fn add_scores(
        &self,
        metric_state: &mut PretrainingMetricState,
        batch: &PretrainingBatch,
        scores: &ScoreValues,
    ) -> Result<(), TaskError> {
        self.inner.add_scores(metric_state, batch, scores)?;
        if self.is_wrong(batch, Wrong::Loss) {
            metric_state.mlm_loss_sum = f64::INFINITY;
        }
        Ok(())
    }

    fn save(&self, model: &BertForPreTraining, folder: &Path) -> Result<(), TaskError> {
        if self.room.fetch_sub(1, Ordering::Relaxed) == 0 {
            let path = folder.join("model.safetensors");
            fs::write(&path, "half").unwrap();
            return Err(FileError::Io { attempt: "write", path, source: io::ErrorKind::StorageFull.into() }.into());
        }
        self.inner.save(model, folder)
    }

    fn load(&self, folder: &Path, device: &Device) -> Result<BertForPreTraining, TaskError> {
        self.inner.load(folder, device)
    }
}
