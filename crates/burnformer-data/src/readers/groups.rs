//! Lines of a stream, in groups.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use burnformer_core::progress::{Interrupt, Interrupted};

use crate::corpus::CorpusError;

/// Time that a group waits for one more line.
const SOON: Duration = Duration::from_millis(20);
/// Longest time from the first line of a group to its end, below what a person notices.
const ENOUGH: Duration = Duration::from_millis(100);
/// Period of checks of the interrupt while waiting for the first line.
const LOOK: Duration = Duration::from_millis(100);
/// Number of lines read ahead.
const AHEAD: usize = 1024;
/// Bytes of lines read ahead after which no more are read.
const AHEAD_BYTES: usize = 1 << 20;
/// Bytes of lines after which a group is full.
const FULL: usize = 1 << 20;
/// Period of checks whether lines were taken.
const REST: Duration = Duration::from_millis(1);

/// The lines of an input in groups of lines that arrive shortly after one another, so that answers do not wait for the
/// end of the input.
#[derive(Debug)]
pub struct Groups<E> {
    lines: Receiver<Result<String, E>>,
    /// Bytes of the lines that were read and not taken.
    waiting: Arc<AtomicUsize>,
    /// The error that ended the input, reported after the lines before it.
    failed: Option<E>,
}

impl<E: From<Interrupted> + Send + 'static> Groups<E> {
    /// Begins to read the lines that `open` makes, on a thread of their own, which ends with the input or the program.
    ///
    /// # Errors
    /// If the system cannot start a thread.
    pub fn read<I: Iterator<Item = Result<String, E>>>(
        open: impl FnOnce() -> I + Send + 'static,
    ) -> Result<Self, CorpusError> {
        let (sender, lines) = mpsc::sync_channel(AHEAD);
        let waiting = Arc::new(AtomicUsize::new(0));
        let ahead = Arc::clone(&waiting);
        let read = move || {
            // Who takes no more lines ends this.
            let _ = open().try_for_each(|line| {
                while ahead.load(Ordering::Relaxed) > AHEAD_BYTES {
                    thread::sleep(REST);
                }
                ahead.fetch_add(line.as_ref().map_or(0, String::len), Ordering::Relaxed);
                sender.send(line)
            });
        };
        thread::Builder::new().spawn(read).map_err(|source| CorpusError::Thread { source })?;
        Ok(Self { lines, waiting, failed: None })
    }

    /// The next lines, at most `most`, and no more behind 1 MiB of them; empty at the end.
    ///
    /// # Errors
    /// The error that ended the input, after the lines before it; an interruption.
    pub fn next(&mut self, most: usize, interrupt: &Interrupt) -> Result<Vec<String>, E> {
        let mut group = Vec::new();
        let mut n_bytes = 0;
        let mut deadline = Instant::now();
        while self.failed.is_none() && group.len() < most && n_bytes < FULL {
            interrupt.check()?;
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(if group.is_empty() { LOOK } else { SOON.min(left) }) {
                Ok(Ok(line)) => {
                    if group.is_empty() {
                        deadline = Instant::now() + ENOUGH;
                    }
                    n_bytes += line.len();
                    self.waiting.fetch_sub(line.len(), Ordering::Relaxed);
                    group.push(line);
                }
                Ok(Err(error)) => self.failed = Some(error),
                Err(RecvTimeoutError::Timeout) if group.is_empty() => {}
                Err(_) => break,
            }
        }
        match self.failed.take_if(|_| group.is_empty()) {
            Some(error) => Err(error),
            None => Ok(group),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The end of an input.
    #[derive(Debug)]
    enum End {
        Torn,
        Interrupted,
    }

    impl From<Interrupted> for End {
        fn from(_: Interrupted) -> Self {
            Self::Interrupted
        }
    }

    #[test]
    fn what_is_there_comes_before_what_is_awaited_and_before_an_error() {
        let (sender, lines) = mpsc::sync_channel(9);
        let mut groups = Groups { lines, waiting: Arc::new(AtomicUsize::new(3)), failed: None };
        let interrupt = Interrupt::new();
        for line in ["a", "", "b"] {
            sender.send(Ok(line.to_owned())).unwrap();
        }
        // The sender is there: without an end of the group this would wait.
        assert_eq!(groups.next(2, &interrupt).unwrap(), ["a", ""]);
        assert_eq!(groups.next(2, &interrupt).unwrap(), ["b"]);
        sender.send(Ok("c".to_owned())).unwrap();
        sender.send(Err(End::Torn)).unwrap();
        assert_eq!(groups.next(9, &interrupt).unwrap(), ["c"]);
        assert!(matches!(groups.next(9, &interrupt), Err(End::Torn)));
        drop(sender);
        assert!(groups.next(9, &interrupt).unwrap().is_empty());
    }

    #[test]
    fn long_lines_are_not_read_ahead_and_are_groups_of_their_own() {
        let made = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&made);
        let open = move || {
            (0..20).map(move |_| {
                count.fetch_add(1, Ordering::Relaxed);
                Ok("a".repeat(FULL))
            })
        };
        let mut groups = Groups::<End>::read(open).unwrap();
        let interrupt = Interrupt::new();
        for taken in 1..=20 {
            assert_eq!(groups.next(100, &interrupt).unwrap().len(), 1);
            // Two wait to be taken, and one to be sent.
            assert!(made.load(Ordering::Relaxed) <= taken + 3);
        }
        assert!(groups.next(100, &interrupt).unwrap().is_empty());
    }

    #[test]
    fn who_waits_for_lines_can_be_interrupted() {
        let (_sender, lines) = mpsc::sync_channel::<Result<String, End>>(1);
        let interrupt = Interrupt::new();
        interrupt.request();
        let error = Groups { lines, waiting: Arc::default(), failed: None }.next(1, &interrupt);
        assert!(matches!(error, Err(End::Interrupted)), "{error:?}");
    }
}
