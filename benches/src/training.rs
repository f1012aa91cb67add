//! Training steps: forward, backward, clipping, update.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burnformer_data::batches::{Padded, PretrainingBatch};
use burnformer_data::tokenizer::Tokenizer;
use burnformer_models::{BertConfig, BertForPreTraining};
use burnformer_nn::{
    Activation, CrossEntropyLossConfig, DropoutRng, Embedding, EmbeddingConfig, Encoder, EncoderConfig, LayerConfig,
    Linear, LinearConfig, Mask, init,
};
use burnformer_tasks::{PretrainingTask, Task};
use burnformer_train::{GradientSums, Optimizer, OptimizerConfig};

use crate::inputs::{ints, samples, tokens};
use crate::{Run, Sizes};

/// The encoder of `sizes` with GELU and a tenth dropped behind every sub-layer and of the attention weights.
pub(crate) fn encoder(sizes: Sizes) -> EncoderConfig {
    let layer = LayerConfig::new(sizes.d_model, sizes.n_heads, sizes.d_ff)
        .with_activation(Activation::Gelu)
        .with_attention_dropout(0.1);
    EncoderConfig::new(sizes.n_layers, layer)
}

/// Updates `model` after clipping the gradient of `loss`, as the training loop does.
pub(crate) fn step<M: Module + 'static>(
    model: M,
    optimizer: OptimizerConfig,
    loss: impl Fn(&M) -> Tensor<1> + 'static,
) -> Run {
    let mut optimizer = Optimizer::new(optimizer);
    let mut state = Some(model);
    Box::new(move || {
        state = state.take().map(|model| {
            let mut gradients = GradientSums::new();
            gradients.add(&model, loss(&model).backward());
            let clip = GradientSums::clip_factor(gradients.norm(), 1.0);
            optimizer.step(model, gradients, 1e-4, Some(clip))
        });
    })
}

/// An encoder on embedded tokens, and an output layer of its own on the hidden ones.
#[derive(Module, Debug)]
struct MaskedLanguageModel {
    token: Embedding,
    encoder: Encoder,
    output: Linear,
}

/// One step of a model without positions, segments and heads.
pub(crate) fn masked_language_model(sizes: Sizes, device: &Device) -> Run {
    let device = device.clone().autodiff();
    let Sizes { batch_size, seq_length, d_model, vocab_size, .. } = sizes;
    let model = MaskedLanguageModel {
        token: EmbeddingConfig::new(vocab_size, d_model).init(&device),
        encoder: encoder(sizes).init(&device),
        output: LinearConfig::new(d_model, vocab_size).init(&device),
    };
    let ids = ints(&tokens("ids", sizes.n_tokens(), vocab_size), [batch_size, seq_length], &device);
    let positions = ints(&masked_positions(sizes), [sizes.n_masked()], &device);
    let labels = ints(&tokens("labels", sizes.n_masked(), vocab_size), [sizes.n_masked()], &device);
    let loss = CrossEntropyLossConfig::new().init();
    let model = init::by_name(model, 0, init::truncated_normal(0.02));
    step(model, OptimizerConfig::default(), move |model| {
        let rng = DropoutRng::training(0, samples(batch_size));
        let hidden = model.encoder.forward(model.token.forward(ids.clone()), Mask::None, rng);
        let rows = hidden.reshape([sizes.n_tokens(), d_model]).select(0, positions.clone());
        loss.forward(model.output.forward(rows), labels.clone()).mean()
    })
}

/// One step of BERT's pretraining, by the task and the optimiser that the program uses.
pub(crate) fn bert(sizes: Sizes, device: &Device) -> Run {
    let device = device.clone().autodiff();
    let config = bert_config(sizes);
    let model = BertForPreTraining::init(&config, 0, &device);
    let task = PretrainingTask::new(config, tokenizer()).expect("the model has a row for every token");
    let batch = PretrainingBatch {
        numbers: samples(sizes.batch_size),
        tokens: Padded {
            ids: tokens("ids", sizes.n_tokens(), sizes.vocab_size),
            lengths: vec![sizes.seq_length; sizes.batch_size],
            seq_length: sizes.seq_length,
            multiple_of: 1,
        },
        first_lengths: vec![sizes.seq_length / 2; sizes.batch_size],
        masked_positions: masked_positions(sizes),
        masked_labels: tokens("labels", sizes.n_masked(), sizes.vocab_size),
        is_next: (0..sizes.batch_size).map(|row| row % 2 == 0).collect(),
    };
    let totals = task.counts(&batch);
    step(model, OptimizerConfig::default(), move |model| {
        let rng = DropoutRng::training(0, batch.numbers.as_slice());
        task.forward(model, &batch, &totals, rng, &device).loss
    })
}

/// BERT of these sizes, with a tenth dropped.
pub(crate) fn bert_config(sizes: Sizes) -> BertConfig {
    BertConfig {
        max_seq_length: sizes.seq_length,
        d_model: sizes.d_model,
        n_layers: sizes.n_layers,
        n_heads: sizes.n_heads,
        d_ff: sizes.d_ff,
        ..BertConfig::preset("bert-mini", sizes.vocab_size, 0).expect("the preset exists")
    }
}

/// Places of the hidden tokens in a batch, evenly over each sequence.
fn masked_positions(sizes: Sizes) -> Vec<u32> {
    let place =
        |row: usize, masked: usize| row * sizes.seq_length + masked * sizes.seq_length / sizes.masked_per_sequence;
    (0..sizes.batch_size)
        .flat_map(|row| (0..sizes.masked_per_sequence).map(move |masked| place(row, masked) as u32))
        .collect()
}

/// A task wants a tokenizer, of which a step uses nothing.
pub(crate) fn tokenizer() -> Tokenizer {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("vocab.txt");
    std::fs::write(&path, "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n").expect("a temporary folder can be written");
    Tokenizer::load(path).expect("the special tokens are a vocabulary")
}
