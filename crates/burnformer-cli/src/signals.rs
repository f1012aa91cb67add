//! What signals do: Ctrl-C, SIGTERM and SIGHUP end the work at its next safe point, SIGUSR1 asks for a checkpoint.
//!
//! `timeout`, systemd and Slurm send one signal to the process and to its group, so it comes twice. Signals within
//! [`TOGETHER`] of the first are one; the same signal later, or Ctrl-C, ends the program at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use burnformer::core::progress::Interrupt;
#[cfg(unix)]
use signal_hook::consts::{SIGHUP, SIGUSR1};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::{flag, low_level};

use crate::terminal::Terminal;

/// Time between two looks for a signal: a handler itself may do next to nothing.
const PERIOD: Duration = Duration::from_millis(50);

/// How long after a signal others count as the same one.
const TOGETHER: Duration = Duration::from_secs(1);

/// The signals that have come.
pub(crate) struct Signals {
    /// The number of the one that asked the work to stop, 0 before any.
    first: Arc<AtomicUsize>,
}

impl Signals {
    /// Watches from now on, and passes on to `interrupt` what signals ask for.
    ///
    /// # Errors
    /// If the system refuses to hand over the signals, or a thread.
    pub(crate) fn watch(interrupt: &Interrupt, terminal: &Terminal) -> io::Result<Self> {
        let first = Arc::new(AtomicUsize::new(0));
        let mut watched = Vec::new();
        for signal in signals() {
            let came = Arc::new(AtomicBool::new(false));
            flag::register(signal, Arc::clone(&came))?;
            watched.push(Watched { signal, came, is_known: false });
        }
        let watcher =
            Watcher { watched, first: Arc::clone(&first), interrupt: interrupt.clone(), terminal: terminal.clone() };
        thread::Builder::new().name("signals".to_owned()).spawn(move || watcher.watch())?;
        Ok(Self { first })
    }

    /// The exit status of a program that a signal stopped: 128 and the number of the signal, as shells have it. 129 stands
    /// for SIGHUP, 130 for Ctrl-C, 143 for SIGTERM.
    pub(crate) fn status(&self) -> u8 {
        let signal = self.first.load(Ordering::SeqCst);
        u8::try_from(128 + signal).unwrap_or(u8::MAX)
    }
}

/// The signals to watch.
#[cfg(unix)]
fn signals() -> Vec<i32> {
    let mut signals = vec![SIGINT, SIGTERM, SIGUSR1];
    // `nohup` has it ignored, and wants the program to outlive its terminal.
    if !is_ignored(SIGHUP) {
        signals.push(SIGHUP);
    }
    signals
}

#[cfg(not(unix))]
fn signals() -> Vec<i32> {
    vec![SIGINT, SIGTERM]
}

/// Whether whoever started the program has it ignore `signal`, as far as the system tells without unsafe code: Linux does.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (signal - 1)) != 0)
}

/// A signal, and whether it has come.
struct Watched {
    signal: i32,
    /// Set by the handler.
    came: Arc<AtomicBool>,
    /// Whether it has come before, and asked the work to stop.
    is_known: bool,
}

/// The thread that looks for signals.
struct Watcher {
    watched: Vec<Watched>,
    first: Arc<AtomicUsize>,
    interrupt: Interrupt,
    terminal: Terminal,
}

impl Watcher {
    fn watch(mut self) {
        loop {
            for number in 0..self.watched.len() {
                let Watched { signal, came, is_known } = &self.watched[number];
                if !came.swap(false, Ordering::SeqCst) {
                    continue;
                }
                #[cfg(unix)]
                if *signal == SIGUSR1 {
                    self.terminal.note("SIGUSR1: training writes a checkpoint and goes on, other work goes on");
                    self.interrupt.request_checkpoint();
                    continue;
                }
                let stopping = self.interrupt.requested();
                if *is_known || stopping && *signal == SIGINT {
                    self.terminal.note("stopped at once by a second signal");
                    // Ends the program, so that its status tells the signal.
                    let _ = low_level::emulate_default_handler(*signal);
                }
                let signal = *signal;
                self.watched[number].is_known = true;
                if !stopping {
                    self.stop(signal);
                }
                self.pass_over();
            }
            thread::sleep(PERIOD);
        }
    }

    fn stop(&self, signal: i32) {
        self.first.store(signal.unsigned_abs() as usize, Ordering::SeqCst);
        // Said first: the next safe point may be the end of the program.
        self.terminal.note("stopping at the next safe point; press Ctrl-C again to stop at once");
        self.interrupt.request();
    }

    /// Waits until signals are no longer one with that which has come.
    fn pass_over(&mut self) {
        thread::sleep(TOGETHER);
        for watched in &mut self.watched {
            watched.is_known |= watched.came.swap(false, Ordering::SeqCst);
        }
    }
}
