//! Training with products in bf16. The precision is one for the whole program, so this test has a program to itself.
#![cfg(any(feature = "ndarray", feature = "flex"))]

#[allow(dead_code)] // Shared with the tests of the loop.
#[path = "train/support.rs"]
mod support;

use burnformer_ops::{Precision, PrecisionError, set_matmul_precision};
use burnformer_train::TrainConfig;
use support::{Fixture, config, cpus, devices, history, series};

const STEPS: u64 = 500;

#[test]
fn losses_in_bf16_stay_within_one_percent() {
    let fixture = Fixture::new(120, 64, |_| {});
    for (name, device) in devices().into_iter().filter(|(name, _)| *name == "wgpu") {
        assert_eq!(set_matmul_precision(Precision::Bf16, &device), Err(PrecisionError::Device), "{name}");
    }
    let (name, device) = cpus().remove(0);
    if let Err(error) = set_matmul_precision(Precision::Bf16, &device) {
        assert_eq!(error, PrecisionError::Processor);
        eprintln!("{name}: {error}");
        return;
    }
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

#[test]
fn settings_without_a_precision_mean_f32() {
    let mut settings = serde_json::to_value(TrainConfig::default()).unwrap();
    assert_eq!(settings.as_object_mut().unwrap().remove("dtype"), Some("f32".into()));
    assert_eq!(serde_json::from_value::<TrainConfig>(settings).unwrap(), TrainConfig::default());
}
