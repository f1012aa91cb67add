//! Parameters that another process holds, while a model is saved.

use burn::tensor::TensorData;
use std::cell::RefCell;
use std::io;
use std::rc::Rc;

/// Parameters that this process holds in part or not at all, and others give it while it saves a model.
///
/// As the [parts](burnformer_nn::parts) of a model, it is a choice of the thread, which all that saves models follows.
pub trait Elsewhere {
    /// The whole shape of the parameter at `path`; `None` if this process has it.
    fn shape(&self, path: &str) -> Option<Vec<usize>>;

    /// Its values as f32, of its whole shape.
    ///
    /// # Errors
    /// If they cannot be had.
    fn read(&self, path: &str) -> io::Result<TensorData>;
}

thread_local! {
    static CURRENT: RefCell<Option<Rc<dyn Elsewhere>>> = const { RefCell::new(None) };
}

/// Calls `body`, in which models that are saved on this thread have the parameters of `elsewhere` too. Each is asked for when it
/// is written: there is one of them in memory at a time.
pub fn with_elsewhere<R>(elsewhere: Rc<dyn Elsewhere>, body: impl FnOnce() -> R) -> R {
    /// Restores the former choice when dropped, also during a panic.
    struct Restore(Option<Rc<dyn Elsewhere>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(self.0.take());
        }
    }
    let _before = Restore(CURRENT.replace(Some(elsewhere)));
    body()
}

/// The whole shape of the parameter at `path`, if another process has it.
pub(crate) fn shape(path: &str) -> Option<Vec<usize>> {
    CURRENT.with_borrow(|elsewhere| elsewhere.as_ref()?.shape(path))
}

/// The values of the parameter at `path`, if another process has it.
pub(crate) fn read(path: &str) -> Option<io::Result<TensorData>> {
    // Not borrowed while others are waited for.
    let elsewhere = CURRENT.with_borrow(Clone::clone)?;
    elsewhere.shape(path)?;
    Some(elsewhere.read(path))
}
