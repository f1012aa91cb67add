//! Training steps of fine-tuning, by the tasks and the optimiser that the program uses.

use burn::tensor::Device;
use burnformer_data::batches::{Padded, QuestionAnsweringBatch, TokenClassificationBatch};
use burnformer_models::{AdapterConfig, BertForQuestionAnswering, BertForTokenClassification, ModelConfig, Pretrained};
use burnformer_nn::DropoutRng;
use burnformer_tasks::{AnswerSearch, QuestionAnsweringTask, Task, TokenClassificationTask};
use burnformer_train::OptimizerConfig;

use crate::inputs::{samples, tokens};
use crate::training::{bert_config, step, tokenizer};
use crate::{Run, Sizes};

/// One step of a token classifier: every second token has a label.
pub(crate) fn token_classifier(sizes: Sizes, device: &Device) -> Run {
    let device = device.clone().autodiff();
    let (task, model) = nine_labels(sizes, &device);
    tag(sizes, task, model, device)
}

/// One step of the same with an adapter (low-rank, of rank 8 on queries and values): it and the head are trained.
pub(crate) fn adapter(sizes: Sizes, device: &Device) -> Run {
    let device = device.clone().autodiff();
    let (task, model) = nine_labels(sizes, &device);
    let config = AdapterConfig::new("base", model.config().architecture(), BertForTokenClassification::HEAD);
    let model = config.attach(model, 0).expect("queries and values take an adapter");
    tag(sizes, task, model, device)
}

fn nine_labels(sizes: Sizes, device: &Device) -> (TokenClassificationTask, BertForTokenClassification) {
    let config = bert_config(sizes);
    let labels: Vec<String> =
        ["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ORG", "I-ORG", "B-MISC", "I-MISC"].map(str::to_owned).into();
    let model = BertForTokenClassification::init(&config, &labels, 0, device);
    (TokenClassificationTask::new(config, tokenizer(), labels).expect("the model has a row for every token"), model)
}

fn tag(sizes: Sizes, task: TokenClassificationTask, model: BertForTokenClassification, device: Device) -> Run {
    let positions: Vec<u32> = (0..sizes.n_tokens() as u32).step_by(2).collect();
    let batch = TokenClassificationBatch {
        numbers: samples(sizes.batch_size),
        tokens: whole_rows(sizes),
        labels: tokens("labels", positions.len(), task.labels().len()),
        positions,
        ..TokenClassificationBatch::default()
    };
    let totals = task.counts(&batch);
    step(model, OptimizerConfig::default(), move |model| {
        let rng = DropoutRng::training(0, batch.numbers.as_slice());
        task.forward(model, &batch, &totals, rng, &device).loss
    })
}

/// One step of a model that finds answers: the question is the first half of each row.
pub(crate) fn question_answering(sizes: Sizes, device: &Device) -> Run {
    let device = device.clone().autodiff();
    let config = bert_config(sizes);
    let model = BertForQuestionAnswering::init(&config, 0, &device);
    let batch = QuestionAnsweringBatch {
        numbers: samples(sizes.batch_size),
        tokens: whole_rows(sizes),
        first_lengths: vec![sizes.seq_length / 2; sizes.batch_size],
        starts: tokens("starts", sizes.batch_size, sizes.seq_length),
        ends: tokens("ends", sizes.batch_size, sizes.seq_length),
        ..QuestionAnsweringBatch::default()
    };
    let task = QuestionAnsweringTask::new(config, tokenizer(), AnswerSearch::default(), None)
        .expect("the model has a row for every token");
    let totals = task.counts(&batch);
    step(model, OptimizerConfig::default(), move |model| {
        let rng = DropoutRng::training(0, batch.numbers.as_slice());
        task.forward(model, &batch, &totals, rng, &device).loss
    })
}

/// Rows without padding.
fn whole_rows(sizes: Sizes) -> Padded {
    Padded {
        ids: tokens("ids", sizes.n_tokens(), sizes.vocab_size),
        lengths: vec![sizes.seq_length; sizes.batch_size],
        seq_length: sizes.seq_length,
        multiple_of: 1,
    }
}
