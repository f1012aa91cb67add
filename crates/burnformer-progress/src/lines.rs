//! Progress as a line every few seconds, for logs.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use burnformer_core::progress::{Progress, Stage, Unit};
use indicatif::HumanDuration;

use crate::amount::Amount;

/// Time between two lines of a stage. A shorter stage says nothing.
const PERIOD: Duration = Duration::from_secs(5);

/// Progress as lines, each handed to a function that writes it.
#[derive(Clone, Copy, Debug)]
pub struct Lines<W>(pub W);

impl<W: Fn(String) + Clone + Send + Sync + 'static> Progress for Lines<W> {
    fn stage(&self, name: &str, total: Option<u64>, unit: Unit) -> Box<dyn Stage> {
        Box::new(LineStage::start(self.0.clone(), name, total, unit))
    }
}

/// A stage that writes lines.
struct LineStage<W: Fn(String)> {
    write: W,
    name: String,
    total: Option<u64>,
    unit: Unit,
    start: Instant,
    state: Mutex<State>,
}

struct State {
    done: u64,
    /// Of these, what was done before the stage began.
    skipped: u64,
    message: String,
    /// When the last line was written.
    last: Option<Instant>,
}

impl<W: Fn(String)> LineStage<W> {
    /// A stage that starts now.
    fn start(write: W, name: &str, total: Option<u64>, unit: Unit) -> Self {
        let state = State { done: 0, skipped: 0, message: String::new(), last: None };
        Self { write, name: name.to_owned(), total, unit, start: Instant::now(), state: Mutex::new(state) }
    }

    /// Counts on and tells the line to be written at `now`, if it is time for one.
    fn advance_at(&self, count: u64, now: Instant) -> Option<String> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.done += count;
        if now.duration_since(state.last.unwrap_or(self.start)) < PERIOD {
            return None;
        }
        state.last = Some(now);
        let elapsed = now.duration_since(self.start);
        let here = Amount::steady(state.done - state.skipped, self.total, self.unit, elapsed);
        let amount = Amount { done: state.done, ..here };
        let separator = if state.message.is_empty() { "" } else { ", " };
        Some(format!("{}: {amount}{separator}{}", self.name, state.message))
    }

    /// The last line, if there was any before.
    fn end_at(&self, now: Instant) -> Option<String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.last?;
        let amount = Amount { done: state.done, total: None, unit: self.unit, rate: 0.0 };
        Some(format!("{}: {amount} in {:#}", self.name, HumanDuration(now.duration_since(self.start))))
    }
}

impl<W: Fn(String) + Send + Sync> Stage for LineStage<W> {
    fn advance(&self, count: u64) {
        if let Some(line) = self.advance_at(count, Instant::now()) {
            (self.write)(line);
        }
    }

    fn skip(&self, count: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.done += count;
        state.skipped += count;
    }

    fn message(&self, text: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        text.clone_into(&mut state.message);
    }
}

impl<W: Fn(String)> Drop for LineStage<W> {
    fn drop(&mut self) {
        if let Some(line) = self.end_at(Instant::now()) {
            (self.write)(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage() -> LineStage<fn(String)> {
        LineStage::start(drop as fn(String), "tokenize", Some(80 << 20), Unit::Bytes)
    }

    #[test]
    fn a_long_stage_writes_a_line_every_few_seconds() {
        let stage = stage();
        let at = |seconds| stage.start + Duration::from_secs(seconds);
        assert_eq!(stage.advance_at(20 << 20, at(4)), None);
        stage.message("7 tokens");
        let line = stage.advance_at(20 << 20, at(8)).unwrap();
        assert_eq!(line, "tokenize: 40.00 MiB of 80.00 MiB, 5.00 MiB/s, 8s left, 7 tokens");
        assert_eq!(stage.advance_at(20 << 20, at(12)), None);
        assert!(stage.advance_at(20 << 20, at(13)).is_some());
        assert_eq!(stage.end_at(at(16)).unwrap(), "tokenize: 80.00 MiB in 16s");
    }

    #[test]
    fn what_was_done_before_does_not_count_for_the_speed() {
        let stage = stage();
        stage.skip(40 << 20);
        let line = stage.advance_at(8 << 20, stage.start + Duration::from_secs(8)).unwrap();
        assert_eq!(line, "tokenize: 48.00 MiB of 80.00 MiB, 1.00 MiB/s, 32s left");
    }

    #[test]
    fn a_short_stage_says_nothing() {
        let stage = stage();
        assert_eq!(stage.advance_at(80 << 20, stage.start + Duration::from_secs(4)), None);
        assert_eq!(stage.end_at(stage.start + Duration::from_secs(4)), None);
    }
}
