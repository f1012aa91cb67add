//! From source and target tokens to the next target tokens.

use super::config::PositionKind;
use super::config_file::ARCHITECTURES;
use super::{Seq2SeqConfig, files, names};
use crate::{Architecture, GenerationFile, Head, ModelError, Pretrained};
use burn::module::{Module, Param};
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use burnformer_core::Validate;
use burnformer_nn::pipeline::{embedded, embedded_target, of_last};
use burnformer_nn::{
    DecoderCache, DecoderInput, DropoutRng, Embedding, EmbeddingConfig, EncoderDecoder, EncoderDecoderAttnWeights,
    EncoderDecoderInput, LearnedPositions, LearnedPositionsConfig, Mask, Offsets, SinusoidLayout, SinusoidalPositions,
    SinusoidalPositionsConfig, init,
};
use burnformer_ops::{self as ops, Dropout};
use std::path::Path;

/// The inputs of a [`Seq2Seq`].
#[derive(Debug)]
pub struct Seq2SeqInput {
    /// Source tokens, `[batch_size, source_length]`.
    pub source: Tensor<2, Int>,
    /// Target tokens so far, each row beginning with the start token, `[batch_size, target_length]`.
    pub target: Tensor<2, Int>,
    /// `true` marks padding in the source, `[batch_size, source_length]`; `None` where there is none.
    pub source_mask_pad: Option<Tensor<2, Bool>>,
    /// `true` marks padding in the target, `[batch_size, target_length]`; `None` where there is none, or where it
    /// stands at the end and its outputs are not used.
    pub target_mask_pad: Option<Tensor<2, Bool>>,
    /// Permission to draw dropout masks, in training.
    pub rng: DropoutRng,
}

impl Seq2SeqInput {
    /// Sequences without padding, in evaluation.
    #[must_use]
    pub fn new(source: Tensor<2, Int>, target: Tensor<2, Int>) -> Self {
        Self { source, target, source_mask_pad: None, target_mask_pad: None, rng: DropoutRng::off() }
    }
}

/// The whole Transformer: embeddings with positions, encoder, decoder, output layer.
///
/// Source: Vaswani et al. 2017; separate vocabularies and an output layer of its own as in Junczys-Dowmunt et al. 2018.
#[derive(Module, Debug)]
pub struct Seq2Seq {
    source: Embedding,
    /// `None` if it is the source's.
    target: Option<Embedding>,
    /// `None` if it is the table of the target's embeddings.
    output: Option<Embedding>,
    /// Output bias, `[target_vocab_size]`; `None` without one.
    output_bias: Option<Param<Tensor<1>>>,
    source_positions: Option<LearnedPositions>,
    target_positions: Option<LearnedPositions>,
    pub(super) sinusoids: Option<SinusoidalPositions>,
    transformer: EncoderDecoder,
    /// Added to the logits, `[target_vocab_size]`; not trained, as in Hugging Face's models.
    pub(super) logits_bias: Option<Tensor<1>>,
    embedding_scale: f64,
    dropout: f64,
    #[module(skip)]
    pub(super) config: Seq2SeqConfig,
    #[module(skip)]
    pub(super) generation: GenerationFile,
    /// The token that a generated target begins with.
    #[module(skip)]
    pub(super) start_id: u32,
}

fn zeros(length: usize, device: &Device) -> Param<Tensor<1>> {
    Param::from_tensor(Tensor::zeros([length], device))
}

impl Seq2Seq {
    /// Allocates the model on `device`, zero until it is initialised or loaded.
    ///
    /// # Panics
    /// If the config is not valid.
    #[must_use]
    pub fn new(config: &Seq2SeqConfig, device: &Device) -> Self {
        if let Err(error) = config.validate() {
            panic!("{error}");
        }
        let table = |vocab_size| EmbeddingConfig::new(vocab_size, config.d_model).init(device);
        let (length, d_model) = (config.max_seq_length, config.d_model);
        let is_learned = config.positions == PositionKind::Learned;
        let learned = || is_learned.then(|| LearnedPositionsConfig::new(length, d_model).init(device));
        let sinusoids = SinusoidalPositionsConfig::new(length, d_model).with_layout(SinusoidLayout::Halves);
        Self {
            source: table(config.source_vocab_size),
            target: (!config.shared_embeddings).then(|| table(config.target_vocab_size)),
            output: (!config.tied_embeddings).then(|| table(config.target_vocab_size)),
            output_bias: config.output_bias.then(|| zeros(config.target_vocab_size, device)),
            source_positions: learned(),
            target_positions: learned(),
            sinusoids: (!is_learned).then(|| sinusoids.init(device)),
            transformer: config.stacks().init(device),
            logits_bias: None,
            embedding_scale: config.embedding_scale(),
            dropout: config.dropout,
            config: config.clone(),
            generation: GenerationFile::own(config.generation_settings()),
            start_id: config.decoder_start_id,
        }
    }

