//! The operators against finite differences, against each other on all backends, and against what they promise.

mod dropout;
mod gelu;
mod gradients;
mod optimizer;
mod parity;
mod shapes;
mod support;
