//! Tasks of labels and scores, and the losses of classification, on small models of random weights.

use std::path::Path;
use std::slice;
use std::thread;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor};
use burnformer_core::Local;
use burnformer_core::collective::{Collective, thread_ranks};
use burnformer_core::config::Validate;
use burnformer_core::progress::{Interrupt, Interrupted, Silent, is_interrupted};
use burnformer_data::batches::{Batch, ClassificationBatch, Dealt, MultiLabelBatch, Padded, ScoreBatch};
use burnformer_data::scored::Score;
use burnformer_data::tokenizer::Tokenizer;
use burnformer_models::{BertConfig, BertForSequenceClassification, OutputActivation, Outputs};
use burnformer_nn::DropoutRng;
use burnformer_ops::DeviceChoice;
use burnformer_tasks::{
    ClassificationLoss, ClassificationTask, Evaluation, MetricState, MultiLabelTask, Pipeline, ScoreLoss, ScoreTask,
    Task, evaluate,
};

const WORDS: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\ncat\ndog\nsat\nran\nover\nhill\n##s\n.\n";
const TEXTS: [&str; 3] = ["the cat sat", "dogs ran over the hill", "the hill ."];

fn device() -> Device {
    DeviceChoice::Auto.open().unwrap()
}

fn tokenizer(folder: &Path) -> Tokenizer {
    let path = folder.join("vocab.txt");
    std::fs::write(&path, WORDS).unwrap();
    Tokenizer::load(path).unwrap()
}

fn config() -> BertConfig {
    let small = BertConfig::preset("bert-tiny", 14, 0).unwrap();
    BertConfig { d_model: 12, n_heads: 3, d_ff: 20, max_seq_length: 9, init_std: 0.5, ..small }
}

fn names(n: usize) -> Vec<String> {
    ["a", "b", "c"][..n].iter().map(ToString::to_string).collect()
}

/// [`TEXTS`] with these labels.
fn batch<L>(labels: [L; 3], tokenizer: &Tokenizer) -> ClassificationBatch<L> {
    let encoded = TEXTS.map(|text| tokenizer.encode_with_specials(text, None, Some(9)).unwrap().ids);
    let padding = burnformer_data::batches::Padding { pad_id: 0, multiple_of: 1 };
    let tokens = Padded::new(encoded.iter().map(Vec::as_slice), &padding);
    let first_lengths = tokens.lengths.clone();
    ClassificationBatch { numbers: vec![4, 9, 11], tokens, first_lengths, labels: labels.into() }
}

/// Loss of a step that is cut into these parts.
fn loss<T: Task>(task: &T, model: &T::Model, parts: &[T::Batch], rng: fn(&[u64]) -> DropoutRng) -> f64 {
    let mut totals = T::Counts::default();
    parts.iter().for_each(|part| totals += task.counts(part));
    let device = device();
    let forward = |part: &T::Batch| task.forward(model, part, &totals, rng(part.numbers()), &device);
    parts.iter().map(|part| f64::from(forward(part).loss.into_scalar::<f32>())).sum()
}

fn off(_: &[u64]) -> DropoutRng {
    DropoutRng::off()
}

fn on(numbers: &[u64]) -> DropoutRng {
    DropoutRng::training(3, numbers)
}

/// Probabilities, or scores, of [`TEXTS`] by the pipeline of `folder`.
fn predicted(folder: &Path) -> Vec<Vec<f64>> {
    let Pipeline::TextClassification(model) = Pipeline::from_folder_on(folder, &device()).unwrap() else {
        panic!("a classifier was saved")
    };
    let texts = TEXTS.map(|text| (text, None));
    model.classify(&texts).unwrap().into_iter().map(|prediction| prediction.probabilities).collect()
}

