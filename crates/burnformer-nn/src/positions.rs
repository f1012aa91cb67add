//! Positions: sinusoids and learned tables.

use crate::{assert_valid, constant_param};
use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use burnformer_core::{ConfigError, Validate};
use burnformer_ops as ops;
use serde::{Deserialize, Serialize};

/// The order of sines and cosines in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SinusoidLayout {
    /// sin, cos, sin, cos, …: the paper.
    Interleaved,
    /// All sines, then all cosines: the paper's own code, Marian.
    Halves,
}

/// Settings of [`SinusoidalPositions`].
#[derive(Config, Debug)]
pub struct SinusoidalPositionsConfig {
    /// Longest sequence.
    pub max_seq_length: usize,
    /// Width of a row.
    pub d_model: usize,
    /// The order of sines and cosines.
    #[config(default = "SinusoidLayout::Interleaved")]
    pub layout: SinusoidLayout,
}

impl Validate for SinusoidalPositionsConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        ConfigError::check_positive("max_seq_length", self.max_seq_length)?;
        ConfigError::check_positive("d_model", self.d_model)
    }
}

impl SinusoidalPositionsConfig {
    /// Computes the table, in double precision.
    ///
    /// # Panics
    /// If [`Self::validate`] fails.
    pub fn init(&self, device: &Device) -> SinusoidalPositions {
        assert_valid(self);
        let d_model = self.d_model;
        // Column of the i-th sine and of the i-th cosine; with an odd width there is one sine more.
        let column = |i: usize, is_cosine: bool| match self.layout {
            SinusoidLayout::Interleaved => 2 * i + usize::from(is_cosine),
            SinusoidLayout::Halves => i + if is_cosine { d_model.div_ceil(2) } else { 0 },
        };
        let mut table = vec![0.0_f32; self.max_seq_length * d_model];
        for (position, row) in table.chunks_mut(d_model).enumerate() {
            for i in 0..d_model.div_ceil(2) {
                let angle = position as f64 / 10_000_f64.powf((2 * i) as f64 / d_model as f64);
                row[column(i, false)] = angle.sin() as f32;
                if 2 * i + 1 < d_model {
                    row[column(i, true)] = angle.cos() as f32;
                }
            }
        }
        let table = Tensor::from_data(TensorData::new(table, [self.max_seq_length, d_model]), device);
        SinusoidalPositions { table }
    }
}

/// Sines and cosines of geometrically falling frequency: `sin(t / 10000^(2i/d))` and `cos(t / 10000^(2i/d))` of position `t`.
///
/// Source: Vaswani et al. 2017, section 3.5.
#[derive(Module, Debug)]
pub struct SinusoidalPositions {
    table: Tensor<2>,
}

impl SinusoidalPositions {
    /// The rows of `seq_length` positions from `offset`.
    ///
    /// # Shapes
    /// - returns: `[1, seq_length, d_model]`
    ///
    /// # Panics
    /// If the last position is beyond `max_seq_length`.
    pub fn forward(&self, offset: usize, seq_length: usize) -> Tensor<3> {
        self.forward_at(&Offsets::Same(offset), seq_length)
    }

    /// [`Self::forward`] for rows that may begin at different positions.
    ///
    /// # Shapes
    /// - returns: `[1, seq_length, d_model]`, or `[batch_size, seq_length, d_model]` where they do
    ///
    /// # Panics
    /// As [`Self::forward`].
    pub fn forward_at(&self, offsets: &Offsets, seq_length: usize) -> Tensor<3> {
        offsets.rows(&self.table, seq_length)
    }
}

/// Settings of [`LearnedPositions`].
#[derive(Config, Debug)]
pub struct LearnedPositionsConfig {
    /// Longest sequence.
    pub max_seq_length: usize,
    /// Width of a row.
    pub d_model: usize,
}

impl Validate for LearnedPositionsConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        ConfigError::check_positive("max_seq_length", self.max_seq_length)?;
        ConfigError::check_positive("d_model", self.d_model)
    }
}

impl LearnedPositionsConfig {
    /// Allocates the table on `device`, zero until [`init::by_name`](crate::init::by_name).
    ///
    /// # Panics
    /// If [`Self::validate`] fails.
    pub fn init(&self, device: &Device) -> LearnedPositions {
        assert_valid(self);
        LearnedPositions { weight: constant_param([self.max_seq_length, self.d_model], 0.0, device) }
    }
}

/// A trained vector for each position, as in BERT.
#[derive(Module, Debug)]
pub struct LearnedPositions {
    /// `[max_seq_length, d_model]`
    pub weight: Param<Tensor<2>>,
}

impl LearnedPositions {
    /// The rows of `seq_length` positions from `offset`.
    ///
    /// # Shapes
    /// - returns: `[1, seq_length, d_model]`
    ///
    /// # Panics
    /// If the last position is beyond `max_seq_length`.
    pub fn forward(&self, offset: usize, seq_length: usize) -> Tensor<3> {
        self.forward_at(&Offsets::Same(offset), seq_length)
    }

    /// [`Self::forward`] for rows that may begin at different positions.
    ///
    /// # Shapes
    /// - returns: `[1, seq_length, d_model]`, or `[batch_size, seq_length, d_model]` where they do
    ///
    /// # Panics
    /// As [`Self::forward`].
    pub fn forward_at(&self, offsets: &Offsets, seq_length: usize) -> Tensor<3> {
        offsets.rows(&self.weight.val(), seq_length)
    }
}

/// Positions at which the rows of a batch begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offsets {
    /// All at the same.
    Same(usize),
    /// Each row at its own.
    Each(Vec<usize>),
}

/// [`Offsets::Same`] where they are equal; 0 without any.
impl From<Vec<usize>> for Offsets {
    fn from(offsets: Vec<usize>) -> Self {
        let first = offsets.first().copied().unwrap_or(0);
        if offsets.iter().all(|&offset| offset == first) { Self::Same(first) } else { Self::Each(offsets) }
    }
}

impl Offsets {
    /// The rows of `seq_length` positions of a table `[max_seq_length, width]`, as `[1 or batch_size, seq_length, width]`.
    #[track_caller]
    pub(crate) fn rows(&self, table: &Tensor<2>, seq_length: usize) -> Tensor<3> {
        let [max_seq_length, _] = table.dims();
        let last = match self {
            Self::Same(offset) => *offset,
            Self::Each(offsets) => offsets.iter().copied().max().unwrap_or(0),
        };
        let end = last + seq_length;
        assert!(end <= max_seq_length, "positions: position {end} is beyond `max_seq_length` ({max_seq_length})");
        match self {
            Self::Same(offset) => table.clone().slice(*offset..end).unsqueeze(),
            Self::Each(offsets) => {
                let places = offsets.iter().flat_map(|&offset| offset..offset + seq_length);
                let places =
                    TensorData::new(places.map(|place| place as i64).collect::<Vec<_>>(), [offsets.len(), seq_length]);
                ops::embedding(table.clone(), Tensor::from_data(places, &table.device()))
            }
        }
    }
}
