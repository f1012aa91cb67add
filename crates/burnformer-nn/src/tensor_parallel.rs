//! Tensor parallelism: ranks that each have a part of every large matrix, and compute with it together.
//!
//! Source: Shoeybi et al. 2019, "Megatron-LM", section 3: query, key, value and the first feed-forward map are cut by outputs,
//! the maps behind them by inputs, tables of tokens by rows. Everything else is on all ranks, with the same bits.

use burn::tensor::{Tensor, TensorData};
use burnformer_core::collective::{Collective, CollectiveError, share};
use burnformer_ops as ops;
use std::cell::RefCell;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

thread_local! {
    static GROUP: RefCell<Option<Arc<Group>>> = const { RefCell::new(None) };
}

/// Calls `body`, in which modules on this thread whose parameters are [parts](crate::Cut) of whole ones compute together with
/// the other ranks of `collective`, which must do the same. Outputs and gradients equal those of whole modules but for rounding,
/// and have the same bits on all ranks.
///
/// # Errors
/// If a rank cannot be reached any more; what `body` has computed is worthless then.
pub fn with_tensor_parallel<R>(
    collective: &Arc<dyn Collective>,
    body: impl FnOnce() -> R,
) -> Result<R, CollectiveError> {
    /// Restores the former ranks when dropped, also during a panic.
    struct Restore(Option<Arc<Group>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            GROUP.set(self.0.take());
        }
    }
    let group = Arc::new(Group { collective: Arc::clone(collective), lost: Mutex::new(None) });
    let before = Restore(GROUP.replace(Some(Arc::clone(&group))));
    let result = body();
    drop(before);
    let lost = group.lost.lock().unwrap_or_else(PoisonError::into_inner).take();
    lost.map_or(Ok(result), Err)
}

/// The ranks that compute together with this one, if a module has `found` of the `whole` rows of a matrix.
///
/// # Panics
/// If it has a part of them, outside [`with_tensor_parallel`].
#[track_caller]
pub(crate) fn group(found: usize, whole: usize) -> Option<Arc<Group>> {
    let group = group_of_columns(found, whole);
    assert!(found == whole || group.is_some(), "{found} of {whole} rows are here, and no ranks that have the others");
    group
}

/// The ranks that compute together with this one, if it has `found` of the `whole` columns of what a matrix has given.
pub(crate) fn group_of_columns(found: usize, whole: usize) -> Option<Arc<Group>> {
    if found == whole { None } else { GROUP.with_borrow(Clone::clone) }
}

/// Ranks that have the parts of one model.
pub(crate) struct Group {
    collective: Arc<dyn Collective>,
    /// Why they no longer compute together.
    lost: Mutex<Option<CollectiveError>>,
}

impl Group {
    /// The part of this rank in `n` rows of the whole.
    pub(crate) fn share(&self, n: usize) -> Range<usize> {
        share(&*self.collective, n)
    }

    /// `x`, which is the same on all ranks, as the input of parts: its gradient is the sum over the ranks.
    pub(crate) fn copied<const D: usize>(self: &Arc<Self>, x: Tensor<D>) -> Tensor<D> {
        if x.gradient_checkpointing_strategy().is_none() {
            return x;
        }
        let group = Arc::clone(self);
        ops::with_backward(x.clone(), x.inner(), move |gradient: Tensor<D>| group.sum(gradient))
    }

    /// The sum over the ranks of `x`, the output of a part.
    pub(crate) fn summed<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        if x.gradient_checkpointing_strategy().is_none() {
            return self.sum(x);
        }
        let sum = self.sum(x.clone().inner());
        ops::with_backward(x, sum, |gradient: Tensor<D>| gradient)
    }

    /// The parts of all ranks, which follow one another along `axis`, in one. Not differentiated.
    pub(crate) fn joined<const D: usize>(&self, part: Tensor<D>, axis: usize) -> Tensor<D> {
        let (device, mut shape) = (part.device(), part.dims());
        let values = values(part.clone());
        let Some(parts) = self.gather(bytemuck::cast_slice(&values).to_vec()) else { return part };
        let others = shape.iter().product::<usize>() / shape[axis].max(1);
        let parts = parts.into_iter().map(|bytes| {
            let values: Vec<f32> = bytemuck::pod_collect_to_vec(&bytes);
            shape[axis] = values.len() / others.max(1);
            Tensor::from_data(TensorData::new(values, shape), &device)
        });
        Tensor::cat(parts.collect(), axis)
    }

    /// The messages of all ranks; `None` once a rank is lost.
    pub(crate) fn gather(&self, message: Vec<u8>) -> Option<Vec<Vec<u8>>> {
        self.unless_lost(|collective| collective.gather(message))
    }

    /// `x` of all ranks, added in the order of ranks.
    fn sum<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let (device, shape) = (x.device(), x.dims());
        match self.sum_of(&values(x.clone())) {
            Some(sum) => Tensor::from_data(TensorData::new(sum, shape), &device),
            None => x,
        }
    }

    /// Each rank adds up one range of the values, and sends the sums to all.
    fn sum_of(&self, values: &[f32]) -> Option<Vec<f32>> {
        let (n, size) = (values.len(), self.collective.size());
        let ranges = (0..size).map(|rank| n * rank / size..n * (rank + 1) / size);
        let messages = ranges.map(|range| bytemuck::cast_slice(&values[range]).to_vec()).collect();
        let parts = self.unless_lost(|collective| collective.exchange(messages))?;
        let mut parts = parts.into_iter().map(|part| bytemuck::pod_collect_to_vec::<u8, f32>(&part));
        let mut sum = parts.next().unwrap_or_default();
        for part in parts {
            for (sum, x) in sum.iter_mut().zip(part) {
                *sum += x;
            }
        }
        let sums = self.gather(bytemuck::cast_slice(&sum).to_vec())?;
        let mut all = vec![0.0; n];
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut all);
        let mut rest = bytes;
        for sum in sums {
            let (here, behind) = rest.split_at_mut(sum.len());
            here.copy_from_slice(&sum);
            rest = behind;
        }
        Some(all)
    }

    fn unless_lost<R>(&self, call: impl FnOnce(&dyn Collective) -> Result<R, CollectiveError>) -> Option<R> {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        if lost.is_some() {
            return None;
        }
        call(&*self.collective).map_err(|error| *lost = Some(error)).ok()
    }
}

fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().convert::<f32>().try_into_vec().expect("they are of type f32")
}
