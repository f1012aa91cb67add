//! Parallel map with results in order and bounded memory.

use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

/// Queue length before and after each thread.
const QUEUE: usize = 2;

/// The results of a function on the items of an iterator, computed ahead on threads, in the order of the items.
///
/// Item `i` goes to thread `i mod n`, and results are taken from the threads in turn, so that the order needs no
/// bookkeeping and at most `5 n + 1` items are under way. Dropping it stops the threads and waits for them.
pub(crate) struct Ordered<T> {
    results: Vec<Receiver<T>>,
    turn: usize,
    threads: Vec<JoinHandle<()>>,
}

impl<T: Send + 'static> Ordered<T> {
    /// Starts `n_threads` threads (at least one), each with a function of its own from `worker`, and one that walks
    /// `items`.
    ///
    /// # Errors
    /// The system's error if it cannot start a thread.
    pub(crate) fn start<I, F>(
        n_threads: usize,
        items: impl Iterator<Item = I> + Send + 'static,
        mut worker: impl FnMut() -> F,
    ) -> std::io::Result<Self>
    where
        I: Send + 'static,
        F: FnMut(I) -> T + Send + 'static,
    {
        let (mut inputs, mut results, mut threads) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..n_threads.max(1) {
            let (input, items) = sync_channel(QUEUE);
            let (output, result) = sync_channel(QUEUE);
            inputs.push(input);
            results.push(result);
            let mut work = worker();
            threads.push(spawn(move || {
                for item in items {
                    if output.send(work(item)).is_err() {
                        return;
                    }
                }
            })?);
        }
        threads.push(spawn(move || deal(items, &inputs))?);
        Ok(Self { results, turn: 0, threads })
    }
}

fn spawn(work: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    Builder::new().name("burnformer-data".to_owned()).spawn(work)
}

/// Distributes the items in turn until they end or the receiver is dropped.
fn deal<I>(items: impl Iterator<Item = I>, inputs: &[SyncSender<I>]) {
    for (item, input) in items.zip(inputs.iter().cycle()) {
        if input.send(item).is_err() {
            return;
        }
    }
}

impl<T> Iterator for Ordered<T> {
    type Item = T;

    /// # Panics
    /// With the panic of a thread that panicked.
    fn next(&mut self) -> Option<T> {
        if let Ok(result) = self.results.get(self.turn)?.recv() {
            self.turn = (self.turn + 1) % self.results.len();
            return Some(result);
        }
        self.results.clear();
        for thread in self.threads.drain(..) {
            if let Err(panic) = thread.join() {
                resume_unwind(panic);
            }
        }
        None
    }
}

impl<T> Drop for Ordered<T> {
    fn drop(&mut self) {
        self.results.clear();
        for thread in self.threads.drain(..) {
            // A panic nobody waited for ends with its thread; this may itself run while one unwinds.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    #[test]
    fn results_come_in_order_on_any_number_of_threads() {
        for n_threads in [0, 1, 2, 3, 7] {
            for n in [0_u64, 1, 2, 100] {
                let slow = |i: u64| {
                    std::thread::sleep(Duration::from_micros(i * 37 % 200));
                    i * i
                };
                let squares: Vec<u64> = Ordered::start(n_threads, 0..n, || slow).unwrap().collect();
                assert_eq!(squares, (0..n).map(|i| i * i).collect::<Vec<_>>(), "{n_threads} threads, {n} items");
            }
        }
    }

    #[test]
    fn an_endless_input_is_read_ahead_only_so_far() {
        let started = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&started);
        let items = (0..).inspect(move |_| {
            counter.fetch_add(1, Ordering::SeqCst);
        });
        let mut results = Ordered::start(3, items, || |i: usize| i).unwrap();
        assert_eq!(results.by_ref().take(10).collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
        std::thread::sleep(Duration::from_millis(50));
        drop(results);
        assert!(started.load(Ordering::SeqCst) <= 10 + 5 * 3 + 1, "{} items", started.load(Ordering::SeqCst));
    }

    #[test]
    fn a_panic_reaches_who_waits() {
        let fail = |i: u32| if i == 5 { panic!("item five") } else { i };
        let mut results = Ordered::start(2, 0..100, || fail).unwrap();
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| results.by_ref().count())).unwrap_err();
        assert_eq!(caught.downcast_ref::<&str>(), Some(&"item five"));
        assert_eq!(results.next(), None);
    }
}
