//! Progress reports and stop requests of long work, independent of a terminal.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a [`Stage`] counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unit {
    /// Bytes, shown with a binary prefix.
    Bytes,
    /// Anything else by its plural name: "updates", "documents".
    Items(&'static str),
}

/// Receiver of progress reports.
pub trait Progress: Send + Sync {
    /// Starts a stage of work, which ends when the returned value is dropped. `total` is `None` if unknown.
    fn stage(&self, name: &str, total: Option<u64>, unit: Unit) -> Box<dyn Stage>;
}

/// A running stage of work. Dropping it ends the stage, complete or not.
pub trait Stage: Send + Sync {
    /// Reports that `count` more units are done.
    fn advance(&self, count: u64);

    /// Reports `count` units done before this stage began; they do not count for its speed.
    fn skip(&self, count: u64) {
        self.advance(count);
    }

    /// Replaces the short text beside the stage, such as the current loss.
    fn message(&self, text: &str);
}

/// Discards all progress reports.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn stage(&self, _name: &str, _total: Option<u64>, _unit: Unit) -> Box<dyn Stage> {
        Box::new(Self)
    }
}

impl Stage for Silent {
    fn advance(&self, _count: u64) {}

    fn message(&self, _text: &str) {}
}

/// Requests to running work, shared between the requester and the work that polls them: to stop, and to write a checkpoint
/// and go on. Clones share the same requests.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<Requests>);

#[derive(Debug, Default)]
struct Requests {
    stop: AtomicBool,
    checkpoint: AtomicBool,
}

impl Interrupt {
    /// An interrupt of which nothing has been requested.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the work to stop at its next safe point. A signal handler may call this.
    pub fn request(&self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }

    /// `true` once a stop has been requested.
    pub fn requested(&self) -> bool {
        self.0.stop.load(Ordering::Relaxed)
    }

    /// Asks the work to write a checkpoint at its next safe point and go on. Work without checkpoints ignores it. A signal
    /// handler may call this.
    pub fn request_checkpoint(&self) {
        self.0.checkpoint.store(true, Ordering::Relaxed);
    }

    /// `true` if a checkpoint has been requested since the last call.
    pub fn take_checkpoint_request(&self) -> bool {
        self.0.checkpoint.swap(false, Ordering::Relaxed)
    }

    /// What work calls at a safe point.
    ///
    /// # Errors
    /// [`Interrupted`] once someone has asked the work to stop.
    pub fn check(&self) -> Result<(), Interrupted> {
        if self.requested() { Err(Interrupted) } else { Ok(()) }
    }
}

/// The error of work that stopped because an [`Interrupt`] asked it to; what was finished stays.
///
/// An error that passes it on has it as its source, so that [`is_interrupted`] finds it below any number of layers. In an
/// `enum` of `thiserror` that is `#[error("interrupted")] Interrupted(#[from] Interrupted)`: a variant that is itself
/// `transparent` would hide it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

/// `true` if `error`, or one of the errors that caused it, is [`Interrupted`].
///
/// ```
/// use burnformer_core::{Interrupted, is_interrupted};
///
/// #[derive(Debug, thiserror::Error)]
/// #[error("cannot count")]
/// struct CountError(#[from] Interrupted);
///
/// assert!(is_interrupted(&CountError(Interrupted)));
/// assert!(!is_interrupted(&std::io::Error::other("interrupted")));
/// ```
pub fn is_interrupted(error: &(dyn Error + 'static)) -> bool {
    std::iter::successors(Some(error), |&error| error.source()).any(<dyn Error>::is::<Interrupted>)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<String>>>);

    impl Log {
        fn push(&self, line: String) {
            self.0.lock().unwrap().push(line);
        }
    }

    impl Progress for Log {
        fn stage(&self, name: &str, total: Option<u64>, unit: Unit) -> Box<dyn Stage> {
            self.push(format!("{name} {total:?} {unit:?}"));
            Box::new(self.clone())
        }
    }

    impl Stage for Log {
        fn advance(&self, count: u64) {
            self.push(format!("+{count}"));
        }

        fn message(&self, text: &str) {
            self.push(text.to_owned());
        }
    }

    fn work(progress: &dyn Progress, interrupt: &Interrupt) {
        let stage = progress.stage("train", Some(3), Unit::Items("updates"));
        for step in 0..3 {
            if interrupt.requested() {
                return;
            }
            stage.advance(1);
            if step == 1 {
                interrupt.clone().request();
            }
        }
        stage.message("done");
    }

    #[test]
    fn work_reports_what_it_did_and_stops_when_asked() {
        let log = Log::default();
        work(&log, &Interrupt::new());
        assert_eq!(*log.0.lock().unwrap(), ["train Some(3) Items(\"updates\")", "+1", "+1"]);
    }

    #[test]
    fn a_requested_checkpoint_is_written_once_and_stops_nothing() {
        let interrupt = Interrupt::new();
        assert!(!interrupt.take_checkpoint_request());
        interrupt.clone().request_checkpoint();
        assert!(interrupt.take_checkpoint_request());
        assert!(!interrupt.take_checkpoint_request());
        assert_eq!(interrupt.check(), Ok(()));
    }

    #[derive(Debug, thiserror::Error)]
    enum Lower {
        #[error("interrupted")]
        Interrupted(#[from] Interrupted),
        #[error("disk full")]
        Full,
    }

    #[derive(Debug, thiserror::Error)]
    #[error(transparent)]
    struct Upper(Box<dyn Error + Send + Sync>);

    #[test]
    fn an_interruption_is_told_from_other_errors_below_any_layer() {
        let interrupt = Interrupt::new();
        assert_eq!(interrupt.check(), Ok(()));
        interrupt.request();
        let error = interrupt.check().unwrap_err();
        assert!(is_interrupted(&error));
        assert!(is_interrupted(&Lower::from(error)));
        let upper = Upper(Box::new(Upper(Box::new(Lower::from(error)))));
        assert!(is_interrupted(&upper));
        assert_eq!(upper.to_string(), "interrupted");
        assert!(!is_interrupted(&Upper(Box::new(Lower::Full))));
    }

    #[test]
    fn progress_need_not_be_watched() {
        let interrupt = Interrupt::new();
        work(&Silent, &interrupt);
        assert!(interrupt.requested());
    }
}
