//! Pooling: one vector from the hidden states of a text.

use burn::tensor::{Bool, Int, Tensor};
use serde::{Deserialize, Serialize};

/// Pooling of token vectors into the vector of a text. In settings it has the name that sentence-transformers gives it.
///
/// Source: Reimers and Gurevych 2019, section 3, and the code of sentence-transformers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pooling {
    /// The mean over all tokens.
    #[default]
    #[serde(rename = "mean")]
    Mean,
    /// The vector of the first token.
    #[serde(rename = "cls")]
    Cls,
    /// The greatest number of each dimension.
    #[serde(rename = "max")]
    Max,
    /// The sum over all tokens, divided by the square root of their number.
    #[serde(rename = "mean_sqrt_len_tokens")]
    MeanSqrtLength,
    /// The mean over all tokens, each weighted by its position, counted from 1.
    #[serde(rename = "weightedmean")]
    WeightedMean,
    /// The vector of the last token.
    #[serde(rename = "lasttoken")]
    LastToken,
}

impl Pooling {
    /// Name in settings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Cls => "cls",
            Self::Max => "max",
            Self::MeanSqrtLength => "mean_sqrt_len_tokens",
            Self::WeightedMean => "weightedmean",
            Self::LastToken => "lasttoken",
        }
    }

    /// # Shapes
    /// - hidden: `[batch_size, seq_length, d_model]`
    /// - mask: `true` marks a token that does not count, such as padding, `[batch_size, seq_length]`; `None` where all count
    /// - returns: `[batch_size, d_model]`; zeros for a row in which no token counts, except that [`Self::Cls`] takes the first
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn apply(self, hidden: Tensor<3>, mask: Option<Tensor<2, Bool>>) -> Tensor<2> {
        let [batch_size, seq_length, d_model] = hidden.dims();
        let Some(mask) = mask else { return self.over_all(hidden) };
        let wide = |mask: Tensor<2, Bool>| mask.reshape([batch_size, seq_length, 1]).expand(hidden.dims());
        let kept = hidden.clone().mask_fill(wide(mask.clone()), 0.0);
        let sum = |x: Tensor<3>| x.sum_dim(1).reshape([batch_size, d_model]);
        let counts = || mask.clone().bool_not().float().sum_dim(1);
        match self {
            Self::Mean => sum(kept) / counts().clamp_min(1e-9),
            Self::MeanSqrtLength => sum(kept) / counts().clamp_min(1e-9).sqrt(),
            Self::WeightedMean => {
                let weights = (positions(&mask).float() + 1.0).mask_fill(mask, 0.0);
                let total = weights.clone().sum_dim(1).clamp_min(1e-9);
                sum(kept * weights.reshape([batch_size, seq_length, 1])) / total
            }
            Self::Max => {
                let greatest = hidden.clone().mask_fill(wide(mask.clone()), f32::NEG_INFINITY).max_dim(1);
                let none = counts().equal_elem(0.0).expand([batch_size, d_model]);
                greatest.reshape([batch_size, d_model]).mask_fill(none, 0.0)
            }
            Self::Cls => {
                let first = positions(&mask).mask_fill(mask, seq_length as i32).min_dim(1);
                let none = first.clone().equal_elem(seq_length as i32);
                token(hidden, first.mask_fill(none, 0))
            }
            Self::LastToken => token(kept, positions(&mask).mask_fill(mask, 0).max_dim(1)),
        }
    }

    /// [`Self::apply`] where all tokens count.
    fn over_all(self, hidden: Tensor<3>) -> Tensor<2> {
        let [batch_size, seq_length, d_model] = hidden.dims();
        let pooled = match self {
            Self::Mean => hidden.mean_dim(1),
            Self::Cls => hidden.narrow(1, 0, 1),
            Self::Max => hidden.max_dim(1),
            Self::MeanSqrtLength => hidden.sum_dim(1) / (seq_length as f32).sqrt(),
            Self::LastToken => hidden.narrow(1, seq_length - 1, 1),
            Self::WeightedMean => {
                let weights = Tensor::<1, Int>::arange(1..seq_length as i64 + 1, &hidden.device()).float();
                let total = (seq_length * (seq_length + 1) / 2) as f32;
                (hidden * weights.reshape([1, seq_length, 1])).sum_dim(1) / total
            }
        };
        pooled.reshape([batch_size, d_model])
    }
}

/// The position of every token, `[batch_size, seq_length]`.
fn positions(mask: &Tensor<2, Bool>) -> Tensor<2, Int> {
    let [batch_size, seq_length] = mask.dims();
    let row = Tensor::<1, Int>::arange(0..seq_length as i64, &mask.device());
    row.reshape([1, seq_length]).expand([batch_size, seq_length])
}

/// The token of each row at `position`, `[batch_size, 1]`.
fn token(hidden: Tensor<3>, position: Tensor<2, Int>) -> Tensor<2> {
    let [batch_size, _, d_model] = hidden.dims();
    let places = position.reshape([batch_size, 1, 1]).expand([batch_size, 1, d_model]);
    hidden.gather(1, places).reshape([batch_size, d_model])
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
