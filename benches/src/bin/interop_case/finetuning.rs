//! Fine-tuning runs whose batches and losses are written down, so that transformers can be trained on the same.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result};
use burn::tensor::Device;
use burnformer_core::{Interrupt, Silent, atomic_write_bytes};
use burnformer_data::batches::{Batch, ClassificationBatch, Padded, QuestionAnsweringBatch, TokenClassificationBatch};
use burnformer_data::readers::Input;
use burnformer_data::tokenizer::{TokenizerConfig, TokenizerKind, train};
use burnformer_models::{BertConfig, BertForMaskedLM, Pretrained};
use burnformer_nn::DropoutRng;
use burnformer_ops::DeviceChoice;
use burnformer_recipes::finetune::{
    Finetune, FinetuneSettings, QuestionAnswering, Supervised, TextClassification, TokenClassification,
};
use burnformer_recipes::{Context, Overrides, Recipe};
use burnformer_tasks::{Forward, ScoreValues, Task};
use burnformer_train::{Data, Event, OptimizerConfig, RunFolder, ScheduleConfig, Trainer};
use serde_json::{Value, json};

use crate::rows::{self, Rows};

/// Fine-tunes a small model for each task on `choice`. `folder` gets a folder for each: data, the model before the first step,
/// settings, the batches of all steps, and the losses in `burnformer-DEVICE.json`.
pub(crate) fn run(folder: &Path, choice: DeviceChoice) -> Result<()> {
    run_task::<TextClassification>(folder, &rows::classes(), &[], choice)?;
    run_task::<TokenClassification>(folder, &rows::tags(), &[], choice)?;
    run_task::<QuestionAnswering>(folder, &rows::answers(), &["question_answering.stride=8"], choice)
}

/// Sizes of the model; nothing is dropped, so that both sides compute the same.
fn config(vocab_size: usize) -> BertConfig {
    let small = BertConfig::preset("bert-tiny", vocab_size, 0).expect("the preset exists");
    BertConfig {
        d_model: 64,
        n_layers: 2,
        n_heads: 4,
        d_ff: 96,
        max_seq_length: 48,
        dropout: 0.0,
        attention_dropout: 0.0,
        ..small
    }
}

const SETTINGS: [&str; 8] = [
    "max_seq_length=32",
    "validation_share=0.1",
    "train.steps=50",
    "train.micro_batch_size=8",
    "train.optimizer.learning_rate=0.002",
    "train.log_every=1",
    "train.checkpoint_every=50",
    "train.evaluate_every=50",
];

fn run_task<S: Supervised>(folder: &Path, rows: &Rows, own: &[&str], choice: DeviceChoice) -> Result<()>
where
    <S::Task as Task>::Batch: Recorded,
{
    let folder = folder.join(S::TASK.name());
    let (base, before) = (folder.join("base"), folder.join("before"));
    for folder in [&base, &before] {
        fs::create_dir_all(folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
    }
    let data = folder.join(rows.file);
    atomic_write_bytes(&data, &rows.content)?;
    let device = choice.open()?;
    make_base(&base, &rows.texts, &device)?;

    let sets: Vec<String> = SETTINGS.iter().chain(own).map(|&set| set.to_owned()).collect();
    let input: Input = serde_json::from_value(json!({ "paths": [data], "format": rows.format }))?;
    let settings = FinetuneSettings { task: Some(S::TASK), ..FinetuneSettings::new(&base, input) };
    let overrides = Overrides { file: None, sets: &sets };
    let context = Context { device: choice, ..Context::default() };
    let recipe = Finetune::<S>::begin(settings, 1.0, None, &overrides, &context)?;
    let tracking = device.clone().autodiff();
    let model = recipe.init(&tracking, &context)?;
    recipe.task().save(&model, &before)?;

    let (config, recorder) = (&recipe.settings().train, Recorder { task: recipe.task(), steps: Mutex::default() });
    let own = recipe.data();
    let (train, collator, fingerprint) = (Arc::clone(&own.train), own.collator.clone(), own.fingerprint.clone());
    let data = Data { train, validation: None, collator, fingerprint };
    let run = tempfile::tempdir()?;
    let run = RunFolder::create(&run.path().join("run"), "")?;
    let mut losses = Vec::new();
    Trainer::new(&recorder, config, recipe.settings().seed, device).start(model, &data, &run, &mut |event| {
        if let Event::Metrics(entry) = event {
            losses.extend(entry.values.iter().filter(|(name, _)| name == "loss").map(|(_, loss)| *loss));
        }
    })?;
    let steps = recorder.steps.into_inner().expect("no step has panicked");
    let write = |name: &str, value: &Value| -> Result<()> {
        Ok(atomic_write_bytes(&folder.join(name), serde_json::to_vec(value)?)?)
    };
    write("settings.json", &settings_of(config)?)?;
    write("steps.json", &Value::Array(steps))?;
    write(&format!("burnformer-{choice}.json"), &json!(losses))
}

/// What transformers must be told.
fn settings_of(config: &burnformer_train::TrainConfig) -> Result<Value> {
    let (OptimizerConfig::AdamW(adam), ScheduleConfig::Linear { warmup_steps, .. }) =
        (&config.optimizer, config.schedule)
    else {
        anyhow::bail!("the other side has AdamW and a linear schedule only");
    };
    Ok(json!({
        "steps": config.steps,
        "learning_rate": adam.learning_rate,
        "betas": [adam.beta_1, adam.beta_2],
        "eps": adam.eps,
        "weight_decay": adam.weight_decay,
        "warmup_steps": warmup_steps,
        "clip_norm": config.clip_norm,
    }))
}

/// Writes a model with random weights and a tokenizer for these texts.
fn make_base(folder: &Path, texts: &[String], device: &Device) -> Result<()> {
    let config = TokenizerConfig {
        kind: TokenizerKind::WordPiece,
        vocab_size: 160,
        min_frequency: 1,
        ..TokenizerConfig::default()
    };
    let tokenizer = train(texts.iter().cloned().map(Ok), &config, &Silent, &Interrupt::new())?;
    let config = self::config(tokenizer.vocab_size());
    BertForMaskedLM::init(&config, 11, device).save(folder)?;
    Ok(tokenizer.with_max_length(config.max_seq_length).save(folder)?)
}

/// A task that writes down its batches.
struct Recorder<'a, T: Task> {
    task: &'a T,
    steps: Mutex<Vec<Value>>,
}

