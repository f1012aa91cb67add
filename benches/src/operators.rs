//! Every operator by both of its bodies: `composed` is the definition, primitive by primitive; `fused` is what a device
//! has for it, which is the definition again where it has nothing better.

use burn::tensor::{Bool, Device, Tensor, TensorData};
use burnformer_ops::{
    self as ops, Activation, AdamOptions, AdamVariant, AttentionOptions, CrossEntropyOptions, Dropout,
    FeedForwardOptions, LayerNormOptions, Mask, Places,
};

use crate::composed;
use crate::inputs::{dropout, ints, tokens, trained, uniform};
use crate::{Size, Sizes, Work};

const BODIES: [&str; 2] = ["composed", "fused"];

/// The operators on the shapes that they have in BERT's pretraining.
#[must_use]
pub fn operators(size: Size) -> Vec<Work> {
    let sizes = Sizes::of_bert(size);
    [
        linear,
        qkv,
        attention,
        layer_norm,
        bias_activation,
        feed_forward,
        dropout_alone,
        embedding,
        cross_entropy,
        attend_places,
        logsumexp,
        updates,
    ]
    .into_iter()
    .flat_map(|operator| operator(sizes))
    .collect()
}

/// The work that `make` makes of the name of a body and the body.
fn by_body<F, const N: usize>(bodies: [F; 2], make: impl Fn(&str, F) -> [Work; N]) -> Vec<Work> {
    BODIES.into_iter().zip(bodies).flat_map(|(name, body)| make(name, body)).collect()
}

/// The first map of a feed-forward layer.
fn linear(sizes: Sizes) -> Vec<Work> {
    let Sizes { batch_size: b, seq_length: t, d_model, d_ff, .. } = sizes;
    let inputs = move |device: &Device| {
        (
            trained("x", [b, t, d_model], device),
            trained("weight", [d_ff, d_model], device),
            trained("bias", [d_ff], device),
        )
    };
    by_body([composed::linear::<3>, ops::linear::<3>], |body, linear| {
        let shape = format!("b{b}-t{t}-in{d_model}-out{d_ff}/{body}");
        Work::passes("linear", &shape, b * t, inputs, move |(x, weight, bias)| [linear(x, weight, Some(bias))])
    })
}

fn qkv(sizes: Sizes) -> Vec<Work> {
    let Sizes { batch_size: b, seq_length: t, d_model, .. } = sizes;
    let inputs = move |device: &Device| {
        let weights = ["q", "k", "v"].map(|name| trained(name, [d_model, d_model], device));
        let biases = ["bias_q", "bias_k", "bias_v"].map(|name| trained(name, [d_model], device));
        (trained("x", [b, t, d_model], device), weights, biases)
    };
    by_body([composed::qkv::<3>, ops::qkv::<3>], |body, qkv| {
        let shape = format!("b{b}-t{t}-in{d_model}-out{d_model}x3/{body}");
        Work::passes("qkv", &shape, b * t, inputs, move |(x, weights, biases)| qkv(x, weights, Some(biases)))
    })
}

type AttentionInputs = ([Tensor<4>; 3], Mask, AttentionOptions);

/// Plain, with keys masked, with dropout; and with the weights handed out.
fn attention(sizes: Sizes) -> Vec<Work> {
    let Sizes { batch_size: b, seq_length: t, n_heads: h, .. } = sizes;
    let d = sizes.d_head();
    let heads = move |device: &Device| ["q", "k", "v"].map(|name| trained(name, [b, t, h, d], device));
    let plain = move |device: &Device| (heads(device), Mask::None, AttentionOptions::new(d));
    let masked = move |device: &Device| (heads(device), padding([b, t], device), AttentionOptions::new(d));
    let dropped = move |device: &Device| {
        (heads(device), Mask::None, AttentionOptions { dropout: dropout(b), ..AttentionOptions::new(d) })
    };
    let shape = |kind: &str, body: &str| format!("b{b}-q{t}-kv{t}-h{h}-d{d}{kind}/{body}");
    let mut all = by_body([composed::attention, ops::attention], |body, attention| {
        let forward = move |([q, k, v], mask, options): AttentionInputs| [attention(q, k, v, mask, options).0];
        let [a, b] = Work::passes("attention", &shape("", body), sizes.n_tokens(), plain, forward);
        let [c, d] = Work::passes("attention", &shape("-keys", body), sizes.n_tokens(), masked, forward);
        let [e, f] = Work::passes("attention", &shape("-dropout", body), sizes.n_tokens(), dropped, forward);
        [a, b, c, d, e, f]
    });
    all.extend(by_body([composed::attention_with_weights, ops::attention_with_weights], |body, attention| {
        let forward = move |([q, k, v], mask, options): AttentionInputs| [attention(q, k, v, mask, options).0];
        Work::passes("attention-with-weights", &shape("", body), sizes.n_tokens(), plain, forward)
    }));
    all
}

