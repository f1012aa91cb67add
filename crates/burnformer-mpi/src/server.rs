//! The one thread that talks to MPI: communicators may not leave it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};

use mpi::point_to_point::MatchedReceiveVec;
use mpi::request::{self, LocalScope, Request};
use mpi::topology::{Color, SimpleCommunicator};
use mpi::traits::{Communicator, Destination, Source};
use mpi::{Tag, Threading};

use crate::outbox::Outbox;
use crate::pause::Pause;

/// Messages of [`Command::Swap`] and [`Command::Gather`].
const COMMON: Tag = 0;
/// Messages of [`Command::Send`].
const DIRECT: Tag = 1;

/// The communicators that there are from the beginning, by their numbers.
pub(crate) const ALL: usize = 0;
/// All ranks, for what they say when they end.
pub(crate) const ENDINGS: usize = 1;
/// The ranks on this host.
pub(crate) const HOST: usize = 2;

/// What the thread is asked to do, on the communicator of this number.
pub(crate) enum Command {
    /// The same message for all; theirs come back.
    Gather {
        on: usize,
        message: Vec<u8>,
        reply: SyncSender<Vec<Vec<u8>>>,
    },
    /// A message for each; theirs come back.
    Swap {
        on: usize,
        messages: Vec<Vec<u8>>,
        reply: SyncSender<Vec<Vec<u8>>>,
    },
    Send {
        on: usize,
        to: usize,
        message: Vec<u8>,
    },
    Receive {
        on: usize,
        from: usize,
        reply: SyncSender<Vec<u8>>,
    },
    /// A new communicator of those with this color.
    Split {
        on: usize,
        color: i32,
        reply: SyncSender<Member>,
    },
    /// Ends MPI, for all ranks together.
    Finish {
        reply: SyncSender<()>,
    },
    /// Looks whether to abort.
    Wake,
}

/// This process in a communicator.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    /// The number of the communicator.
    pub(crate) on: usize,
    pub(crate) rank: usize,
    pub(crate) size: usize,
}

/// What the thread needs to know.
pub(crate) struct Orders {
    pub(crate) commands: Receiver<Command>,
    /// An exit status with which to end all ranks at once, other than 0.
    pub(crate) abort: Arc<AtomicI32>,
    /// Bytes of the longest message of MPI; longer ones go in pieces.
    pub(crate) longest: usize,
}

/// Starts MPI, tells `started` the first communicators, and does what it is asked to until it is to finish.
pub(crate) fn serve(orders: &Orders, started: &SyncSender<[Member; 3]>) {
    let Some((universe, _)) = mpi::initialize_with_threading(Threading::Funneled) else { return };
    let world = universe.world();
    let communicators = vec![world.duplicate(), world.duplicate(), world.split_shared(world.rank())];
    let mut server = Server { communicators, orders };
    // Whoever has started the thread waits for it.
    let _ = started.send([ALL, ENDINGS, HOST].map(|on| server.member(on)));
    let finished = loop {
        match server.serve_until_sent() {
            Served::AllSent => {}
            Served::Finished(reply) => break reply,
            // Nobody is left to ask for the end: the program fails.
            Served::Left => world.abort(orders.abort.load(Ordering::SeqCst).max(1)),
        }
    };
    drop(server);
    drop(universe);
    let _ = finished.send(());
}

/// Why the thread has come back from serving.
enum Served {
    /// Every message is sent.
    AllSent,
    Finished(SyncSender<()>),
    Left,
}

struct Server<'a> {
    communicators: Vec<SimpleCommunicator>,
    orders: &'a Orders,
}

/// Messages that MPI has not sent yet.
type Pending<'m, 's> = Vec<Request<'m, [u8], &'s LocalScope<'m>>>;