    /// A model with initial weights: matrices as by Glorot and Bengio 2010, embeddings and learned positions normal
    /// with variance `1 / d_model`, so that scaled embeddings have variance 1.
    ///
    /// # Panics
    /// If the config is not valid.
    #[must_use]
    pub fn init(config: &Seq2SeqConfig, seed: u64, device: &Device) -> Self {
        let table = init::normal((config.d_model as f64).sqrt().recip());
        let rule = |path: &str, shape: &[usize]| match path.starts_with("transformer.") {
            true => init::xavier_uniform(path, shape),
            false => table(path, shape),
        };
        init::by_key(Self::new(config, device), seed, names::initial_key, rule)
    }

    /// [`Self::init`] with embeddings and learned positions as by Glorot and Bengio too: much smaller tables, beside
    /// which learned positions have more influence.
    ///
    /// Source: The Annotated Transformer, which initialises its models this way.
    ///
    /// # Panics
    /// If the config is not valid.
    #[must_use]
    pub fn init_xavier(config: &Seq2SeqConfig, seed: u64, device: &Device) -> Self {
        init::by_key(Self::new(config, device), seed, names::initial_key, init::xavier_uniform)
    }

    /// The settings of generation in the model's folder.
    pub fn generation_file(&self) -> &GenerationFile {
        &self.generation
    }

    /// The token that a generated target begins with: that of the settings of generation, or `decoder_start_id`.
    pub fn start_id(&self) -> u32 {
        self.start_id
    }

    /// # Shapes
    /// - input: see [`Seq2SeqInput`]
    /// - returns: logits of the token behind each target position, `[batch_size, target_length, target_vocab_size]`
    ///
    /// # Panics
    /// If the shapes do not fit, or a sequence is longer than `max_seq_length`.
    pub fn forward(&self, input: Seq2SeqInput) -> Tensor<3> {
        self.logits(self.hidden(input))
    }

    /// [`Self::forward`] without the output layer.
    ///
    /// # Shapes
    /// - returns: `[batch_size, target_length, d_model]`
    ///
    /// # Panics
    /// As [`Self::forward`].
    pub fn hidden(&self, input: Seq2SeqInput) -> Tensor<3> {
        self.transformer.forward(self.embed(input))
    }

    /// [`Self::hidden`], and all attention weights.
    ///
    /// # Panics
    /// As [`Self::forward`].
    pub fn hidden_with_attn_weights(&self, input: Seq2SeqInput) -> (Tensor<3>, EncoderDecoderAttnWeights) {
        self.transformer.forward_with_attn_weights(self.embed(input))
    }

    /// The output layer.
    ///
    /// # Shapes
    /// - hidden: `[.., d_model]`
    /// - returns: `[.., target_vocab_size]`
    ///
    /// # Panics
    /// If the last axis is not `d_model` long.
    pub fn logits<const D: usize>(&self, hidden: Tensor<D>) -> Tensor<D> {
        let table = self.output.as_ref().or(self.target.as_ref()).unwrap_or(&self.source);
        let trained = self.output_bias.as_ref().map(Param::val);
        table.logits(hidden, trained.or_else(|| self.logits_bias.clone()))
    }

    /// The encoder's output.
    ///
    /// # Shapes
    /// - source: `[batch_size, source_length]`
    /// - mask: positions of the source that must not be looked at
    /// - returns: `[batch_size, source_length, d_model]`
    ///
    /// # Panics
    /// As [`Self::forward`].
    pub fn encode(&self, source: Tensor<2, Int>, mask: Mask) -> Tensor<3> {
        self.transformer.encoder.forward(self.embed_source(source, DropoutRng::off()), mask, DropoutRng::off())
    }

    /// An empty cache of [`Self::decode`], without a target position.
    ///
    /// # Shapes
    /// - memory: the encoder's output, `[batch_size, source_length, d_model]`
    /// - `memory_mask`: positions of the source that must not be looked at
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn cache(&self, memory: Tensor<3>, memory_mask: Mask) -> DecoderCache {
        self.transformer.decoder.cache(memory, memory_mask)
    }

