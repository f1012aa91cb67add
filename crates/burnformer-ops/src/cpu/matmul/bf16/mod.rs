//! Products of bfloat16 by micro-kernels of our own. Words of packed panels are pairs: two terms of a row or a column.

mod amx;
mod avx512;
mod pack;

pub(super) use amx::Amx;
pub(super) use avx512::Avx512;

/// Terms of a word, which are multiplied at once: a step.
const DEPTH: usize = 2;
