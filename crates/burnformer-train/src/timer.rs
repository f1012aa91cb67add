//! When a checkpoint is due by time.

use std::time::{Duration, Instant};

/// The first checkpoint by time comes after one minute at most.
const FIRST: Duration = Duration::from_secs(60);

/// The moment at which the next checkpoint is due.
pub(crate) struct Timer {
    interval: Option<Duration>,
    /// Absent for never.
    due: Option<Instant>,
}

impl Timer {
    /// Starts to wait so many minutes, or not at all.
    pub(crate) fn start(minutes: Option<f64>) -> Self {
        let interval = minutes.and_then(|minutes| Duration::try_from_secs_f64(minutes * 60.0).ok());
        let due = interval.and_then(|interval| Instant::now().checked_add(interval.min(FIRST)));
        Self { interval, due }
    }

    /// Waits for the next one, from now on.
    pub(crate) fn restart(&mut self) {
        self.due = self.interval.and_then(|interval| Instant::now().checked_add(interval));
    }

    /// `true` if it is time.
    pub(crate) fn is_due(&self) -> bool {
        self.due.is_some_and(|due| Instant::now() >= due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_due_within_a_minute() {
        let wait = |timer: &Timer| timer.due.map(|due| due.saturating_duration_since(Instant::now()));
        let mut timer = Timer::start(Some(10.0));
        assert!(wait(&timer).unwrap() <= FIRST && !timer.is_due());
        timer.restart();
        assert!(wait(&timer).unwrap() > FIRST);
        assert!(wait(&Timer::start(Some(0.5))).unwrap() <= Duration::from_secs(30));
        assert!(Timer::start(Some(1e-12)).is_due());
        for never in [None, Some(f64::MAX)] {
            let mut timer = Timer::start(never);
            timer.restart();
            assert!(!timer.is_due());
        }
    }
}
