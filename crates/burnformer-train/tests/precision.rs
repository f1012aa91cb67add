//! Training with products in bf16, and what is not made in it.
#![cfg(any(feature = "ndarray", feature = "flex"))]

#[allow(dead_code)] // Shared with the tests of the loop.
#[path = "train/support.rs"]
mod support;

use std::thread;

use burn::tensor::Device;
use burnformer_core::progress::{Interrupt, Silent};
use burnformer_ops::{Precision, PrecisionError, matmul_precision};
use burnformer_tasks::{MetricState, Task, evaluate};
use burnformer_train::{OptimizerConfig, ScheduleConfig, SgdConfig, TrainConfig, TrainError};
use support::{Begin, Fixture, SEED, config, cpus, devices, history, numbers, series};

const STEPS: u64 = 500;

/// A CPU, if it has products in bf16; says why not, otherwise.
fn bf16_cpu() -> Option<Device> {
    for (name, device) in devices().into_iter().filter(|(name, _)| *name == "wgpu") {
        assert_eq!(Precision::Bf16.check(&device), Err(PrecisionError::Device), "{name}");
    }
    let (name, device) = cpus().remove(0);
    assert_eq!(Precision::Bf16.check(&device), Ok(()));
    if Precision::Bf16.on_host() == Precision::Bf16 {
        return Some(device);
    }
    eprintln!("{name}: this processor multiplies bf16 no faster than f32, and does not round");
    None
}

#[test]
fn losses_in_bf16_stay_within_one_percent() {
    let fixture = Fixture::new(120, 64, |_| {});
    let Some(device) = bf16_cpu() else { return };
    let losses = |dtype| {
        let config = TrainConfig { dtype, evaluate_every: STEPS, checkpoint_every: STEPS, ..config(STEPS) };
        series(&history(&fixture, &device, &config), "loss")
    };
    let (single, half) = (losses(Precision::F32), losses(Precision::Bf16));
    assert_ne!(single, half);
    // Means over fifty steps: those of one step differ by what dropout makes of a rounding.
    for (index, (single, half)) in single.chunks(50).zip(half.chunks(50)).enumerate() {
        let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
        let (single, half) = (mean(single), mean(half));
        assert!((half / single - 1.0).abs() < 0.01, "steps from {}: {half} in bf16, {single} in f32", index * 50);
    }
}

/// What a run in bf16 says of its model is what `evaluate` says of the folder.
#[test]
fn evaluations_of_a_run_in_bf16_are_made_in_f32() {
    let fixture = Fixture::small();
    let Some(device) = bf16_cpu() else { return };
    let place = tempfile::tempdir().unwrap();
    let run = place.path().join("run");
    let config = TrainConfig { dtype: Precision::Bf16, ..config(4) };
    let (outcome, entries) = fixture.run(&device, &config, &run, Begin::Start, None);
    assert_eq!(outcome.unwrap().published, 4);
    assert_eq!(matmul_precision(), Precision::F32);

    let recorded = entries.into_iter().find(|entry| entry.split == "validation").unwrap();
    let model = fixture.task.load(&run, &device).unwrap();
    let (batches, n) = config.validation(&fixture.samples, &fixture.collator(), SEED).unwrap();
    let found = evaluate(&fixture.task, &model, batches, n, &device, &Silent, &Interrupt::new()).unwrap();
    let found: Vec<_> = found.metrics().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    assert_eq!(found, recorded.values);
}

#[test]
fn after_a_run_that_failed_products_are_made_in_f32() {
    let fixture = Fixture::small();
    let Some(device) = bf16_cpu() else { return };
    let place = tempfile::tempdir().unwrap();
    let config = TrainConfig {
        dtype: Precision::Bf16,
        optimizer: OptimizerConfig::Sgd(SgdConfig { learning_rate: 1e30, momentum: 0.9, weight_decay: 0.0 }),
        schedule: ScheduleConfig::Constant { warmup_steps: 0 },
        clip_norm: None,
        ..config(12)
    };
    let error = fixture.run(&device, &config, &place.path().join("run"), Begin::Start, None).0.unwrap_err();
    assert!(matches!(error, TrainError::Diverged { .. }), "{error}");
    assert_eq!(matmul_precision(), Precision::F32);
    // On the threads of the pool too, where the steps ran.
    assert!(rayon::broadcast(|_| matmul_precision()).into_iter().all(|it| it == Precision::F32));
}

#[test]
fn runs_of_two_precisions_do_not_disturb_each_other() {
    let fixture = Fixture::small();
    let Some(device) = bf16_cpu() else { return };
    let losses = |dtype| numbers(&history(&fixture, &device, &TrainConfig { dtype, ..config(12) }));
    let alone = [Precision::F32, Precision::Bf16].map(losses);
    assert_ne!(alone[0], alone[1]);
    let together = thread::scope(|scope| {
        let runs = [Precision::F32, Precision::Bf16].map(|dtype| scope.spawn(move || losses(dtype)));
        runs.map(|run| run.join().unwrap())
    });
    assert_eq!(together, alone);
}

#[test]
fn settings_without_a_precision_mean_f32() {
    let mut settings = serde_json::to_value(TrainConfig::default()).unwrap();
    assert_eq!(settings.as_object_mut().unwrap().remove("dtype"), Some("f32".into()));
    assert_eq!(serde_json::from_value::<TrainConfig>(settings).unwrap(), TrainConfig::default());
}