#[test]
fn labels_are_decided_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let tokenizer = tokenizer(folder.path());
    let task = |threshold| MultiLabelTask::new(config(), tokenizer.clone(), names(3), threshold).unwrap();
    let model = BertForSequenceClassification::init(&config(), &names(3), 1, &device()).with_outputs(Outputs::Labels);
    task(0.5).save(&model, folder.path()).unwrap();
    let predicted = predicted(folder.path());
    let batch: MultiLabelBatch = batch([vec![0, 2], vec![], vec![1]], &tokenizer);
    let state = |threshold| {
        let batches = [Ok(batch.clone())];
        evaluate(&task(threshold), &model, batches, 3, &device(), &Silent, &Interrupt::new()).unwrap()
    };
    // The mean of -log of the probability of each right decision, as transformers computes it.
    let truths = [[true, false, true], [false; 3], [false, true, false]];
    let rows = || predicted.iter().flatten().zip(truths.iter().flatten());
    let likelihood = |(&probability, &truth): (&f64, &bool)| if truth { probability } else { 1.0 - probability };
    let expected = -rows().map(likelihood).map(f64::ln).sum::<f64>() / 9.0;
    assert!((state(0.5).loss() - expected).abs() < 1e-5, "{} and {expected}", state(0.5).loss());
    for threshold in [0.0, 0.5, predicted[0][1], 1.0] {
        let decided = rows().filter(|(probability, truth)| (**probability >= threshold) == **truth).count();
        let counts = state(threshold).counts;
        let wrong: u64 = counts.by_label().map(|it| it.support).sum::<u64>();
        let micro = counts.micro();
        let n_right = (micro.recall * wrong as f64).round() as u64;
        let expected = rows().filter(|(probability, truth)| **probability >= threshold && **truth).count() as u64;
        assert_eq!(n_right, expected, "{threshold}: {decided}");
    }
    assert_eq!(state(0.0).counts.micro().recall, 1.0);
    // Before any label is predicted, the loss tells models apart.
    let none = state(1.0);
    assert_eq!((none.counts.micro().f1, none.quality()), (0.0, -none.loss()));
    let whole = loss(&task(0.5), &model, slice::from_ref(&batch), off);
    assert!((whole - loss(&task(0.5), &model, &batch.split(1), off)).abs() < 1e-5);
}

#[test]
fn a_score_is_a_number_or_a_probability() {
    let folder = tempfile::tempdir().unwrap();
    let tokenizer = tokenizer(folder.path());
    let truths = [0.25, 1.0, 0.0];
    let labels = [(truths[0], 0), (truths[1], 1), (truths[2], 1)].map(|(value, query)| Score { value, query });
    let batch: ScoreBatch = batch(labels, &tokenizer);
    for kind in [ScoreLoss::SquaredError, ScoreLoss::BinaryCrossEntropy] {
        let task = ScoreTask::new(config(), tokenizer.clone(), kind).unwrap();
        let label = [Outputs::SCORE_LABEL.to_owned()];
        let model = BertForSequenceClassification::init(&config(), &label, 1, &device()).with_outputs(kind.outputs());
        task.save(&model, folder.path()).unwrap();
        let scores = predicted(folder.path()).concat();
        let batches = [Ok(batch.clone())];
        let state = evaluate(&task, &model, batches, 3, &device(), &Silent, &Interrupt::new()).unwrap();
        for (answer, score) in state.answers.iter().zip(&scores) {
            assert!((f64::from(answer.answer) - score).abs() < 1e-5, "{kind:?}: {answer:?}, {score}");
        }
        let loss_of = |(&truth, &score): (&f64, &f64)| match kind {
            ScoreLoss::SquaredError => (truth - score).powi(2),
            ScoreLoss::BinaryCrossEntropy => -(truth * score.ln() + (1.0 - truth) * (1.0 - score).ln()),
        };
        let expected = truths.iter().zip(&scores).map(loss_of).sum::<f64>() / 3.0;
        assert!((state.loss() - expected).abs() < 1e-5, "{kind:?}: {} and {expected}", state.loss());
        let whole = loss(&task, &model, slice::from_ref(&batch), off);
        assert!(
            (whole - state.loss()).abs() < 1e-5
                && (whole - loss(&task, &model, &batch.clone().split(1), off)).abs() < 1e-5
        );
        // Two texts have the second query, and one of them is relevant.
        let rankings = state.rankings();
        assert_eq!(rankings.len(), 1);
        assert_eq!(rankings[0].reciprocal_rank(9), if scores[1] > scores[2] { 1.0 } else { 0.5 });
        let json = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<burnformer_tasks::ScoreMetricState>(&json).unwrap(), state);
    }
    assert_eq!(ScoreLoss::BinaryCrossEntropy.outputs(), Outputs::Score(OutputActivation::Sigmoid));
}

