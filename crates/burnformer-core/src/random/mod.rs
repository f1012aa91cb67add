//! Counter-based random numbers. Every draw is Philox-4x32-10 of a key (seed, purpose, place) and a counter (such as the
//! sample number). It does not depend on other draws, threads, batches or the device.

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
