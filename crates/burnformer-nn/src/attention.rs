//! Multi-head attention.

use crate::cache::{KeyValue, Pool};
use crate::tensor_parallel::{Group, group};
use crate::{DropoutRng, Linear, LinearConfig, Mask, Offsets, Rotary, RotaryConfig, assert_valid};
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burnformer_core::{ConfigError, Validate};
use burnformer_ops::{self as ops, AttentionOptions, Dropout, Places, assert_same_axis};
use std::sync::Arc;

/// Settings of [`MultiHeadAttention`].
#[derive(Config, Debug)]
pub struct MultiHeadAttentionConfig {
    /// Width of the residual stream.
    pub d_model: usize,
    /// Number of heads, a divisor of `d_model` unless `d_head` is set.
    pub n_heads: usize,
    /// Probability of dropping an attention weight, in `[0, 1)`; the paper's text has none here, its code has.
    #[config(default = 0.0)]
    pub dropout: f64,
    /// `true` adds biases to the four projections.
    #[config(default = true)]
    pub bias: bool,
    /// Width of one head; `None` for `d_model / n_heads`.
    pub d_head: Option<usize>,
    /// Number of heads of keys and values, a divisor of `n_heads`: adjacent query heads share one (grouped-query attention).
    /// `None` for `n_heads`.
    pub n_kv_heads: Option<usize>,
    /// Rotary positions of queries and keys in self-attention; `None` for no positions here.
    pub rotary: Option<RotaryConfig>,
}

impl Validate for MultiHeadAttentionConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        match self.d_head {
            None => ConfigError::check_divides(self.d_model, self.n_heads)?,
            Some(d_head) => {
                ConfigError::check_positive("d_model", self.d_model)?;
                ConfigError::check_positive("n_heads", self.n_heads)?;
                ConfigError::check_positive("d_head", d_head)?;
            }
        }
        let n_kv_heads = self.n_kv_heads();
        ConfigError::check_positive("n_kv_heads", n_kv_heads)?;
        let divides = self.n_heads.is_multiple_of(n_kv_heads);
        ConfigError::check("n_kv_heads", &n_kv_heads, divides, "a divisor of `n_heads`")?;
        if let Some(rotary) = &self.rotary {
            rotary.validate().map_err(|error| error.within("rotary"))?;
            let (d_head, range) = (self.d_head(), "an even width, as positions are rotary");
            ConfigError::check("d_head", &d_head, d_head.is_multiple_of(2), range)?;
        }
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
        let (d_model, d_head) = (self.d_model, self.d_head());
        let (d_query, d_kv) = (self.n_heads * d_head, self.n_kv_heads() * d_head);
        let linear = |d_in, d_out| LinearConfig::new(d_in, d_out).with_bias(self.bias).init(device);
        MultiHeadAttention {
            query: linear(d_model, d_query),
            key: linear(d_model, d_kv),
            value: linear(d_model, d_kv),
            output: linear(d_query, d_model),
            rotary: self.rotary.as_ref().map(|rotary| rotary.init(d_head, device)),
            n_heads: self.n_heads,
            n_kv_heads: self.n_kv_heads(),
            d_head,
            dropout: self.dropout,
        }
    }

    fn d_head(&self) -> usize {
        self.d_head.unwrap_or_else(|| self.d_model / self.n_heads)
    }

    fn n_kv_heads(&self) -> usize {
        self.n_kv_heads.unwrap_or(self.n_heads)
    }
}

/// Input of [`MultiHeadAttention`]. Rotary positions apply to self-attention only.
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

/// Where the attention weights of each layer go, for those who asked: `[batch_size, n_heads, q_length, kv_length]`, before
/// dropout. Without it they are never made.
pub(crate) type WeightSink<'a> = Option<&'a mut Vec<Tensor<4>>>;

