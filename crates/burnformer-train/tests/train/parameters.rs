//! A rule says which parameters are trained, and at which learning rate.

use std::collections::BTreeMap;
use std::path::Path;

use burnformer_models::weights::Weights;
use burnformer_train::{
    AdamConfig, HistoryEntry, OptimizerConfig, ParameterRule, RunFolder, ScheduleConfig, SgdConfig, Stop, TrainConfig,
    Trainer,
};

use crate::support::{Fixture, SEED, config, cpus, history, numbers, series};

/// The first layer and the embeddings are trained from steps on, and each at a rate of its own.
struct Rule {
    layer_from: u64,
    embeddings_from: u64,
    layer_factor: f64,
}

const FROZEN: Rule = Rule { layer_from: u64::MAX, embeddings_from: u64::MAX, layer_factor: 1.0 };

fn is_first_layer(path: &str) -> bool {
    path.contains(".layers.0.")
}

fn is_embedding(path: &str) -> bool {
    path.contains("embedding")
}

impl ParameterRule for Rule {
    fn is_trained(&self, path: &str, step: u64) -> bool {
        (!is_first_layer(path) || step >= self.layer_from) && (!is_embedding(path) || step >= self.embeddings_from)
    }

    fn learning_rate_factor(&self, path: &str) -> f64 {
        if is_first_layer(path) { self.layer_factor } else { 1.0 }
    }
}

/// Runs by the rule, or goes on with it, up to a checkpoint that is asked for at `stop_at`.
fn run(
    fixture: &Fixture,
    config: &TrainConfig,
    rule: &Rule,
    folder: &Path,
    resume: bool,
    stop_at: Option<u64>,
) -> Vec<HistoryEntry> {
    let (_, device) = cpus().remove(0);
    let interrupt = burnformer_core::progress::Interrupt::new();
    let trainer =
        Trainer::new(&fixture.task, config, SEED, device.clone()).with_interrupt(&interrupt).with_parameter_rule(rule);
    let mut entries = Vec::new();
    let mut on_event = |event: burnformer_train::Event<'_>| {
        if let burnformer_train::Event::Metrics(entry) = event {
            if Some(entry.step) == stop_at && entry.split == "train" {
                interrupt.request();
            }
            entries.push(entry.clone());
        }
    };
    let outcome = if resume {
        trainer.resume(&fixture.data(), &RunFolder::open(folder).unwrap(), &mut on_event)
    } else {
        let folder = RunFolder::create(folder, "").unwrap();
        trainer.start(fixture.model(&device), &fixture.data(), &folder, &mut on_event)
    };
    assert_eq!(outcome.unwrap().stop == Stop::Interrupted, stop_at.is_some());
    entries
}

/// The tensors of a file of a checkpoint, by name.
fn tensors(folder: &Path, step: u64, file: &str) -> BTreeMap<String, Vec<f32>> {
    let mut weights = Weights::open(&folder.join(format!("checkpoints/step-{step}/{file}"))).unwrap();
    let names = weights.names();
    names.into_iter().map(|name| (name.clone(), weights.read(&name).unwrap().iter::<f32>().collect())).collect()
}

/// A run of three steps, each with a checkpoint.
fn every_step() -> TrainConfig {
    TrainConfig { keep_checkpoints: 9, checkpoint_every: 1, keep_every: Some(1), ..config(3) }
}

/// `true` for the weights of the first layer and of the embeddings under their names in files.
fn is_frozen_file(name: &str) -> bool {
    name.contains("encoder.layer.0.") || name.contains("embeddings.")
}

#[test]
fn what_is_frozen_has_neither_update_nor_moments() {
    let fixture = Fixture::small();
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("run");
    run(&fixture, &every_step(), &FROZEN, &folder, false, None);
    let (first, last) = (tensors(&folder, 1, "model.safetensors"), tensors(&folder, 3, "model.safetensors"));
    let mut n_frozen = 0;
    for (name, weights) in &first {
        // Softmax ignores the biases of keys, and the embeddings are the weight of the output too.
        let is_frozen = is_frozen_file(name) || name.ends_with("decoder.weight");
        n_frozen += usize::from(is_frozen);
        assert!(is_frozen == (weights == &last[name]) || name.ends_with("key.bias"), "{name}");
    }
    assert!(n_frozen > 16, "{n_frozen}");
    let moments = tensors(&folder, 3, "optimizer.safetensors");
    assert!(moments.keys().any(|name| name.contains(".layers.1.")));
    assert!(!moments.keys().any(|name| is_first_layer(name) || is_embedding(name)), "{:?}", moments.keys());
}

