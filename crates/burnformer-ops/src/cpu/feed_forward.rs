//! The feed-forward sub-layer, some rows at a time. Its hidden layer is four times as wide as what goes in and comes out;
//! neither its gradient nor what the activation makes of it is ever there for all rows, nor, without a backward pass, the
//! layer itself.

use super::activation::BiasActivation;
use super::for_overwrite;
use super::linear::{Map, column_sums};
use super::matmul::RightFactor;
use super::parallel::{self, BLOCK_ROWS};

/// Elements of the hidden layer that a task works on at a time, 2 MiB.
const BLOCK: usize = 1 << 19;

/// Segments of the rows in the backward pass, each with sums of its own. Fixed, so that the order of every sum is.
const SEGMENTS: usize = 4;

/// Elements of a weight whose gradient there is only once, 4 MiB.
const LARGE_WEIGHT: usize = 1 << 20;

/// `output(dropout(activation(input(x))))`.
pub(crate) struct FeedForward<'a> {
    pub(crate) input: Map<'a>,
    /// Of the hidden layer; has the bias of `input`.
    pub(crate) hidden: BiasActivation<'a>,
    pub(crate) output: Map<'a>,
    pub(crate) bias_out: Option<&'a [f32]>,
}

/// Gradients of a feed-forward sub-layer.
pub(crate) struct Gradients {
    /// If it was wanted.
    pub(crate) x: Option<Vec<f32>>,
    pub(crate) weights: WeightGradients,
    pub(crate) bias_out: Vec<f32>,
}

/// Those that are sums over rows of the hidden layer; of weights that are not wanted, empty.
pub(crate) struct WeightGradients {
    pub(crate) weight_in: Vec<f32>,
    pub(crate) bias_in: Vec<f32>,
    pub(crate) weight_out: Vec<f32>,
}

/// Some rows in the backward pass.
struct Segment<'a> {
    /// Its number among all rows.
    first_row: usize,
    x: &'a [f32],
    dy: &'a [f32],
    kept: &'a [f32],
    dx: &'a mut [f32],
}

