//! Whether all ranks have the same weights.

use std::hash::Hasher;

use burn::backend::Dispatch;
use burn::backend::ops::FloatTensorOps;
use burn::module::Module;
use burn::tensor::{ExecutionError, read_sync};
use burnformer_core::collective::gather;
use burnformer_tasks::Task;
use twox_hash::XxHash3_64;

use crate::ranks::Ranks;
use crate::run::Run;
use crate::values::values;
use crate::{TrainError, Trainer};

impl<T: Task> Trainer<'_, T> {
    /// Makes sure that all ranks have the same weights, trained or not, if that is due after this step.
    pub(crate) fn check_weights(&self, run: &Run<'_, T>) -> Result<(), TrainError> {
        let is_due = run.state.step.is_multiple_of(self.config.check_every);
        if is_due && run.ranks.data.size() > 1 { check(&run.model, run.state.step, run.ranks) } else { Ok(()) }
    }
}

/// Makes sure that all ranks with the same part of the model have the same weights after `step`.
pub(crate) fn check<M: Module>(model: &M, step: u64, ranks: &Ranks<'_>) -> Result<(), TrainError> {
    if ranks.data.size() == 1 {
        return Ok(());
    }
    let hashes = ranks.together(hashes(model).map_err(TrainError::from))?;
    let of_ranks = gather(ranks.data.as_ref(), hashes)?;
    let result = match first_difference(&of_ranks) {
        Some((rank, path)) => Err(TrainError::OtherWeights { step, rank, path }),
        None => Ok(()),
    };
    ranks.together(result)
}

/// The hash of the values of every parameter, by path in order.
fn hashes<M: Module>(model: &M) -> Result<Vec<(String, u64)>, ExecutionError> {
    let hash = |(path, value)| {
        let mut hasher = XxHash3_64::with_seed(0);
        hasher.write(read_sync(Dispatch::float_into_data(value))?.as_bytes());
        Ok((path, hasher.finish()))
    };
    values(model, &|_| true).into_iter().map(hash).collect()
}

/// The first rank that differs from the first of all, and the path of the first parameter in which it does.
fn first_difference(of_ranks: &[Vec<(String, u64)>]) -> Option<(usize, String)> {
    let (first, others) = of_ranks.split_first()?;
    others.iter().enumerate().find_map(|(index, other)| {
        let differs = first.iter().zip(other).find(|(a, b)| a != b).map(|(a, _)| a);
        let differs = differs.or_else(|| first.get(other.len())).or_else(|| other.get(first.len()));
        differs.map(|(path, _)| (index + 1, path.clone()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_parameter_that_differs_is_named() {
        let of =
            |hashes: &[(&str, u64)]| hashes.iter().map(|&(path, hash)| (path.to_owned(), hash)).collect::<Vec<_>>();
        let whole = of(&[("a", 1), ("b", 2), ("c", 3)]);
        let difference = |other: &[(&str, u64)]| first_difference(&[whole.clone(), whole.clone(), of(other)]);
        assert_eq!(difference(&[("a", 1), ("b", 2), ("c", 3)]), None);
        for (other, path) in [
            (&[("a", 1), ("b", 5), ("c", 6)][..], "b"),
            (&[("a", 1)], "b"),
            (&[("a", 1), ("b", 2), ("c", 3), ("d", 4)], "d"),
            (&[], "a"),
        ] {
            assert_eq!(difference(other), Some((2, path.to_owned())));
        }
    }
}
