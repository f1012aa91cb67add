//! The operators against finite differences, against each other on all backends, and against what they promise.

mod dropout;
mod fused;
mod gelu;
mod gradients;
mod in_place;
#[cfg(feature = "wgpu")]
mod kernels;
mod optimizer;
mod parity;
mod prepared;
mod shapes;
mod support;
mod threads;
