//! A small corpus, and runs on it.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use burnformer_core::progress::{Interrupt, Silent};
use burnformer_data::batches::{Padding, PretrainingCollator};
use burnformer_data::corpus::{CorpusBuilder, Tokenization};
use burnformer_data::datasets::{PretrainingConfig, PretrainingDataset};
use burnformer_data::readers::{Format, Input, TextLayout};
use burnformer_data::sentences::{Language, SentenceSplitter};
use burnformer_data::source::{OnBadRow, Sides, Source, Texts};
use burnformer_data::tokenizer::{Tokenizer, TokenizerConfig, train};
use burnformer_models::{BertConfig, BertForPreTraining};
use burnformer_ops::DeviceChoice;
use burnformer_tasks::{PretrainingMetricState, PretrainingTask, Task};
use burnformer_train::{
    AdamConfig, Data, Event, HistoryEntry, OptimizerConfig, Outcome, RunFolder, ScheduleConfig, TrainConfig,
    TrainError, Trainer,
};
use tempfile::TempDir;

pub(crate) const SEED: u64 = 7;

/// The compiled backends by name.
pub(crate) fn devices() -> Vec<(&'static str, Device)> {
    let open = |name: &'static str| match name.parse::<DeviceChoice>().and_then(DeviceChoice::open) {
        Ok(device) => (name, device),
        Err(error) => panic!("{error}"),
    };
    DeviceChoice::compiled().into_iter().map(open).collect()
}

/// The compiled backends that run on the CPU, whose results are the same in every run.
pub(crate) fn cpus() -> Vec<(&'static str, Device)> {
    let cpus: Vec<_> = devices().into_iter().filter(|(name, _)| *name != "wgpu").collect();
    if cpus.is_empty() { devices() } else { cpus }
}

/// Documents of six sentences about one animal in one place each, with a blank line between them.
fn text(n_documents: usize) -> String {
    let animals = ["heron", "badger", "lizard", "magpie", "otter", "beetle", "donkey", "salmon"];
    let places = ["orchard", "harbour", "quarry", "meadow", "cellar", "desert", "lagoon"];
    let times = ["dawn", "noon", "dusk", "midnight", "harvest"];
    let mut text = String::new();
    for i in 0..n_documents {
        let (animal, place, time) = (animals[i % 8], places[i % 7], times[i % 5]);
        let (other, colour) = (animals[(i + 3) % 8], ["grey", "green", "red"][i % 3]);
        writeln!(
            text,
            "A {colour} {animal} lives in the {place}. Every {time} the {animal} looks for the {other}. Nobody in the \
             {place} has seen it. The {other} sleeps under a {colour} stone. When {time} is over, the {animal} goes \
             home. The {place} is quiet again.\n"
        )
        .unwrap();
    }
    text
}

/// Samples for pretraining, and a model for them.
pub(crate) struct Fixture {
    pub(crate) samples: Arc<PretrainingDataset>,
    pub(crate) task: PretrainingTask,
    pub(crate) pad_id: u32,
    _folder: TempDir,
}

