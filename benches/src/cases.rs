//! The work that both sides of `cargo xtask bench --peers` do. `benches/peers/torch_cases.py` is the other side.

use std::rc::Rc;

use burn::tensor::{Device, Tensor};
use burnformer_nn::{AttentionInput, DropoutRng, EmbeddingConfig, Mask, MultiHeadAttentionConfig, init};
use burnformer_ops::{AttentionOptions, WeightFormat, attention};

pub use crate::case::Case;
use crate::inputs::{ints, samples, tokens, trained, uniform};
use crate::{Size, Sizes, Work, beam, embedding, finetuning, loading, training, translation};

impl Case {
    /// What is timed, with weights of inference as `format`; nothing for [`Self::Start`], which a process cannot time itself.
    #[must_use]
    pub fn works(self, size: Size, format: WeightFormat) -> Vec<Work> {
        let sizes = Sizes::of_bert(size);
        match self {
            Self::Mha => multi_head_attention(size).into(),
            Self::Long => vec![long(size)],
            Self::Encoder => vec![encoder(sizes)],
            Self::MlmStep => {
                let start = move |device: &Device| training::masked_language_model(sizes, device);
                vec![Work::new("mlm-step", shape(sizes), sizes.n_tokens(), start)]
            }
            Self::BertMini => {
                let start = move |device: &Device| training::bert(sizes, device);
                vec![Work::new("bert-mini", shape(sizes), sizes.n_tokens(), start)]
            }
            Self::TokenStep => {
                let start = move |device: &Device| finetuning::token_classifier(sizes, device);
                vec![Work::new("token-step", shape(sizes), sizes.n_tokens(), start)]
            }
            Self::LoraStep => {
                let start = move |device: &Device| finetuning::adapter(sizes, device);
                vec![Work::new("lora-step", shape(sizes), sizes.n_tokens(), start)]
            }
            Self::QaStep => {
                let start = move |device: &Device| finetuning::question_answering(sizes, device);
                vec![Work::new("qa-step", shape(sizes), sizes.n_tokens(), start)]
            }
            Self::Seq2SeqStep => vec![translation::step(size)],
            Self::Beam => vec![beam::search(size, format)],
            Self::Embed => vec![embedding::many(size, format)],
            Self::EmbedOne => vec![embedding::one(size, format)],
            Self::Load => vec![loading::checkpoint(size)],
            Self::Start => Vec::new(),
        }
    }
}

/// The sizes of a model, short enough for an identifier.
fn shape(sizes: Sizes) -> String {
    let Sizes { batch_size, seq_length, d_model, n_heads, d_ff, n_layers, .. } = sizes;
    format!("n{n_layers}-b{batch_size}-t{seq_length}-d{d_model}-h{n_heads}-ff{d_ff}")
}

fn multi_head_attention(size: Size) -> [Work; 2] {
    let [b, t, d_model, n_heads] = match size {
        Size::Small => [2, 10, 32, 4],
        Size::Large => [60, 100, 512, 8],
    };
    let inputs = move |device: &Device| {
        let module = MultiHeadAttentionConfig::new(d_model, n_heads).with_dropout(0.1).init(device);
        (Rc::new(init::by_name(module, 0, init::xavier_uniform)), uniform("x", [b, t, d_model], device))
    };
    Work::passes("mha", &format!("b{b}-q{t}-kv{t}-d{d_model}-h{n_heads}"), b * t, inputs, move |(module, x)| {
        let input = AttentionInput::self_attention(x).rng(DropoutRng::training(0, samples(b)));
        [module.forward_with_attn_weights(input).0]
    })
}

fn long(size: Size) -> Work {
    let (t, d) = match size {
        Size::Small => (64, 8),
        Size::Large => (8192, 64),
    };
    let inputs = move |device: &Device| ["q", "k", "v"].map(|name| trained(name, [1, t, 1, d], device));
    let forward = move |[q, k, v]: [Tensor<4>; 3]| [attention(q, k, v, Mask::None, AttentionOptions::new(d)).0];
    let [_, with_backward] = Work::passes("long", &format!("b1-q{t}-kv{t}-h1-d{d}"), t, inputs, forward);
    with_backward
}

fn encoder(sizes: Sizes) -> Work {
    let Sizes { batch_size, seq_length, d_model, vocab_size, .. } = sizes;
    Work::new("encoder/forward", shape(sizes), sizes.n_tokens(), move |device: &Device| {
        let rule = init::truncated_normal(0.02);
        let token = init::by_name(EmbeddingConfig::new(vocab_size, d_model).init(device), 0, &rule);
        let encoder = init::by_name(training::encoder(sizes).init(device), 0, &rule);
        let ids = ints(&tokens("ids", sizes.n_tokens(), vocab_size), [batch_size, seq_length], device);
        move || drop(encoder.forward(token.forward(ids.clone()), Mask::None, DropoutRng::off()))
    })
}
