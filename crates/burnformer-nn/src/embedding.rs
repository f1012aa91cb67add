//! Token embeddings.

use crate::{Lora, assert_valid, constant_param};
use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor};
use burnformer_core::{ConfigError, Validate};
use burnformer_ops as ops;

/// Settings of an [`Embedding`].
#[derive(Config, Debug)]
pub struct EmbeddingConfig {
    /// Number of rows.
    pub vocab_size: usize,
    /// Width of a row.
    pub d_model: usize,
}

impl Validate for EmbeddingConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        ConfigError::check_positive("vocab_size", self.vocab_size)?;
        ConfigError::check_positive("d_model", self.d_model)
    }
}

impl EmbeddingConfig {
    /// Allocates the table on `device`, zero until [`init::by_name`](crate::init::by_name).
    ///
    /// # Panics
    /// If [`Self::validate`] fails.
    pub fn init(&self, device: &Device) -> Embedding {
        assert_valid(self);
        Embedding { weight: constant_param([self.vocab_size, self.d_model], 0.0, device) }
    }
}

/// A table of vectors, one for each token, and what its [adapter](Lora) adds, if it has one.
#[derive(Module, Debug)]
pub struct Embedding {
    /// `[vocab_size, d_model]`
    pub weight: Param<Tensor<2>>,
}

impl Embedding {
    /// # Shapes
    /// - ids: `[batch_size, seq_length]`, each in `[0, vocab_size)`
    /// - returns: `[batch_size, seq_length, d_model]`
    pub fn forward(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        let Some(lora) = self.weight.reparameterization::<Lora>() else {
            return ops::embedding(self.weight.base(), ids);
        };
        ops::embedding(self.weight.base(), ids.clone()) + lora.rows(ids)
    }

    /// Logits by the same table: `x weightᵀ + bias`, a tied output layer. An adapter of the table changes what is looked up, and
    /// no logits, as in peft.
    ///
    /// # Shapes
    /// - x: `[.., d_model]`
    /// - bias: `[vocab_size]`
    /// - returns: `[.., vocab_size]`
    ///
    /// # Panics
    /// If the shapes do not fit.
    ///
    /// Source: Press and Wolf 2017; Vaswani et al. 2017, section 3.4.
    pub fn logits<const D: usize>(&self, x: Tensor<D>, bias: Option<Tensor<1>>) -> Tensor<D> {
        ops::linear(x, self.weight.base(), bias)
    }
}