/// The last quarter of every sequence is padding.
fn padding([batch_size, seq_length]: [usize; 2], device: &Device) -> Mask {
    let row = (0..seq_length).map(|column| 4 * column >= 3 * seq_length);
    let mask: Vec<bool> = row.cycle().take(batch_size * seq_length).collect();
    Mask::Keys(Tensor::<2, Bool>::from_data(TensorData::new(mask, [batch_size, seq_length]), device))
}

/// The end of a sub-layer: residual and dropout in front of the norm.
fn layer_norm(sizes: Sizes) -> Vec<Work> {
    let Sizes { batch_size: b, seq_length: t, d_model, .. } = sizes;
    let inputs = move |device: &Device| {
        let [x, residual] = ["x", "residual"].map(|name| trained(name, [b, t, d_model], device));
        let [weight, bias] = ["weight", "bias"].map(|name| trained(name, [d_model], device));
        (x, residual, weight, bias, LayerNormOptions { eps: 1e-12, dropout: dropout(b) })
    };
    by_body([composed::layer_norm::<3>, ops::layer_norm::<3>], |body, layer_norm| {
        let shape = format!("b{b}-t{t}-d{d_model}-residual-dropout/{body}");
        Work::passes("layer-norm", &shape, b * t, inputs, move |(x, residual, weight, bias, options)| {
            [layer_norm(x, Some(residual), weight, bias, options)]
        })
    })
}

fn bias_activation(sizes: Sizes) -> Vec<Work> {
    let Sizes { batch_size: b, seq_length: t, d_ff, .. } = sizes;
    let inputs = move |device: &Device| (trained("x", [b, t, d_ff], device), trained("bias", [d_ff], device));
    by_body([composed::bias_activation::<3>, ops::bias_activation::<3>], |body, bias_activation| {
        let shape = format!("b{b}-t{t}-d{d_ff}-gelu/{body}");
        let forward = move |(x, bias)| [bias_activation(x, Some(bias), Activation::Gelu)];
        Work::passes("bias-activation", &shape, b * t, inputs, forward)
    })
}

fn feed_forward(sizes: Sizes) -> Vec<Work> {
    let Sizes { batch_size: b, seq_length: t, d_model, d_ff, .. } = sizes;
    let inputs = move |device: &Device| {
        let weights =
            [("in", [d_ff, d_model]), ("out", [d_model, d_ff])].map(|(name, shape)| trained(name, shape, device));
        let biases = [("bias_in", d_ff), ("bias_out", d_model)].map(|(name, n)| trained(name, [n], device));
        (trained("x", [b, t, d_model], device), weights, biases)
    };
    by_body([composed::feed_forward::<3>, ops::feed_forward::<3>], |body, feed_forward| {
        let shape = format!("b{b}-t{t}-d{d_model}-ff{d_ff}-gelu/{body}");
        Work::passes("feed-forward", &shape, b * t, inputs, move |(x, weights, biases)| {
            let options = FeedForwardOptions { activation: Activation::Gelu, dropout: None };
            [feed_forward(x, weights, Some(biases), options)]
        })
    })
}

fn dropout_alone(sizes: Sizes) -> Vec<Work> {
    let Sizes { batch_size: b, seq_length: t, d_model, .. } = sizes;
    let inputs =
        move |device: &Device| (trained("x", [b, t, d_model], device), dropout(b).expect("a tenth is dropped"));
    let bodies: [fn(Tensor<3>, Dropout) -> Tensor<3>; 2] =
        [composed::dropout, |x, options| ops::dropout(x, None, Some(options))];
    by_body(bodies, |body, dropout| {
        let shape = format!("b{b}-t{t}-d{d_model}/{body}");
        Work::passes("dropout", &shape, b * t, inputs, move |(x, options)| [dropout(x, options)])
    })
}

fn embedding(sizes: Sizes) -> Vec<Work> {
    let Sizes { batch_size: b, seq_length: t, d_model, vocab_size, .. } = sizes;
    let inputs = move |device: &Device| {
        let ids = ints(&tokens("ids", b * t, vocab_size), [b, t], device);
        (trained("weight", [vocab_size, d_model], device), ids)
    };
    by_body([composed::embedding, ops::embedding], |body, embedding| {
        let shape = format!("b{b}-t{t}-v{vocab_size}-d{d_model}/{body}");
        Work::passes("embedding", &shape, b * t, inputs, move |(weight, ids)| [embedding(weight, ids)])
    })
}