fn classifier(loss: ClassificationLoss, tokenizer: &Tokenizer) -> ClassificationTask {
    ClassificationTask::new(config(), tokenizer.clone(), names(3)).unwrap().with_loss(loss).unwrap()
}

#[test]
fn a_weighted_loss_is_the_mean_over_weights_however_a_step_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let tokenizer = tokenizer(folder.path());
    let model = BertForSequenceClassification::init(&config(), &names(3), 1, &device());
    let batch = batch([2, 0, 2], &tokenizer);
    let likelihoods: Vec<f64> = {
        let plain = classifier(ClassificationLoss::default(), &tokenizer);
        batch.clone().split(1).iter().map(|row| loss(&plain, &model, std::slice::from_ref(row), off)).collect()
    };
    let weights = [0.5, 3.0, 2.0];
    let class_weights = weights.iter().map(|&weight| weight as f32).collect();
    let weighted = classifier(ClassificationLoss { class_weights, ..ClassificationLoss::default() }, &tokenizer);
    let sum = weights[2] * likelihoods[0] + weights[0] * likelihoods[1] + weights[2] * likelihoods[2];
    let expected = sum / (2.0 * weights[2] + weights[0]);
    for parts in [vec![batch.clone()], batch.clone().split(1)] {
        let found = loss(&weighted, &model, &parts, off);
        assert!((found - expected).abs() < 1e-5, "{found} and {expected}");
    }
    // What is measured is the likelihood alone.
    let smoothed = ClassificationLoss { label_smoothing: 0.5, ..ClassificationLoss::default() };
    let state =
        evaluate(&classifier(smoothed, &tokenizer), &model, [Ok(batch)], 3, &device(), &Silent, &Interrupt::new());
    assert!((state.unwrap().loss_sum - likelihoods.iter().sum::<f64>()).abs() < 1e-5);
}

#[test]
fn two_passes_cost_what_they_differ() {
    let folder = tempfile::tempdir().unwrap();
    let tokenizer = tokenizer(folder.path());
    let batch = batch([2, 0, 1], &tokenizer);
    let model = |dropout| {
        let config = BertConfig { dropout, attention_dropout: dropout, ..config() };
        BertForSequenceClassification::init(&config, &names(3), 1, &device())
    };
    let with = |r_drop| classifier(ClassificationLoss { r_drop, ..ClassificationLoss::default() }, &tokenizer);
    let found = |r_drop, dropout, rng| loss(&with(r_drop), &model(dropout), slice::from_ref(&batch), rng);
    // Passes without dropout are equal, and in evaluation there is one.
    assert!((found(9.0, 0.0, on) - found(0.0, 0.0, off)).abs() < 1e-5);
    assert_eq!(found(9.0, 0.3, off), found(0.0, 0.3, off));
    // The divergence is not negative, and its weight is linear.
    let (one, three) = (found(1.0, 0.3, on), found(3.0, 0.3, on));
    let divergence = (three - one) / 2.0;
    assert!(divergence > 1e-3, "{one} and {three}");
    assert!((found(2.0, 0.3, on) - one - divergence).abs() < 1e-4);
    let parts = batch.clone().split(1);
    assert!((loss(&with(2.0), &model(0.3), &parts, on) - found(2.0, 0.3, on)).abs() < 1e-4);
}

#[test]
fn losses_that_cannot_work_are_refused() {
    let error = |loss: ClassificationLoss| loss.validate().unwrap_err().to_string();
    let default = ClassificationLoss::default;
    let negative = ClassificationLoss { class_weights: vec![1.0, -2.0], ..default() };
    assert_eq!(error(negative), "`class_weights` is -2, expected finite numbers of at least 0");
    let zero = ClassificationLoss { class_weights: vec![0.0, 0.0], ..default() };
    assert_eq!(error(zero), "`class_weights` is 0 for every class, expected at least one positive weight");
    assert_eq!(
        error(ClassificationLoss { label_smoothing: 1.0, ..default() }),
        "`label_smoothing` is 1, expected a value in [0, 1)"
    );
    let r_drop = ClassificationLoss { r_drop: f64::NAN, ..default() };
    assert_eq!(error(r_drop), "`r_drop` is NaN, expected a finite number of at least 0");
}

