//! The encoder–decoder learns to copy, trained by the same loop: a task is a trait.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use burnformer_core::progress::Interrupted;
use burnformer_core::random::{Key, Purpose, Stream};
use burnformer_data::DataError;
use burnformer_data::batches::{Batch, Collator, PaddingStats};
use burnformer_data::datasets::{Dataset, Sample};
use burnformer_models::{ModelError, weights};
use burnformer_nn::{
    CrossEntropyLossConfig, Decoder, DecoderConfig, DecoderInput, DropoutRng, Embedding, EmbeddingConfig, Encoder,
    EncoderConfig, LayerConfig, Linear, LinearConfig, Mask, SinusoidalPositions, SinusoidalPositionsConfig, init,
};
use burnformer_tasks::{Forward, Metric, MetricState, ScoreValues, Scores, ScoresError, Task};
use burnformer_train::{
    AdamConfig, CollectiveError, Data, OptimizerConfig, RunFolder, ScheduleConfig, TrainConfig, TrainError, Trainer,
};
use serde::{Deserialize, Serialize};

use crate::support::cpus;

const VOCAB_SIZE: usize = 11;
const LENGTH: usize = 10;
const D_MODEL: usize = 64;
/// Begins a target; sources hold 1 to 10, as in The Annotated Transformer.
const BOS: i32 = 0;

/// An encoder–decoder with its embeddings and output layer.
#[derive(Module, Debug)]
struct Copier {
    source: Embedding,
    target: Embedding,
    positions: SinusoidalPositions,
    encoder: Encoder,
    decoder: Decoder,
    output: Linear,
}

impl Copier {
    fn init(device: &Device) -> Self {
        let layer = LayerConfig::new(D_MODEL, 4, 4 * D_MODEL).with_dropout(0.0);
        let embedding = EmbeddingConfig::new(VOCAB_SIZE, D_MODEL);
        let model = Self {
            source: embedding.init(device),
            target: embedding.init(device),
            positions: SinusoidalPositionsConfig::new(LENGTH + 1, D_MODEL).init(device),
            encoder: EncoderConfig::new(2, layer.clone()).init(device),
            decoder: DecoderConfig::new(2, layer).init(device),
            output: LinearConfig::new(D_MODEL, VOCAB_SIZE).init(device),
        };
        init::by_name(model, 3, init::xavier_uniform)
    }

    fn embed(&self, table: &Embedding, ids: Tensor<2, Int>) -> Tensor<3> {
        let seq_length = ids.dims()[1];
        table.forward(ids) * (D_MODEL as f64).sqrt() + self.positions.forward(0, seq_length)
    }

    /// `[batch_size, length, vocab_size]`
    fn forward(&self, source: Tensor<2, Int>, target: Tensor<2, Int>, rng: DropoutRng) -> Tensor<3> {
        let [encode, decode] = rng.split();
        let memory = self.encoder.forward(self.embed(&self.source, source), Mask::None, encode);
        let target = self.embed(&self.target, target);
        let input = DecoderInput { rng: decode, ..DecoderInput::new(target, memory) };
        self.output.forward(self.decoder.forward(input))
    }
}

#[derive(Clone)]
struct Sequence([i32; LENGTH]);

impl Sample for Sequence {
    fn length(&self) -> usize {
        LENGTH
    }
}

struct Sequences;

impl Dataset for Sequences {
    type Sample = Sequence;

    fn per_epoch(&self) -> u64 {
        1 << 40
    }

    fn sample(&self, number: u64) -> Result<Sequence, DataError> {
        let mut stream = Stream::new(Key::new(5, Purpose::Order, "copies"), number);
        Ok(Sequence(std::array::from_fn(|_| 1 + stream.below(VOCAB_SIZE as u64 - 1) as i32)))
    }
}

struct Copies {
    numbers: Vec<u64>,
    rows: Vec<Sequence>,
}

/// Puts sequences one below the other.
#[derive(Clone)]
struct Rows;

impl Collator for Rows {
    type Sample = Sequence;
    type Batch = Copies;

    fn collate(&self, numbers: Vec<u64>, rows: Vec<Sequence>) -> Copies {
        Copies { numbers, rows }
    }
}

impl Batch for Copies {
    fn rows(&self, rows: Range<usize>) -> Self {
        Self { numbers: self.numbers[rows.clone()].to_vec(), rows: self.rows[rows].to_vec() }
    }

    fn numbers(&self) -> &[u64] {
        &self.numbers
    }