impl FeedForward<'_> {
    /// The output, and with `keep` what comes out of `input` before its bias, for the backward pass.
    pub(crate) fn forward(&self, x: &[f32], keep: bool) -> (Vec<f32>, Vec<f32>) {
        let (d_in, d_ff, d_out) = (self.input.d_in, self.input.d_out, self.output.d_out);
        let n = x.len() / d_in.max(1);
        let rows = self.rows();
        let mut y = for_overwrite(n * d_out);
        let mut kept = for_overwrite(if keep { n * d_ff } else { 0 });
        // An empty slice a block where nothing is kept.
        let mut places = kept.chunks_mut((rows * d_ff).max(1));
        let tasks: Vec<_> = y
            .chunks_mut((rows * d_out).max(1))
            .zip(x.chunks((rows * d_in).max(1)))
            .map(|task| (task, places.next().unwrap_or_default()))
            .collect();
        let [input, output] = [&self.input, &self.output].map(|map| map.factor(tasks.len()));
        parallel::map(tasks, n * d_ff, |block, ((y, x), kept)| {
            let mut activated = for_overwrite(x.len() / d_in * d_ff);
            let mut not_kept = for_overwrite(if keep { 0 } else { activated.len() });
            let hidden = if keep { kept } else { &mut not_kept[..] };
            self.input.apply_by(&input, x, None, hidden);
            self.hidden.forward(block * rows, hidden, &mut activated);
            self.output.apply_by(&output, &activated, self.bias_out, y);
        });
        (y, kept)
    }

    /// The gradients for `dy`, from the input and what the forward pass kept: that of the input and those of both weights if they are
    /// wanted.
    pub(crate) fn backward(
        &self,
        dy: &[f32],
        x: &[f32],
        kept: &[f32],
        [wants_dx, wants_weights]: [bool; 2],
    ) -> Gradients {
        let (d_in, d_ff, d_out) = (self.input.d_in, self.input.d_out, self.output.d_out);
        let n = x.len() / d_in.max(1);
        let rows = self.rows();
        let mut dx = for_overwrite(if wants_dx { n * d_in } else { 0 });
        // Each segment has gradients of the weights of its own; of large weights there is only one.
        let n_segments = if d_in * d_ff > LARGE_WEIGHT { 1 } else { SEGMENTS };
        let segment_rows = n.div_ceil(n_segments).next_multiple_of(rows).max(1);
        // An empty slice a segment where the gradient is not wanted.
        let mut places = dx.chunks_mut((segment_rows * d_in).max(1));
        let segments: Vec<_> =
            x.chunks((segment_rows * d_in).max(1)).map(|x| (x, places.next().unwrap_or_default())).collect();
        let weights = [&self.input, &self.output].map(|map| map.gradient_factor(n.div_ceil(rows)));
        let partial = parallel::map(segments, n * d_ff, |segment, (x, dx)| {
            let first = segment * segment_rows;
            let last = first + x.len() / d_in;
            let segment = Segment {
                first_row: first,
                x,
                dy: &dy[first * d_out..last * d_out],
                kept: &kept[first * d_ff..last * d_ff],
                dx,
            };
            self.segment_gradients(segment, &weights, wants_weights)
        });
        let mut partial = partial.into_iter();
        let zeros = || WeightGradients {
            weight_in: vec![0.0; if wants_weights { d_ff * d_in } else { 0 }],
            bias_in: vec![0.0; d_ff],
            weight_out: vec![0.0; if wants_weights { d_out * d_ff } else { 0 }],
        };
        let mut weights = partial.next().unwrap_or_else(zeros);
        for other in partial {
            parallel::add(&mut weights.weight_in, &other.weight_in);
            parallel::add(&mut weights.bias_in, &other.bias_in);
            parallel::add(&mut weights.weight_out, &other.weight_out);
        }
        Gradients { x: wants_dx.then_some(dx), weights, bias_out: column_sums(dy, d_out) }
    }

    /// Gradients of the weights; that of the input is written to `dx`, unless that is empty. Gets the weights as factors of gradients.
    fn segment_gradients(
        &self,
        segment: Segment,
        [input, output]: &[RightFactor; 2],
        wants_weights: bool,
    ) -> WeightGradients {
        let (d_in, d_ff, d_out) = (self.input.d_in, self.input.d_out, self.output.d_out);
        let Segment { first_row, x, dy, kept, dx } = segment;
        let n = x.len() / d_in;
        let rows = self.rows().min(n);
        let of_weights = |len: usize| for_overwrite(if wants_weights { len } else { 0 });
        let (mut dhidden, mut activated) = (for_overwrite(rows * d_ff), of_weights(rows * d_ff));
        let mut sums = WeightGradients {
            weight_in: of_weights(d_ff * d_in),
            bias_in: vec![0.0; d_ff],
            weight_out: of_weights(d_out * d_ff),
        };
        for first in (0..n).step_by(rows) {
            let last = n.min(first + rows);
            let (dy, x) = (&dy[first * d_out..last * d_out], &x[first * d_in..last * d_in]);
            let hidden = &kept[first * d_ff..last * d_ff];
            let dhidden = &mut dhidden[..hidden.len()];
            let mut activated = wants_weights.then(|| &mut activated[..hidden.len()]);
            self.output.add_input_gradient_by(output, dy, dhidden, false);
            let dbias = self.hidden.backward(first_row + first, hidden, dhidden, activated.as_deref_mut());
            parallel::add(&mut sums.bias_in, &dbias);
            if let Some(activated) = activated {
                self.output.add_weight_gradient(dy, activated, &mut sums.weight_out, first > 0);
                self.input.add_weight_gradient(dhidden, x, &mut sums.weight_in, first > 0);
            }
            if !dx.is_empty() {
                let dx = &mut dx[first * d_in..last * d_in];
                self.input.add_input_gradient_by(input, dhidden, dx, false);
            }
        }
        sums
    }

    /// Rows of a block. They depend on the width alone, so that the order of every sum does.
    fn rows(&self) -> usize {
        block_rows(self.input.d_out)
    }
}

/// Rows of the hidden layer, each `d_ff` wide, that a task works on at a time.
pub(super) fn block_rows(d_ff: usize) -> usize {
    (BLOCK / d_ff.max(1)).max(BLOCK_ROWS)
}
