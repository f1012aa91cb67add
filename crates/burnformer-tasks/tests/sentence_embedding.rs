//! Training and evaluation of embeddings against sentence-transformers, see `fixtures/make_sentence_embedding.py`.

use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::Device;
use burnformer_core::Local;
use burnformer_core::progress::{Interrupt, Silent};
use burnformer_data::batches::{Batch, Collator, Padding, PairedBatch, PairedCollator};
use burnformer_data::datasets::{Dataset, PairedConfig, PairedDataset, PairedSample};
use burnformer_data::paired::{PairedExample, PairedTexts};
use burnformer_data::tokenizer::Tokenizer;
use burnformer_models::{Pooling, Pretrained, stats};
use burnformer_nn::DropoutRng;
use burnformer_ops::DeviceChoice;
use burnformer_tasks::metrics::RankingMeans;
use burnformer_tasks::{
    EmbeddingEvaluation, EmbeddingLoss, EmbeddingModel, EmbeddingModules, EmbeddingQuality, EmbeddingTask, MetricState,
    RETRIEVED, Task, TextEmbedding,
};
use serde_json::Value;

/// Greatest difference to the library.
const TOLERANCE: f64 = 1e-5;

fn device() -> Device {
    DeviceChoice::Auto.open().unwrap()
}

fn encoder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sentence_transformers/encoder")
}

fn golden() -> Value {
    serde_json::from_str(include_str!("fixtures/sentence_embedding.json")).unwrap()
}

/// The pairs of the fixture, with these columns.
fn texts(scores: Option<&[f64]>, with_negatives: bool) -> PairedTexts {
    let rows = golden()["rows"].as_array().unwrap().clone();
    let example = |(place, row): (usize, &Value)| {
        let text = |key: &str| row[key].as_str().unwrap().to_owned();
        let negatives = if with_negatives { vec![text("negative")] } else { Vec::new() };
        PairedExample { text: text("text"), pair: text("pair"), negatives, score: scores.map(|it| it[place] as f32) }
    };
    PairedTexts { examples: rows.iter().enumerate().map(example).collect() }
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|it| it.as_f64().unwrap()).collect()
}

fn tokenizer() -> Tokenizer {
    Tokenizer::load(encoder()).unwrap()
}

/// One batch of the pairs, in their order.
fn batch(texts: &PairedTexts) -> PairedBatch {
    let config = PairedConfig { max_seq_length: 16, distinct_in_batch: false, prompts: Default::default() };
    let sample = |example: &PairedExample| -> PairedSample {
        let one = PairedTexts { examples: vec![example.clone()] };
        PairedDataset::new(&one, &tokenizer(), &config, 1).unwrap().sample(0).unwrap()
    };
    let samples: Vec<PairedSample> = texts.examples.iter().map(sample).collect();
    let collator = PairedCollator { padding: Padding { pad_id: 0, multiple_of: 4 } };
    collator.collate((0..samples.len() as u64).collect(), samples)
}

fn task(loss: EmbeddingLoss) -> EmbeddingTask {
    let config = EmbeddingModel::open(&encoder(), &device()).unwrap().config().clone();
    EmbeddingTask::new(config, tokenizer(), loss).unwrap()
}