impl Fixture {
    pub(crate) fn new(n_documents: usize, max_seq_length: usize, model: impl Fn(&mut BertConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("text.txt");
        std::fs::write(&file, text(n_documents)).unwrap();
        let format = Format::Text { layout: TextLayout::BlankLines };
        let input = Input::new(vec![file.display().to_string()], format);
        let source: Arc<dyn Source> = Arc::new(input.open().unwrap());
        let texts = Texts::new(source.as_ref(), Sides::Both, OnBadRow::Error, &Silent);
        let config = TokenizerConfig { vocab_size: 180, ..TokenizerConfig::default() };
        let tokenizer: Tokenizer = train(texts, &config, &Silent, &Interrupt::new()).unwrap();

        let sentences = SentenceSplitter::new(Language::ENGLISH);
        let tokenization = Tokenization { tokenizer: tokenizer.clone(), pair_tokenizer: None, sentences };
        let builder = CorpusBuilder::new(source, tokenization);
        let corpus = builder.build(&folder.path().join("corpus"), &Silent, &Interrupt::new()).unwrap().corpus;
        let documents: Vec<u32> = (0..corpus.n_documents()).collect();
        let config = PretrainingConfig { max_seq_length, ..PretrainingConfig::default() };
        let samples = PretrainingDataset::new(Arc::new(corpus), &documents, &tokenizer, &config, SEED).unwrap();
        let pad_id = tokenizer.specials().pad_id.unwrap();

        let mut config = BertConfig::preset("bert-tiny", tokenizer.vocab_size(), pad_id).unwrap();
        config.max_seq_length = max_seq_length;
        model(&mut config);
        let task = PretrainingTask::new(config, tokenizer).unwrap();
        Self { samples: Arc::new(samples), task, pad_id, _folder: folder }
    }

    /// A model small enough for a test of a second.
    pub(crate) fn small() -> Self {
        Self::new(60, 32, |model| {
            (model.d_model, model.n_heads, model.d_ff, model.n_layers) = (24, 2, 48, 2);
        })
    }

    pub(crate) fn model(&self, device: &Device) -> BertForPreTraining {
        BertForPreTraining::init(self.task.config(), SEED, &device.clone().autodiff())
    }

    pub(crate) fn collator(&self) -> PretrainingCollator {
        PretrainingCollator { padding: Padding { pad_id: self.pad_id, multiple_of: 8 } }
    }

    pub(crate) fn data(&self) -> Data<PretrainingDataset, PretrainingCollator> {
        Data {
            train: Arc::clone(&self.samples),
            validation: Some(Arc::clone(&self.samples)),
            collator: self.collator(),
            fingerprint: "test".to_owned(),
        }
    }

    /// Starts a run in `folder`, or goes on with it; asks it to stop after `stop_at`.
    pub(crate) fn run(
        &self,
        device: &Device,
        config: &TrainConfig,
        folder: &Path,
        begin: Begin,
        stop_at: Option<u64>,
    ) -> (Result<Outcome<PretrainingMetricState>, TrainError>, Vec<HistoryEntry>) {
        let interrupt = Interrupt::new();
        let trainer = Trainer::new(&self.task, config, SEED, device.clone()).with_interrupt(&interrupt);
        let mut entries = Vec::new();
        let mut on_event = |event: Event<'_>| {
            if let Event::Metrics(entry) = event {
                if Some(entry.step) == stop_at && entry.split == "train" {
                    interrupt.request();
                }
                entries.push(entry.clone());
            }
        };
        let outcome = match begin {
            Begin::Start => RunFolder::create(folder, "")
                .and_then(|folder| trainer.start(self.model(device), &self.data(), &folder, &mut on_event)),
            Begin::Resume => {
                RunFolder::open(folder).and_then(|folder| trainer.resume(&self.data(), &folder, &mut on_event))
            }
        };
        (outcome, entries)
    }
}

#[derive(Clone, Copy)]
pub(crate) enum Begin {
    Start,
    Resume,
}

/// A line of metrics at every step, evaluation at every fourth.
pub(crate) fn config(steps: u64) -> TrainConfig {
    TrainConfig {
        steps,
        micro_batch_size: 8,
        log_every: 1,
        evaluate_every: 4,
        validation_samples: Some(16),
        checkpoint_every: 5,
        window: 64,
        workers: 2,
        optimizer: OptimizerConfig::AdamW(AdamConfig {
            learning_rate: 1e-3,
            beta_1: 0.9,
            beta_2: 0.999,
            eps: 1e-6,
            weight_decay: 0.01,
        }),
        schedule: ScheduleConfig::Linear { warmup_steps: 4, min_learning_rate: 0.0 },
        ..TrainConfig::default()
    }
}

/// Trains a fresh model in a folder that goes, and returns the lines of metrics.
pub(crate) fn history(fixture: &Fixture, device: &Device, config: &TrainConfig) -> Vec<HistoryEntry> {
    let folder = tempfile::tempdir().unwrap();
    let (outcome, entries) = fixture.run(device, config, &folder.path().join("run"), Begin::Start, None);
    outcome.unwrap();
    entries
}

/// Step, split, and values of a line of metrics.
pub(crate) type Numbers = (u64, String, Vec<(String, f64)>);

/// The values that do not depend on how fast the machine is.
pub(crate) fn numbers(entries: &[HistoryEntry]) -> Vec<Numbers> {
    let timed = |name: &str| ["seconds", "tokens_per_s"].contains(&name);
    let untimed = |entry: &HistoryEntry| entry.values.iter().filter(|(name, _)| !timed(name)).cloned().collect();
    entries.iter().map(|entry| (entry.step, entry.split.clone(), untimed(entry))).collect()
}

/// The value called `name` of every line of training.
pub(crate) fn series(entries: &[HistoryEntry], name: &str) -> Vec<f64> {
    let of = |entry: &HistoryEntry| entry.values.iter().find(|(it, _)| it == name).map(|(_, value)| *value);
    entries.iter().filter(|entry| entry.split == "train").filter_map(of).collect()
}

pub(crate) fn empty_metric_state(fixture: &Fixture) -> PretrainingMetricState {
    fixture.task.metric_state()
}
