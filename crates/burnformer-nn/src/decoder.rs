//! The decoder, at once or position by position.

use crate::attention::KeyValue;
use crate::decoder_layer::{DecoderContext, Past};
use crate::{DecoderLayer, DropoutRng, LayerConfig, LayerNorm, Mask, assert_valid};
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
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

/// Input of a [`Decoder`].
#[derive(Debug)]
pub struct DecoderInput {
    /// Embedded target tokens with their positions, `[batch_size, q_length, d_model]`.
    pub x: Tensor<3>,
    /// The encoder's output, `[batch_size, kv_length, d_model]`.
    pub memory: Tensor<3>,
    /// Mask of the target, besides later positions: padding.
    pub mask: Mask,
    /// Mask of the memory: padding.
    pub memory_mask: Mask,
    /// Permission to draw dropout masks; off in evaluation.
    pub rng: DropoutRng,
}

impl DecoderInput {
    /// Nothing is padding, no dropout.
    pub fn new(x: Tensor<3>, memory: Tensor<3>) -> Self {
        Self { x, memory, mask: Mask::None, memory_mask: Mask::None, rng: DropoutRng::off() }
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

/// Key-value cache of a decoder: keys and values of the memory, and of all positions so far.
#[derive(Clone, Debug)]
pub struct DecoderCache {
    layers: Vec<LayerCache>,
    memory_mask: Mask,
    /// The rows that go on, where they are not all as they were. Each is copied with its next position, so not before.
    rows: Option<Tensor<1, Int>>,
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

    /// Goes on with these rows of the target positions so far, in this order; one may come several times, or never. The
    /// memory stays.
    ///
    /// # Shapes
    /// - rows: `[n]`, each less than the batch size so far
    pub fn select(&mut self, rows: Tensor<1, Int>) {
        self.rows = Some(match self.rows.take() {
            None => rows,
            Some(before) => before.select(0, rows),
        });
    }

    /// Goes on with these sequences of the memory, in this order; one may come several times, or never. Rows of target
    /// positions stay: [`Self::select`] those that look at them.
    ///
    /// # Shapes
    /// - sequences: `[n]`, each less than the number of sequences so far
    pub fn select_memory(&mut self, sequences: &Tensor<1, Int>) {
        for layer in &mut self.layers {
            layer.memory = layer.memory.clone().select(sequences.clone());
        }
        self.memory_mask = match std::mem::replace(&mut self.memory_mask, Mask::None) {
            Mask::None => Mask::None,
            Mask::Keys(keys) => Mask::Keys(keys.select(0, sequences.clone())),
            Mask::Full(full) => Mask::Full(full.select(0, sequences.clone())),
        };
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
        DecoderCache { layers: self.layers.iter().map(layer).collect(), memory_mask, rows: None }
    }

    /// The positions that follow those in the cache, which gets them too. The cost is linear in their number times the
    /// number of positions so far. Equal to the last rows of [`Self::forward`] on all positions, none of them padding.
    ///
    /// Several rows may look at one sequence of the memory, as the hypotheses of a beam do: as many for each, and adjacent.
    ///
    /// # Shapes
    /// - x: `[batch_size, n_new, d_model]`, embedded with positions from [`DecoderCache::seq_length`] on; the batch size is
    ///   a multiple of the memory's
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
        let (batch_size, n_memories) = (x.dims()[0], cache.layers[0].memory.batch_size());
        assert!(
            batch_size.is_multiple_of(n_memories),
            "decoder cache: {batch_size} rows cannot share {n_memories} sequences of the memory evenly"
        );
        let rows_per_memory = batch_size / n_memories;
        let rows = cache.rows.take();
        for (layer, cached) in self.layers.iter().zip(&mut cache.layers) {
            let context = DecoderContext {
                past: Some(Past { positions: &mut cached.past, rows: rows.as_ref() }),
                memory: cached.memory.clone(),
                rows_per_memory,
                mask: Mask::None,
                memory_mask: cache.memory_mask.clone(),
                rng: DropoutRng::off(),
                self_weights: None,
                cross_weights: None,
            };
            x = layer.run(x, context);
        }
        self.normalise(x)
    }

    fn run(&self, input: DecoderInput, mut weights: Option<&mut DecoderAttnWeights>) -> Tensor<3> {
        let DecoderInput { mut x, memory, mask, memory_mask, rng } = input;
        for (layer, rng) in self.layers.iter().zip(rng.layers(self.layers.len())) {
            let (self_weights, cross_weights) = match weights.as_deref_mut() {
                None => (None, None),
                Some(weights) => (Some(&mut weights.self_attention), Some(&mut weights.cross_attention)),
            };
            let context = DecoderContext {
                past: None,
                memory: layer.project_memory(memory.clone()),
                rows_per_memory: 1,
                mask: mask.clone(),
                memory_mask: memory_mask.clone(),
                rng,
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
