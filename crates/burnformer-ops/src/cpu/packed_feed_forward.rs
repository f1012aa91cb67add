//! The feed-forward sub-layer with weights laid out once: inference alone, without dropout.

use super::activation::BiasActivation;
use super::feed_forward::block_rows;
use super::matmul::packed::Packed;
use super::{for_overwrite, parallel};

/// `output(activation(input(x)))`.
pub(crate) struct PackedFeedForward<'a> {
    pub(crate) input: &'a Packed,
    /// Of the hidden layer; has the bias of `input`.
    pub(crate) hidden: BiasActivation<'a>,
    pub(crate) output: &'a Packed,
    pub(crate) bias_out: Option<&'a [f32]>,
}

impl PackedFeedForward<'_> {
    /// The output for `x` `[n, d_in]`, some rows at a time, so that the hidden layer stays small.
    pub(crate) fn forward(&self, x: &[f32]) -> Vec<f32> {
        let (d_in, d_ff, d_out) = (self.input.d_in(), self.input.d_out(), self.output.d_out());
        let n = x.len() / d_in.max(1);
        let rows = block_rows(d_ff);
        let mut y = for_overwrite(n * d_out);
        let tasks: Vec<_> = y.chunks_mut((rows * d_out).max(1)).zip(x.chunks((rows * d_in).max(1))).collect();
        parallel::map(tasks, n * d_ff, |block, (y, x): (&mut [f32], &[f32])| {
            let n = x.len() / d_in.max(1);
            let (mut hidden, mut activated) = (for_overwrite(n * d_ff), for_overwrite(n * d_ff));
            self.input.apply(x, None, &mut hidden);
            self.hidden.forward(block * rows, &hidden, &mut activated);
            self.output.apply(&activated, self.bias_out, y);
        });
        y
    }
}
