//! One layer of the decoder: masked self-attention, cross-attention, feed-forward.

use crate::attention::{Attend, KeyValue, WeightSink};
use crate::layer::Residual;
use crate::{
    DecoderInput, DropoutRng, FeedForward, LayerConfig, LayerNorm, Mask, MultiHeadAttention, NormOrder, assert_valid,
};
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};

/// One layer of a [`Decoder`](crate::Decoder).
///
/// Source: Vaswani et al. 2017, section 3.1; pre-norm from Xiong et al. 2020.
#[derive(Module, Debug)]
pub struct DecoderLayer {
    self_attention: MultiHeadAttention,
    norm_self: LayerNorm,
    cross_attention: MultiHeadAttention,
    norm_cross: LayerNorm,
    feed_forward: FeedForward,
    norm_ff: LayerNorm,
    #[module(skip)]
    norm_order: NormOrder,
    dropout: f64,
}

/// Earlier positions of a layer.
pub(crate) struct Past<'a> {
    /// `None` before the first.
    pub(crate) positions: &'a mut Option<KeyValue>,
    /// The rows of them that go on; `None` for all as they are.
    pub(crate) rows: Option<&'a Tensor<1, Int>>,
}

/// What a layer sees besides its input.
pub(crate) struct DecoderContext<'a> {
    /// Keys and values of earlier positions, to which the input's are added; `None` where there will be no later call.
    pub(crate) past: Option<Past<'a>>,
    /// Keys and values of the encoder's output.
    pub(crate) memory: KeyValue,
    /// Number of adjacent rows of the input that look at one sequence of the memory.
    pub(crate) rows_per_memory: usize,
    pub(crate) mask: Mask,
    pub(crate) memory_mask: Mask,
    pub(crate) rng: DropoutRng,
    pub(crate) self_weights: WeightSink<'a>,
    pub(crate) cross_weights: WeightSink<'a>,
}

impl DecoderLayer {
    /// Allocates the layer on `device`.
    ///
    /// # Panics
    /// If the config is not valid.
    pub fn new(config: &LayerConfig, device: &Device) -> Self {
        assert_valid(config);
        Self {
            self_attention: config.attention().init(device),
            norm_self: config.norm().init(device),
            cross_attention: config.attention().init(device),
            norm_cross: config.norm().init(device),
            feed_forward: config.feed_forward().init(device),
            norm_ff: config.norm().init(device),
            norm_order: config.norm_order,
            dropout: config.dropout,
        }
    }

    /// # Shapes
    /// - returns: `[batch_size, q_length, d_model]`
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn forward(&self, input: DecoderInput) -> Tensor<3> {
        let DecoderInput { x, memory, mask, memory_mask, rng } = input;
        let memory = self.project_memory(memory);
        let context = DecoderContext {
            past: None,
            memory,
            rows_per_memory: 1,
            mask,
            memory_mask,
            rng,
            self_weights: None,
            cross_weights: None,
        };
        self.run(x, context)
    }

    /// Keys and values of the encoder's output `[batch_size, kv_length, d_model]` for cross-attention.
    pub(crate) fn project_memory(&self, memory: Tensor<3>) -> KeyValue {
        self.cross_attention.project_memory(memory.clone(), memory)
    }

    pub(crate) fn run(&self, x: Tensor<3>, context: DecoderContext) -> Tensor<3> {
        let DecoderContext { past, memory, rows_per_memory, mask, memory_mask, rng, self_weights, cross_weights } =
            context;
        let [in_self, after_self, in_cross, after_cross, in_ff, after_ff] = rng.split();
        let x = self.residual(&self.norm_self, after_self).around(x, |x| {
            let (query, mut key_value) = self.self_attention.project_self(x);
            if let Some(past) = past {
                key_value = key_value.after(past.positions.take(), past.rows);
                *past.positions = Some(key_value.clone());
            }
            let how = Attend { mask, causal: true, rng: in_self, weights: self_weights };
            self.self_attention.attend(query, key_value, how)
        });
        let x = self.residual(&self.norm_cross, after_cross).around(x, |x| {
            let how = Attend { mask: memory_mask, causal: false, rng: in_cross, weights: cross_weights };
            let [batch_size, q_length, d_model] = x.dims();
            // Rows that share a memory look at it as positions of one sequence: it is read once, and not copied.
            let x = x.reshape([batch_size / rows_per_memory, rows_per_memory * q_length, d_model]);
            let x = self.cross_attention.attend(self.cross_attention.project_query(x), memory, how);
            x.reshape([batch_size, q_length, d_model])
        });
        self.residual(&self.norm_ff, after_ff).around(x, |x| self.feed_forward.forward(x, in_ff))
    }

    fn residual<'a>(&self, norm: &'a LayerNorm, rng: DropoutRng) -> Residual<'a> {
        Residual { norm, order: self.norm_order, dropout: self.dropout, rng }
    }
}
