//! Ctrl-C and SIGTERM: the first asks the work to stop at its next safe point, the second ends the program at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use burnformer::core::progress::Interrupt;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::terminal::Terminal;

/// Time between two looks for a signal: a handler itself may do next to nothing.
const PERIOD: Duration = Duration::from_millis(50);

/// The signals that have come.
pub(crate) struct Signals {
    /// The number of the last one, 0 before any.
    last: Arc<AtomicUsize>,
}

impl Signals {
    /// Watches from now on, and requests `interrupt` at the first signal.
    ///
    /// # Errors
    /// If the system refuses to hand over the signals, or a thread.
    pub(crate) fn watch(interrupt: &Interrupt, terminal: &Terminal) -> io::Result<Self> {
        let (met, last) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        for signal in [SIGINT, SIGTERM] {
            // The order matters: what ends the program must see the flag as it was before this signal.
            flag::register_conditional_default(signal, Arc::clone(&met))?;
            flag::register(signal, Arc::clone(&met))?;
            flag::register_usize(signal, Arc::clone(&last), signal.unsigned_abs() as usize)?;
        }
        let (interrupt, terminal) = (interrupt.clone(), terminal.clone());
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            while !met.load(Ordering::SeqCst) {
                thread::sleep(PERIOD);
            }
            // Said first: the next safe point may be the end of the program.
            terminal.note("stopping at the next safe point; press Ctrl-C again to stop at once");
            interrupt.request();
        })?;
        Ok(Self { last })
    }

    /// The exit status of a program that a signal stopped: 128 and the number of the signal, as shells have it. 130 stands
    /// for Ctrl-C, 143 for SIGTERM.
    pub(crate) fn status(&self) -> u8 {
        let signal = self.last.load(Ordering::SeqCst);
        u8::try_from(128 + signal).unwrap_or(u8::MAX)
    }
}