fn cross_entropy(sizes: Sizes) -> Vec<Work> {
    let (n, vocab_size) = (sizes.n_masked(), sizes.vocab_size);
    let inputs = move |device: &Device| {
        (trained("logits", [n, vocab_size], device), ints(&tokens("targets", n, vocab_size), [n], device))
    };
    by_body([composed::cross_entropy, ops::cross_entropy], |body, cross_entropy| {
        let shape = format!("n{n}-v{vocab_size}/{body}");
        let forward = move |(logits, targets)| [cross_entropy(logits, targets, CrossEntropyOptions::default()).0];
        Work::passes("cross-entropy", &shape, n, inputs, forward)
    })
}

/// One position of every sequence behind a cache, as in a step of decoding.
fn attend_places(sizes: Sizes) -> Vec<Work> {
    let Sizes { batch_size: b, seq_length: t, n_heads: h, .. } = sizes;
    let d = sizes.d_head();
    by_body([composed::attend_places, ops::attend_places], |body, attend| {
        let start = move |device: &Device| {
            let [key, value] = ["key", "value"].map(|name| uniform(name, [b * t, h, d], device));
            let q = uniform("q", [b, h, d], device);
            let places: Places = (0..b).map(|row| (row * t..(row + 1) * t).map(|place| place as u32)).collect();
            move || drop(attend(q.clone(), key.clone(), value.clone(), places.clone()))
        };
        [Work::new("attend-places/forward", format!("b{b}-t{t}-h{h}-d{d}/{body}"), b, start)]
    })
}

/// What turns logits into log-probabilities; it has no backward pass.
fn logsumexp(sizes: Sizes) -> Vec<Work> {
    let (n, vocab_size) = (sizes.n_masked(), sizes.vocab_size);
    by_body([composed::logsumexp, ops::logsumexp], |body, logsumexp| {
        let start = move |device: &Device| {
            let logits = uniform("logits", [n, vocab_size], device);
            move || drop(logsumexp(logits.clone()))
        };
        [Work::new("logsumexp/forward", format!("n{n}-v{vocab_size}/{body}"), n, start)]
    })
}

/// One update of the largest parameter, the table of the token embeddings, and the sum of the squares of its gradient.
fn updates(sizes: Sizes) -> Vec<Work> {
    let shape = [sizes.vocab_size, sizes.d_model];
    let n_elements = sizes.vocab_size * sizes.d_model;
    let name = |body: &str| format!("{}x{}/{body}", shape[0], shape[1]);
    let mut all = Vec::new();
    for (id, variant) in [("adamw", AdamVariant::AdamW), ("lamb", AdamVariant::Lamb { trust_ratio: true })] {
        let (learning_rate, beta_1, beta_2, eps, weight_decay) = (1e-4, 0.9, 0.999, 1e-6, 0.01);
        let options = AdamOptions { variant, learning_rate, beta_1, beta_2, eps, weight_decay, step: 100 };
        all.extend(by_body([composed::adam::<2>, ops::adam::<2>], |body, update| {
            let start = updated(shape, move |p, g, m, scale| update(p, g, m, scale, options));
            [Work::new(id, name(body), n_elements, start)]
        }));
    }
    all.extend(by_body([composed::sum_of_squares::<2>, ops::sum_of_squares::<2>], |body, sum_of_squares| {
        let start = move |device: &Device| {
            let x = uniform("x", shape, device);
            move || drop(sum_of_squares(x.clone()))
        };
        [Work::new("sum-of-squares", name(body), n_elements, start)]
    }));
    all
}

/// Updates one parameter over and over. It and its moments are handed over, so that they can be updated in place.
fn updated<U>(shape: [usize; 2], update: U) -> impl Fn(&Device) -> Box<dyn FnMut()>
where
    U: Fn(Tensor<2>, Tensor<2>, [Tensor<2>; 2], Option<Tensor<1>>) -> (Tensor<2>, [Tensor<2>; 2]) + Copy + 'static,
{
    move |device| {
        let mut state =
            Some((uniform("param", shape, device), ["first", "second"].map(|it| uniform(it, shape, device))));
        let (grad, scale) = (uniform("grad", shape, device), uniform("scale", [1], device));
        Box::new(move || {
            state = state.take().map(|(param, moments)| update(param, grad.clone(), moments, Some(scale.clone())));
        })
    }
}
