//! Memory of a training step, in numbers of floats.
//!
//! The passes of the CPU are those of `burnformer-ops`: what is counted here is what its operators keep for their backward
//! passes, and the tensors that live at the two moments at which a step takes the most. A test of the program compares the
//! sums with what runs take.

/// Size of a micro-batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MicroBatchSize {
    /// Number of tokens, padding included; of an encoder–decoder, on each side.
    pub n_tokens: usize,
    /// Length of the sequences.
    pub seq_length: usize,
    /// Number of tokens that are predicted, each with logits over the vocabulary; 0 in a classifier.
    pub n_predicted: usize,
}

/// How forward and backward passes are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passes {
    /// `true` if every operator has a backward pass of its own, as on the CPU; `false` if burn differentiates the composed
    /// ones, as on a GPU.
    pub fused: bool,
    /// `true` if a layer keeps only its input, and runs once more in the backward pass.
    pub activation_checkpointing: bool,
    /// `true` if the weights of the body are not trained, so that they have no gradients.
    pub frozen: bool,
}

/// Floats in memory at the two moments at which a training step takes the most, besides weights and moments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StepFloats {
    /// At the beginning of the backward pass: activations.
    pub first_activations: u64,
    /// At the beginning of the backward pass: gradients of weights, of which there is only the output layer's.
    pub first_gradients: u64,
    /// At the end of the backward pass, when there is a gradient of every weight: activations, and a second gradient of the
    /// table of embeddings.
    pub last_activations: u64,
}

/// The sizes that a step's memory depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) n_layers: usize,
    /// Number of further layers, with cross-attention.
    pub(crate) n_cross_layers: usize,
    pub(crate) d_model: usize,
    pub(crate) d_ff: usize,
    pub(crate) n_heads: usize,
    /// Rows of the output layer.
    pub(crate) vocab_size: usize,
    /// `true` if the output layer is the table of embeddings too.
    pub(crate) tied: bool,
}

/// Composed operators: floats that burn keeps of each token's embedding, in units of the model's width, and of each
/// prediction, in units of the vocabulary.
const COMPOSED: (usize, usize) = (6, 5);

/// Fused operators: of each token's embedding its norm's input; of each prediction the logits, which become their gradient.
const FUSED: (usize, usize) = (1, 1);

/// Tensors of the width of the model that the head keeps of each prediction.
const HEAD: usize = 5;

/// Gradients of a layer's input and outputs that live beside one another in the backward pass of a layer.
const FLOWING: usize = 3;

/// Floats of a weight up to which the feed-forward layer's backward pass has four gradients of it before it adds them up.
const SMALL_WEIGHT: usize = 1 << 20;

/// Floats of the hidden layer that a thread works on at a time, twice.
const BLOCK: usize = 1 << 19;

impl Sizes {
    pub(crate) fn step_floats(&self, batch: &MicroBatchSize, passes: Passes) -> StepFloats {
        let [n_tokens, n_predicted] = [batch.n_tokens, batch.n_predicted].map(|n| n as u64);
        let (of_embedding, of_logit) = if passes.fused { FUSED } else { COMPOSED };
        let table = (self.vocab_size * self.d_model) as u64;
        let [layer, cross_layer] = [false, true].map(|cross| self.of_layer(cross, batch.seq_length, passes.fused));
        let n_stacks = if self.n_cross_layers > 0 { 2 } else { 1 };
        let of_layers = if passes.activation_checkpointing {
            let deepest = if self.n_cross_layers > 0 { cross_layer } else { layer };
            (self.n_layers + self.n_cross_layers + 1) * self.d_model + deepest
        } else {
            self.n_layers * layer + self.n_cross_layers * cross_layer
        };
        let kept = n_tokens * (of_layers + n_stacks * of_embedding * self.d_model) as u64;
        let logits = n_predicted * (of_logit * self.vocab_size + HEAD * self.d_model) as u64;
        let flowing = FLOWING as u64 * n_tokens * self.d_model as u64 + self.of_feed_forward(passes.frozen);
        let second_table = if self.tied && !passes.frozen { table } else { 0 };
        StepFloats {
            first_activations: kept + logits.max(flowing),
            first_gradients: if n_predicted > 0 && !passes.frozen { table } else { 0 },
            last_activations: flowing + second_table,
        }
    }

    /// Floats that a layer keeps of each token.
    ///
    /// Fused, of the width of the model: the input, queries, keys, values, attention's output, both norms' inputs, and the
    /// input of the feed-forward layer, of which it keeps the hidden layer; with cross-attention its input, queries, keys,
    /// values, output and norm as well. Then a logarithm for each head, and a deviation for each norm.
    ///
    /// Composed: the tensors that burn's differentiation keeps, 7 of all positions for each head among them.
    fn of_layer(&self, cross: bool, seq_length: usize, fused: bool) -> usize {
        let Self { d_model, d_ff, n_heads, .. } = *self;
        if !fused {
            let layer = 24 * d_model + 6 * d_ff + 7 * n_heads * seq_length;
            return if cross { layer * 3 / 2 } else { layer };
        }
        let cross = if cross { 6 * d_model + n_heads + 1 } else { 0 };
        8 * d_model + d_ff + n_heads + 2 + cross
    }

    /// Floats that the backward pass of the feed-forward layer works with, on two threads.
    fn of_feed_forward(&self, frozen: bool) -> u64 {
        let weight = self.d_model * self.d_ff;
        let n_gradients = match weight <= SMALL_WEIGHT {
            _ if frozen => 0,
            true => 4,
            false => 1,
        };
        (2 * n_gradients * weight + 4 * BLOCK.max(self.d_ff * 64)) as u64
    }
}