/// Loss and metrics of batches.
fn run(task: &EmbeddingTask, model: &EmbeddingModel, batches: Vec<PairedBatch>) -> (f64, Vec<(&'static str, f64)>) {
    let totals = batches.iter().map(|batch| task.counts(batch)).sum();
    let mut state = task.metric_state();
    let mut loss = 0.0;
    for batch in &batches {
        let forward = task.forward(model, batch, &totals, DropoutRng::off(), &device());
        loss += f64::from(forward.loss.into_scalar::<f32>());
        task.add_scores(&mut state, batch, &forward.scores.read().unwrap()).unwrap();
    }
    (loss, state.metrics())
}

#[test]
fn losses_of_a_batch_are_those_of_sentence_transformers() {
    let (golden, model) = (golden(), EmbeddingModel::open(&encoder(), &device()).unwrap());
    let scores: Vec<f64> =
        golden["rows"].as_array().unwrap().iter().map(|row| row["score"].as_f64().unwrap()).collect();
    let classes = numbers(&golden["classes"]);
    let check = |name: &str, loss: EmbeddingLoss, scores: Option<&[f64]>, with_negatives: bool| {
        let whole = batch(&texts(scores, with_negatives));
        // A text is there twice, and so not among the negatives of the batch.
        let batch = if loss.compares_whole_batch() { whole.rows(0..4) } else { whole };
        let (found, metrics) = run(&task(loss), &model, vec![batch]);
        let expected = golden["losses"][name].as_f64().unwrap();
        assert!((found - expected).abs() < TOLERANCE * expected.abs().max(1.0), "{name}: {found}, expected {expected}");
        assert!((metrics[0].1 - found).abs() < 1e-6, "{name}: {metrics:?}");
    };
    let ranking = EmbeddingLoss::MultipleNegatives { scale: 20.0 };
    check("multiple-negatives", ranking, None, false);
    check("multiple-negatives with negatives", ranking, None, true);
    check("cosent", EmbeddingLoss::Cosent { scale: 20.0 }, Some(&scores), false);
    check("cosine", EmbeddingLoss::Cosine, Some(&scores), false);
    check("triplet", EmbeddingLoss::Triplet { margin: 5.0 }, None, true);
    check("contrastive", EmbeddingLoss::Contrastive { margin: 0.5 }, Some(&classes), false);
}

#[test]
fn a_loss_of_single_pairs_does_not_depend_on_the_batches() {
    let model = EmbeddingModel::open(&encoder(), &device()).unwrap();
    let scores = [0.9, 0.25, 0.5, 0.0, 0.7, 0.5];
    let losses = [
        (EmbeddingLoss::Cosine, texts(Some(&scores), false)),
        (EmbeddingLoss::Triplet { margin: 5.0 }, texts(None, true)),
    ];
    for (loss, texts) in losses {
        let task = task(loss);
        let (whole, of_whole) = run(&task, &model, vec![batch(&texts)]);
        let (parts, of_parts) = run(&task, &model, batch(&texts).split(2));
        assert!((whole - parts).abs() < 1e-5, "{loss:?}: {whole} and {parts}");
        for (whole, part) in of_whole.iter().zip(&of_parts) {
            assert!(whole.0 == part.0 && (whole.1 - part.1).abs() < 1e-5, "{loss:?}: {whole:?} and {part:?}");
        }
    }
    let scaled = task(EmbeddingLoss::Cosine).with_highest_score(5.0);
    let times_five = scores.map(|score| 5.0 * score);
    let of = |task: &EmbeddingTask, scores: &[f64]| run(task, &model, vec![batch(&texts(Some(scores), false))]).0;
    assert!((of(&scaled, &times_five) - of(&task(EmbeddingLoss::Cosine), &scores)).abs() < 1e-6);
}

#[test]
fn scores_are_those_of_the_evaluators_of_sentence_transformers() {
    let golden = golden();
    let pipeline = TextEmbedding::load(&encoder(), &device()).unwrap();
    let evaluation = EmbeddingEvaluation {
        of_texts: &pipeline,
        of_others: &pipeline,
        progress: &Silent,
        interrupt: &Interrupt::new(),
        collective: &Local,
        seed: 1,
    };
    let scores: Vec<f64> =
        golden["rows"].as_array().unwrap().iter().map(|row| row["score"].as_f64().unwrap()).collect();
    let near = |found: f64, expected: &Value, tolerance: f64| {
        let expected = expected.as_f64().unwrap();
        assert!((found - expected).abs() < tolerance, "{found}, expected {expected}");
    };
    let EmbeddingQuality::Similarity(found) = evaluation.measure(&texts(Some(&scores), false)).unwrap() else {
        panic!("pairs have scores");
    };
    near(found.pearson.unwrap(), &golden["similarity"]["pearson"], 1e-4);
    near(found.spearman.unwrap(), &golden["similarity"]["spearman"], 1e-9);
    let interval = found.spearman_interval.unwrap();
    assert!(interval.low < found.spearman.unwrap() && interval.high > found.spearman.unwrap(), "{interval:?}");
    let EmbeddingQuality::Retrieval(found) = evaluation.measure(&texts(None, true)).unwrap() else {
        panic!("pairs have no scores");
    };
    let at = |k| RankingMeans::at(&found.queries, k);
    for (name, value) in [
        ("accuracy_at_1", at(1).mrr),
        ("mrr_at_10", at(10).mrr),
        ("ndcg_at_10", at(10).ndcg),
        ("map_at_100", at(RETRIEVED).map),
        ("recall_at_2", at(2).recall),
        ("recall_at_10", at(10).recall),
    ] {
        near(value, &golden["retrieval"][name], 1e-9);
    }
    near(found.triplet_accuracy.unwrap(), &golden["triplet_accuracy"], 1e-9);
}

#[test]
fn a_model_without_an_opinion_is_not_the_best_one() {
    let model = EmbeddingModel::open(&encoder(), &device()).unwrap();
    let same = model.map(&mut Zero);
    let quality = |loss, texts: &PairedTexts| run(&task(loss), &same, vec![batch(texts)]).1[1];
    let ranks = quality(EmbeddingLoss::MultipleNegatives { scale: 20.0 }, &texts(None, true));
    assert!(ranks.0 == "mrr" && (ranks.1 - 1.0 / 12.0).abs() < 1e-6, "{ranks:?}");
    assert_eq!(quality(EmbeddingLoss::Triplet { margin: 1.0 }, &texts(None, true)), ("accuracy", 0.0));
}

/// Sets every weight to zero, so that all embeddings are equal.
struct Zero;

impl burn::module::ModuleMapper for Zero {
    fn map_float<const D: usize>(
        &mut self,
        param: burn::module::Param<burn::tensor::Tensor<D>>,
    ) -> burn::module::Param<burn::tensor::Tensor<D>> {
        param.map(|weights| weights * 0.0)
    }
}

#[test]
fn a_saved_model_has_its_pooling_and_its_dense_layers() {
    let (folder, saved) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // A folder with a dense layer, made of one of the fixture.
    let embeddings: Value =
        serde_json::from_str(include_str!("fixtures/sentence_transformers/embeddings.json")).unwrap();
    let is_dense = |case: &&Value| case["name"].as_str().unwrap().starts_with("dense torch.nn.modules");
    let case = embeddings["cases"].as_array().unwrap().iter().find(is_dense).unwrap();
    for file in std::fs::read_dir(encoder()).unwrap() {
        let path = file.unwrap().path();
        std::fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    for (name, content) in case["files"].as_object().unwrap() {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        match content.as_str() {
            Some(file) => drop(std::fs::copy(encoder().parent().unwrap().join(file), path).unwrap()),
            None => std::fs::write(path, content.to_string()).unwrap(),
        }
    }
    let modules = EmbeddingModules::of(folder.path()).unwrap();
    assert!(modules.clone().with_pooling(Pooling::Max, 8).is_ok());
    let loaded = EmbeddingModel::from_pretrained(modules.clone(), &device()).unwrap();
    let task = EmbeddingTask::new(loaded.model.config().clone(), tokenizer(), EmbeddingLoss::Cosine).unwrap();
    task.save(&loaded.model, saved.path()).unwrap();
    let again = task.load(saved.path(), &device()).unwrap();
    let model = TextEmbedding::load(saved.path(), &device()).unwrap();
    assert_eq!(model.n_dimensions(), 5);
    assert_eq!(again.width(), 5);
    let original = TextEmbedding::load(folder.path(), &device()).unwrap();
    assert_eq!(model.embed(&["the cat sat"]).unwrap(), original.embed(&["the cat sat"]).unwrap());
    // A new one has the same parameters.
    let fresh = EmbeddingModel::init(loaded.model.config(), &modules, 3, &device());
    let names = |model: &EmbeddingModel| stats::parameters(model).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names(&fresh), names(&again));
    assert!(names(&fresh).iter().any(|name| name == "dense.0.linear.weight"), "{:?}", names(&fresh));
}
