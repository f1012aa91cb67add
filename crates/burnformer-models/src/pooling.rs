//! Pooling: one vector from the hidden states of a text.

use burn::tensor::{Bool, Tensor};
use serde::{Deserialize, Serialize};

/// Pooling of token vectors into the vector of a text.
///
/// Source: Reimers and Gurevych 2019, section 3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// The mean over all tokens except padding.
    #[default]
    Mean,
    /// The vector of the first token.
    Cls,
}

impl Pooling {
    /// # Shapes
    /// - hidden: `[batch_size, seq_length, d_model]`
    /// - `mask_pad`: `true` marks padding, `[batch_size, seq_length]`; `None` where there is none
    /// - returns: `[batch_size, d_model]`; zeros for a row of padding alone
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn apply(self, hidden: Tensor<3>, mask_pad: Option<Tensor<2, Bool>>) -> Tensor<2> {
        let [batch_size, seq_length, d_model] = hidden.dims();
        match (self, mask_pad) {
            (Self::Cls, _) => hidden.narrow(1, 0, 1).reshape([batch_size, d_model]),
            (Self::Mean, None) => hidden.mean_dim(1).reshape([batch_size, d_model]),
            (Self::Mean, Some(mask_pad)) => {
                let counts = mask_pad.clone().bool_not().float().sum_dim(1).clamp_min(1e-9);
                let mask = mask_pad.reshape([batch_size, seq_length, 1]).expand([batch_size, seq_length, d_model]);
                hidden.mask_fill(mask, 0.0).sum_dim(1).reshape([batch_size, d_model]) / counts
            }
        }
    }
}

/// L2-normalises the rows, as PyTorch's `normalize`; a row of zeros stays zero.
///
/// # Shapes
/// - x: `[n, d]`
/// - returns: `[n, d]`
pub fn normalize(x: Tensor<2>) -> Tensor<2> {
    let norms = x.clone().square().sum_dim(1).sqrt().clamp_min(1e-12);
    x / norms
}