impl Server<'_> {
    fn member(&self, on: usize) -> Member {
        let number = |n| usize::try_from(n).expect("ranks are counted from 0");
        Member { on, rank: number(self.communicators[on].rank()), size: number(self.communicators[on].size()) }
    }

    /// Serves until there is nothing on its way any more, so that what was sent can be freed.
    fn serve_until_sent(&mut self) -> Served {
        let outbox = Outbox::default();
        request::scope(|scope| {
            let (mut end, mut pending) = (&outbox, Pending::new());
            loop {
                let command = match pending.is_empty() {
                    true if outbox.is_empty() => self.orders.commands.recv().ok(),
                    true => return Served::AllSent,
                    false => self.next(&mut pending),
                };
                match command {
                    Some(Command::Send { on, to, message }) => {
                        let (message, rest) = end.keep(message);
                        end = rest;
                        self.start(scope, on, to, message, DIRECT, &mut pending);
                    }
                    Some(Command::Finish { reply }) => {
                        self.complete(&mut pending);
                        return Served::Finished(reply);
                    }
                    Some(command) => self.answer(command),
                    None if pending.is_empty() => return Served::Left,
                    None => self.abort(1),
                }
            }
        })
    }

    /// The next command, if there is one before all that is pending is sent.
    fn next(&self, pending: &mut Pending<'_, '_>) -> Option<Command> {
        let pause = Pause::new();
        loop {
            match self.orders.commands.recv_timeout(pause.length()) {
                Ok(command) => return Some(command),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {}
            }
            test(pending);
            if pending.is_empty() {
                return Some(Command::Wake);
            }
        }
    }

    /// Does what is to be done at once.
    fn answer(&mut self, command: Command) {
        // Who has asked may have given up waiting.
        match command {
            Command::Gather { on, message, reply } => {
                let size = self.member(on).size;
                let received = self.swap(on, &vec![message.as_slice(); size]);
                let _ = reply.send(with_own(received, || message));
            }
            Command::Swap { on, mut messages, reply } => {
                let received = self.swap(on, &messages.iter().map(Vec::as_slice).collect::<Vec<_>>());
                let own = self.member(on).rank;
                let _ = reply.send(with_own(received, || messages.swap_remove(own)));
            }
            Command::Receive { on, from, reply } => {
                let message = self.wait(|| self.probe(on, from, DIRECT));
                let _ = reply.send(self.rest(on, from, DIRECT, message));
            }
            Command::Split { on, color, reply } => {
                let part = self.communicators[on].split_by_color(Color::with_value(color));
                self.communicators.push(part.expect("a rank has its own color"));
                let _ = reply.send(self.member(self.communicators.len() - 1));
            }
            Command::Wake => self.look(),
            Command::Send { .. } | Command::Finish { .. } => unreachable!("done where messages are kept"),
        }
    }

    /// Sends each rank its message, and returns theirs, all but the own.
    fn swap(&self, on: usize, messages: &[&[u8]]) -> Vec<Option<Vec<u8>>> {
        let Member { rank, size, .. } = self.member(on);
        // Not all to the same one first.
        let others: Vec<usize> = (1..size).map(|step| (rank + step) % size).collect();
        let mut received = vec![None; size];
        request::scope(|scope| {
            let mut pending = Pending::new();
            for &to in &others {
                self.start(scope, on, to, messages[to], COMMON, &mut pending);
            }
            let mut missing: Vec<usize> = others.iter().rev().copied().collect();
            while !missing.is_empty() {
                // Of those that are missing alone: others may be further.
                let (place, first) = self.wait(|| {
                    missing.iter().enumerate().find_map(|(n, &from)| Some((n, self.probe(on, from, COMMON)?)))
                });
                let from = missing.remove(place);
                received[from] = Some(self.rest(on, from, COMMON, first));
            }
            self.complete(&mut pending);
        });
        received
    }

    /// Starts to send a message, in pieces of the greatest length and a shorter one that ends it.
    fn start<'m, 's>(
        &self,
        scope: &'s LocalScope<'m>,
        on: usize,
        to: usize,
        message: &'m [u8],
        tag: Tag,
        pending: &mut Pending<'m, 's>,
    ) {
        let process = self.communicators[on].process_at_rank(i32::try_from(to).expect("a rank is a number of MPI"));
        let (whole, last) = message.split_at(message.len() / self.orders.longest * self.orders.longest);
        for piece in whole.chunks(self.orders.longest).chain([last]) {
            pending.push(process.immediate_send_with_tag(scope, piece, tag));
        }
    }

    /// The next piece of a message, if it is there.
    fn probe(&self, on: usize, from: usize, tag: Tag) -> Option<Vec<u8>> {
        let from = i32::try_from(from).expect("a rank is a number of MPI");
        let found = self.communicators[on].process_at_rank(from).immediate_matched_probe_with_tag(tag)?;
        Some(found.matched_receive_vec().0)
    }

    /// The whole message with this first piece.
    fn rest(&self, on: usize, from: usize, tag: Tag, mut message: Vec<u8>) -> Vec<u8> {
        let mut last = message.len();
        while last == self.orders.longest {
            let piece = self.wait(|| self.probe(on, from, tag));
            last = piece.len();
            message.extend(piece);
        }
        message
    }

    /// Waits until all is sent.
    fn complete(&self, pending: &mut Pending<'_, '_>) {
        self.wait(|| {
            test(pending);
            pending.is_empty().then_some(())
        });
    }

    /// Waits until `look` finds something.
    fn wait<T>(&self, mut look: impl FnMut() -> Option<T>) -> T {
        let pause = Pause::new();
        loop {
            if let Some(found) = look() {
                return found;
            }
            self.look();
            pause.take();
        }
    }

    /// Ends all ranks if that is asked for.
    fn look(&self) {
        match self.orders.abort.load(Ordering::SeqCst) {
            0 => {}
            status => self.abort(status),
        }
    }

    fn abort(&self, status: i32) -> ! {
        self.communicators[ALL].abort(status)
    }
}

/// Forgets what is sent.
fn test(pending: &mut Pending<'_, '_>) {
    *pending = std::mem::take(pending).into_iter().filter_map(|request| request.test().err()).collect();
}

/// What was received from all, and the own message.
fn with_own(received: Vec<Option<Vec<u8>>>, own: impl FnOnce() -> Vec<u8>) -> Vec<Vec<u8>> {
    let mut own = Some(own);
    let filled = received.into_iter().map(|message| message.or_else(|| own.take().map(|own| own())));
    filled.map(|message| message.expect("all others have sent theirs")).collect()
}
