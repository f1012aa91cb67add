//! Multi-head attention.

use crate::{DropoutRng, Linear, LinearConfig, Mask, assert_valid};
use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor};
use burnformer_core::{ConfigError, Validate};
use burnformer_ops::{self as ops, AttentionOptions, Dropout, assert_same_axis};

/// Settings of [`MultiHeadAttention`].
#[derive(Config, Debug)]
pub struct MultiHeadAttentionConfig {
    /// Width of the residual stream.
    pub d_model: usize,
    /// Number of heads, a divisor of `d_model`.
    pub n_heads: usize,
    /// Probability of dropping an attention weight, in `[0, 1)`; the paper's text has none here, its code has.
    #[config(default = 0.0)]
    pub dropout: f64,
}

impl Validate for MultiHeadAttentionConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        ConfigError::check_divides(self.d_model, self.n_heads)?;
        ConfigError::check_probability("dropout", self.dropout)
    }
}

impl MultiHeadAttentionConfig {
    /// Allocates the sub-layer on `device`, zero until [`init::by_name`](crate::init::by_name).
    ///
    /// # Panics
    /// If [`Self::validate`] fails.
    pub fn init(&self, device: &Device) -> MultiHeadAttention {
        assert_valid(self);
        let linear = || LinearConfig::new(self.d_model, self.d_model).init(device);
        MultiHeadAttention {
            query: linear(),
            key: linear(),
            value: linear(),
            output: linear(),
            n_heads: self.n_heads,
            dropout: self.dropout,
        }
    }
}

/// Input of [`MultiHeadAttention`].
#[derive(Debug)]
pub struct AttentionInput {
    query: Tensor<3>,
    /// Key and value, where they are not the query.
    memory: Option<[Tensor<3>; 2]>,
    mask: Mask,
    causal: bool,
    rng: DropoutRng,
}

impl AttentionInput {
    /// Self-attention over `x` `[batch_size, seq_length, d_model]`.
    pub fn self_attention(x: Tensor<3>) -> Self {
        Self { query: x, memory: None, mask: Mask::None, causal: false, rng: DropoutRng::off() }
    }

    /// Cross-attention from `x` `[batch_size, q_length, d_model]` to `memory` `[batch_size, kv_length, d_model]`.
    pub fn cross_attention(x: Tensor<3>, memory: Tensor<3>) -> Self {
        Self { memory: Some([memory.clone(), memory]), ..Self::self_attention(x) }
    }

    /// Query `[batch_size, q_length, d_model]`, key and value `[batch_size, kv_length, d_model]` apart.
    pub fn new(query: Tensor<3>, key: Tensor<3>, value: Tensor<3>) -> Self {
        Self { memory: Some([key, value]), ..Self::self_attention(query) }
    }

    /// Adds a mask.
    #[must_use]
    pub fn mask(self, mask: Mask) -> Self {
        Self { mask, ..self }
    }

    /// Blocks later positions (causal mask).
    #[must_use]
    pub fn causal(self) -> Self {
        Self { causal: true, ..self }
    }

    /// Permission to draw dropout masks; off in evaluation.
    #[must_use]
    pub fn rng(self, rng: DropoutRng) -> Self {
        Self { rng, ..self }
    }
}

/// Projected keys and values, `[batch_size, kv_length, n_heads, d_head]` each.
#[derive(Clone, Debug)]
pub struct KeyValue {
    key: Tensor<4>,
    value: Tensor<4>,
}

impl KeyValue {
    /// Number of positions.
    #[must_use]
    pub fn kv_length(&self) -> usize {
        self.key.dims()[1]
    }

    /// Number of sequences.
    pub(crate) fn batch_size(&self) -> usize {
        self.key.dims()[0]
    }

    /// These sequences, in this order; one may come several times.
    pub(crate) fn select(self, rows: Tensor<1, Int>) -> Self {
        Self { key: self.key.select(0, rows.clone()), value: self.value.select(0, rows) }
    }

    /// These positions behind those of `past`, of which the given rows are taken; `None` for all as they are.
    pub(crate) fn after(self, past: Option<Self>, rows: Option<&Tensor<1, Int>>) -> Self {
        let Some(past) = past else { return self };
        if rows.is_none() {
            let shapes = [past.key.dims(), self.key.dims()];
            assert_same_axis("decoder cache", "batch_size", ("cache", &shapes[0], 0), ("x", &shapes[1], 0));
        }
        Self {
            key: ops::append(past.key, rows.cloned(), self.key),
            value: ops::append(past.value, rows.cloned(), self.value),
        }
    }
}

