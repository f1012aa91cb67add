//! The processes that MPI has started, as a [`Collective`].

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Duration;

use burnformer_core::{Collective, CollectiveError};

use crate::server::{self, ALL, Command, ENDINGS, HOST, Member, Orders};

/// Bytes of the longest message of MPI, which counts them in 31 bits.
const LONGEST: usize = 1 << 30;
/// How long MPI may take to end all ranks.
const ABORTING: Duration = Duration::from_secs(5);

/// The processes that MPI has started. A clone speaks for the same process.
///
/// A thread of its own talks to MPI. Dropping the last clone without [`finish`](Self::finish), as in a panic, ends all
/// processes.
#[derive(Clone)]
pub struct Mpi {
    member: Member,
    shared: Arc<Shared>,
}

/// What all clones and parts have in common.
struct Shared {
    commands: Sender<Command>,
    abort: Arc<AtomicI32>,
    /// How long to wait for another process.
    timeout: Duration,
    /// Whether a wait was in vain, so that nothing can be said any more.
    lost: AtomicBool,
    /// This process among those of its host.
    host: Member,
}

/// Why other processes cannot be reached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LostReason {
    /// A process does not answer.
    #[error("no answer within {} seconds: a process hangs, or its host cannot be reached", timeout.as_secs())]
    NoAnswer {
        /// How long it was waited for.
        timeout: Duration,
    },
    /// A wait before was in vain.
    #[error("there was no answer before")]
    Before,
    /// The thread that talks to MPI has ended.
    #[error("MPI has ended")]
    Ended,
}

impl Mpi {
    /// Starts MPI, which gives up after waiting for another process for `timeout`.
    ///
    /// # Errors
    /// If there is no thread for it, or MPI has been started before.
    pub fn start(timeout: Duration) -> io::Result<Self> {
        Self::with_longest(timeout, LONGEST)
    }

    /// As [`start`](Self::start), with messages of at most `longest` bytes, which longer ones are cut to: for tests.
    ///
    /// # Errors
    /// As there.
    #[doc(hidden)]
    pub fn with_longest(timeout: Duration, longest: usize) -> io::Result<Self> {
        let (commands, received) = channel();
        let abort = Arc::new(AtomicI32::new(0));
        let orders = Orders { commands: received, abort: Arc::clone(&abort), longest };
        let (started, answer) = sync_channel(1);
        thread::Builder::new().name("mpi".to_owned()).spawn(move || server::serve(&orders, &started))?;
        let members = answer.recv().map_err(|_| io::Error::other("MPI has been started before"))?;
        let shared = Shared { commands, abort, timeout, lost: AtomicBool::new(false), host: members[HOST] };
        Ok(Self { member: members[ALL], shared: Arc::new(shared) })
    }

    /// The processes on the host of this one.
    #[must_use]
    pub fn host(&self) -> Self {
        Self { member: self.shared.host, shared: Arc::clone(&self.shared) }
    }

    /// Waits until every process has come to its end, and returns what each says of it; `None` if they do not all within
    /// `timeout`. Other messages that are still under way do not matter.
    #[must_use]
    pub fn endings(&self, message: Vec<u8>, timeout: Duration) -> Option<Vec<Vec<u8>>> {
        self.ask(timeout, |reply| Command::Gather { on: ENDINGS, message, reply }).ok()
    }

    /// Ends MPI. Every process must do so.
    pub fn finish(self) {
        // A process that is gone ends this one too.
        let _ = self.ask(Duration::MAX, |reply| Command::Finish { reply });
    }

    /// Ends all processes at once with this exit status, without a checkpoint or anything else. Returns if MPI cannot do so
    /// within some seconds: then the end of this process must do.
    pub fn abort(&self, status: u8) {
        self.shared.abort.store(i32::from(status).max(1), Ordering::SeqCst);
        if self.shared.commands.send(Command::Wake).is_ok() {
            thread::sleep(ABORTING);
        }
    }

    fn lost(&self, reason: LostReason) -> CollectiveError {
        CollectiveError::Lost { rank: self.rank(), size: self.size(), source: Box::new(reason) }
    }

    fn tell(&self, command: Command) -> Result<(), CollectiveError> {
        if self.shared.lost.load(Ordering::SeqCst) {
            return Err(self.lost(LostReason::Before));
        }
        self.shared.commands.send(command).map_err(|_| self.lost(LostReason::Ended))
    }

    /// What the thread answers to a command within `timeout`.
    fn ask<T>(&self, timeout: Duration, command: impl FnOnce(SyncSender<T>) -> Command) -> Result<T, CollectiveError> {
        let (reply, answer) = sync_channel(1);
        self.tell(command(reply))?;
        answer.recv_timeout(timeout).map_err(|error| {
            self.shared.lost.store(true, Ordering::SeqCst);
            self.lost(match error {
                RecvTimeoutError::Timeout => LostReason::NoAnswer { timeout },
                RecvTimeoutError::Disconnected => LostReason::Ended,
            })
        })
    }

    fn wait<T>(&self, command: impl FnOnce(SyncSender<T>) -> Command) -> Result<T, CollectiveError> {
        self.ask(self.shared.timeout, command)
    }
}

impl Collective for Mpi {
    fn rank(&self) -> usize {
        self.member.rank
    }

    fn size(&self) -> usize {
        self.member.size
    }

    fn gather(&self, message: Vec<u8>) -> Result<Vec<Vec<u8>>, CollectiveError> {
        self.wait(|reply| Command::Gather { on: self.member.on, message, reply })
    }

    fn exchange(&self, messages: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, CollectiveError> {
        assert_eq!(messages.len(), self.size(), "one message for each rank");
        self.wait(|reply| Command::Swap { on: self.member.on, messages, reply })
    }

    fn send(&self, to: usize, message: Vec<u8>) -> Result<(), CollectiveError> {
        assert!(to < self.size(), "rank {to} of {}", self.size());
        self.tell(Command::Send { on: self.member.on, to, message })
    }

    fn receive(&self, from: usize) -> Result<Vec<u8>, CollectiveError> {
        assert!(from < self.size(), "rank {from} of {}", self.size());
        self.wait(|reply| Command::Receive { on: self.member.on, from, reply })
    }

    fn split(&self, color: usize) -> Result<Box<dyn Collective>, CollectiveError> {
        let color = i32::try_from(color).expect("a color is a small number");
        let member = self.wait(|reply| Command::Split { on: self.member.on, color, reply })?;
        Ok(Box::new(Self { member, shared: Arc::clone(&self.shared) }))
    }
}
