//! Kernels for the CPU, on plain slices. They know shapes and numbers, no tensors; [`host`](crate::host) brings them
//! together with a backend's tensors.
//!
//! Vector instructions are chosen at run time: a loop written for LLVM's vectoriser is compiled for AVX-512, AVX2 and the
//! baseline (NEON on ARM) by [`vectorized`]. Work is cut into blocks of fixed size, and partial sums are added in the order
//! of the blocks, so that no result depends on the number of threads.
#![allow(unsafe_code)] // Only here: memory, and the insides of matrix products.

pub(crate) mod activation;
#[cfg(feature = "allocator")]
pub(crate) mod allocator;
pub(crate) mod attention;
pub(crate) mod cross_entropy;
pub(crate) mod dropout;
pub(crate) mod embedding;
pub(crate) mod feed_forward;
pub(crate) mod layer_norm;
pub(crate) mod linear;
pub(crate) mod logsumexp;
pub(crate) mod matmul;
pub(crate) mod optimizer;
pub(crate) mod packed_feed_forward;
pub(crate) mod places;
pub(crate) mod processor;

mod buffer;
mod math;
mod parallel;
mod philox;
mod reductions;
mod vectors;

pub(crate) use buffer::for_overwrite;
pub(crate) use vectors::Vectors;

/// Runs `kernel` compiled for the widest vector instructions of this processor. What it calls must be inlined into it.
#[inline]
fn vectorized<R>(kernel: impl FnOnce() -> R) -> R {
    Vectors::widest().vectorized(kernel)
}
