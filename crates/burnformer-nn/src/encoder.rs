//! The encoder: self-attention and feed-forward layers.

use crate::attention::{Attend, WeightSink};
use crate::layer::Residual;
use crate::{DropoutRng, FeedForward, LayerConfig, LayerNorm, Mask, MultiHeadAttention, NormOrder, assert_valid};
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burnformer_core::{ConfigError, Validate};

/// One layer of an [`Encoder`].
///
/// Source: Vaswani et al. 2017, section 3.1; pre-norm from Xiong et al. 2020.
#[derive(Module, Debug)]
pub struct EncoderLayer {
    attention: MultiHeadAttention,
    norm_attn: LayerNorm,
    feed_forward: FeedForward,
    norm_ff: LayerNorm,
    #[module(skip)]
    norm_order: NormOrder,
    dropout: f64,
}

impl EncoderLayer {
    /// Allocates the layer on `device`.
    ///
    /// # Panics
    /// If the config is not valid.
    pub fn new(config: &LayerConfig, device: &Device) -> Self {
        assert_valid(config);
        Self {
            attention: config.attention().init(device),
            norm_attn: config.norm().init(device),
            feed_forward: config.feed_forward().init(device),
            norm_ff: config.norm().init(device),
            norm_order: config.norm_order,
            dropout: config.dropout,
        }
    }

    /// # Shapes
    /// - x: `[batch_size, seq_length, d_model]`
    /// - returns: `[batch_size, seq_length, d_model]`
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn forward(&self, x: Tensor<3>, mask: Mask, rng: DropoutRng) -> Tensor<3> {
        self.run(x, mask, rng, None)
    }

    fn run(&self, x: Tensor<3>, mask: Mask, rng: DropoutRng, weights: WeightSink) -> Tensor<3> {
        let [in_attn, after_attn, in_ff, after_ff] = rng.split();
        let x = self.residual(&self.norm_attn, after_attn).around(x, |x| {
            let (query, key_value) = self.attention.project_self(x);
            self.attention.attend(query, key_value, Attend { mask, causal: false, rng: in_attn, weights })
        });
        self.residual(&self.norm_ff, after_ff).around(x, |x| self.feed_forward.forward(x, in_ff))
    }

    fn residual<'a>(&self, norm: &'a LayerNorm, rng: DropoutRng) -> Residual<'a> {
        Residual { norm, order: self.norm_order, dropout: self.dropout, rng }
    }
}

/// Settings of an [`Encoder`].
#[derive(Config, Debug)]
pub struct EncoderConfig {
    /// Number of layers.
    pub n_layers: usize,
    /// Settings of every layer.
    pub layer: LayerConfig,
}

impl Validate for EncoderConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        ConfigError::check_positive("n_layers", self.n_layers)?;
        self.layer.validate().map_err(|error| error.within("layer"))
    }
}

impl EncoderConfig {
    /// Allocates the stack on `device`.
    ///
    /// # Panics
    /// If [`Self::validate`] fails.
    pub fn init(&self, device: &Device) -> Encoder {
        assert_valid(self);
        Encoder {
            layers: (0..self.n_layers).map(|_| EncoderLayer::new(&self.layer, device)).collect(),
            norm_final: self.layer.norm_final().map(|norm| norm.init(device)),
        }
    }
}

/// A stack of [`EncoderLayer`]s, with a final norm if they are pre-norm.
#[derive(Module, Debug)]
pub struct Encoder {
    layers: Vec<EncoderLayer>,
    norm_final: Option<LayerNorm>,
}

impl Encoder {
    /// # Shapes
    /// - x: `[batch_size, seq_length, d_model]`, embedded tokens with their positions
    /// - returns: `[batch_size, seq_length, d_model]`
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn forward(&self, x: Tensor<3>, mask: Mask, rng: DropoutRng) -> Tensor<3> {
        self.run(x, mask, rng, None, |_| ())
    }

    /// [`Self::forward`], and the attention weights of every layer and head, before dropout.
    ///
    /// # Shapes
    /// - returns: `[batch_size, seq_length, d_model]`, `[batch_size, n_heads, seq_length, seq_length]` for each layer
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn forward_with_attn_weights(&self, x: Tensor<3>, mask: Mask, rng: DropoutRng) -> (Tensor<3>, Vec<Tensor<4>>) {
        let mut weights = Vec::with_capacity(self.layers.len());
        let out = self.run(x, mask, rng, Some(&mut weights), |_| ());
        (out, weights)
    }

    /// The input of every layer, and what [`Self::forward`] returns.
    ///
    /// # Shapes
    /// - returns: `[batch_size, seq_length, d_model]` for each layer, and one more
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn hidden_states(&self, x: Tensor<3>, mask: Mask, rng: DropoutRng) -> Vec<Tensor<3>> {
        let mut states = Vec::with_capacity(self.layers.len() + 1);
        let out = self.run(x, mask, rng, None, |x| states.push(x.clone()));
        states.push(out);
        states
    }

    fn run(
        &self,
        mut x: Tensor<3>,
        mask: Mask,
        rng: DropoutRng,
        mut weights: WeightSink,
        mut see: impl FnMut(&Tensor<3>),
    ) -> Tensor<3> {
        for (layer, rng) in self.layers.iter().zip(rng.layers(self.layers.len())) {
            see(&x);
            x = layer.run(x, mask.clone(), rng, weights.as_deref_mut());
        }
        match &self.norm_final {
            None => x,
            Some(norm) => norm.forward(x),
        }
    }
}