/// Attention by several heads, each on its own projection of the input.
///
/// Source: Vaswani et al. 2017, section 3.2.2. The weights are handed out before dropout, and a query all of whose keys are
/// blocked gives the output layer's bias. Heads that share keys and values are those of Ainslie et al. 2023.
#[derive(Module, Debug)]
pub struct MultiHeadAttention {
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    rotary: Option<Rotary>,
    n_heads: usize,
    n_kv_heads: usize,
    d_head: usize,
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
            None => self.project_self(query, &Offsets::Same(0), &rng),
            Some([key, value]) => (self.project_query(query, &rng), self.project_memory(key, value, &rng)),
        };
        self.attend(query, key_value, Attend { mask, causal, rng, weights })
    }

    /// The three projections of one input, in one operator; its first positions stand at `offsets`. `rng` is that of
    /// [`Self::attend`], of which adapters have parts of their own.
    pub(crate) fn project_self(&self, x: Tensor<3>, offsets: &Offsets, rng: &DropoutRng) -> (Tensor<4>, KeyValue) {
        self.check("x", &x);
        let x = self.input(x);
        let maps = [&self.query, &self.key, &self.value];
        // Another handle only for adapters.
        let input = maps.iter().any(|map| map.lora().is_some()).then(|| x.clone());
        let [mut query, mut key, mut value] = match maps.iter().any(|map| map.prepared().is_some()) {
            true => maps.map(|map| map.multiply(x.clone(), map.bias())),
            false => {
                let biases = match maps.map(Linear::bias) {
                    [Some(query), Some(key), Some(value)] => Some([query, key, value]),
                    _ => None,
                };
                ops::qkv(x, maps.map(Linear::weight), biases)
            }
        };
        if let Some(x) = input {
            let [in_query, in_key, in_value, _] = adapters(rng);
            query = self.query.adapted(query, &x, in_query);
            key = self.key.adapted(key, &x, in_key);
            value = self.value.adapted(value, &x, in_value);
        }
        let [query, key, value] = [query, key, value].map(|x| self.split_heads(x));
        match &self.rotary {
            None => (query, KeyValue { key, value }),
            Some(rotary) => {
                let [query, key] = [query, key].map(|x| rotary.forward_at(x, offsets));
                (query, KeyValue { key, value })
            }
        }
    }

    pub(crate) fn project_query(&self, query: Tensor<3>, rng: &DropoutRng) -> Tensor<4> {
        self.check("query", &query);
        let [in_query, ..] = adapters(rng);
        let query = self.input(query);
        self.split_heads(self.query.forward_with(query, in_query))
    }

    pub(crate) fn project_memory(&self, key: Tensor<3>, value: Tensor<3>, rng: &DropoutRng) -> KeyValue {
        self.check("key", &key);
        self.check("value", &value);
        let [_, in_key, in_value, _] = adapters(rng);
        let [key, value] = [key, value].map(|x| self.input(x));
        let [key, value] = [self.key.forward_with(key, in_key), self.value.forward_with(value, in_value)];
        KeyValue { key: self.split_heads(key), value: self.split_heads(value) }
    }

    pub(crate) fn attend(&self, query: Tensor<4>, key_value: KeyValue, how: Attend) -> Tensor<3> {
        let [_, _, _, d_head] = query.dims();
        let [_, _, _, in_output] = adapters(&how.rng);
        let KeyValue { key, value } = key_value;
        let [key, value] = [key, value].map(|x| self.share_heads(x));
        let group = self.group();
        let first_head = group.as_ref().map_or(0, |group| group.share(self.n_heads).start);
        let options = AttentionOptions {
            causal: how.causal,
            dropout: Dropout::new(self.dropout, how.rng).map(|dropout| dropout.from(first_head, 0)),
            ..AttentionOptions::new(d_head)
        };
        let heads = match how.weights {
            None => ops::attention(query, key, value, how.mask, options).0,
            Some(sink) => {
                let (heads, weights) = ops::attention_with_weights(query, key, value, how.mask, options);
                sink.push(match &group {
                    None => weights,
                    Some(group) => group.joined(weights, 1),
                });
                heads
            }
        };
        self.put_together(heads, group, in_output)
    }

    /// [`Self::attend`] of each query to the places that it sees in a pool, in inference.
    pub(crate) fn attend_places(&self, query: Tensor<4>, pool: &Pool, seen: Places) -> Tensor<3> {
        let [batch_size, q_length, n_heads, d_head] = query.dims();
        let query = query.reshape([batch_size * q_length, n_heads, d_head]);
        let heads = ops::attend_places(query, pool.key.clone(), pool.value.clone(), seen);
        let heads = heads.reshape([batch_size, q_length, n_heads, d_head]);
        self.put_together(heads, self.group(), DropoutRng::off())
    }

    /// The output of all heads, of which this rank may have some. `rng` is that of the adapter of the output.
    fn put_together(&self, heads: Tensor<4>, group: Option<Arc<Group>>, rng: DropoutRng) -> Tensor<3> {
        let [batch_size, q_length, n_heads, d_head] = heads.dims();
        let out = self.output.forward_with(heads.reshape([batch_size, q_length, n_heads * d_head]), rng);
        match group {
            None => out,
            Some(group) => group.summed(out),
        }
    }

    /// The ranks that have the other heads, if this one does not have all.
    fn group(&self) -> Option<Arc<Group>> {
        group(self.query.weight.lazy_shape()[0], self.n_heads * self.d_head)
    }

    /// The input of projections.
    fn input(&self, x: Tensor<3>) -> Tensor<3> {
        match self.group() {
            None => x,
            Some(group) => group.copied(x),
        }
    }

    fn split_heads(&self, x: Tensor<3>) -> Tensor<4> {
        let [batch_size, length, width] = x.dims();
        x.reshape([batch_size, length, width / self.d_head, self.d_head])
    }

    /// Keys or values `[batch_size, kv_length, n_kv_heads, d_head]`, once for each query head.
    fn share_heads(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch_size, length, n_kv_heads, d_head] = x.dims();
        let n_sharing = self.n_heads / self.n_kv_heads;
        if n_sharing == 1 {
            return x;
        }
        let x = x.unsqueeze_dim::<5>(3).expand([batch_size, length, n_kv_heads, n_sharing, d_head]);
        x.reshape([batch_size, length, n_kv_heads * n_sharing, d_head])
    }

    #[track_caller]
    fn check(&self, name: &str, x: &Tensor<3>) {
        let weight = self.query.weight.lazy_shape();
        assert_same_axis("multi-head attention", "d_model", (name, &x.dims(), 2), ("query.weight", &weight, 1));
    }
}

/// The parts of `rng` that the adapters of query, key, value and output have.
fn adapters(rng: &DropoutRng) -> [DropoutRng; 4] {
    rng.again().split()
}

/// How projected queries meet projected keys and values.
pub(crate) struct Attend<'a> {
    pub(crate) mask: Mask,
    pub(crate) causal: bool,
    pub(crate) rng: DropoutRng,
    pub(crate) weights: WeightSink<'a>,
}
