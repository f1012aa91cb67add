//! Several adapters of one base model in memory.

use crate::weights::Place;
use burn::backend::DispatchTensor;
use burn::tensor::Tensor;
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

thread_local! {
    static SHARED: RefCell<Option<SharedBase>> = const { RefCell::new(None) };
}

/// What a weight of a model in memory depends on: the file, its place in it, and the device.
type Key = (PathBuf, Place, String);

/// The weights of base models, which all adapters share that are loaded in [`Self::load`]. Each adapter then takes little memory
/// of its own, and its products are made beside those of the base.
///
/// ```
/// use burnformer_models::{BertForSequenceClassification, Pretrained, SharedBase};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/peft");
/// let device = burnformer_ops::DeviceChoice::Auto.open()?;
/// let base = SharedBase::new();
/// let [topics, moods] = ["default", "embeddings"].map(|adapter| {
///     base.load(|| BertForSequenceClassification::load(&fixtures.join(adapter), &device))
/// });
/// assert_eq!(topics?.labels(), moods?.labels());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct SharedBase {
    weights: Rc<RefCell<HashMap<Key, DispatchTensor>>>,
}

impl SharedBase {
    /// No weights yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Calls `body`, in which models of adapters that are loaded on this thread take the weights of their base from here, or
    /// leave them here.
    pub fn load<R>(&self, body: impl FnOnce() -> R) -> R {
        /// Restores the former choice when dropped, also during a panic.
        struct Restore(Option<SharedBase>);
        impl Drop for Restore {
            fn drop(&mut self) {
                SHARED.set(self.0.take());
            }
        }
        let _before = Restore(SHARED.replace(Some(self.clone())));
        body()
    }

    /// Number of weights that are shared.
    #[must_use]
    pub fn n_weights(&self) -> usize {
        self.weights.borrow().len()
    }

    /// The one of this thread.
    pub(crate) fn current() -> Option<Self> {
        SHARED.with_borrow(Clone::clone)
    }

    /// The weight of `file` at `place` on a device, made by `read` if it is not there.
    ///
    /// # Errors
    /// That of `read`.
    pub(crate) fn weight<const D: usize, E>(
        &self,
        file: &Path,
        place: &Place,
        device: String,
        read: impl FnOnce() -> Result<Tensor<D>, E>,
    ) -> Result<Tensor<D>, E> {
        let key = (file.to_owned(), place.clone(), device);
        if let Some(known) = self.weights.borrow().get(&key) {
            return Ok(Tensor::from_dispatch(known.clone()));
        }
        let tensor = read()?;
        self.weights.borrow_mut().insert(key, tensor.clone().into_dispatch());
        Ok(tensor)
    }
}
