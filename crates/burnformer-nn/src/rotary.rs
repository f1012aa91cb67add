//! Rotary positions.

use crate::{Offsets, assert_valid};
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use burnformer_core::{ConfigError, Validate};

/// Settings of [`Rotary`] positions.
#[derive(Config, Debug)]
pub struct RotaryConfig {
    /// Longest sequence.
    pub max_seq_length: usize,
    /// Base of the geometric series of frequencies: 10,000 in the paper and in Llama.
    #[config(default = 10_000.0)]
    pub theta: f64,
}

impl Validate for RotaryConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        ConfigError::check_positive("max_seq_length", self.max_seq_length)?;
        ConfigError::check_finite_positive("theta", self.theta)
    }
}

impl RotaryConfig {
    /// Computes the table for heads of width `d_head`, in double precision.
    ///
    /// # Panics
    /// If [`Self::validate`] fails, or `d_head` is odd.
    pub fn init(&self, d_head: usize, device: &Device) -> Rotary {
        assert_valid(self);
        assert!(d_head.is_multiple_of(2), "rotary positions: `d_head` ({d_head}) is odd, expected an even width");
        let n_pairs = d_head / 2;
        let angle = |place: usize| {
            let (position, pair) = (place / n_pairs, place % n_pairs);
            position as f64 / self.theta.powf((2 * pair) as f64 / d_head as f64)
        };
        let table = |of: fn(f64) -> f64| {
            let values: Vec<f32> = (0..self.max_seq_length * n_pairs).map(|place| of(angle(place)) as f32).collect();
            Tensor::from_data(TensorData::new(values, [self.max_seq_length, n_pairs]), device)
        };
        Rotary { cos: table(f64::cos), sin: table(f64::sin) }
    }
}

/// Rotates queries and keys by angles that grow with their position, so that scores depend on distances alone.
///
/// Columns `i` and `i + d_head / 2` make a pair, which is rotated by `t / theta^(2i / d_head)` at position `t`.
///
/// Source: Su et al. 2021, section 3.2.2; the pairs as in GPT-NeoX and transformers' Llama (the paper pairs neighbours).
#[derive(Module, Debug)]
pub struct Rotary {
    /// `[max_seq_length, d_head / 2]`
    cos: Tensor<2>,
    /// `[max_seq_length, d_head / 2]`
    sin: Tensor<2>,
}

impl Rotary {
    /// Rotates positions of which the first stands at `offset`.
    ///
    /// # Shapes
    /// - x: `[batch_size, length, n_heads, d_head]`
    /// - returns: the same
    ///
    /// # Panics
    /// If the last position is beyond `max_seq_length`, or `d_head` is another.
    pub fn forward(&self, x: Tensor<4>, offset: usize) -> Tensor<4> {
        self.forward_at(x, &Offsets::Same(offset))
    }

    /// [`Self::forward`] of rows that may begin at different positions.
    pub(crate) fn forward_at(&self, x: Tensor<4>, offsets: &Offsets) -> Tensor<4> {
        let [_, length, _, _] = x.dims();
        let table = |table: &Tensor<2>| offsets.rows(table, length).unsqueeze_dim::<4>(2); // [1 or batch_size, length, 1, d_head / 2]
        let (cos, sin) = (table(&self.cos), table(&self.sin));
        let [first, second] = <[Tensor<4>; 2]>::try_from(x.chunk(2, 3)).expect("a table of pairs has an even width");
        let rotated_first = first.clone() * cos.clone() - second.clone() * sin.clone();
        let rotated_second = second * cos + first * sin;
        Tensor::cat(vec![rotated_first, rotated_second], 3)
    }
}
