//! The interface of all models: settings, saving to a folder and loading from it.

use crate::memory::{MicroBatchSize, Passes, StepFloats};
use crate::weights::Place;
use crate::{Architecture, BertInput, Head, ModelClass, ModelError, Outputs};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burnformer_core::{ConfigError, Validate};
use burnformer_ops::WeightFormat;
use serde::Serialize;
use std::fmt::Debug;
use std::path::Path;

/// A model that owns its settings, and can be saved to a folder and loaded from it.
///
/// The folder has `config.json` and `model.safetensors`, as the `save_pretrained` of transformers writes them.
///
/// ```
/// use burnformer_models::{BertConfig, BertForMaskedLM, Pretrained};
/// use burnformer_ops::DeviceChoice;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// let device = DeviceChoice::Auto.open()?;
/// let config = BertConfig { d_model: 32, d_ff: 64, ..BertConfig::preset("bert-tiny", 100, 0).unwrap() };
/// BertForMaskedLM::init(&config, 42, &device).save(folder)?;
/// assert_eq!(BertForMaskedLM::load(folder, &device)?.config(), &config);
/// # Ok(())
/// # }
/// ```
pub trait Pretrained: Module {
    /// Settings of the model.
    type Config: ModelConfig;

    /// Head of the model.
    const HEAD: Head;

    /// Architectures that the model implements.
    const ARCHITECTURES: &'static [Architecture];

    /// Settings of the model.
    fn config(&self) -> &Self::Config;

    /// The class that the model is saved as.
    fn class(&self) -> ModelClass {
        ModelClass::of_model(self.config().architecture(), Self::HEAD)
    }

    /// Names of the classes, in the order of the logits; empty for a model that is no classifier.
    fn labels(&self) -> &[String] {
        &[]
    }

    /// What the logits of a classifier of texts mean; `None` for any other model.
    fn outputs(&self) -> Option<Outputs> {
        None
    }

    /// Attention weights of every layer and head over a text, before dropout; `None` if the model's input is not a
    /// single text.
    ///
    /// # Shapes
    /// - returns: `[batch_size, n_heads, seq_length, seq_length]` for each layer
    ///
    /// # Panics
    /// If the shapes do not fit, or the text is longer than the model's longest sequence.
    fn attn_weights(&self, _input: BertInput) -> Option<Vec<Tensor<4>>> {
        None
    }

    /// Path of the table that gives logits, where it is worth to lay it out for products in [`Self::prepare`]: that of a model that
    /// generates texts.
    fn output_table(&self) -> Option<&'static str> {
        None
    }

    /// The model for inference alone, its weights laid out once as `format` for the products of this processor: see
    /// [`burnformer_nn::prepare`]. It can be neither trained nor saved.
    ///
    /// # Errors
    /// If the processor or the device has no products of this type.
    fn prepare(self, format: WeightFormat) -> Result<Self, ModelError> {
        let table = self.output_table();
        Ok(burnformer_nn::prepare(self, format, |path| Some(path) == table)?)
    }

    /// Loads the model of a folder that [`Self::save`] or the `save_pretrained` of transformers wrote.
    ///
    /// # Errors
    /// If the folder holds a model of another class, or files that contradict each other.
    fn load(folder: &Path, device: &Device) -> Result<Self, ModelError>;

    /// Writes the model into an existing folder, each file atomically.
    ///
    /// # Errors
    /// If the files cannot be written, or two labels of a classifier are equal.
    fn save(&self, folder: &Path) -> Result<(), ModelError>;
}

/// Settings of a model.
pub trait ModelConfig: Validate + Serialize + Clone + Debug + Send {
    /// The architecture whose class the model is saved as.
    fn architecture(&self) -> Architecture;

    /// Number and sizes of the layers, and the vocabulary.
    fn size(&self) -> ModelSize;

    /// Floats in memory while a training step goes through the model, besides weights and moments.
    fn step_floats(&self, batch: &MicroBatchSize, passes: Passes) -> StepFloats;

    /// The place of the parameter at `path` of a model in the files of Hugging Face's library.
    fn place(&self, path: &str) -> Place;

    /// Refuses settings that no class of Hugging Face's library has.
    ///
    /// # Errors
    /// [`ConfigError`] of the setting that no class has.
    fn check_hugging_face(&self) -> Result<(), ConfigError> {
        Ok(())
    }
}

/// Number and sizes of a model's layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelSize {
    /// Number of layers of the encoder; 0 for a decoder-only model.
    pub n_encoder_layers: usize,
    /// Number of layers of the decoder; 0 for an encoder-only model.
    pub n_decoder_layers: usize,
    /// Width of the residual stream.
    pub d_model: usize,
    /// Number of attention heads.
    pub n_heads: usize,
    /// Width of the feed-forward layers.
    pub d_ff: usize,
    /// Number of tokens; of the source, if the target has its own vocabulary.
    pub vocab_size: usize,
    /// Number of tokens of the target, if it has its own vocabulary.
    pub target_vocab_size: Option<usize>,
    /// Longest sequence.
    pub max_seq_length: usize,
}

/// A model loaded in part from a folder: a new head on a pretrained body.
#[derive(Debug)]
pub struct Loaded<M> {
    /// The model.
    pub model: M,
    /// Paths of the parameters with new initial weights.
    pub fresh: Vec<String>,
    /// Names of weights in the folder that the model does not have.
    pub left_over: Vec<String>,
}
