//! A model learns what there is to learn, and takes no more memory for it from step to step.

use std::sync::Arc;

use burnformer_data::DataError;
use burnformer_data::datasets::{Dataset, PretrainingDataset, PretrainingSample};
use burnformer_train::{AdamConfig, Data, Event, OptimizerConfig, RunFolder, ScheduleConfig, TrainConfig, Trainer};

use crate::support::{Begin, Fixture, SEED, config, cpus, history, series};

#[test]
fn the_first_loss_is_that_of_guessing() {
    let fixture = Fixture::small();
    for (name, device) in cpus() {
        let entries = history(&fixture, &device, &config(1));
        let vocab_size = fixture.task.config().vocab_size as f64;
        let (mlm, nsp) = (series(&entries, "mlm_loss")[0], series(&entries, "nsp_loss")[0]);
        assert!((mlm - vocab_size.ln()).abs() < 0.1, "{name}: {mlm}, expected ln {vocab_size}");
        assert!((nsp - 2.0_f64.ln()).abs() < 0.1, "{name}: {nsp}");
    }
}

/// The first samples over and over, with the same masks and pairs: what can be learnt by heart.
struct Repeated(Arc<PretrainingDataset>);

impl Dataset for Repeated {
    type Sample = PretrainingSample;

    fn per_epoch(&self) -> u64 {
        64
    }

    fn sample(&self, number: u64) -> Result<PretrainingSample, DataError> {
        self.0.sample(number % self.per_epoch())
    }
}

/// The yardstick of BERT's own code: one small text, its masks drawn beforehand.
#[test]
fn a_small_text_is_memorised() {
    let fixture = Fixture::new(12, 48, |model| {
        (model.d_model, model.n_heads, model.d_ff, model.n_layers) = (64, 2, 128, 2);
        (model.dropout, model.attention_dropout) = (0.0, 0.0);
        model.init_std = 0.1;
    });
    let steps = 300;
    let config = TrainConfig {
        micro_batch_size: 32,
        optimizer: OptimizerConfig::AdamW(AdamConfig {
            learning_rate: 5e-3,
            weight_decay: 0.0,
            ..AdamConfig::default()
        }),
        schedule: ScheduleConfig::Linear { warmup_steps: 30, min_learning_rate: 0.0 },
        log_every: 50,
        evaluate_every: steps,
        validation_samples: None,
        checkpoint_every: steps,
        ..config(steps)
    };
    let samples = Arc::new(Repeated(Arc::clone(&fixture.samples)));
    let data = Data {
        train: Arc::clone(&samples),
        validation: Some(samples),
        collator: fixture.collator(),
        fingerprint: String::new(),
    };
    let (name, device) = cpus().remove(0);
    let place = tempfile::tempdir().unwrap();
    let trainer = Trainer::new(&fixture.task, &config, SEED, device.clone());
    let folder = RunFolder::create(&place.path().join("run"), "").unwrap();
    let mut metrics = Vec::new();
    let mut on_event = |event: Event<'_>| {
        if let Event::Metrics(entry) = event {
            metrics.push(entry.clone());
        }
    };
    trainer.start(fixture.model(&device), &data, &folder, &mut on_event).unwrap();
    let validation = metrics.iter().find(|entry| entry.split == "validation").unwrap();
    let value = |name: &str| validation.values.iter().find(|(it, _)| it == name).unwrap().1;
    assert!(value("mlm_accuracy") > 0.98, "{name}: {metrics:#?}");
    assert!(value("nsp_accuracy") == 1.0, "{name}: {metrics:#?}");
}

/// Resident memory of this process, in bytes.
#[cfg(target_os = "linux")]
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[cfg(target_os = "linux")]
#[test]
fn memory_stays_flat_over_500_steps() {
    use std::cell::RefCell;

    let fixture = Fixture::small();
    let (_, device) = cpus().remove(0);
    let place = tempfile::tempdir().unwrap();
    let at = RefCell::new(Vec::new());
    let config = TrainConfig { log_every: 100, evaluate_every: 250, checkpoint_every: 250, ..config(500) };
    let run = |folder: &str| {
        fixture.run(&device, &config, &place.path().join(folder), Begin::Start, None).0.unwrap();
        at.borrow_mut().push(resident());
    };
    run("first");
    run("second");
    let at = at.borrow();
    // Other tests run beside this one and take some memory too; a gradient kept at each step would be 50 MB.
    let grown = at[1].saturating_sub(at[0]);
    assert!(grown < 32 << 20, "grown by {grown} bytes from {} in 500 steps", at[0]);
}
