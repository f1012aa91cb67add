//! Several processes that train one model: here threads, each with a trainer of its own.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::thread;

use burn::tensor::Device;
use burnformer_core::collective::{ThreadRank, thread_ranks};
use burnformer_core::progress::Interrupt;
use burnformer_data::batches::PretrainingBatch;
use burnformer_models::BertForPreTraining;
use burnformer_tasks::{PretrainingMetricState, Task};
use burnformer_train::{Collective as _, Event, HistoryEntry, Outcome, RunFolder, TrainConfig, TrainError, Trainer};

use safetensors::SafeTensors;

use crate::support::{Begin, Fixture, SEED, numbers};

/// How a rank ended, and the lines of metrics that it reported.
pub(crate) type Ended = (Result<Outcome<PretrainingMetricState>, TrainError>, Vec<HistoryEntry>);

/// What `work` returns on each of `n` ranks, whose run folder rank 0 has begun.
pub(crate) fn on_ranks<R: Send>(
    n: usize,
    path: &Path,
    begin: Begin,
    work: impl Fn(ThreadRank, &RunFolder) -> R + Sync,
) -> Vec<R> {
    // As the processes are started one after the other.
    let writer = match begin {
        Begin::Start => RunFolder::create(path, ""),
        Begin::Resume => RunFolder::open(path),
    };
    let others = (1..n).map(|_| RunFolder::join(path).unwrap());
    let folders: Vec<_> = [writer.unwrap()].into_iter().chain(others).collect();
    let (folders, work) = (&folders, &work);
    thread::scope(|scope| {
        let ranks = thread_ranks(n).into_iter();
        let ranks: Vec<_> = ranks
            .map(|rank| {
                let folder = &folders[rank.rank()];
                scope.spawn(move || work(rank, folder))
            })
            .collect();
        ranks.into_iter().map(|rank| rank.join().unwrap()).collect()
    })
}

/// What every rank has.
pub(crate) struct Team<'a, T> {
    pub(crate) task: &'a T,
    pub(crate) fixture: &'a Fixture,
    pub(crate) device: &'a Device,
    pub(crate) config: &'a TrainConfig,
}

impl<T> Team<'_, T>
where
    T: Task<Model = BertForPreTraining, Batch = PretrainingBatch, MetricState = PretrainingMetricState>,
{
    /// Runs a trainer on each of `n` ranks; the rank `interrupted.0` is asked to stop after step `interrupted.1`.
    pub(crate) fn run(&self, path: &Path, begin: Begin, n: usize, interrupted: Option<(usize, u64)>) -> Vec<Ended> {
        let Self { task, fixture, device, config } = *self;
        on_ranks(n, path, begin, |rank, folder| {
            let interrupt = Interrupt::new();
            let number = rank.rank();
            let trainer =
                Trainer::new(task, config, SEED, device.clone()).with_interrupt(&interrupt).with_collective(&rank);
            let mut entries = Vec::new();
            let mut on_event = |event: Event<'_>| {
                if let Event::Metrics(entry) = event {
                    if interrupted == Some((number, entry.step)) {
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
    }
}

/// All that the run in `path` has written but times, by file: bytes of weights and moments, states and metrics as text.
pub(crate) fn written(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let lines = burnformer_train::History::read(path.join("metrics.jsonl")).unwrap();
    files.insert("metrics.jsonl".to_owned(), format!("{:?}", numbers(&lines)).into_bytes());
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let file = entry.unwrap().path();
            let name = file.strip_prefix(path).unwrap().display().to_string();
            if file.is_dir() {
                folders.push(file);
            } else if name.ends_with("state.json") {
                files.insert(name, untimed_state(&fs::read(&file).unwrap()));
            } else if !name.starts_with('.') && !name.ends_with("metrics.jsonl") && !name.ends_with(".svg") {
                files.insert(name, fs::read(&file).unwrap());
            }
        }
    }
    files
}

/// A state without what the speed of the machine changes.
fn untimed_state(json: &[u8]) -> Vec<u8> {
    let mut file: serde_json::Value = serde_json::from_slice(json).unwrap();
    file["state"]["seconds"].take();
    file["state"]["interval"]["seconds"].take();
    file["checksum"].take();
    serde_json::to_vec_pretty(&file).unwrap()
}

/// Holds what a run has written against what another one has.
#[track_caller]
pub(crate) fn assert_same(found: &Path, expected: &Path, what: &str) {
    let (found, expected) = (written(found), written(expected));
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(&expected), "{what}: files");
    for (name, bytes) in &found {
        if bytes != &expected[name] {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).chars().take(4000).collect::<String>();
            let is_text = name.ends_with(".json") || name.ends_with(".jsonl");
            let (found, expected) = match is_text {
                true => (text(bytes), text(&expected[name])),
                false => (differing(bytes, &expected[name]), String::new()),
            };
            panic!("{what}: `{name}` differs\n{found}\n{expected}");
        }
    }
}

/// What an error and its causes say.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {}", with_causes(cause)))
}

/// Names of the tensors that differ.
fn differing(found: &[u8], expected: &[u8]) -> String {
    let tensors = [found, expected].map(|bytes| SafeTensors::deserialize(bytes).unwrap());
    let [found, expected] = &tensors;
    let data = |file: &SafeTensors<'_>, name: &str| file.tensor(name).ok().map(|tensor| tensor.data().to_vec());
    let differs = |name: &&str| data(found, name) != data(expected, name);
    format!("{:?}", found.names().into_iter().filter(differs).collect::<Vec<_>>())
}