    fn padding_stats(&self) -> PaddingStats {
        let total = (self.rows.len() * LENGTH) as u64;
        PaddingStats { tokens: total, total }
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Loss {
    sum: f64,
    count: u64,
}

impl MetricState for Loss {
    fn merge(&mut self, other: Self) {
        self.sum += other.sum;
        self.count += other.count;
    }

    fn metrics(&self) -> Vec<Metric> {
        vec![("loss", self.sum / self.count.max(1) as f64)]
    }

    fn quality(&self) -> f64 {
        -self.sum
    }
}

/// The errors of a task of another crate.
#[derive(Debug, thiserror::Error)]
enum CopyError {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error("the copies' scores are wrong")]
    Scores(#[from] ScoresError),
    #[error(transparent)]
    Data(#[from] DataError),
    #[error("interrupted")]
    Interrupted(#[from] Interrupted),
    #[error(transparent)]
    Collective(#[from] CollectiveError),
}

struct Copying {
    /// The name that the loss has among the scores; `loss` is expected.
    score: &'static str,
}

impl Task for Copying {
    type Model = Copier;
    type Batch = Copies;
    type Counts = u64;
    type MetricState = Loss;
    type Error = CopyError;

    fn counts(&self, batch: &Copies) -> u64 {
        (batch.rows.len() * LENGTH) as u64
    }

    fn forward(&self, model: &Copier, batch: &Copies, totals: &u64, rng: DropoutRng, device: &Device) -> Forward {
        let n = batch.rows.len();
        let source: Vec<i32> = batch.rows.iter().flat_map(|row| row.0).collect();
        let shifted = batch.rows.iter().flat_map(|row| std::iter::once(BOS).chain(row.0).take(LENGTH));
        let tensor = |values: Vec<i32>| Tensor::<2, Int>::from_data(TensorData::new(values, [n, LENGTH]), device);
        let source = tensor(source);
        let logits = model.forward(source.clone(), tensor(shifted.collect()), rng);
        let loss = CrossEntropyLossConfig::new().init();
        let sum = loss.forward(logits.reshape([n * LENGTH, VOCAB_SIZE]), source.reshape([n * LENGTH])).sum;
        Forward { scores: Scores::new().with(self.score, sum.clone()), loss: sum / *totals as f64 }
    }

    fn metric_state(&self) -> Loss {
        Loss::default()
    }

    fn add_scores(&self, metric_state: &mut Loss, batch: &Copies, scores: &ScoreValues) -> Result<(), CopyError> {
        metric_state.sum += scores.one("loss")?;
        metric_state.count += self.counts(batch);
        Ok(())
    }

    fn save(&self, model: &Copier, folder: &Path) -> Result<(), CopyError> {
        Ok(weights::save(model, str::to_owned, Vec::new(), &folder.join("model.safetensors"))?)
    }

    fn load(&self, folder: &Path, device: &Device) -> Result<Copier, CopyError> {
        let model = Copier::init(device);
        Ok(weights::load(model, str::to_owned, |_| false, &folder.join("model.safetensors"))?)
    }
}

#[test]
fn a_trained_encoder_decoder_returns_its_input() {
    let (name, device) = cpus().remove(0);
    let place = tempfile::tempdir().unwrap();
    let config = TrainConfig {
        steps: 400,
        micro_batch_size: 40,
        optimizer: OptimizerConfig::Adam(AdamConfig {
            learning_rate: 2e-3,
            beta_1: 0.9,
            beta_2: 0.98,
            eps: 1e-9,
            weight_decay: 0.0,
        }),
        schedule: ScheduleConfig::Linear { warmup_steps: 60, min_learning_rate: 0.0 },
        log_every: 100,
        checkpoint_every: 400,
        ..TrainConfig::default()
    };
    let task = Copying { score: "loss" };
    let trainer = Trainer::new(&task, &config, 1, device.clone());
    let data = Data { train: Arc::new(Sequences), validation: None, collator: Rows, fingerprint: String::new() };
    let folder = RunFolder::create(&place.path().join("run"), "").unwrap();
    let model = Copier::init(&device.clone().autodiff());
    trainer.start(model, &data, &folder, &mut |_| {}).unwrap();

    let model = task.load(folder.path(), &device).unwrap();
    let n = 20;
    let rows: Vec<i32> = (0..n).flat_map(|i| Sequences.sample((1 << 39) + i).unwrap().0).collect();
    let tensor = |values: &[i32], width| {
        Tensor::<2, Int>::from_data(TensorData::new(values.to_vec(), [n as usize, width]), &device)
    };
    let source = tensor(&rows, LENGTH);
    let mut target: Vec<Vec<i32>> = vec![vec![BOS]; n as usize];
    for length in 1..=LENGTH {
        let logits = model.forward(source.clone(), tensor(&target.concat(), length), DropoutRng::off());
        let last = logits.slice([0..n as usize, length - 1..length]).argmax(2);
        for (row, token) in target.iter_mut().zip(last.into_data().iter::<i32>()) {
            row.push(token);
        }
    }
    let copies: Vec<i32> = target.iter().flat_map(|row| row[1..].to_vec()).collect();
    assert_eq!(copies, rows, "{name}");
}

#[test]
fn an_error_of_a_task_comes_back_as_what_it_is() {
    let (_, device) = cpus().remove(0);
    let place = tempfile::tempdir().unwrap();
    let config = TrainConfig { steps: 1, log_every: 1, ..TrainConfig::default() };
    let task = Copying { score: "los" };
    let data = Data { train: Arc::new(Sequences), validation: None, collator: Rows, fingerprint: String::new() };
    let folder = RunFolder::create(&place.path().join("run"), "").unwrap();
    let model = Copier::init(&device.clone().autodiff());
    let error = Trainer::new(&task, &config, 1, device).start(model, &data, &folder, &mut |_| {}).unwrap_err();
    assert_eq!(error.to_string(), "the copies' scores are wrong");
    let TrainError::Task(error) = error else { panic!("{error:?}") };
    let Some(CopyError::Scores(error)) = error.downcast_ref() else { panic!("{error:?}") };
    assert_eq!(error.to_string(), "there is no score `loss`, found `los`");
}
