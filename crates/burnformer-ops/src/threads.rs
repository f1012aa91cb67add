//! The threads that all computing shares.

use std::error::Error;

use rayon::{ThreadPoolBuildError, ThreadPoolBuilder};

/// The threads for computing cannot be started.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot start the threads for computing: compute with fewer (`RAYON_NUM_THREADS=1`), or allow more processes (`ulimit -u`) or memory \
     (`ulimit -v`)"
)]
pub struct ThreadsError(#[source] ThreadPoolBuildError);

/// Starts the threads that all computing shares: `threads`, or as many as `RAYON_NUM_THREADS` says or there are processors.
/// Without this they start when they are first needed, which panics if the system has none.
///
/// # Errors
/// If the system does not hand out as many threads.
pub fn start_threads(threads: Option<usize>) -> Result<(), ThreadsError> {
    // 0 stands for what is usual.
    match ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0)).build_global() {
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
        start_threads(None).unwrap();
        start_threads(Some(1)).unwrap();
    }
}
