//! What working together costs a process.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::{Collective, CollectiveError};

/// A collective that counts what its rank sends to others, and the time that it spends on that and on waiting for them. What is
/// [split](Collective::split) off counts for the whole.
#[derive(Clone, Debug)]
pub struct Measured<C> {
    collective: C,
    counters: Arc<Counters>,
}

/// What a rank has sent to others so far, and how long it took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes sent to other ranks.
    pub sent_bytes: u64,
    /// Messages sent to other ranks.
    pub messages: u64,
    /// Time within calls: sending, receiving and waiting.
    pub time: Duration,
}

#[derive(Debug, Default)]
struct Counters {
    sent_bytes: AtomicU64,
    messages: AtomicU64,
    nanoseconds: AtomicU64,
}

impl<C> Measured<C> {
    /// Counts what goes through `collective` from now on.
    pub fn new(collective: C) -> Self {
        Self { collective, counters: Arc::default() }
    }

    /// Counts `messages` of so many bytes together, and the time of `call`.
    fn count<R>(&self, messages: usize, bytes: usize, call: impl FnOnce(&C) -> R) -> R {
        self.counters.messages.fetch_add(messages as u64, Ordering::Relaxed);
        self.counters.sent_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        let start = Instant::now();
        let result = call(&self.collective);
        let nanoseconds = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.counters.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
        result
    }
}

impl<C: Deref<Target: Collective> + Send + Sync> Collective for Measured<C> {
    fn rank(&self) -> usize {
        self.collective.rank()
    }

    fn size(&self) -> usize {
        self.collective.size()
    }

    fn gather(&self, message: Vec<u8>) -> Result<Vec<Vec<u8>>, CollectiveError> {
        let others = self.size() - 1;
        self.count(others, others * message.len(), |collective| collective.gather(message))
    }

    fn exchange(&self, messages: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, CollectiveError> {
        let others = messages.iter().enumerate().filter(|(to, _)| *to != self.rank());
        let bytes = others.map(|(_, message)| message.len()).sum();
        self.count(self.size() - 1, bytes, |collective| collective.exchange(messages))
    }

    fn send(&self, to: usize, message: Vec<u8>) -> Result<(), CollectiveError> {
        self.count(1, message.len(), |collective| collective.send(to, message))
    }

    fn receive(&self, from: usize) -> Result<Vec<u8>, CollectiveError> {
        self.count(0, 0, |collective| collective.receive(from))
    }

    fn split(&self, color: usize) -> Result<Box<dyn Collective>, CollectiveError> {
        let collective = self.collective.split(color)?;
        Ok(Box::new(Measured { collective, counters: Arc::clone(&self.counters) }))
    }

    fn traffic(&self) -> Option<Traffic> {
        let Counters { sent_bytes, messages, nanoseconds } = &*self.counters;
        Some(Traffic {
            sent_bytes: sent_bytes.load(Ordering::Relaxed),
            messages: messages.load(Ordering::Relaxed),
            time: Duration::from_nanos(nanoseconds.load(Ordering::Relaxed)),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::collective::thread_ranks;

    #[test]
    fn messages_to_other_ranks_are_counted_in_parts_too() {
        let traffic: Vec<_> = thread::scope(|scope| {
            let work = |rank: &dyn Collective| {
                let measured = Measured::new(rank);
                measured.gather(vec![0; 10]).unwrap();
                measured.exchange((1..=3).map(|to| vec![0; 100 * to]).collect()).unwrap();
                let part = measured.split(usize::from(measured.rank() == 2)).unwrap();
                if part.size() == 2 {
                    part.send(1 - part.rank(), vec![0; 7]).unwrap();
                    assert_eq!(part.receive(1 - part.rank()).unwrap().len(), 7);
                }
                measured.traffic().unwrap()
            };
            let ranks: Vec<_> = thread_ranks(3).into_iter().map(|rank| scope.spawn(move || work(&rank))).collect();
            ranks.into_iter().map(|rank| rank.join().unwrap()).collect()
        });
        let counted: Vec<_> = traffic.iter().map(|traffic| (traffic.messages, traffic.sent_bytes)).collect();
        assert_eq!(counted, [(5, 20 + 500 + 7), (5, 20 + 400 + 7), (4, 20 + 300)]);
    }
}
