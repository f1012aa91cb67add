//! The body that all heads share.

use super::{BertConfig, BertEmbeddings, files};
use crate::{Head, Loaded, ModelClass, ModelConfig, ModelError};
use burn::module::Module;
use burn::tensor::{Bool, Device, Int, Tensor};
use burnformer_nn::pipeline::embedded;
use burnformer_nn::{DropoutRng, Encoder, EncoderConfig, Mask};
use std::path::Path;

/// The inputs of a BERT model.
#[derive(Debug)]
pub struct BertInput {
    /// Tokens, `[batch_size, seq_length]`.
    pub ids: Tensor<2, Int>,
    /// Segment of every token, `[batch_size, seq_length]`; `None` is 0 everywhere.
    pub segments: Option<Tensor<2, Int>>,
    /// `true` marks padding, `[batch_size, seq_length]`; `None` where there is none.
    pub mask_pad: Option<Tensor<2, Bool>>,
    /// Permission to draw dropout masks, in training.
    pub rng: DropoutRng,
}

impl BertInput {
    /// Sequences of one segment without padding, in evaluation.
    #[must_use]
    pub fn new(ids: Tensor<2, Int>) -> Self {
        Self { ids, segments: None, mask_pad: None, rng: DropoutRng::off() }
    }
}

/// Embeddings and a post-norm encoder.
///
/// Source: Devlin et al. 2019, section 3. Hidden states at padding mean nothing, but no other position sees them.
#[derive(Module, Debug)]
pub struct Bert {
    embeddings: BertEmbeddings,
    encoder: Encoder,
    #[module(skip)]
    config: BertConfig,
}

impl Bert {
    /// Allocates the body on `device`, zero until it is initialised or loaded.
    ///
    /// # Panics
    /// If the config is not valid.
    #[must_use]
    pub fn new(config: &BertConfig, device: &Device) -> Self {
        config.assert_valid();
        Self {
            config: config.clone(),
            embeddings: BertEmbeddings::new(config, device),
            encoder: EncoderConfig::new(config.n_layers, config.layer()).init(device),
        }
    }

    /// The body of the model in `folder`, a BERT or one of its variants, without its head.
    ///
    /// # Errors
    /// If the folder holds no BERT, or files that do not fit together.
    pub fn load(folder: &Path, device: &Device) -> Result<Self, ModelError> {
        Ok(Self::from_pretrained(folder, device)?.model)
    }

    /// [`Self::load`], and the names of the weights that are not the body's.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn from_pretrained(folder: &Path, device: &Device) -> Result<Loaded<Self>, ModelError> {
        let config = BertConfig::load(folder)?;
        let new = || Whole { bert: Self::new(&config, device) };
        let Loaded { model, fresh, left_over } = files::load_body(&config, folder, &[], new)?;
        Ok(Loaded { model: model.bert, fresh, left_over })
    }

    /// Writes the body into an existing folder, as a [`BertModel`](crate::BertModel) without a pooler.
    ///
    /// # Errors
    /// If the files cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), ModelError> {
        let class = ModelClass::of_model(self.config.architecture(), Head::Body);
        let whole = Whole { bert: self.clone() };
        files::save(&whole, Vec::new(), &self.config, &self.config.to_json(class), folder)
    }

    /// Settings of the body.
    pub fn config(&self) -> &BertConfig {
        &self.config
    }

    /// # Shapes
    /// - input: see [`BertInput`]
    /// - returns: `[batch_size, seq_length, d_model]`
    ///
    /// # Panics
    /// If the shapes do not fit, or a sequence is longer than `max_seq_length`.
    pub fn forward(&self, input: BertInput) -> Tensor<3> {
        let (x, mask, rng) = self.embed(input);
        self.encoder.forward(x, mask, rng)
    }

    /// [`Self::forward`], and the attention weights of every layer and head, before dropout.
    ///
    /// # Shapes
    /// - returns: `[batch_size, seq_length, d_model]`, `[batch_size, n_heads, seq_length, seq_length]` for each layer
    ///
    /// # Panics
    /// As [`Self::forward`].
    pub fn forward_with_attn_weights(&self, input: BertInput) -> (Tensor<3>, Vec<Tensor<4>>) {
        let (x, mask, rng) = self.embed(input);
        self.encoder.forward_with_attn_weights(x, mask, rng)
    }

    /// The input of every layer, and the output of [`Self::forward`].
    ///
    /// # Shapes
    /// - returns: `[batch_size, seq_length, d_model]` for each layer, and one more
    ///
    /// # Panics
    /// As [`Self::forward`].
    pub fn hidden_states(&self, input: BertInput) -> Vec<Tensor<3>> {
        let (x, mask, rng) = self.embed(input);
        self.encoder.hidden_states(x, mask, rng)
    }

    /// The input of the encoder.
    pub fn embeddings(&self) -> &BertEmbeddings {
        &self.embeddings
    }

    /// Sets the learned positions to sinusoids, as large as the other tables' initial values.
    pub(crate) fn set_sinusoidal_positions(&mut self) {
        self.embeddings.set_sinusoidal_positions(self.config.init_std);
    }

    fn embed(&self, input: BertInput) -> (Tensor<3>, Mask, DropoutRng) {
        let [in_embeddings, in_encoder] = input.rng.split();
        let ([batch_size, seq_length], device) = (input.ids.dims(), input.ids.device());
        let shape = [batch_size, seq_length, self.config.d_model];
        let x = embedded(shape, &device, || self.embeddings.forward(input.ids, input.segments, in_embeddings));
        (x, input.mask_pad.map_or(Mask::None, Mask::Keys), in_encoder)
    }
}

/// The body under the path that it has in models with a head.
#[derive(Module, Debug)]
struct Whole {
    bert: Bert,
}
