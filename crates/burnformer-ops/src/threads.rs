//! The threads that all computing shares.

use std::error::Error;

use rayon::{ThreadPoolBuildError, ThreadPoolBuilder};

/// The threads for computing cannot be started.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot start the threads for computing: set `RAYON_NUM_THREADS=1`, or allow more processes (`ulimit -u`) or memory \
     (`ulimit -v`)"
)]
pub struct ThreadsError(#[source] ThreadPoolBuildError);

/// Starts the threads that all computing shares, as many as there are processors or `RAYON_NUM_THREADS` says. Without this
/// they start when they are first needed, which panics if the system has none.
///
/// # Errors
/// If the system does not hand out as many threads.
pub fn start_threads() -> Result<(), ThreadsError> {
    match ThreadPoolBuilder::new().build_global() {
        // An error without a cause: there are threads already.
        Err(error) if error.source().is_some() => Err(ThreadsError(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_that_are_there_already_are_no_error() {
        start_threads().unwrap();
        start_threads().unwrap();
    }
}
