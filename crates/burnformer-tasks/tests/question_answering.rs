//! Extractive question answering against the official scripts of SQuAD and MLQA and the search of transformers, whose answers
//! `fixtures/make_squad.py` writes: to 1e-12, and probabilities to 1e-9.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use burnformer_core::progress::{Interrupt, Silent};
use burnformer_data::batches::{
    Batch, BatchConfig, Batches, Collator, Padding, QuestionAnsweringBatch, QuestionAnsweringCollator,
};
use burnformer_data::datasets::{ContextWindows, Dataset, EncodedContext, QuestionAnsweringDataset};
use burnformer_data::questions::{Question, QuestionTexts};
use burnformer_data::tokenizer::Tokenizer;
use burnformer_models::{BertConfig, BertForQuestionAnswering};
use burnformer_nn::DropoutRng;
use burnformer_ops::DeviceChoice;
use burnformer_tasks::metrics::{AnswerRules, ThresholdedAnswer, best_threshold};
use burnformer_tasks::{
    AnswerSearch, MetricState, Pipeline, QuestionAnswer, QuestionAnswering, QuestionAnsweringMetricState,
    QuestionAnsweringOptions, QuestionAnsweringTask, Task, WindowAnswers, evaluate,
};
use serde_json::Value;

fn golden() -> Value {
    let path = format!("{}/tests/fixtures/squad.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn tokenizer() -> Tokenizer {
    let folder = tempfile::tempdir().unwrap();
    let words = "[PAD] [UNK] [CLS] [SEP] [MASK] anna lives in paris and bob rome . where ? who is ##s";
    std::fs::write(folder.path().join("vocab.txt"), words.replace(' ', "\n")).unwrap();
    Tokenizer::load(folder.path().join("vocab.txt")).unwrap()
}

#[test]
fn answers_are_compared_as_by_the_official_scripts() {
    for case in golden()["scores"].as_array().unwrap() {
        let answer = case["answer"].as_str().unwrap();
        let truths: Vec<&str> =
            case["answers"].as_array().unwrap().iter().map(|truth| truth.as_str().unwrap()).collect();
        for (name, rules) in
            [("squad1", AnswerRules::Squad1), ("squad2", AnswerRules::Squad2), ("chinese", AnswerRules::Chinese)]
        {
            let Some(expected) = case.get(name).map(floats) else { continue };
            let found = rules.compare(answer, truths.iter().copied());
            let is_close = (found.f1 - expected[1]).abs() < 1e-12;
            assert!(is_close && f64::from(u8::from(found.exact)) == expected[0], "{name}, {case}: {found:?}");
        }
    }
}

#[test]
fn the_best_threshold_is_that_of_the_official_script() {
    let golden = &golden()["threshold"];
    for (place, name) in ["exact", "f1"].into_iter().enumerate() {
        let answer = |row: &Value| ThresholdedAnswer {
            difference: row[0].as_f64().unwrap(),
            score: row[1].as_array().map(|scores| scores[place].as_f64().unwrap()),
        };
        let mut answers: Vec<_> = golden["answers"].as_array().unwrap().iter().map(answer).collect();
        answers.reverse();
        let (threshold, score) = best_threshold(&answers);
        let expected = floats(&golden[name]);
        assert!(threshold == expected[0] && (score - expected[1]).abs() < 1e-12, "{name}: {threshold}, {score}");
    }
    assert_eq!(best_threshold(&[]), (0.0, 0.0));
}

/// The windows of the golden logits: five tokens, and six with one in common.
fn places() -> (Arc<EncodedContext>, Vec<burnformer_data::datasets::WindowPlace>) {
    let golden = &golden()["nbest"];
    let windows = ContextWindows::new(tokenizer(), 10, 1).unwrap();
    let context = Arc::new(windows.encode_context(&golden["context"].as_str().unwrap().into()).unwrap());
    let question = windows.encode_question("Where").unwrap();
    let places = [0..5, 4..10].map(|tokens| windows.window(&question, &context, tokens).place);
    for (place, offsets) in places.iter().zip(golden["offsets"].as_array().unwrap()) {
        for (position, offsets) in offsets.as_array().unwrap().iter().enumerate() {
            let found = place.positions().contains(&position).then(|| place.bytes(position, position));
            let expected =
                offsets.as_array().map(|it| it[0].as_u64().unwrap() as usize..it[1].as_u64().unwrap() as usize);
            assert_eq!(found, expected);
        }
    }
    (context, places.to_vec())
}

#[test]
fn the_best_answers_are_those_of_transformers() {
    let golden = &golden()["nbest"];
    let (context, places) = places();
    for (name, expected) in golden["cases"].as_object().unwrap() {
        let search = AnswerSearch {
            n_best: if name.starts_with("two_best") { 2 } else { 20 },
            max_answer_length: if name == "one_token" { 1 } else { 30 },
        };
        let threshold = match name.as_str() {
            "squad2" | "two_best_squad2" => Some(0.0),
            "squad2_low_threshold" => Some(-4.0),
            _ => None,
        };
        let mut found = WindowAnswers::default();
        for (window, place) in places.iter().enumerate() {
            found.add(place, &floats(&golden["start"][window]), &floats(&golden["end"][window]), &search);
        }
        let options = QuestionAnsweringOptions { search, threshold, top_k: 100, ..QuestionAnsweringOptions::default() };
        let answer = QuestionAnswer::of(&found, &context.text, &options);
        assert_eq!(answer.best.answer, expected["answer"].as_str().unwrap(), "{name}");
        match (answer.no_answer_difference, expected["difference"].as_f64()) {
            (Some(found), Some(expected)) => assert!((found - expected).abs() < 1e-9, "{name}: {found}"),
            (found, expected) => assert_eq!(found, expected, "{name}"),
        }
        let nbest = expected["nbest"].as_array().unwrap();
        assert_eq!(answer.answers.len(), nbest.len(), "{name}");
        for (found, expected) in answer.answers.iter().zip(nbest) {
            assert_eq!(found.answer, expected[0].as_str().unwrap(), "{name}");
            assert!((found.probability - expected[1].as_f64().unwrap()).abs() < 1e-9, "{name}: {found:?}");
        }
    }
}

#[test]
fn there_is_an_answer_even_where_the_best_tokens_make_none() {
    let (context, places) = places();
    let search = AnswerSearch { n_best: 1, max_answer_length: 2 };
    let mut found = WindowAnswers::default();
    // The best first token is the last of all, and the best last token the first.
    found.add(
        &places[0],
        &[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 3.0, 0.0],
        &[0.0, 0.0, 0.0, 3.5, 0.0, 0.0, 1.0, 0.0, 0.0],
        &search,
    );
    let answer = QuestionAnswer::of(&found, &context.text, &QuestionAnsweringOptions::default());
    assert_eq!((answer.best.answer.as_str(), answer.best.start, answer.best.end), ("Anna", Some(0), Some(4)));
}

fn question(id: &str, text: &str, context: &str, answer: Option<&str>) -> Arc<Question> {
    let answers = answer.map(|answer| {
        let start = context.find(answer).unwrap();
        start..start + answer.len()
    });
    Arc::new(Question {
        id: id.to_owned(),
        text: text.to_owned(),
        context: context.into(),
        answers: answers.into_iter().collect(),
    })
}

fn texts() -> QuestionTexts {
    let context = "Anna lives in Paris and Bob lives in Rome.";
    QuestionTexts {
        questions: vec![
            question("a", "Where is Anna?", context, Some("Paris")),
            question("b", "Where is Bob?", context, Some("Rome")),
            question("c", "Who is in Rome?", "Anna is in Paris.", None),
        ],
    }
}

fn config() -> BertConfig {
    let config = BertConfig::preset("bert-tiny", 18, 0).unwrap();
    BertConfig { d_model: 16, d_ff: 32, n_heads: 2, max_seq_length: 32, dropout: 0.0, attention_dropout: 0.0, ..config }
}

fn task(threshold: Option<f64>) -> QuestionAnsweringTask {
    QuestionAnsweringTask::new(config(), tokenizer(), AnswerSearch::default(), threshold).unwrap()
}

fn device() -> Device {
    DeviceChoice::Auto.open().unwrap()
}

fn dataset(max_seq_length: usize) -> Arc<QuestionAnsweringDataset> {
    let windows = ContextWindows::new(tokenizer(), max_seq_length, 2).unwrap();
    Arc::new(QuestionAnsweringDataset::new(&texts(), windows, 1).unwrap())
}

const COLLATOR: QuestionAnsweringCollator =
    QuestionAnsweringCollator { padding: Padding { pad_id: 0, multiple_of: 1 } };

fn batch(dataset: &QuestionAnsweringDataset, padding: Padding) -> QuestionAnsweringBatch {
    let n = dataset.per_epoch();
    let samples = (0..n).map(|number| dataset.sample(number).unwrap()).collect();
    QuestionAnsweringCollator { padding }.collate((0..n).collect(), samples)
}

/// Golden loss of transformers 5.24.0 for these logits: `BertForQuestionAnswering`, first and last tokens at 2 and 0.
#[test]
fn the_loss_is_the_mean_of_both_ends() {
    let loss = burnformer_nn::CrossEntropyLossConfig::new().init();
    let device = device();
    let starts = Tensor::<2>::from_floats([[0.1, 0.2, 0.9, -0.4], [1.0, -1.0, 0.3, 0.2]], &device);
    let ends = Tensor::<2>::from_floats([[0.0, 0.7, 0.8, -0.1], [0.2, 0.4, -0.6, 0.1]], &device);
    let targets = || Tensor::from_data([2, 0], &device);
    let sum = (loss.forward(starts, targets()).sum + loss.forward(ends, targets()).sum) / 2.0;
    let mean: f32 = (sum / 2.0).into_scalar();
    assert!((f64::from(mean) - 0.954_849_302_768_707_3).abs() < 1e-6, "{mean}");
}

#[test]
fn padding_and_the_cut_of_a_step_change_neither_loss_nor_answers() {
    let (device, task, dataset) = (device(), task(None), dataset(14));
    let model = BertForQuestionAnswering::init(&config(), 7, &device);
    let run = |batches: Vec<QuestionAnsweringBatch>| {
        let total: u64 = batches.iter().map(|batch| task.counts(batch)).sum();
        let (mut loss, mut state) = (0.0, task.metric_state());
        for batch in batches {
            let forward = task.forward(&model, &batch, &total, DropoutRng::off(), &device);
            loss += f64::from(forward.loss.into_scalar::<f32>());
            task.add_scores(&mut state, &batch, &forward.scores.read().unwrap()).unwrap();
        }
        (loss, state)
    };
    let padding = |multiple_of| Padding { pad_id: 0, multiple_of };
    let whole = batch(&dataset, padding(1));
    let (loss, state) = run(vec![whole.clone()]);
    assert!((state.loss() - loss).abs() < 1e-6 && state.windows == dataset.per_epoch());
    for batches in [vec![batch(&dataset, padding(31))], whole.clone().split(1), whole.split(2)] {
        let (other_loss, other) = run(batches);
        assert!((loss - other_loss).abs() < 1e-5, "{loss}, {other_loss}");
        assert_eq!(other.answers.len(), 3);
        for (number, answer) in &state.answers {
            assert_eq!(answer.text, other.answers[number].text);
            assert!((answer.difference() - other.answers[number].difference()).abs() < 1e-4);
        }
    }
}

#[test]
fn windows_of_a_question_are_counted_together() {
    let state = |score, no_answer, exact, is_answerable| {
        let answer = burnformer_tasks::BestAnswer {
            text: "x".to_owned(),
            score,
            no_answer,
            exact,
            f1: if exact { 1.0 } else { 0.5 },
            chinese_f1: None,
            is_answerable,
        };
        let answers = [(3, answer)].into();
        QuestionAnsweringMetricState { windows: 1, loss_sum: 0.5, threshold: Some(0.0), answers }
    };
    let mut sum = state(1.0, -2.0, false, true);
    sum.merge(state(4.0, 3.0, true, true));
    assert_eq!((sum.windows, sum.answers[&3].score, sum.answers[&3].no_answer), (2, 4.0, -2.0));
    assert_eq!(sum.metrics(), [("loss", 0.5), ("exact_match", 1.0), ("f1", 1.0)]);
    sum.answers.extend(state(1.0, 1.5, false, false).answers.into_values().map(|answer| (4, answer)));
    assert_eq!((sum.means(|it| !it.is_answerable), sum.quality()), ((1.0, 1.0), 1.0));
    sum.threshold = Some(0.5);
    assert_eq!(sum.means(|it| !it.is_answerable), (0.0, 0.5));
    assert_eq!(sum.best_threshold(), (-6.0, 1.0));
    let json = serde_json::to_string(&sum).unwrap();
    assert_eq!(serde_json::from_str::<QuestionAnsweringMetricState>(&json).unwrap(), sum);
}

#[test]
fn a_saved_model_answers_as_its_evaluation_does() {
    let (device, task, dataset) = (device(), task(None), dataset(14));
    let folder = tempfile::tempdir().unwrap();
    let model = BertForQuestionAnswering::init(&config(), 7, &device);
    task.save(&model, folder.path()).unwrap();
    let batches = Batches::epoch(Arc::clone(&dataset), &COLLATOR, &BatchConfig::default(), 1).unwrap();
    let n = dataset.per_epoch();
    let state = evaluate(&task, &model, batches, n, &device, &Silent, &Interrupt::new()).unwrap();
    let Pipeline::QuestionAnswering(_) = Pipeline::from_folder(folder.path()).unwrap() else { panic!("another task") };
    let pipeline = QuestionAnswering::load(folder.path(), &device).unwrap();
    let texts = texts();
    let asked: Vec<_> = texts.questions.iter().map(|it| (it.text.as_str(), &*it.context)).collect();
    let options =
        QuestionAnsweringOptions { stride: Some(2), threshold: Some(0.0), ..QuestionAnsweringOptions::default() };
    // The windows are as long as those of the evaluation.
    set_max_length(folder.path(), 14);
    let pipeline_14 = QuestionAnswering::load(folder.path(), &device).unwrap();
    for (number, answer) in (0..).zip(pipeline_14.answer(&asked, &options).unwrap()) {
        let expected = &state.answers[&number];
        let difference = answer.no_answer_difference.unwrap();
        assert!((difference - expected.difference()).abs() < 1e-4, "{answer:?}, {expected:?}");
        let text = if expected.is_given(Some(0.0)) { expected.text.as_str() } else { "" };
        assert_eq!(answer.best.answer, text);
    }
    let alone: Vec<_> = asked.iter().map(|&it| pipeline.answer(&[it], &options).unwrap().remove(0)).collect();
    for (alone, together) in alone.iter().zip(pipeline.answer(&asked, &options).unwrap()) {
        assert_eq!(alone.best.answer, together.best.answer);
    }
    let long = "where ".repeat(40);
    let error = pipeline.answer(&[("Who?", "Anna"), (&long, "Anna")], &options).unwrap_err();
    assert_eq!(error.to_string(), "text 2 cannot be used");
}

fn set_max_length(folder: &Path, length: usize) {
    let path = folder.join("tokenizer_config.json");
    let mut config: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    config["model_max_length"] = length.into();
    std::fs::write(path, config.to_string()).unwrap();
}
