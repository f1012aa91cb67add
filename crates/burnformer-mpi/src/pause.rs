//! How long to wait between two looks at MPI.

use std::thread;
use std::time::{Duration, Instant};

/// So long a thread looks without pause: messages between processes of a machine take less.
const BUSY: Duration = Duration::from_micros(50);
/// The longest pause. It delays a message, which has taken far longer by then.
const LONGEST: Duration = Duration::from_millis(1);

/// A waiting that takes less of the processor the longer it lasts: others compute meanwhile.
pub(crate) struct Pause(Instant);

impl Pause {
    /// Starts to wait.
    pub(crate) fn new() -> Self {
        Self(Instant::now())
    }

    /// The time until the next look: a sixteenth of the time so far.
    pub(crate) fn length(&self) -> Duration {
        let waited = self.0.elapsed();
        if waited < BUSY { Duration::ZERO } else { (waited / 16).min(LONGEST) }
    }

    /// Waits until the next look.
    pub(crate) fn take(&self) {
        match self.length() {
            Duration::ZERO => thread::yield_now(),
            length => thread::sleep(length),
        }
    }
}
