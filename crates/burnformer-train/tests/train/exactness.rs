//! Losses do not depend on how a step is cut up, on threads, or on the backend.

use burnformer_train::{AdamConfig, OptimizerConfig, ScheduleConfig, TrainConfig};

use crate::support::{Fixture, config, cpus, devices, history, numbers, series};

/// The largest relative difference between two series.
fn difference(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).map(|(a, b)| (a - b).abs() / b.abs()).fold(0.0, f64::max)
}

#[test]
fn losses_do_not_depend_on_how_a_step_is_cut() {
    let fixture = Fixture::small();
    let cut = |micro_batch_size, grad_accum_steps| TrainConfig { micro_batch_size, grad_accum_steps, ..config(8) };
    for (name, device) in devices() {
        let whole = history(&fixture, &device, &cut(32, 1));
        for parts in [cut(16, 2), cut(8, 4)] {
            let parts = history(&fixture, &device, &parts);
            // Sums of 32 rows are rounded elsewhere: 1e-5, and what eight updates make of it.
            for metric in ["loss", "mlm_loss", "nsp_loss", "gradient_norm"] {
                let difference = difference(&series(&parts, metric), &series(&whole, metric));
                assert!(difference < 1e-4, "{name}: `{metric}` differs by {difference:e}");
            }
        }
    }
}

#[test]
fn losses_are_the_same_bits_on_any_number_of_threads() {
    let fixture = Fixture::small();
    for (name, device) in cpus() {
        let run = |workers, threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            numbers(&pool.install(|| history(&fixture, &device, &TrainConfig { workers, ..config(5) })))
        };
        let one = run(1, 1);
        assert_eq!(run(2, 1), one, "{name}: loaders");
        assert_eq!(run(1, 2), one, "{name}: compute");
    }
}

#[test]
fn twenty_steps_agree_between_the_backends() {
    let fixture = Fixture::new(120, 64, |model| assert_eq!((model.dropout, model.attention_dropout), (0.1, 0.1)));
    let config = TrainConfig {
        optimizer: OptimizerConfig::AdamW(AdamConfig {
            learning_rate: 1e-3,
            beta_1: 0.9,
            beta_2: 0.999,
            eps: 1e-6,
            weight_decay: 0.01,
        }),
        schedule: ScheduleConfig::Linear { warmup_steps: 5, min_learning_rate: 0.0 },
        clip_norm: Some(1.0),
        evaluate_every: 20,
        ..config(20)
    };
    let mut runs = devices().into_iter().map(|(name, device)| (name, history(&fixture, &device, &config)));
    let (_, first) = runs.next().unwrap();
    for (name, other) in runs {
        for metric in ["loss", "mlm_loss", "nsp_loss"] {
            let difference = difference(&series(&other, metric), &series(&first, metric));
            assert!(difference < 1e-3, "{name}: `{metric}` differs by {difference:e}");
        }
    }
}
