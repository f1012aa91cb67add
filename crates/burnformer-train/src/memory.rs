//! Estimate of the memory that training takes.

use burnformer_models::StepFloats;

use burnformer_core::collective::share_of;

use crate::TrainConfig;
use crate::tree::n_kept;

const FLOAT: u64 = 4;

/// Bytes of the program before it has weights: code, threads, tokenizer, and what their small allocations leave free.
const PROGRAM: u64 = 45 << 20;

/// Bytes of the library that sends messages between processes.
const MESSAGING: u64 = 12 << 20;

/// One part in so many of what is in use is lost in holes between buffers.
const HOLES: u64 = 33;

/// Bytes that a sample of a batch takes for each token, and besides.
const OF_TOKEN: u64 = 5;
const OF_SAMPLE: u64 = 100;

/// Bytes that a training run takes at its peak. The parts are those at the moment of the peak: there are gradients of all
/// weights when there are few activations, and of few when there are many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryEstimate {
    /// The program and its data: code, threads, tokenizers, batches that are built ahead.
    pub program: u64,
    /// Weights, and their moving average.
    pub weights: u64,
    /// Their gradients, and the messages that exchange them.
    pub gradients: u64,
    /// The optimiser's moments, those of its part on each of several processes.
    pub moments: u64,
    /// Activations, kept for the backward pass or in use.
    pub activations: u64,
}

impl MemoryEstimate {
    /// For a model with `n_parameters`, of which `n_trained` are trained, with these settings on samples of up to `seq_length` tokens, with
    /// `step` floats in a micro-batch: the bytes of each of `n_ranks` processes.
    #[must_use]
    pub fn new(
        n_parameters: u64,
        n_trained: u64,
        train: &TrainConfig,
        step: &StepFloats,
        seq_length: usize,
        n_ranks: usize,
    ) -> Self {
        let (weights, trained) = (n_parameters * FLOAT, n_trained * FLOAT);
        let moments = (train.optimizer.n_moments() as u64 * trained).div_ceil(n_ranks as u64);
        let first = (step.first_gradients * FLOAT, step.first_activations * FLOAT);
        let last = (trained, step.last_activations * FLOAT);
        let (gradients, activations) = if first.0 + first.1 > last.0 + last.1 { first } else { last };
        let of_ranks = (0..n_ranks).map(|rank| n_kept(share_of(rank, n_ranks, train.grad_accum_steps)));
        let (n_waiting, n_sums) = of_ranks.fold((0, 0), |most, kept| (most.0.max(kept.0), most.1.max(kept.1)));
        // The sums over earlier micro-batches wait beside the gradients of this one.
        let mut gradients = gradients + n_waiting as u64 * trained;
        let mut activations = activations;
        if n_ranks > 1 {
            // What is sent and what arrives, when there are no activations any more; in their memory there is no room for all of it.
            let messages = 2 * n_sums as u64 * trained + trained / 2;
            if messages > gradients + activations {
                (gradients, activations) = (messages, 0);
            }
        }
        let program = PROGRAM + if n_ranks > 1 { MESSAGING } else { 0 };
        // The moving average of the weights is as large as they are.
        let weights = if train.ema_decay.is_some() { 2 * weights } else { weights };
        let holes = (weights + moments + gradients + activations) / HOLES;
        Self { program: program + batches(train, seq_length) + holes, weights, gradients, moments, activations }
    }

    /// The sum.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.program + self.weights + self.gradients + self.moments + self.activations
    }
}

/// Bytes of the batches that are built ahead: five windows a thread and one more, of training samples.
fn batches(train: &TrainConfig, seq_length: usize) -> u64 {
    let n_samples = (5 * train.workers + 1) as u64 * train.window as u64;
    n_samples * (OF_TOKEN * seq_length as u64 + OF_SAMPLE)
}
