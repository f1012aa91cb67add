//! A dense layer for pooled vectors: `Dense` of sentence-transformers.

use crate::folder::WEIGHTS;
use crate::weights::{self, WeightType, Weights};
use crate::{ModelError, OutputActivation};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burnformer_core::Validate;
use burnformer_nn::{Linear, LinearConfig};
use std::path::Path;

/// `activation(linear(x))`, with weights in a folder of their own.
#[derive(Module, Debug)]
pub struct Projection {
    linear: Linear,
    #[module(skip)]
    activation: OutputActivation,
}

impl Projection {
    /// Allocates the layer, zero until it is initialised.
    ///
    /// # Panics
    /// If a width in `config` is 0.
    #[must_use]
    pub fn new(config: &LinearConfig, activation: OutputActivation, device: &Device) -> Self {
        Self { linear: config.init(device), activation }
    }

    /// Loads the weights in `folder`, in safetensors or PyTorch's format.
    ///
    /// # Errors
    /// If a width in `config` is 0, or `folder` holds no weights of these shapes.
    pub fn load(
        config: &LinearConfig,
        activation: OutputActivation,
        folder: &Path,
        device: &Device,
    ) -> Result<Self, ModelError> {
        config.validate()?;
        let mut file = Weights::in_folder(folder)?;
        file.fill(Self::new(config, activation, device), |path| Some(path.to_owned()), |_| false)
    }

    /// Writes the weights into an existing folder; with [`WeightType::Int8`] as f32, as there are few.
    ///
    /// # Errors
    /// If they cannot be written, or are beyond the range of the type.
    pub fn save(&self, folder: &Path, weight_type: WeightType) -> Result<(), ModelError> {
        let path = folder.join(WEIGHTS);
        weights::save(self, str::to_owned, Vec::new(), &path)?;
        match weight_type {
            WeightType::F32 | WeightType::Int8 => Ok(()),
            _ => weights::write_as(&mut Weights::open(&path)?, weight_type, &path),
        }
    }

    /// # Shapes
    /// - x: `[n, d_in]`
    /// - returns: `[n, d_out]`
    ///
    /// # Panics
    /// If the last axis is not `d_in` long.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.activation.apply(self.linear.forward(x))
    }
}
