//! The position-wise sub-layer of a layer: one of two.

use crate::transparent::transparent_module;
use crate::{DropoutRng, FeedForward, Glu};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// The kind of an [`Mlp`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MlpKind {
    /// [`FeedForward`]: the paper, BERT, GPT-2.
    #[default]
    Mlp,
    /// [`Glu`], gated: Llama, `ModernBERT`.
    Glu,
}

/// A position-wise sub-layer. Its parameters have the paths of the chosen one: `linear_in`, `linear_out`, and `linear_gate`
/// for [`Glu`].
#[derive(Clone, Debug)]
pub enum Mlp {
    /// Two maps with a non-linearity between them.
    Mlp(FeedForward),
    /// The same with a gate.
    Glu(Glu),
}

transparent_module!(Mlp: Mlp::Mlp, Mlp::Glu);

impl Mlp {
    /// # Shapes
    /// - x: `[batch_size, seq_length, d_model]`
    /// - returns: `[batch_size, seq_length, d_model]`
    ///
    /// # Panics
    /// If the last axis of `x` is not `d_model` long.
    pub fn forward(&self, x: Tensor<3>, rng: DropoutRng) -> Tensor<3> {
        match self {
            Self::Mlp(mlp) => mlp.forward(x, rng),
            Self::Glu(glu) => glu.forward(x, rng),
        }
    }
}
