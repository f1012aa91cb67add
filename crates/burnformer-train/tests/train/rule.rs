//! Another rule than the sum of gradients: each sample's gradient clipped by itself, as differentially private training has it.

use burn::tensor::Tensor;
use burnformer_data::batches::Batch;
use burnformer_tasks::{Scores, Task};
use burnformer_train::{
    GradientRule, GradientSums, MicroBatch, OptimizerConfig, RunFolder, ScheduleConfig, SgdConfig, TrainConfig, Trainer,
};

use crate::support::{Fixture, SEED, config, cpus, history, series};

/// Clips the gradient of each sample to a norm before it is added.
///
/// Source: Abadi et al. 2016, "Deep learning with differential privacy", algorithm 1, without its noise.
struct Clipped(f64);

impl<T: Task> GradientRule<T> for Clipped {
    fn add(&self, micro_batch: MicroBatch<'_, T>, sums: &mut GradientSums) -> Vec<(T::Batch, Scores)> {
        let n = micro_batch.batch.numbers().len();
        let mut scored = Vec::new();
        for row in 0..n {
            let sample = micro_batch.batch.rows(row..row + 1);
            let forward = micro_batch.forward(&sample, micro_batch.totals);
            let mut gradients = GradientSums::new();
            gradients.add(micro_batch.model, forward.loss.backward());
            let factor: Tensor<1> = GradientSums::clip_factor(gradients.norm(), self.0);
            sums.merge(gradients.scaled(&factor));
            scored.push((sample, forward.scores));
        }
        scored
    }
}

/// Losses and norms of a run with the rule.
fn clipped(fixture: &Fixture, config: &TrainConfig, norm: f64) -> [Vec<f64>; 2] {
    let (_, device) = cpus().remove(0);
    let place = tempfile::tempdir().unwrap();
    let folder = RunFolder::create(&place.path().join("run"), "").unwrap();
    let rule = Clipped(norm);
    let trainer = Trainer::new(&fixture.task, config, SEED, device.clone()).with_rule(&rule);
    trainer.start(fixture.model(&device), &fixture.data(), &folder, &mut |_| {}).unwrap();
    let entries = burnformer_train::History::read(folder.path().join("metrics.jsonl")).unwrap();
    ["loss", "gradient_norm"].map(|metric| series(&entries, metric))
}

#[test]
fn a_rule_makes_the_gradient_of_a_step() {
    let fixture = Fixture::small();
    let (_, device) = cpus().remove(0);
    let optimizer = OptimizerConfig::Sgd(SgdConfig { learning_rate: 0.1, momentum: 0.0, weight_decay: 0.0 });
    let schedule = ScheduleConfig::Constant { warmup_steps: 0 };
    let config = TrainConfig { optimizer, schedule, clip_norm: None, ..config(4) };

    // Where nothing is clipped, samples one by one are the batch at once.
    let expected = history(&fixture, &device, &config);
    let found = clipped(&fixture, &config, 1e6);
    for (metric, found) in ["loss", "gradient_norm"].into_iter().zip(&found) {
        let expected = series(&expected, metric);
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            // Sums of eight rows are rounded elsewhere: 1e-6, and what four updates make of it.
            assert!((found / expected - 1.0).abs() < 1e-4, "`{metric}` is {found}, expected {expected}");
        }
    }

    // Eight samples with a norm of at most 1e-3 make at most eight times that.
    let [losses, norms] = clipped(&fixture, &config, 1e-3);
    assert!(norms.iter().all(|&norm| norm > 1e-3 && norm <= 8e-3), "{norms:?}");
    assert_eq!(losses[0], found[0][0]);
    assert_ne!(losses[3], found[0][3]);
}
