//! One layer of a Transformer: self-attention, cross-attention where there is a memory, and a position-wise sub-layer.

use crate::attention::{Attend, WeightSink};
use crate::cache::{KeyValue, Pool, Step};
use crate::{
    Activation, DropoutRng, FeedForwardConfig, GluConfig, Mask, Mlp, MlpKind, MultiHeadAttention,
    MultiHeadAttentionConfig, Norm, NormKind, Offsets, RotaryConfig, assert_valid,
};
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burnformer_core::{ConfigError, Validate};
use burnformer_ops::{self as ops, Dropout, Places};
use serde::{Deserialize, Serialize};

/// Position of the norm in a sub-layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NormOrder {
    /// Post-norm, `norm(x + sublayer(x))`: the paper, BERT.
    Post,
    /// Pre-norm, `x + sublayer(norm(x))`, with one more norm after the last layer of a stack.
    Pre,
}

/// Settings of a [`Layer`]. The defaults are the paper's encoder.
#[derive(Config, Debug)]
pub struct LayerConfig {
    /// Width of the residual stream.
    pub d_model: usize,
    /// Number of heads, a divisor of `d_model` unless `d_head` is set.
    pub n_heads: usize,
    /// Width of the feed-forward layer, commonly `4 * d_model`.
    pub d_ff: usize,
    /// Activation of the feed-forward layer.
    #[config(default = "Activation::Relu")]
    pub activation: Activation,
    /// Position of the norms.
    #[config(default = "NormOrder::Post")]
    pub norm_order: NormOrder,
    /// Added to the variance by the norms: 1e-5 in PyTorch, 1e-12 in BERT, 1e-6 in the paper's code.
    #[config(default = 1e-5)]
    pub norm_eps: f64,
    /// Probability of dropping an output of a sub-layer, in `[0, 1)`.
    #[config(default = 0.1)]
    pub dropout: f64,
    /// Probability of dropping an attention weight, in `[0, 1)`.
    #[config(default = 0.0)]
    pub attention_dropout: f64,
    /// Probability of dropping a hidden activation of the feed-forward layer, in `[0, 1)`.
    #[config(default = 0.0)]
    pub activation_dropout: f64,
    /// Kind of the norms.
    #[config(default = "NormKind::LayerNorm")]
    pub norm: NormKind,
    /// Kind of the feed-forward layer.
    #[config(default = "MlpKind::Mlp")]
    pub mlp: MlpKind,
    /// `true` adds biases to the projections of attention.
    #[config(default = true)]
    pub attention_bias: bool,
    /// `true` adds biases to the maps of the feed-forward layer.
    #[config(default = true)]
    pub mlp_bias: bool,
    /// Width of one head; `None` for `d_model / n_heads`.
    pub d_head: Option<usize>,
    /// Number of heads of keys and values in self-attention, a divisor of `n_heads`; `None` for `n_heads`.
    pub n_kv_heads: Option<usize>,
    /// Rotary positions in self-attention; `None` for no positions in attention.
    pub rotary: Option<RotaryConfig>,
    /// `true` blocks later positions in self-attention. Encoder and decoder set it themselves.
    #[config(default = false)]
    pub causal: bool,
    /// `true` adds attention to a memory. Encoder and decoder set it themselves.
    #[config(default = false)]
    pub cross_attention: bool,
}

impl Validate for LayerConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        ConfigError::check_probability("attention_dropout", self.attention_dropout)?;
        self.attention().validate()?;
        ConfigError::check_positive("d_ff", self.d_ff)?;
        ConfigError::check_finite_positive("norm_eps", self.norm_eps)?;
        ConfigError::check_probability("dropout", self.dropout)?;
        ConfigError::check_probability("activation_dropout", self.activation_dropout)
    }
}

impl LayerConfig {
    /// Allocates the layer on `device`, zero until [`init::by_name`](crate::init::by_name).
    ///
    /// # Panics
    /// If [`Self::validate`] fails.
    pub fn init(&self, device: &Device) -> Layer {
        assert_valid(self);
        let cross_attention = self.cross_attention.then(|| self.cross_attention().init(device));
        Layer {
            attention: self.attention().init(device),
            norm_attn: self.norm(device),
            norm_cross: cross_attention.is_some().then(|| self.norm(device)),
            cross_attention,
            feed_forward: self.mlp(device),
            norm_ff: self.norm(device),
            norm_order: self.norm_order,
            dropout: self.dropout,
            causal: self.causal,
        }
    }

    /// The final norm of a stack, which only pre-norm needs.
    pub(crate) fn norm_final(&self, device: &Device) -> Option<Norm> {
        (self.norm_order == NormOrder::Pre).then(|| self.norm(device))
    }

