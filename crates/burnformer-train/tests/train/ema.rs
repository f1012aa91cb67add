//! The moving average of the weights is what is evaluated and published.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use burnformer_models::weights::Weights;
use burnformer_train::{Freeze, OnDivergence, Stop, TrainConfig};

use crate::support::{Begin, Fixture, config, cpus, history, numbers, series};

/// The tensors of a file of a checkpoint, by name.
fn tensors(run: &Path, step: u64, file: &str) -> BTreeMap<String, Vec<f32>> {
    let mut weights = Weights::open(&run.join(format!("checkpoints/step-{step}/{file}"))).unwrap();
    let names = weights.names();
    names.into_iter().map(|name| (name.clone(), weights.read(&name).unwrap().iter::<f32>().collect())).collect()
}

/// Weights by their names in the files of models and of trained weights.
const NAMES: [(&str, &str); 3] = [
    ("bert.embeddings.word_embeddings.weight", "bert.embeddings.token.weight"),
    ("bert.encoder.layer.1.attention.self.value.weight", "bert.encoder.layers.1.attention.value.weight"),
    ("bert.encoder.layer.0.output.LayerNorm.bias", "bert.encoder.layers.0.norm_ff.bias"),
];

/// The definition: `tf.train.ExponentialMovingAverage` of TensorFlow 2 with `num_updates`.
#[test]
fn the_model_is_the_average_of_the_trained_weights() {
    let fixture = Fixture::small();
    let (_, device) = cpus().remove(0);
    let (steps, decay) = (5, 0.4);
    let config = TrainConfig {
        ema_decay: Some(decay),
        keep_checkpoints: 9,
        checkpoint_every: 1,
        // With a checkpoint before the first step.
        on_divergence: OnDivergence::RollBack,
        ..config(steps)
    };
    let place = tempfile::tempdir().unwrap();
    let run = place.path().join("run");
    fixture.run(&device, &config, &run, Begin::Start, None).0.unwrap();
    let begin = tensors(&run, 0, "model.safetensors");
    for (file, path) in NAMES {
        let mut average: Vec<f64> = begin[file].iter().map(|&weight| f64::from(weight)).collect();
        for step in 1..=steps {
            let trained = tensors(&run, step, "trained.safetensors");
            let n = step as f64;
            let decay = decay.min((1.0 + n) / (10.0 + n));
            for (average, &weight) in average.iter_mut().zip(&trained[path]) {
                *average = decay * *average + (1.0 - decay) * f64::from(weight);
            }
            let found = &tensors(&run, step, "model.safetensors")[file];
            assert_ne!(found, &trained[path]);
            for (&found, &expected) in found.iter().zip(&average) {
                // The sums are rounded to single precision, of values below 2.
                assert!((f64::from(found) - expected).abs() < 1e-6, "{file} at {step}: {found}, expected {expected}");
            }
        }
    }
}

#[test]
fn training_is_as_without_an_average_and_evaluation_is_not() {
    let fixture = Fixture::small();
    let (_, device) = cpus().remove(0);
    let without = history(&fixture, &device, &config(8));
    let averaged = TrainConfig { ema_decay: Some(0.9), ..config(8) };
    let place = tempfile::tempdir().unwrap();
    let run = place.path().join("run");
    let (outcome, with) = fixture.run(&device, &averaged, &run, Begin::Start, None);
    assert_eq!(series(&with, "loss"), series(&without, "loss"));
    let validation = |entries: &[burnformer_train::HistoryEntry]| {
        numbers(entries).into_iter().filter(|(_, split, _)| split == "validation").collect::<Vec<_>>()
    };
    assert_eq!(validation(&with).len(), 2);
    assert_ne!(validation(&with), validation(&without));
    // What is published is the average of the best checkpoint, without the trained weights.
    let best = outcome.unwrap().published;
    let checkpoint = run.join(format!("checkpoints/step-{best}"));
    assert_eq!(
        fs::read(run.join("model.safetensors")).unwrap(),
        fs::read(checkpoint.join("model.safetensors")).unwrap()
    );
    assert!(checkpoint.join("trained.safetensors").is_file() && !run.join("trained.safetensors").exists());
}

/// Also where layers join the training on the way.
#[test]
fn a_run_with_an_average_resumes_with_the_same_bits() {
    let fixture = Fixture::small();
    let (_, device) = cpus().remove(0);
    let config = TrainConfig {
        ema_decay: Some(0.99),
        freeze: Some(Freeze::Layers(2)),
        unfreeze_every: Some(3),
        layer_decay: Some(0.7),
        ..config(9)
    };
    let place = tempfile::tempdir().unwrap();
    let whole = place.path().join("whole");
    let (_, expected) = fixture.run(&device, &config, &whole, Begin::Start, None);
    for stop_at in [2, 3, 4, 7] {
        let parts = place.path().join(format!("stop-{stop_at}"));
        let (outcome, mut found) = fixture.run(&device, &config, &parts, Begin::Start, Some(stop_at));
        assert_eq!(outcome.unwrap().stop, Stop::Interrupted);
        let (outcome, rest) = fixture.run(&device, &config, &parts, Begin::Resume, None);
        outcome.unwrap();
        found.extend(rest);
        assert_eq!(numbers(&found), numbers(&expected), "stopped at {stop_at}");
        for file in ["model.safetensors", "trained.safetensors", "optimizer.safetensors"] {
            assert_eq!(tensors(&parts, 9, file), tensors(&whole, 9, file), "stopped at {stop_at}: {file}");
        }
    }
}

#[test]
fn trained_weights_that_are_damaged_are_noticed() {
    let fixture = Fixture::small();
    let (_, device) = cpus().remove(0);
    let config = TrainConfig { ema_decay: Some(0.9), checkpoint_every: 2, keep_checkpoints: 2, ..config(4) };
    let place = tempfile::tempdir().unwrap();
    let run = place.path().join("run");
    let (_, expected) = fixture.run(&device, &config, &run, Begin::Start, None);
    fs::remove_file(run.join("checkpoints/step-4/trained.safetensors")).unwrap();
    // The run goes on from the checkpoint before.
    let (outcome, rest) = fixture.run(&device, &config, &run, Begin::Resume, None);
    outcome.unwrap();
    let expected: Vec<_> = expected.into_iter().filter(|entry| entry.step > 2).collect();
    assert_eq!(numbers(&rest), numbers(&expected));
}