/// The gradients of what is trained are those of a run that trains all, and the norm is that of them alone.
#[test]
fn freezing_changes_no_other_gradient() {
    let fixture = Fixture::small();
    let (_, device) = cpus().remove(0);
    let sgd = OptimizerConfig::Sgd(SgdConfig { learning_rate: 0.1, momentum: 0.0, weight_decay: 0.0 });
    let (schedule, optimizer) = (ScheduleConfig::Constant { warmup_steps: 0 }, sgd);
    for activation_checkpointing in [false, true] {
        let config = TrainConfig {
            optimizer: optimizer.clone(),
            schedule,
            clip_norm: None,
            activation_checkpointing,
            ..every_step()
        };
        let place = tempfile::tempdir().unwrap();
        let [all, some] = ["all", "some"].map(|name| place.path().join(name));
        let whole = Rule { layer_from: 1, embeddings_from: 1, layer_factor: 1.0 };
        let entries =
            [(&all, &whole), (&some, &FROZEN)].map(|(folder, rule)| run(&fixture, &config, rule, folder, false, None));
        let [all, some] = [all, some].map(|folder| tensors(&folder, 1, "model.safetensors"));
        for (name, weights) in &some {
            if !is_frozen_file(name) && !name.ends_with("decoder.weight") {
                assert_eq!(weights, &all[name], "{name}");
            }
        }
        let [all, some] = entries.map(|entries| series(&entries, "gradient_norm")[0]);
        assert!(some < all, "{some} {all}");
    }
    // Without a rule, and with one that trains all at the same rate, the numbers are the same.
    let place = tempfile::tempdir().unwrap();
    let whole = Rule { layer_from: 1, embeddings_from: 1, layer_factor: 1.0 };
    let found = run(&fixture, &config(4), &whole, &place.path().join("run"), false, None);
    assert_eq!(numbers(&found), numbers(&history(&fixture, &device, &config(4))));
}

#[test]
fn a_run_that_unfreezes_resumes_with_the_same_bits() {
    let fixture = Fixture::small();
    let rule = Rule { layer_from: 4, embeddings_from: 7, layer_factor: 0.5 };
    let config = TrainConfig { clip_norm: Some(0.5), ..config(9) };
    let place = tempfile::tempdir().unwrap();
    let whole = place.path().join("whole");
    let expected = run(&fixture, &config, &rule, &whole, false, None);
    for stop_at in 2..=8 {
        let parts = place.path().join(format!("stop-{stop_at}"));
        let mut found = run(&fixture, &config, &rule, &parts, false, Some(stop_at));
        found.extend(run(&fixture, &config, &rule, &parts, true, None));
        assert_eq!(numbers(&found), numbers(&expected), "stopped at {stop_at}");
        for file in ["model.safetensors", "optimizer.safetensors"] {
            assert_eq!(tensors(&parts, 9, file), tensors(&whole, 9, file), "stopped at {stop_at}");
        }
    }
}

/// Adam's first update of a weight is the learning rate in the direction of the gradient, whenever it comes.
#[test]
fn the_first_update_of_what_is_unfrozen_is_a_first_update() {
    let fixture = Fixture::small();
    let (learning_rate, eps) = (1e-3, 1e-12);
    let adam = AdamConfig { learning_rate, beta_1: 0.9, beta_2: 0.999, eps, weight_decay: 0.0 };
    let config = TrainConfig {
        optimizer: OptimizerConfig::Adam(adam),
        schedule: ScheduleConfig::Constant { warmup_steps: 0 },
        clip_norm: None,
        ..every_step()
    };
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("run");
    let rule = Rule { layer_from: 3, embeddings_from: 1, layer_factor: 0.25 };
    run(&fixture, &config, &rule, &folder, false, None);
    let [before, after] = [2, 3].map(|step| tensors(&folder, step, "model.safetensors"));
    let name = before.keys().find(|name| name.contains("layer.0.") && name.ends_with("query.weight")).unwrap();
    let changes = before[name].iter().zip(&after[name]).map(|(before, after)| f64::from(after - before).abs());
    let expected = learning_rate * rule.layer_factor;
    // Where the gradient is hardly more than `eps`, or rounded, a little less.
    let (most, sum) = changes.clone().fold((0.0, 0.0), |(most, sum), change| (change.max(most), sum + change));
    let mean = sum / before[name].len() as f64;
    assert!(most < expected * 1.001 && mean > expected * 0.99, "{most} {mean}, expected {expected}");
}