    fn norm(&self, device: &Device) -> Norm {
        self.norm.init(self.d_model, self.norm_eps, device)
    }

    fn attention(&self) -> MultiHeadAttentionConfig {
        MultiHeadAttentionConfig::new(self.d_model, self.n_heads)
            .with_dropout(self.attention_dropout)
            .with_bias(self.attention_bias)
            .with_d_head(self.d_head)
            .with_n_kv_heads(self.n_kv_heads)
            .with_rotary(self.rotary.clone())
    }

    /// Settings of cross-attention: without rotary positions, since memory and input have different positions.
    fn cross_attention(&self) -> MultiHeadAttentionConfig {
        self.attention().with_n_kv_heads(None).with_rotary(None)
    }

    fn mlp(&self, device: &Device) -> Mlp {
        let (d_model, d_ff) = (self.d_model, self.d_ff);
        match self.mlp {
            MlpKind::Mlp => {
                let config = FeedForwardConfig::new(d_model, d_ff).with_activation(self.activation);
                Mlp::Mlp(config.with_dropout(self.activation_dropout).with_bias(self.mlp_bias).init(device))
            }
            MlpKind::Glu => {
                let config = GluConfig::new(d_model, d_ff).with_activation(self.activation);
                Mlp::Glu(config.with_dropout(self.activation_dropout).with_bias(self.mlp_bias).init(device))
            }
        }
    }
}

/// Input of a [`Layer`] or a [`Stack`](crate::Stack).
#[derive(Debug)]
pub struct LayerInput {
    /// Embedded tokens with their positions, or the output of the layer below, `[batch_size, seq_length, d_model]`.
    pub x: Tensor<3>,
    /// Padding mask of self-attention; a causal layer also blocks later positions.
    pub mask: Mask,
    /// Memory of cross-attention; required with cross-attention, refused without.
    pub memory: Option<Memory>,
    /// Permission to draw dropout masks; off in evaluation.
    pub rng: DropoutRng,
}

impl LayerInput {
    /// No padding, no memory, no dropout.
    pub fn new(x: Tensor<3>) -> Self {
        Self { x, mask: Mask::None, memory: None, rng: DropoutRng::off() }
    }
}

/// Memory: the states that cross-attention reads.
#[derive(Clone, Debug)]
pub struct Memory {
    /// The encoder's output, `[batch_size, kv_length, d_model]`.
    pub states: Tensor<3>,
    /// Padding mask of the states.
    pub mask: Mask,
}

/// The attention weights of a stack, one tensor for each layer, before dropout.
#[derive(Clone, Debug, Default)]
pub struct AttnWeights {
    /// `[batch_size, n_heads, q_length, q_length]`
    pub self_attention: Vec<Tensor<4>>,
    /// `[batch_size, n_heads, q_length, kv_length]`; empty without cross-attention.
    pub cross_attention: Vec<Tensor<4>>,
}

/// One layer of a [`Stack`](crate::Stack): of an encoder, of a decoder, or of a decoder without an encoder.
///
/// Source: Vaswani et al. 2017, section 3.1; pre-norm from Xiong et al. 2020.
#[derive(Module, Debug)]
pub struct Layer {
    attention: MultiHeadAttention,
    norm_attn: Norm,
    cross_attention: Option<MultiHeadAttention>,
    norm_cross: Option<Norm>,
    feed_forward: Mlp,
    norm_ff: Norm,
    #[module(skip)]
    norm_order: NormOrder,
    dropout: f64,
    causal: bool,
}

/// The inputs of a layer besides its `x`, as a stack prepares them.
pub(crate) struct Context<'a> {
    pub(crate) mask: Mask,
    pub(crate) memory: Option<ProjectedMemory<'a>>,
    /// Cache of earlier positions, to which the input's are appended; `None` without later calls.
    pub(crate) past: Option<Past<'a>>,
    pub(crate) rng: DropoutRng,
    /// Destination of the attention weights, if requested.
    pub(crate) weights: Option<&'a mut AttnWeights>,
}

/// Keys and values of the memory for one layer.
#[allow(clippy::large_enum_variant)] // There is one for a call of a layer.
pub(crate) enum ProjectedMemory<'a> {
    /// Those of as many sequences as there are rows, with their mask.
    Whole(KeyValue, Mask),
    /// Those in a pool, and the places that each position sees.
    Places(&'a Pool, Places),
}

/// Cached positions of a layer.
pub(crate) struct Past<'a> {
    pub(crate) pool: &'a mut Option<Pool>,
    /// Places of the new positions, and what they see.
    pub(crate) step: &'a Step,
}

