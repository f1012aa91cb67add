//! Several processes that work together on one command.

mod deal;
mod measured;
mod threads;

use std::error::Error;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use deal::{Json, Message, deal};
pub use measured::{Measured, Traffic};
pub use threads::{ThreadRank, thread_ranks};

/// Processes, called ranks, that work together: each runs the same command on the same files, and does its share of the work.
///
/// Every rank of a collective must call [`gather`](Self::gather), [`exchange`](Self::exchange) and [`split`](Self::split) in the
/// same order; [`send`](Self::send) and [`receive`](Self::receive) must match. No rank calls them on two threads at once.
pub trait Collective: Send + Sync {
    /// The number of this process, from 0. Rank 0 writes files and prints.
    fn rank(&self) -> usize;

    /// The number of processes.
    fn size(&self) -> usize;

    /// Sends `message` to all ranks, and returns the messages of all ranks, this one included, in the order of ranks.
    ///
    /// # Errors
    /// If a rank cannot be reached any more.
    fn gather(&self, message: Vec<u8>) -> Result<Vec<Vec<u8>>, CollectiveError>;

    /// Sends each rank the message at its place in `messages`, and returns what each rank has sent to this one, in the order of
    /// ranks. A message to oneself comes back.
    ///
    /// # Errors
    /// If a rank cannot be reached any more.
    ///
    /// # Panics
    /// If there is not one message for each rank.
    fn exchange(&self, messages: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, CollectiveError>;

    /// Sends `message` to the rank `to`, without waiting until it is received. Messages of one rank to another arrive in order.
    ///
    /// # Errors
    /// If the rank cannot be reached any more.
    fn send(&self, to: usize, message: Vec<u8>) -> Result<(), CollectiveError>;

    /// Waits for the next message that the rank `from` [sends](Self::send) to this one.
    ///
    /// # Errors
    /// If the rank cannot be reached any more.
    fn receive(&self, from: usize) -> Result<Vec<u8>, CollectiveError>;

    /// The ranks that give the same `color` as this one, as a collective of their own, in the order of their numbers here. Messages
    /// of one collective never meet those of another.
    ///
    /// # Errors
    /// If a rank cannot be reached any more.
    fn split(&self, color: usize) -> Result<Box<dyn Collective>, CollectiveError>;

    /// What this rank has sent so far and how long it took; nothing if that is not [`Measured`].
    fn traffic(&self) -> Option<Traffic> {
        None
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

    fn exchange(&self, messages: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, CollectiveError> {
        assert_eq!(messages.len(), 1, "one message for each rank");
        Ok(messages)
    }

    fn send(&self, to: usize, _message: Vec<u8>) -> Result<(), CollectiveError> {
        panic!("one process alone sends nothing to rank {to}")
    }

    fn receive(&self, from: usize) -> Result<Vec<u8>, CollectiveError> {
        panic!("one process alone receives nothing from rank {from}")
    }

    fn split(&self, _color: usize) -> Result<Box<dyn Collective>, CollectiveError> {
        Ok(Box::new(Self))
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
    /// Another process has failed, and says why itself.
    #[error("rank {rank} has failed: {message}")]
    Failed {
        /// The first rank that failed.
        rank: usize,
        /// Its error, with its causes.
        message: String,
    },
    /// A message that is none: the processes run different programs.
    #[error("a message of another rank cannot be read: start all ranks with the same program and settings")]
    Message {
        /// What is wrong with it.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl CollectiveError {
    /// A message that cannot be read, or written.
    #[must_use]
    pub fn message(source: impl Error + Send + Sync + 'static) -> Self {
        Self::Message { source: Box::new(source) }
    }
}

/// `true` if this error or one of its causes is [`CollectiveError::Failed`]: another rank has failed, and says why itself. An
/// error type keeps it as a source, and is not transparent to it, so that it is found.
#[must_use]
pub fn is_failed_elsewhere(error: &(dyn Error + 'static)) -> bool {
    let is_failed =
        |error: &(dyn Error + 'static)| matches!(error.downcast_ref(), Some(CollectiveError::Failed { .. }));
    std::iter::successors(Some(error), |&error| error.source()).any(is_failed)
}

/// The values of all ranks in the order of ranks.
///
/// # Errors
/// As [`Collective::gather`]; if a rank sends no such value.
pub fn gather<V: Serialize + DeserializeOwned>(
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

/// The values of all ranks in the order of ranks, if none of them has failed: so that all stop where one does. The rank that
/// has failed gets its own error, the others [`CollectiveError::Failed`].
///
/// # Errors
/// If a rank has failed; as [`gather`].
pub fn agree<V, E>(collective: &dyn Collective, result: Result<V, E>) -> Result<Vec<V>, E>
where
    V: Serialize + DeserializeOwned,
    E: Error + From<CollectiveError>,
{
    if collective.size() == 1 {
        return result.map(|value| vec![value]);
    }
    let (value, error) = match result {
        Ok(value) => (Ok(value), None),
        Err(error) => (Err(with_causes(&error)), Some(error)),
    };
    let values = gather(collective, value);
    if let Some(error) = error {
        return Err(error);
    }
    let values = values?.into_iter().enumerate();
    let read = |(rank, value): (usize, Result<V, String>)| {
        value.map_err(|message| CollectiveError::Failed { rank, message }.into())
    };
    values.map(read).collect()
}

/// An error and its causes in one line.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

/// The share of a rank in `n` items that are in order: as many in a row for each, or one more.
#[must_use]
pub fn share(collective: &dyn Collective, n: usize) -> std::ops::Range<usize> {
    share_of(collective.rank(), collective.size(), n)
}

/// The [`share`] of the rank `rank` of `size`.
#[must_use]
pub fn share_of(rank: usize, size: usize, n: usize) -> std::ops::Range<usize> {
    n * rank / size..n * (rank + 1) / size
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    /// What `work` returns on each of `n` ranks.
    fn on_ranks<R: Send>(n: usize, work: impl Fn(ThreadRank) -> R + Sync) -> Vec<R> {
        let work = &work;
        thread::scope(|scope| {
            let ranks: Vec<_> = thread_ranks(n).into_iter().map(|rank| scope.spawn(move || work(rank))).collect();
            ranks.into_iter().map(|rank| rank.join().unwrap()).collect()
        })
    }

    #[test]
    fn shares_are_in_order_and_leave_nothing_out() {
        for (n, size) in [(7, 3), (2, 3), (0, 2), (4, 1)] {
            let shares: Vec<_> = thread_ranks(size).iter().map(|rank| share(rank, n)).collect();
            assert_eq!(
                shares.iter().cloned().flatten().collect::<Vec<_>>(),
                (0..n).collect::<Vec<_>>(),
                "{n} of {size}"
            );
            let lengths = shares.iter().map(ExactSizeIterator::len);
            assert!(lengths.clone().max().unwrap() - lengths.min().unwrap() <= 1, "{n} among {size}");
        }
    }

    #[test]
    fn messages_arrive_in_the_order_of_ranks() {
        for size in [1, 2, 3, 4] {
            let found = on_ranks(size, |rank| {
                let number = u8::try_from(rank.rank()).unwrap();
                let gathered = rank.gather(vec![number; usize::from(number)]).unwrap();
                let exchanged = rank.exchange((0..size).map(|to| vec![number, to as u8]).collect()).unwrap();
                (gathered, exchanged)
            });
            for (rank, (gathered, exchanged)) in found.into_iter().enumerate() {
                let expected: Vec<_> = (0..size).map(|from| vec![from as u8; from]).collect();
                assert_eq!(gathered, expected, "gather at {rank} of {size}");
                let expected: Vec<_> = (0..size).map(|from| vec![from as u8, rank as u8]).collect();
                assert_eq!(exchanged, expected, "exchange at {rank} of {size}");
            }
        }
    }

    #[test]
    fn messages_of_two_ranks_are_received_in_order() {
        let found = on_ranks(2, |rank| {
            let other = 1 - rank.rank();
            // Both send before one receives.
            rank.send(other, b"first".to_vec()).unwrap();
            rank.send(other, b"second".to_vec()).unwrap();
            [rank.receive(other).unwrap(), rank.receive(other).unwrap()]
        });
        assert_eq!(found, [[b"first".to_vec(), b"second".to_vec()], [b"first".to_vec(), b"second".to_vec()]]);
    }

    #[test]
    fn the_parts_of_a_collective_do_not_meet() {
        let found = on_ranks(5, |rank| {
            let part = rank.split(rank.rank() % 2).unwrap();
            if part.size() > part.rank() + 1 {
                part.send(part.rank() + 1, vec![9]).unwrap();
            }
            let gathered = part.gather(vec![rank.rank() as u8]).unwrap().concat();
            if part.rank() > 0 {
                assert_eq!(part.receive(part.rank() - 1).unwrap(), [9]);
            }
            (part.rank(), part.size(), gathered, rank.gather(Vec::new()).unwrap().len())
        });
        let (even, odd) = (vec![0, 2, 4], vec![1, 3]);
        let expected =
            [(0, 3, even.clone(), 5), (0, 2, odd.clone(), 5), (1, 3, even.clone(), 5), (1, 2, odd, 5), (2, 3, even, 5)];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_rank_that_is_gone_is_an_error() {
        let found = on_ranks(2, |rank| if rank.rank() == 0 { None } else { Some(rank.gather(vec![1]).unwrap_err()) });
        assert!(matches!(found[1], Some(CollectiveError::Lost { rank: 1, size: 2, .. })), "{found:?}");
        let found = on_ranks(2, |rank| if rank.rank() == 0 { None } else { Some(rank.receive(0).unwrap_err()) });
        assert!(matches!(found[1], Some(CollectiveError::Lost { rank: 1, size: 2, .. })), "{found:?}");
    }

    #[test]
    fn a_failed_rank_stops_all() {
        let found = on_ranks(3, |rank| {
            let result = if rank.rank() == 1 {
                Err(CollectiveError::message(serde_json::from_str::<u8>("x").unwrap_err()))
            } else {
                Ok(rank.rank())
            };
            agree(&rank, result).unwrap_err()
        });
        assert!(matches!(found[1], CollectiveError::Message { .. }), "{found:?}");
        for other in [&found[0], &found[2]] {
            assert!(matches!(other, CollectiveError::Failed { rank: 1, .. }), "{other}");
            assert!(other.to_string().contains("expected value at line 1"), "{other}");
        }
        let found = on_ranks(3, |rank| agree::<_, CollectiveError>(&rank, Ok(rank.rank())).unwrap());
        assert_eq!(found, [[0, 1, 2]; 3]);
    }

    #[test]
    fn a_message_of_another_program_is_refused() {
        let found = on_ranks(2, |rank| match rank.rank() {
            0 => rank.gather(b"hello".to_vec()).map(drop),
            _ => gather(&rank, 3_u64).map(drop),
        });
        assert!(found[0].is_ok() && matches!(found[1], Err(CollectiveError::Message { .. })), "{found:?}");
        assert_eq!(gather(&Local, 3_u64).unwrap(), [3]);
    }
}