/// What `work` returns on each of `n` ranks.
fn on_ranks<R: Send>(n: usize, work: impl Fn(&dyn Collective) -> R + Sync) -> Vec<R> {
    let work = &work;
    thread::scope(|scope| {
        let ranks: Vec<_> = thread_ranks(n).into_iter().map(|rank| scope.spawn(move || work(&rank))).collect();
        ranks.into_iter().map(|rank| rank.join().unwrap()).collect()
    })
}

/// Makes all parameters infinite.
struct NotFinite;

impl ModuleMapper for NotFinite {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| tensor * f32::INFINITY)
    }
}

/// Evaluates in detail on rows of `batch`, one, two or three at a time, with an error at the batch `broken`.
fn evaluated<T: Task>(
    task: &T,
    model: &T::Model,
    batch: &T::Batch,
    collective: &dyn Collective,
    interrupt: &Interrupt,
    broken: Option<usize>,
) -> Result<String, T::Error> {
    let batches = (0..43).map(|at: usize| {
        let rows = batch.rows(at % 3..(at % 3 + 1 + at % 2).min(3));
        let (owner, n_samples) = (at * 7 % 5 % collective.size(), rows.numbers().len());
        match broken == Some(at) && owner == collective.rank() {
            true => Err(Interrupted.into()),
            false => Ok(Dealt { owner, n_samples, batch: (owner == collective.rank()).then_some(rows) }),
        }
    });
    let device = device();
    let interrupt = interrupt.clone();
    let evaluation = Evaluation { device: &device, collective, progress: &Silent, interrupt, stages: None };
    // Floats as text that reads back as the same number.
    evaluation.run_in_detail(task, model, batches, 64).map(|state| format!("{state:?} {:?}", state.metrics()))
}

#[test]
fn several_ranks_have_the_scores_of_one_bit_for_bit() {
    fn check<T: Task>(task: &T, model: &T::Model, batch: &T::Batch)
    where
        T::Model: Sync,
        T::Batch: Sync,
    {
        let never = Interrupt::new();
        let alone = evaluated(task, model, batch, &Local, &never, None).unwrap();
        for n in 2..5 {
            for found in on_ranks(n, |rank| evaluated(task, model, batch, rank, &never, None)) {
                assert_eq!(found.unwrap(), alone, "{n} ranks");
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let tokenizer = tokenizer(folder.path());
    let model = |n| BertForSequenceClassification::init(&config(), &names(n), 1, &device());
    let task = ClassificationTask::new(config(), tokenizer.clone(), names(3)).unwrap();
    check(&task, &model(3), &batch([0, 2, 1], &tokenizer));
    let task = MultiLabelTask::new(config(), tokenizer.clone(), names(3), 0.5).unwrap();
    check(&task, &model(3).with_outputs(Outputs::Labels), &batch([vec![0, 2], vec![], vec![1]], &tokenizer));
    let task = ScoreTask::new(config(), tokenizer.clone(), ScoreLoss::SquaredError).unwrap();
    let scores = [0.3, -1.7, f64::NAN].map(|value| Score { value, query: 0 });
    check(&task, &model(1), &batch(scores, &tokenizer));
    // Answers that are no numbers reach the other ranks as such.
    check(&task, &model(1).map(&mut NotFinite), &batch(scores, &tokenizer));
}

#[test]
fn an_interrupt_or_an_error_of_one_rank_ends_the_evaluation_of_all() {
    let folder = tempfile::tempdir().unwrap();
    let tokenizer = tokenizer(folder.path());
    let model = BertForSequenceClassification::init(&config(), &names(3), 1, &device());
    let task = ClassificationTask::new(config(), tokenizer.clone(), names(3)).unwrap();
    let batch = batch([0, 2, 1], &tokenizer);
    let found = on_ranks(3, |rank| {
        let interrupt = Interrupt::new();
        if rank.rank() == 1 {
            interrupt.request();
        }
        evaluated(&task, &model, &batch, rank, &interrupt, None).unwrap_err()
    });
    assert!(found.iter().all(|error| is_interrupted(error)), "{found:?}");
    let found = on_ranks(3, |rank| evaluated(&task, &model, &batch, rank, &Interrupt::new(), Some(30)));
    assert!(found.iter().all(Result::is_err), "{found:?}");
}
