//! Several processes that train one model together.

use std::error::Error;

use burn::tensor::{Device, ExecutionError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::GradientSums;
use crate::tensors::{from_bytes, to_bytes};

/// Processes, called ranks, that train one model together: each has a copy of it, does its share of the micro-batches of a
/// step, and makes the same update with the sum of all gradients.
///
/// Every rank must call the same methods in the same order. The trainer does so on the thread that it was called on, never
/// inside of a thread pool.
///
/// Losses are divided by the counts of all ranks, so gradients are added up, not averaged.
pub trait Collective: Send + Sync {
    /// The number of this process, from 0. Rank 0 writes the run folder.
    fn rank(&self) -> usize;

    /// The number of processes.
    fn size(&self) -> usize;

    /// Sends `message` to all ranks, and returns the messages of all ranks, this one included, in the order of ranks.
    ///
    /// # Errors
    /// If a rank cannot be reached any more.
    fn gather(&self, message: Vec<u8>) -> Result<Vec<Vec<u8>>, CollectiveError>;

    /// The sums of the gradients of all ranks, the same bits on each of them. A parameter without a gradient on some ranks
    /// gets that of the others. `device` is that of the gradients, of which a rank may have none.
    ///
    /// By default every rank gets the gradients of all and adds them in the order of ranks; a faster way may add in any order
    /// that is fixed.
    ///
    /// # Errors
    /// If a rank cannot be reached any more, or the device fails.
    fn sum(&self, gradients: GradientSums, device: &Device) -> Result<GradientSums, CollectiveError> {
        if self.size() == 1 {
            return Ok(gradients);
        }
        let message = to_bytes(&gradients.into_data()?).map_err(CollectiveError::message)?;
        let mut sum = GradientSums::new();
        for message in self.gather(message)? {
            sum.merge(GradientSums::from_data(from_bytes(&message).map_err(CollectiveError::message)?, device));
        }
        Ok(sum)
    }
}

/// One process alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Local;

impl Collective for Local {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn gather(&self, message: Vec<u8>) -> Result<Vec<Vec<u8>>, CollectiveError> {
        Ok(vec![message])
    }
}

/// Processes that cannot work together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollectiveError {
    /// Another process cannot be reached.
    #[error("rank {rank} of {size} lost the others: resume from the last checkpoint, with any number of processes")]
    Lost {
        /// The rank that noticed.
        rank: usize,
        /// The number of processes.
        size: usize,
        /// What the connection said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The device failed.
    #[error("the device failed")]
    Execution(#[from] ExecutionError),
    /// A message that is none: the processes run different programs.
    #[error("a message of another rank cannot be read: start all ranks with the same program and settings")]
    Message {
        /// What is wrong with it.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl CollectiveError {
    fn message(source: impl Error + Send + Sync + 'static) -> Self {
        Self::Message { source: Box::new(source) }
    }
}

/// The values of all ranks in the order of ranks.
pub(crate) fn gather<V: Serialize + DeserializeOwned>(
    collective: &dyn Collective,
    value: V,
) -> Result<Vec<V>, CollectiveError> {
    if collective.size() == 1 {
        return Ok(vec![value]);
    }
    let message = serde_json::to_vec(&value).map_err(CollectiveError::message)?;
    let read = |message: Vec<u8>| serde_json::from_slice(&message).map_err(CollectiveError::message);
    collective.gather(message)?.into_iter().map(read).collect()
}

/// The share of a rank in `items`: as many in a row for each, or one more.
pub(crate) fn share<I>(collective: &dyn Collective, mut items: Vec<I>) -> Vec<I> {
    let (n, rank, size) = (items.len(), collective.rank(), collective.size());
    items.truncate(n * (rank + 1) / size);
    items.split_off(n * rank / size)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Rank(usize, usize);

    impl Collective for Rank {
        fn rank(&self) -> usize {
            self.0
        }

        fn size(&self) -> usize {
            self.1
        }

        fn gather(&self, message: Vec<u8>) -> Result<Vec<Vec<u8>>, CollectiveError> {
            Ok(vec![message; self.1])
        }
    }

    #[test]
    fn shares_are_in_order_and_leave_nothing_out() {
        for (n, size) in [(7, 3), (2, 3), (0, 2), (4, 1)] {
            let items: Vec<usize> = (0..n).collect();
            let shares: Vec<_> = (0..size).map(|rank| share(&Rank(rank, size), items.clone())).collect();
            assert_eq!(shares.concat(), items, "{n} among {size}");
            let lengths = shares.iter().map(Vec::len);
            assert!(lengths.clone().max().unwrap() - lengths.min().unwrap() <= 1, "{n} among {size}");
        }
    }

    #[test]
    fn a_message_of_another_program_is_refused() {
        struct Other;
        impl Collective for Other {
            fn rank(&self) -> usize {
                0
            }

            fn size(&self) -> usize {
                2
            }

            fn gather(&self, message: Vec<u8>) -> Result<Vec<Vec<u8>>, CollectiveError> {
                Ok(vec![message, b"hello".to_vec()])
            }
        }
        assert!(matches!(gather(&Other, 3_u64), Err(CollectiveError::Message { .. })));
        let device = burnformer_ops::DeviceChoice::Auto.open().unwrap();
        let error = Other.sum(GradientSums::new(), &device).unwrap_err();
        assert!(matches!(error, CollectiveError::Message { .. }), "{error}");
        assert_eq!(gather(&Local, 3_u64).unwrap(), [3]);
    }
}
