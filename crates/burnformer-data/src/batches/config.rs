//! Settings of batches.

use std::thread::available_parallelism;

use burnformer_core::config::{ConfigError, Validate};
use serde::{Deserialize, Serialize};

/// Settings of [`Batches`](super::Batches).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchConfig {
    /// Size of a batch.
    pub size: BatchSize,
    /// Number of consecutive samples that are sorted by length together. More means less padding and a longer wait for
    /// the first batch.
    pub window: usize,
    /// Number of threads that build batches ahead.
    pub workers: usize,
}

/// Size of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", content = "at_most", rename_all = "kebab-case")]
pub enum BatchSize {
    /// This number of sequences.
    Sequences(usize),
    /// Up to this number of tokens, padding included; one sequence if it is longer by itself.
    Tokens(usize),
}

impl Default for BatchConfig {
    fn default() -> Self {
        let workers = available_parallelism().map_or(1, usize::from);
        Self { size: BatchSize::Sequences(32), window: 1024, workers }
    }
}

impl Validate for BatchConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        let (BatchSize::Sequences(size) | BatchSize::Tokens(size)) = self.size;
        // Far beyond use, far below what overflows or fills the memory.
        let within =
            |field, value: usize, most, range| ConfigError::check(field, &value, (1..=most).contains(&value), range);
        within("size", size, 1 << 30, "1 to 1073741824")?;
        within("window", self.window, 1 << 20, "1 to 1048576")?;
        if let BatchSize::Sequences(n) = self.size {
            ConfigError::check("window", &self.window, self.window >= n, "at least the sequences of a batch")?;
        }
        within("workers", self.workers, 1024, "1 to 1024")
    }
}
