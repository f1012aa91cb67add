//! Randomness as a function: every draw is Philox-4x32-10 of a key (seed, purpose, place) and a counter (what the draw
//! belongs to), so no draw depends on which others were made, on threads, on batches or on a device.

mod dropout_rng;
mod key;
mod permutation;
mod philox;
mod stream;

pub use dropout_rng::{Draw, DropoutRng};
pub use key::{Key, Purpose};
pub use permutation::Permutation;
pub use philox::philox4x32_10;
pub use stream::Stream;