impl Layer {
    /// # Shapes
    /// - input: see [`LayerInput`]
    /// - returns: `[batch_size, seq_length, d_model]`
    ///
    /// # Panics
    /// If the shapes do not fit, or memory is given without cross-attention or missing with it.
    pub fn forward(&self, input: LayerInput) -> Tensor<3> {
        let LayerInput { x, mask, memory, rng } = input;
        let memory = self.project(memory.as_ref(), &rng);
        self.run(x, Context { mask, memory, past: None, rng, weights: None })
    }

    /// `true` if no position sees a later one.
    pub(crate) fn is_causal(&self) -> bool {
        self.causal
    }

    /// `true` if it looks at a memory.
    pub(crate) fn has_memory(&self) -> bool {
        self.cross_attention.is_some()
    }

    /// Keys and values of the memory, with its mask, for as many rows as it has sequences. `rng` is that of [`Self::run`].
    pub(crate) fn project(&self, memory: Option<&Memory>, rng: &DropoutRng) -> Option<ProjectedMemory<'static>> {
        let memory = memory?;
        let key_value = self.project_memory(&memory.states, &memory.states, rng);
        Some(ProjectedMemory::Whole(key_value, memory.mask.clone()))
    }

    /// Keys of `keys` and values of `values`, both the memory `[batch_size, kv_length, d_model]`, for cross-attention.
    /// `rng` is that of [`Self::run`].
    pub(crate) fn project_memory(&self, keys: &Tensor<3>, values: &Tensor<3>, rng: &DropoutRng) -> KeyValue {
        let [_, _, in_cross] = rng.again().split();
        let attention = self.cross_attention.as_ref().expect("layer: it got a memory, and has no cross-attention");
        attention.project_memory(keys.clone(), values.clone(), &in_cross)
    }

    pub(crate) fn run(&self, x: Tensor<3>, context: Context) -> Tensor<3> {
        let Context { mask, memory, past, rng, weights } = context;
        let (self_weights, cross_weights): (WeightSink, WeightSink) = match weights {
            None => (None, None),
            Some(AttnWeights { self_attention, cross_attention }) => (Some(self_attention), Some(cross_attention)),
        };
        // In this order; without cross-attention the feed-forward layer has the third and fourth.
        let [in_attn, after_attn, third, fourth, fifth, sixth] = rng.split();
        let x = self.residual(&self.norm_attn, after_attn).around(x, |x| {
            let start = Offsets::Same(0);
            let offsets = past.as_ref().map_or(&start, |past| &past.step.offsets);
            let (query, key_value) = self.attention.project_self(x, offsets, &in_attn);
            if let Some(Past { pool, step }) = past {
                let q_length = query.dims()[1];
                Pool::store(pool, step.first, key_value.clone().into());
                // The first positions of all rows, if they are several, are the tiles that attention is best at.
                if let Some(pool) = pool.as_ref().filter(|_| q_length == 1 || !step.is_beginning) {
                    return self.attention.attend_places(query, pool, step.seen.clone());
                }
            }
            let how = Attend { mask, causal: self.causal, rng: in_attn, weights: self_weights };
            self.attention.attend(query, key_value, how)
        });
        let (x, in_ff, after_ff) = match (&self.cross_attention, &self.norm_cross) {
            (Some(attention), Some(norm)) => {
                let memory = memory.expect("layer: it has cross-attention, and got no memory");
                let x = self.residual(norm, fourth).around(x, |x| {
                    let query = attention.project_query(x, &third);
                    match memory {
                        ProjectedMemory::Places(pool, seen) => attention.attend_places(query, pool, seen),
                        ProjectedMemory::Whole(key_value, mask) => {
                            let how = Attend { mask, causal: false, rng: third, weights: cross_weights };
                            attention.attend(query, key_value, how)
                        }
                    }
                });
                (x, fifth, sixth)
            }
            _ => (x, third, fourth),
        };
        self.residual(&self.norm_ff, after_ff).around(x, |x| self.feed_forward.forward(x, in_ff))
    }

    fn residual<'a>(&self, norm: &'a Norm, rng: DropoutRng) -> Residual<'a> {
        Residual { norm, order: self.norm_order, dropout: self.dropout, rng }
    }
}

/// A sub-layer with its residual connection, dropout and norm.
struct Residual<'a> {
    norm: &'a Norm,
    order: NormOrder,
    dropout: f64,
    rng: DropoutRng,
}

impl Residual<'_> {
    fn around(self, x: Tensor<3>, sublayer: impl FnOnce(Tensor<3>) -> Tensor<3>) -> Tensor<3> {
        let dropout = Dropout::new(self.dropout, self.rng);
        match self.order {
            NormOrder::Post => self.norm.forward_residual(sublayer(x.clone()), x, dropout),
            NormOrder::Pre => ops::dropout(sublayer(self.norm.forward(x.clone())), Some(x), dropout),
        }
    }
}