    /// The logits behind the next target tokens, which become part of the cache. Equal to those of [`Self::forward`] on
    /// all tokens so far.
    ///
    /// # Shapes
    /// - tokens: `[batch_size, n_new]`
    /// - returns: `[batch_size, n_new, target_vocab_size]`
    ///
    /// # Panics
    /// As [`Self::forward`].
    pub fn decode(&self, tokens: Tensor<2, Int>, cache: &mut DecoderCache) -> Tensor<3> {
        let x = self.embed_target(tokens, &cache.offsets(), DropoutRng::off());
        let hidden = self.transformer.decoder.forward_cached(x, cache);
        let [n_rows, n_new, _] = hidden.dims();
        of_last([n_rows, n_new, self.config.target_vocab_size], &hidden.device(), || self.logits(hidden.clone()))
    }

    /// The decoder's output on all target positions, given the encoder's.
    ///
    /// # Shapes
    /// - target: `[batch_size, target_length]`
    /// - memory: `[batch_size, source_length, d_model]`
    /// - returns: `[batch_size, target_length, d_model]`
    ///
    /// # Panics
    /// As [`Self::forward`].
    pub fn decode_all(&self, target: Tensor<2, Int>, memory: Tensor<3>, memory_mask: Mask) -> Tensor<3> {
        let x = self.embed_target(target, &Offsets::Same(0), DropoutRng::off());
        self.transformer.decoder.forward(DecoderInput { memory_mask, ..DecoderInput::new(x, memory) })
    }

    fn embed(&self, input: Seq2SeqInput) -> EncoderDecoderInput {
        let [in_source, in_target, rng] = input.rng.split();
        EncoderDecoderInput {
            source: self.embed_source(input.source, in_source),
            target: self.embed_target(input.target, &Offsets::Same(0), in_target),
            source_mask_pad: input.source_mask_pad,
            target_mask_pad: input.target_mask_pad,
            rng,
        }
    }

    fn embed_source(&self, ids: Tensor<2, Int>, rng: DropoutRng) -> Tensor<3> {
        let (shape, device) = (self.shape(&ids), ids.device());
        embedded(shape, &device, || self.place(&self.source, &self.source_positions, ids, &Offsets::Same(0), rng))
    }

    /// Embeds tokens whose first positions are `offsets`.
    fn embed_target(&self, ids: Tensor<2, Int>, offsets: &Offsets, rng: DropoutRng) -> Tensor<3> {
        let table = self.target.as_ref().unwrap_or(&self.source);
        let (shape, device) = (self.shape(&ids), ids.device());
        embedded_target(shape, &device, || self.place(table, &self.target_positions, ids, offsets, rng))
    }

    /// The shape of embedded tokens.
    fn shape(&self, ids: &Tensor<2, Int>) -> [usize; 3] {
        let [batch_size, length] = ids.dims();
        [batch_size, length, self.config.d_model]
    }

    fn place(
        &self,
        table: &Embedding,
        positions: &Option<LearnedPositions>,
        ids: Tensor<2, Int>,
        offsets: &Offsets,
        rng: DropoutRng,
    ) -> Tensor<3> {
        let [_, length] = ids.dims();
        let x = table.forward(ids) * self.embedding_scale;
        let x = match (positions, &self.sinusoids) {
            (Some(learned), _) => x + learned.forward_at(offsets, length),
            (None, Some(sinusoids)) => x + sinusoids.forward_at(offsets, length),
            (None, None) => x,
        };
        ops::dropout(x, None, Dropout::new(self.dropout, rng))
    }

    /// Device of the weights.
    pub(super) fn weight_device(&self) -> Device {
        self.source.weight.val().device()
    }

    /// Sets the bias of the logits; a bias of zeros counts as no bias.
    pub(super) fn set_logits_bias(&mut self, bias: TensorData, device: &Device) {
        let is_zero = bias.iter::<f32>().all(|x| x == 0.0);
        self.logits_bias = (!is_zero).then(|| Tensor::<1>::from_data(bias, device));
    }
}

impl Pretrained for Seq2Seq {
    type Config = Seq2SeqConfig;

    const HEAD: Head = Head::Seq2Seq;
    const ARCHITECTURES: &'static [Architecture] = &ARCHITECTURES;

    fn config(&self) -> &Seq2SeqConfig {
        &self.config
    }

    fn output_table(&self) -> Option<&'static str> {
        Some(match (&self.output, &self.target) {
            (Some(_), _) => "output.weight",
            (None, Some(_)) => "target.weight",
            (None, None) => "source.weight",
        })
    }

    /// A Marian, a Pegasus, or an encoder–decoder of this project.
    fn load(folder: &Path, device: &Device) -> Result<Self, ModelError> {
        files::load(folder, device)
    }

    /// Beside the files of every model, `generation_config.json` too.
    fn save(&self, folder: &Path) -> Result<(), ModelError> {
        files::save(self, folder)
    }
}
