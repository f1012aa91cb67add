//! Ranks that are threads of one process, for tests.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::{Collective, CollectiveError, gather};

/// A rank that is a thread of this process.
pub struct ThreadRank {
    rank: usize,
    /// What all ranks say to each other.
    common: Lines,
    /// What one says to another.
    direct: Lines,
}

/// Channels to and from every rank, this one included.
struct Lines {
    to: Vec<Mutex<Sender<Message>>>,
    from: Vec<Mutex<Receiver<Message>>>,
}

enum Message {
    Bytes(Vec<u8>),
    /// The sender's channels to the receiver in a new collective.
    Channels([Receiver<Message>; 2]),
}

/// `n` ranks of one collective, each for a thread. Dropping one of them is to the others as if its process had ended.
///
/// # Panics
/// If `n` is 0.
#[must_use]
pub fn thread_ranks(n: usize) -> Vec<ThreadRank> {
    assert!(n > 0, "a collective has at least one rank");
    let (common, direct) = (lines(n), lines(n));
    let ranks = common.into_iter().zip(direct).enumerate();
    ranks.map(|(rank, (common, direct))| ThreadRank { rank, common, direct }).collect()
}

fn lines(n: usize) -> Vec<Lines> {
    let mut lines: Vec<_> = (0..n).map(|_| Lines { to: Vec::new(), from: Vec::new() }).collect();
    for from in 0..n {
        for to in 0..n {
            let (sender, receiver) = channel();
            lines[from].to.push(Mutex::new(sender));
            lines[to].from.push(Mutex::new(receiver));
        }
    }
    lines
}

impl ThreadRank {
    fn lost(&self, error: impl std::error::Error + Send + Sync + 'static) -> CollectiveError {
        CollectiveError::Lost { rank: self.rank, size: self.size(), source: Box::new(error) }
    }

    fn put(&self, lines: &Lines, to: usize, message: Message) -> Result<(), CollectiveError> {
        let sent = lines.to[to].lock().expect("no thread panics with the lock").send(message);
        // The error of the channel would hold the message.
        sent.map_err(|_| self.lost(std::sync::mpsc::RecvError))
    }

    fn take(&self, lines: &Lines, from: usize) -> Result<Message, CollectiveError> {
        let found = lines.from[from].lock().expect("no thread panics with the lock").recv();
        found.map_err(|error| self.lost(error))
    }

    fn take_bytes(&self, lines: &Lines, from: usize) -> Result<Vec<u8>, CollectiveError> {
        match self.take(lines, from)? {
            Message::Bytes(bytes) => Ok(bytes),
            Message::Channels(_) => panic!("rank {from} splits the collective, rank {} does not", self.rank),
        }
    }
}

impl Collective for ThreadRank {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.common.to.len()
    }

    fn gather(&self, message: Vec<u8>) -> Result<Vec<Vec<u8>>, CollectiveError> {
        self.exchange(vec![message; self.size()])
    }

    fn exchange(&self, messages: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, CollectiveError> {
        assert_eq!(messages.len(), self.size(), "one message for each rank");
        for (to, message) in messages.into_iter().enumerate() {
            self.put(&self.common, to, Message::Bytes(message))?;
        }
        (0..self.size()).map(|from| self.take_bytes(&self.common, from)).collect()
    }

    fn send(&self, to: usize, message: Vec<u8>) -> Result<(), CollectiveError> {
        self.put(&self.direct, to, Message::Bytes(message))
    }

    fn receive(&self, from: usize) -> Result<Vec<u8>, CollectiveError> {
        self.take_bytes(&self.direct, from)
    }

    fn split(&self, color: usize) -> Result<Box<dyn Collective>, CollectiveError> {
        let colors = gather(self, color)?;
        let members: Vec<_> = (0..self.size()).filter(|&rank| colors[rank] == color).collect();
        let [mut common, mut direct] = [(); 2].map(|()| Lines { to: Vec::new(), from: Vec::new() });
        for &member in &members {
            let [(to_common, from_common), (to_direct, from_direct)] = [channel(), channel()];
            common.to.push(Mutex::new(to_common));
            direct.to.push(Mutex::new(to_direct));
            self.put(&self.common, member, Message::Channels([from_common, from_direct]))?;
        }
        for &member in &members {
            let Message::Channels([from_common, from_direct]) = self.take(&self.common, member)? else {
                panic!("rank {} splits the collective, rank {member} does not", self.rank);
            };
            common.from.push(Mutex::new(from_common));
            direct.from.push(Mutex::new(from_direct));
        }
        let rank = members.iter().position(|&rank| rank == self.rank).expect("a rank has its own color");
        Ok(Box::new(Self { rank, common, direct }))
    }
}
