//! The memory that trials share which run at once.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use burnformer_core::progress::{Interrupt, Interrupted};

/// How often those that wait look for a request to stop.
const PERIOD: Duration = Duration::from_millis(100);

/// Bytes of memory that are shared.
pub(super) struct Budget {
    total: Option<u64>,
    used: Mutex<u64>,
    freed: Condvar,
}

/// A part of a budget, which is given back when this is dropped.
pub(super) struct Share<'a> {
    budget: &'a Budget,
    bytes: u64,
}

impl Budget {
    /// A budget of so many bytes; without limit if absent.
    pub(super) fn new(total: Option<u64>) -> Self {
        Self { total, used: Mutex::new(0), freed: Condvar::new() }
    }

    /// Waits until the budget has `bytes` left. Whoever is alone gets what there is: whether that is enough is asked elsewhere.
    ///
    /// # Errors
    /// If `interrupt` asks to stop.
    pub(super) fn take(&self, bytes: u64, interrupt: &Interrupt) -> Result<Share<'_>, Interrupted> {
        let mut used = self.used();
        loop {
            interrupt.check()?;
            if *used == 0 || self.total.is_none_or(|total| *used + bytes <= total) {
                *used += bytes;
                return Ok(Share { budget: self, bytes });
            }
            used = self.freed.wait_timeout(used, PERIOD).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn used(&self) -> MutexGuard<'_, u64> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        *self.budget.used() -= self.bytes;
        self.budget.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn whoever_does_not_fit_waits() {
        let (budget, interrupt) = (Budget::new(Some(10)), Interrupt::new());
        let first = budget.take(6, &interrupt).unwrap();
        let second = budget.take(4, &interrupt).unwrap();
        thread::scope(|scope| {
            let third = scope.spawn(|| budget.take(5, &interrupt).map(|share| share.bytes));
            drop(second);
            drop(first);
            assert_eq!(third.join().unwrap(), Ok(5));
        });
        assert_eq!(*budget.used(), 0);
        let alone = budget.take(20, &interrupt).unwrap();
        interrupt.request();
        assert!(budget.take(1, &interrupt).is_err());
        drop(alone);
    }
}
