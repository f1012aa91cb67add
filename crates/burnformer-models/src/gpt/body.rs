//! The body: embeddings with learned positions, and pre-norm layers with causal attention.

use super::GptConfig;
use burn::module::Module;
use burn::tensor::{Bool, Device, Int, Tensor};
use burnformer_core::Validate;
use burnformer_nn::pipeline::embedded;
use burnformer_nn::{
    DecoderCache, DropoutRng, Embedding, EmbeddingConfig, LayerInput, LearnedPositions, LearnedPositionsConfig, Mask,
    Offsets, Stack,
};
use burnformer_ops::{self as ops, Dropout};

/// The inputs of a GPT-2.
#[derive(Debug)]
pub struct GptInput {
    /// Tokens, `[batch_size, seq_length]`.
    pub ids: Tensor<2, Int>,
    /// `true` marks padding, `[batch_size, seq_length]`; `None` where there is none, or where it stands at the end and
    /// its outputs are not used. Positions count from the start of a row, padding included.
    pub mask_pad: Option<Tensor<2, Bool>>,
    /// Permission to draw dropout masks, in training.
    pub rng: DropoutRng,
}

impl GptInput {
    /// Sequences without padding, in evaluation.
    #[must_use]
    pub fn new(ids: Tensor<2, Int>) -> Self {
        Self { ids, mask_pad: None, rng: DropoutRng::off() }
    }
}

/// Embeddings with learned positions, pre-norm layers with causal attention, and a final norm.
///
/// Source: Radford et al. 2019, section 2.3.
#[derive(Module, Debug)]
pub struct Gpt {
    token: Embedding,
    positions: LearnedPositions,
    stack: Stack,
    embedding_dropout: f64,
    #[module(skip)]
    config: GptConfig,
}

impl Gpt {
    /// Allocates the body on `device`, zero until it is initialised or loaded.
    ///
    /// # Panics
    /// If the config is not valid.
    pub(super) fn new(config: &GptConfig, device: &Device) -> Self {
        if let Err(error) = config.validate() {
            panic!("{error}");
        }
        Self {
            token: EmbeddingConfig::new(config.vocab_size, config.d_model).init(device),
            positions: LearnedPositionsConfig::new(config.max_seq_length, config.d_model).init(device),
            stack: config.stack().init(device),
            embedding_dropout: config.embedding_dropout,
            config: config.clone(),
        }
    }

    /// Settings of the body.
    pub fn config(&self) -> &GptConfig {
        &self.config
    }

    /// # Shapes
    /// - input: see [`GptInput`]
    /// - returns: `[batch_size, seq_length, d_model]`
    ///
    /// # Panics
    /// If the shapes do not fit, or a sequence is longer than `max_seq_length`.
    pub fn forward(&self, input: GptInput) -> Tensor<3> {
        self.stack.forward(self.embed(input))
    }

    /// The input of every layer, and the output of [`Self::forward`].
    ///
    /// # Shapes
    /// - returns: `[batch_size, seq_length, d_model]` for each layer, and one more
    ///
    /// # Panics
    /// As [`Self::forward`].
    pub fn hidden_states(&self, input: GptInput) -> Vec<Tensor<3>> {
        self.stack.hidden_states(self.embed(input))
    }

    /// An empty cache of [`Self::forward_cached`].
    pub fn cache(&self) -> DecoderCache {
        self.stack.cache(None)
    }

    /// The positions that follow those in the cache, which are added to it. Equal to the last rows of [`Self::forward`]
    /// on all tokens so far.
    ///
    /// # Shapes
    /// - ids: `[batch_size, n_new]`
    /// - returns: `[batch_size, n_new, d_model]`
    ///
    /// # Panics
    /// As [`Self::forward`].
    pub fn forward_cached(&self, ids: Tensor<2, Int>, cache: &mut DecoderCache) -> Tensor<3> {
        let (shape, device) = (self.shape(&ids), ids.device());
        let x = embedded(shape, &device, || self.place(ids, &cache.offsets()));
        self.stack.forward_cached(x, cache)
    }

    /// The table of the token embeddings.
    pub fn token(&self) -> &Embedding {
        &self.token
    }

    fn embed(&self, input: GptInput) -> LayerInput {
        let [in_embeddings, rng] = input.rng.split();
        let dropout = Dropout::new(self.embedding_dropout, in_embeddings);
        let (shape, device) = (self.shape(&input.ids), input.ids.device());
        let x = embedded(shape, &device, || ops::dropout(self.place(input.ids, &Offsets::Same(0)), None, dropout));
        LayerInput { x, mask: input.mask_pad.map_or(Mask::None, Mask::Keys), memory: None, rng }
    }

    /// The shape of embedded tokens.
    fn shape(&self, ids: &Tensor<2, Int>) -> [usize; 3] {
        let [batch_size, length] = ids.dims();
        [batch_size, length, self.config.d_model]
    }

    /// Embeds tokens whose first positions are `offsets`.
    fn place(&self, ids: Tensor<2, Int>, offsets: &Offsets) -> Tensor<3> {
        let [_, length] = ids.dims();
        self.token.forward(ids) + self.positions.forward_at(offsets, length)
    }
}
