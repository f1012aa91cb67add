//! Texts from the command line or, line by line, from the standard input.

use std::io::{self, BufRead};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use burnformer::core::progress::Interrupt;

use crate::errors::Advised;

/// How long a group of lines waits for another one.
const SOON: Duration = Duration::from_millis(20);
/// How long its first line waits for all others: not as long as a person notices.
const ENOUGH: Duration = Duration::from_millis(100);
/// How often who waits for the first line looks whether to stop.
const LOOK: Duration = Duration::from_millis(100);
/// How many lines are read ahead.
const AHEAD: usize = 1024;

/// The texts of the command line, or if there are none, the lines of the standard input, blank ones left out. They are read
/// as they are needed.
pub(super) fn texts(given: &[String]) -> Box<dyn Iterator<Item = Result<String>> + '_> {
    if given.is_empty() {
        return Box::new(of_stdin().filter(|line| line.as_ref().map_or(true, |line| !line.trim().is_empty())));
    }
    Box::new(given.iter().cloned().map(Ok))
}

/// The lines of the standard input.
fn of_stdin() -> impl Iterator<Item = Result<String>> {
    io::stdin().lock().split(b'\n').zip(1_u64..).map(|(line, number)| {
        let mut line = line.context("cannot read standard input")?;
        line.pop_if(|last| *last == b'\r');
        String::from_utf8(line).map_err(|error| {
            let byte = error.utf8_error().valid_up_to() + 1;
            let message = format!("line {number} of standard input is not UTF-8 from byte {byte} on");
            Advised::new(message, "convert the input, for instance with `iconv -f latin1 -t utf-8`").into()
        })
    })
}

/// The lines of the standard input in groups: those that come one soon after the other, so that nobody waits for an answer
/// until the input ends.
pub(super) struct Groups {
    lines: Receiver<Result<String>>,
    /// What ended the input, told behind the lines in front of it.
    failed: Option<anyhow::Error>,
}

impl Groups {
    /// Begins to read.
    pub(super) fn of_stdin() -> Self {
        let (sender, lines) = mpsc::sync_channel(AHEAD);
        // It ends with the input, or with the program.
        thread::spawn(move || of_stdin().try_for_each(|line| sender.send(line)));
        Self { lines, failed: None }
    }

    /// The next lines, at most `most`; none at the end.
    ///
    /// # Errors
    /// If the input cannot be read or is not UTF-8, or on request of the interrupt.
    pub(super) fn next(&mut self, most: usize, interrupt: &Interrupt) -> Result<Vec<String>> {
        let mut group = Vec::new();
        let mut deadline = Instant::now();
        while self.failed.is_none() && group.len() < most {
            interrupt.check()?;
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(if group.is_empty() { LOOK } else { SOON.min(left) }) {
                Ok(Ok(line)) => {
                    if group.is_empty() {
                        deadline = Instant::now() + ENOUGH;
                    }
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
    use anyhow::anyhow;
    use burnformer::core::is_interrupted;

    use super::*;

    #[test]
    fn what_is_there_comes_before_what_is_awaited_and_before_an_error() {
        let (sender, lines) = mpsc::sync_channel(9);
        let mut groups = Groups { lines, failed: None };
        let interrupt = Interrupt::new();
        for line in ["a", "", "b"] {
            sender.send(Ok(line.to_owned())).unwrap();
        }
        // The sender is there: without an end of the group this would wait.
        assert_eq!(groups.next(2, &interrupt).unwrap(), ["a", ""]);
        assert_eq!(groups.next(2, &interrupt).unwrap(), ["b"]);
        sender.send(Ok("c".to_owned())).unwrap();
        sender.send(Err(anyhow!("torn"))).unwrap();
        assert_eq!(groups.next(9, &interrupt).unwrap(), ["c"]);
        assert_eq!(groups.next(9, &interrupt).unwrap_err().to_string(), "torn");
        drop(sender);
        assert!(groups.next(9, &interrupt).unwrap().is_empty());
    }

    #[test]
    fn who_waits_for_lines_can_be_interrupted() {
        let (_sender, lines) = mpsc::sync_channel(1);
        let interrupt = Interrupt::new();
        interrupt.request();
        let error = Groups { lines, failed: None }.next(1, &interrupt).unwrap_err();
        assert!(is_interrupted(error.as_ref()), "{error}");
    }
}