impl<T: Task> Task for Recorder<'_, T>
where
    T::Batch: Recorded,
{
    type Model = T::Model;
    type Batch = T::Batch;
    type Counts = T::Counts;
    type MetricState = T::MetricState;
    type Error = T::Error;

    fn counts(&self, batch: &T::Batch) -> T::Counts {
        self.task.counts(batch)
    }

    fn forward(
        &self,
        model: &T::Model,
        batch: &T::Batch,
        totals: &T::Counts,
        rng: DropoutRng,
        device: &Device,
    ) -> Forward {
        self.steps.lock().expect("no step has panicked").push(batch.record());
        self.task.forward(model, batch, totals, rng, device)
    }

    fn metric_state(&self) -> T::MetricState {
        self.task.metric_state()
    }

    fn add_scores(
        &self,
        metric_state: &mut T::MetricState,
        batch: &T::Batch,
        scores: &ScoreValues,
    ) -> Result<(), T::Error> {
        self.task.add_scores(metric_state, batch, scores)
    }

    fn save(&self, model: &T::Model, folder: &Path) -> Result<(), T::Error> {
        self.task.save(model, folder)
    }

    fn load(&self, folder: &Path, device: &Device) -> Result<T::Model, T::Error> {
        self.task.load(folder, device)
    }
}

/// A batch in the form of transformers.
trait Recorded: Batch {
    fn record(&self) -> Value;
}

impl Recorded for ClassificationBatch {
    fn record(&self) -> Value {
        json!({ "rows": token_rows(&self.tokens), "labels": self.labels })
    }
}

impl Recorded for TokenClassificationBatch {
    fn record(&self) -> Value {
        // -100 marks what has no label.
        let mut labels = vec![-100_i64; self.tokens.ids.len()];
        for (&position, &label) in self.positions.iter().zip(&self.labels) {
            labels[position as usize] = label.into();
        }
        let of_row = |(row, &length): (&[i64], &usize)| row[..length].to_vec();
        let rows = labels.chunks(self.tokens.seq_length).zip(&self.tokens.lengths);
        json!({ "rows": token_rows(&self.tokens), "labels": rows.map(of_row).collect::<Vec<_>>() })
    }
}

impl Recorded for QuestionAnsweringBatch {
    fn record(&self) -> Value {
        let answers: Vec<_> = self.starts.iter().zip(&self.ends).collect();
        json!({ "rows": token_rows(&self.tokens), "answers": answers })
    }
}

/// The tokens of each row, without padding.
fn token_rows(tokens: &Padded) -> Vec<&[u32]> {
    tokens.ids.chunks(tokens.seq_length).zip(&tokens.lengths).map(|(row, &length)| &row[..length]).collect()
}
