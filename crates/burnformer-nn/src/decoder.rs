//! The decoder, at once or position by position.

use crate::attention::KeyValue;
use crate::decoder_layer::DecoderContext;
use crate::{DecoderLayer, LayerConfig, LayerNorm, Mask, Noise, assert_valid};
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burnformer_core::{ConfigError, Validate};

/// Settings of a [`Decoder`].
#[derive(Config, Debug)]
pub struct DecoderConfig {
    /// Number of layers.
    pub n_layers: usize,
    /// Settings of every layer.
    pub layer: LayerConfig,
}

impl Validate for DecoderConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        ConfigError::check_positive("n_layers", self.n_layers)?;
        self.layer.validate().map_err(|error| error.within("layer"))
    }
}

impl DecoderConfig {
    /// Allocates the stack on `device`.
    ///
    /// # Panics
    /// If [`Self::validate`] fails.
    pub fn init(&self, device: &Device) -> Decoder {
        assert_valid(self);
        Decoder {
            layers: (0..self.n_layers).map(|_| DecoderLayer::new(&self.layer, device)).collect(),
            norm_final: self.layer.norm_final().map(|norm| norm.init(device)),
        }
    }
}

/// What a [`Decoder`] is applied to.
#[derive(Debug)]
pub struct DecoderInput {
    /// Embedded target tokens with their positions, `[batch_size, q_length, d_model]`.
    pub x: Tensor<3>,
    /// The encoder's output, `[batch_size, kv_length, d_model]`.
    pub memory: Tensor<3>,
    /// What target positions must not look at, besides later positions: padding.
    pub mask: Mask,
    /// What target positions must not look at in the memory: padding.
    pub memory_mask: Mask,
    /// Draws dropout, in training.
    pub noise: Noise,
}

impl DecoderInput {
    /// Nothing is padding, no dropout.
    pub fn new(x: Tensor<3>, memory: Tensor<3>) -> Self {
        Self { x, memory, mask: Mask::None, memory_mask: Mask::None, noise: Noise::off() }
    }
}

/// The attention weights of a decoder, one tensor for each layer, before dropout.
#[derive(Clone, Debug, Default)]
pub struct DecoderAttnWeights {
    /// `[batch_size, n_heads, q_length, q_length]`
    pub self_attention: Vec<Tensor<4>>,
    /// `[batch_size, n_heads, q_length, kv_length]`
    pub cross_attention: Vec<Tensor<4>>,
}

/// What a decoder remembers between positions: the keys and values of the memory, and those of all positions so far.
#[derive(Clone, Debug)]
pub struct DecoderCache {
    layers: Vec<LayerCache>,
    memory_mask: Mask,
}

#[derive(Clone, Debug)]
struct LayerCache {
    past: Option<KeyValue>,
    memory: KeyValue,
}

impl DecoderCache {
    /// Number of target positions so far.
    #[must_use]
    pub fn seq_length(&self) -> usize {
        self.layers[0].past.as_ref().map_or(0, KeyValue::kv_length)
    }
}

/// A stack of [`DecoderLayer`]s, with a final norm if they are pre-norm.
#[derive(Module, Debug)]
pub struct Decoder {
    layers: Vec<DecoderLayer>,
    norm_final: Option<LayerNorm>,
}

impl Decoder {
    /// All positions at once; none sees a later one.
    ///
    /// # Shapes
    /// - returns: `[batch_size, q_length, d_model]`
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn forward(&self, input: DecoderInput) -> Tensor<3> {
        self.run(input, None)
    }

    /// [`Self::forward`], and the attention weights of every layer and head.
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn forward_with_attn_weights(&self, input: DecoderInput) -> (Tensor<3>, DecoderAttnWeights) {
        let mut weights = DecoderAttnWeights::default();
        let out = self.run(input, Some(&mut weights));
        (out, weights)
    }

    /// Starts decoding: projects the memory `[batch_size, kv_length, d_model]` for every layer, once.
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn cache(&self, memory: Tensor<3>, memory_mask: Mask) -> DecoderCache {
        let layer = |layer: &DecoderLayer| LayerCache { past: None, memory: layer.project_memory(memory.clone()) };
        DecoderCache { layers: self.layers.iter().map(layer).collect(), memory_mask }
    }

    /// The positions that follow those in the cache, which gets them too. The cost is linear in their number times the
    /// number of positions so far. Equal to the last rows of [`Self::forward`] on all positions, none of them padding.
    ///
    /// # Shapes
    /// - x: `[batch_size, n_new, d_model]`, embedded with positions from [`DecoderCache::seq_length`] on
    /// - returns: `[batch_size, n_new, d_model]`
    ///
    /// # Panics
    /// If the shapes do not fit, or the cache is that of a decoder with another number of layers.
    pub fn forward_cached(&self, mut x: Tensor<3>, cache: &mut DecoderCache) -> Tensor<3> {
        let (n_layers, n_cached) = (self.layers.len(), cache.layers.len());
        assert!(
            n_layers == n_cached,
            "decoder cache: made by a decoder of {n_cached} layers, used by one of {n_layers}"
        );
        for (layer, cached) in self.layers.iter().zip(&mut cache.layers) {
            let context = DecoderContext {
                past: Some(&mut cached.past),
                memory: cached.memory.clone(),
                mask: Mask::None,
                memory_mask: cache.memory_mask.clone(),
                noise: Noise::off(),
                self_weights: None,
                cross_weights: None,
            };
            x = layer.run(x, context);
        }
        self.normalise(x)
    }

    fn run(&self, input: DecoderInput, mut weights: Option<&mut DecoderAttnWeights>) -> Tensor<3> {
        let DecoderInput { mut x, memory, mask, memory_mask, noise } = input;
        for (layer, noise) in self.layers.iter().zip(noise.layers(self.layers.len())) {
            let (self_weights, cross_weights) = match weights.as_deref_mut() {
                None => (None, None),
                Some(weights) => (Some(&mut weights.self_attention), Some(&mut weights.cross_attention)),
            };
            let context = DecoderContext {
                past: None,
                memory: layer.project_memory(memory.clone()),
                mask: mask.clone(),
                memory_mask: memory_mask.clone(),
                noise,
                self_weights,
                cross_weights,
            };
            x = layer.run(x, context);
        }
        self.normalise(x)
    }

    fn normalise(&self, x: Tensor<3>) -> Tensor<3> {
        match &self.norm_final {
            None => x,
            Some(norm) => norm.forward(x),
        }
    }
}