/// Where the attention weights of each layer go, for those who asked: `[batch_size, n_heads, q_length, kv_length]`, before
/// dropout. Without it they are never made.
pub(crate) type WeightSink<'a> = Option<&'a mut Vec<Tensor<4>>>;

/// Attention by several heads, each on its own projection of the input.
///
/// Source: Vaswani et al. 2017, section 3.2.2. The weights are handed out before dropout, and a query all of whose keys are
/// blocked gives the output layer's bias.
#[derive(Module, Debug)]
pub struct MultiHeadAttention {
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    n_heads: usize,
    dropout: f64,
}

impl MultiHeadAttention {
    /// # Shapes
    /// - input: see [`AttentionInput`]
    /// - returns: `[batch_size, q_length, d_model]`
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn forward(&self, input: AttentionInput) -> Tensor<3> {
        self.run(input, None)
    }

    /// [`Self::forward`], and the weights of every head before dropout. Slower: it materialises them.
    ///
    /// # Shapes
    /// - returns: `[batch_size, q_length, d_model]`, `[batch_size, n_heads, q_length, kv_length]`
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn forward_with_attn_weights(&self, input: AttentionInput) -> (Tensor<3>, Tensor<4>) {
        let mut weights = Vec::with_capacity(1);
        let out = self.run(input, Some(&mut weights));
        (out, weights.remove(0))
    }

    fn run(&self, input: AttentionInput, weights: WeightSink) -> Tensor<3> {
        let AttentionInput { query, memory, mask, causal, rng } = input;
        let (query, key_value) = match memory {
            None => self.project_self(query),
            Some([key, value]) => (self.project_query(query), self.project_memory(key, value)),
        };
        self.attend(query, key_value, Attend { mask, causal, rng, weights })
    }

    /// The three projections of one input, in one operator.
    pub(crate) fn project_self(&self, x: Tensor<3>) -> (Tensor<4>, KeyValue) {
        self.check("x", &x);
        let maps = [&self.query, &self.key, &self.value];
        let bias = |map: &Linear| map.bias.as_ref().map(Param::val).expect("every projection has a bias");
        let projected = ops::qkv(x, maps.map(|map| map.weight.val()), Some(maps.map(bias)));
        let [query, key, value] = projected.map(|x| self.split_heads(x));
        (query, KeyValue { key, value })
    }

    pub(crate) fn project_query(&self, query: Tensor<3>) -> Tensor<4> {
        self.check("query", &query);
        self.split_heads(self.query.forward(query))
    }

    pub(crate) fn project_memory(&self, key: Tensor<3>, value: Tensor<3>) -> KeyValue {
        self.check("key", &key);
        self.check("value", &value);
        KeyValue { key: self.split_heads(self.key.forward(key)), value: self.split_heads(self.value.forward(value)) }
    }

    pub(crate) fn attend(&self, query: Tensor<4>, key_value: KeyValue, how: Attend) -> Tensor<3> {
        let [batch_size, q_length, n_heads, d_head] = query.dims();
        let KeyValue { key, value } = key_value;
        let options = AttentionOptions {
            causal: how.causal,
            dropout: Dropout::new(self.dropout, how.rng),
            ..AttentionOptions::new(d_head)
        };
        let heads = match how.weights {
            None => ops::attention(query, key, value, how.mask, options).0,
            Some(sink) => {
                let (heads, weights) = ops::attention_with_weights(query, key, value, how.mask, options);
                sink.push(weights);
                heads
            }
        };
        self.output.forward(heads.reshape([batch_size, q_length, n_heads * d_head]))
    }

    fn split_heads(&self, x: Tensor<3>) -> Tensor<4> {
        let [batch_size, length, d_model] = x.dims();
        x.reshape([batch_size, length, self.n_heads, d_model / self.n_heads])
    }

    #[track_caller]
    fn check(&self, name: &str, x: &Tensor<3>) {
        let weight = self.query.weight.lazy_shape();
        assert_same_axis("multi-head attention", "d_model", (name, &x.dims(), 2), ("query.weight", &weight, 1));
    }
}

/// How projected queries meet projected keys and values.
pub(crate) struct Attend<'a> {
    pub(crate) mask: Mask,
    pub(crate) causal: bool,
    pub(crate) rng: DropoutRng,
    pub(crate) weights: WeightSink<'a>,
}
