//! Token embeddings.

use crate::prepare::prepared;
use crate::tensor_parallel::{Group, group};
use crate::{Lora, assert_valid, constant_param};
use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor};
use burnformer_core::{ConfigError, Validate};
use burnformer_ops as ops;
use std::sync::Arc;

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
        let weight = constant_param([self.vocab_size, self.d_model], 0.0, device);
        Embedding { weight, vocab_size: self.vocab_size }
    }
}

/// A table of vectors, one for each token, and what its [adapter](Lora) adds, if it has one.
#[derive(Module, Debug)]
pub struct Embedding {
    /// `[vocab_size, d_model]`, or some of its rows.
    pub weight: Param<Tensor<2>>,
    vocab_size: usize,
}

impl Embedding {
    /// # Shapes
    /// - ids: `[batch_size, seq_length]`, each in `[0, vocab_size)`
    /// - returns: `[batch_size, seq_length, d_model]`
    pub fn forward(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        if let Some(group) = self.group() {
            return self.forward_part(&group, ids);
        }
        let Some(lora) = self.weight.reparameterization::<Lora>() else {
            return ops::embedding(self.weight.base(), ids);
        };
        ops::embedding(self.weight.base(), ids.clone()) + lora.rows(ids)
    }

    /// [`Self::forward`] where other ranks have the other rows: they give zeros for tokens of this one.
    fn forward_part(&self, group: &Group, ids: Tensor<2, Int>) -> Tensor<3> {
        let rows = group.share(self.vocab_size);
        let is_other =
            ids.clone().lower_elem(rows.start as i64).bool_or(ids.clone().greater_equal_elem(rows.end as i64));
        let ids = (ids - rows.start as i64).mask_fill(is_other.clone(), 0);
        let found = ops::embedding(self.weight.base(), ids);
        let dims = found.dims();
        group.summed(found.mask_fill(is_other.unsqueeze_dim::<3>(2).expand(dims), 0.0))
    }

    /// The ranks that have the other rows, if this one does not have all.
    fn group(&self) -> Option<Arc<Group>> {
        group(self.weight.lazy_shape()[0], self.vocab_size)
    }

    /// Logits by the same table: `x weightᵀ + bias`, a tied output layer. An adapter of the table changes what is looked up, and
    /// no logits, as in peft. Of some rows of the table and of the bias, the logits of those tokens.
    ///
    /// # Shapes
    /// - x: `[.., d_model]`
    /// - bias: `[vocab_size]`, or that of the tokens of this rank
    /// - returns: `[.., vocab_size]`
    ///
    /// # Panics
    /// If the shapes do not fit.
    ///
    /// Source: Press and Wolf 2017; Vaswani et al. 2017, section 3.4.
    pub fn logits<const D: usize>(&self, x: Tensor<D>, bias: Option<Tensor<1>>) -> Tensor<D> {
        let multiply = |x, bias| match prepared(&self.weight) {
            None => ops::linear(x, self.weight.base(), bias),
            Some(weight) => ops::linear_prepared(x, weight, bias),
        };
        let Some(group) = self.group() else { return multiply(x, bias) };
        let rows = group.share(self.vocab_size);
        let part = |bias: Tensor<1>| match bias.dims()[0] == self.vocab_size {
            true => bias.narrow(0, rows.start, rows.len()),
            false => bias,
        };
        multiply(group.copied(x), bias.map(part))
    }
}
