//! Tensors that several ranks hold in parts, for the rank that writes them to a file.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use burn::backend::ops::FloatTensorOps;
use burn::backend::{Dispatch, DispatchTensor};
use burn::module::Module;
use burn::tensor::{ExecutionError, TensorData, read_sync};
use burnformer_core::files::FileError;
use burnformer_models::stats;
use burnformer_models::weights::{Elsewhere, with_elsewhere, write_tensors};
use burnformer_nn::Cut;
use burnformer_tasks::Task;

use crate::ema::Ema;
use crate::ranks::Ranks;
use crate::run::Run;
use crate::tensors::Values;
use crate::values::values;
use crate::{Collective, TrainError, serving};

/// Which rank holds what a checkpoint has.
pub(crate) struct AllHoldings {
    /// The weights of the model that is published.
    pub(crate) weights: Holdings,
    /// The weights that were trained, where those are their average.
    pub(crate) trained: Holdings,
    /// The moments of the optimiser.
    pub(crate) moments: Holdings,
}

/// What stands in front of a weight that is asked for: of the model that is published.
const PUBLISHED: char = '=';
/// The same for a weight that was trained.
const TRAINED: char = '~';

impl AllHoldings {
    /// What all ranks of `run` hold.
    ///
    /// # Errors
    /// If a rank has failed.
    pub(crate) fn gather<T: Task>(run: &Run<'_, T>) -> Result<Self, TrainError> {
        let (weights, averages) =
            (stats::parameters(&run.model), run.ema.as_ref().map(Ema::shapes).unwrap_or_default());
        let is_here = |(_, shape): &(String, Vec<usize>)| !shape.contains(&0);
        let weights: Names = weights.into_iter().filter(is_here).collect();
        let (mut of_weights, mut of_averages, mut of_moments) = (Vec::new(), Vec::new(), Vec::new());
        for (weights, averages, moments) in run.ranks.agree(Ok((weights, averages, run.optimizer.shapes())))? {
            of_weights.push(weights);
            of_averages.push(averages);
            of_moments.push(moments);
        }
        let new = |names| Holdings::new(run.ranks, names);
        Ok(Self { weights: new(of_weights), trained: new(of_averages), moments: new(of_moments) })
    }

    /// Calls `save`, in which the model of `run` that is published has the weights of all ranks.
    pub(crate) fn with_weights<T: Task, R>(&self, run: &Run<'_, T>, save: impl FnOnce() -> R) -> R {
        if run.ranks.world.size() == 1 {
            return save();
        }
        let own = values(&run.result(), &|path| self.weights.elsewhere(path).is_some());
        let (holdings, line) = (self.weights.clone(), Arc::clone(&run.ranks.line));
        with_elsewhere(Rc::new(OtherWeights { holdings, line, own }), save)
    }

    /// Writes the weights that were trained.
    pub(crate) fn write_trained<T: Task>(&self, run: &Run<'_, T>, path: &Path) -> Result<(), FileError> {
        self.trained.write(&*run.ranks.line, Some(TRAINED), &|path| Ok(weight(&run.model, path)?), path)
    }

    /// Writes the moments of the optimiser.
    pub(crate) fn write_moments<T: Task>(&self, run: &Run<'_, T>, path: &Path) -> Result<(), FileError> {
        self.moments.write(&*run.ranks.line, None, &|name| run.optimizer.moment(name), path)
    }

    /// The bytes of what is asked for, of what this rank holds.
    pub(crate) fn find<T: Task>(run: &Run<'_, T>, question: &str) -> Result<Vec<u8>, TrainError> {
        let data = if let Some(path) = question.strip_prefix(PUBLISHED) {
            match run.ema.as_ref().and_then(|ema| ema.average(path)) {
                Some(average) => host_data(average)?,
                None => weight(&run.model, path)?,
            }
        } else if let Some(path) = question.strip_prefix(TRAINED) {
            weight(&run.model, path)?
        } else {
            run.optimizer.moment(question)?
        };
        Ok(data.as_bytes().to_vec())
    }
}

/// The weight at `path` as `f32` data.
fn weight<M: Module>(model: &M, path: &str) -> Result<TensorData, ExecutionError> {
    let mut found = values(model, &|other| other == path);
    host_data(found.remove(path).expect("the rank holds the weight"))
}

fn host_data(tensor: DispatchTensor) -> Result<TensorData, ExecutionError> {
    Ok(read_sync(Dispatch::float_into_data(tensor))?.convert::<f32>())
}

/// Names and shapes of the tensors that a rank holds.
pub(crate) type Names = Vec<(String, Vec<usize>)>;

/// Which rank holds which tensors of one kind, by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Holdings {
    holders: BTreeMap<String, Vec<Holder>>,
}

/// A rank that holds a tensor, or its part of one.
#[derive(Clone, Debug)]
struct Holder {
    rank: usize,
    shape: Vec<usize>,
}

impl Holdings {
    /// The names of what each rank holds.
    fn new(ranks: &Ranks<'_>, of_ranks: Vec<Names>) -> Self {
        let mut holders: BTreeMap<String, Vec<Holder>> = BTreeMap::new();
        for (rank, names) in of_ranks.into_iter().enumerate() {
            for (name, shape) in names {
                holders.entry(name).or_default().push(Holder { rank, shape });
            }
        }
        for (name, holders) in &mut holders {
            holders.sort_by_key(|holder| ranks.tensor_rank_of(holder.rank));
            // Copies, or of parts that all have.
            let is_cut = matches!(Cut::of(parameter_of(name)), Cut::Along(_));
            holders.dedup_by_key(|holder| if is_cut { ranks.tensor_rank_of(holder.rank) } else { 0 });
        }
        Self { holders }
    }

    /// Writes all tensors in the safetensors format, one at a time.
    fn write(
        &self,
        world: &dyn Collective,
        kind: Option<char>,
        own: &dyn Fn(&str) -> Result<TensorData, TrainError>,
        path: &Path,
    ) -> Result<(), FileError> {
        let shapes: Vec<_> =
            self.holders.iter().map(|(name, holders)| (name.clone(), whole_shape(name, holders))).collect();
        write_tensors(&shapes, |name| self.read(world, name, kind, &|| own(name).map_err(io::Error::other)), path)
    }

    /// The whole shape of a tensor, unless the rank 0 holds it as a whole.
    fn elsewhere(&self, name: &str) -> Option<Vec<usize>> {
        let holders = self.holders.get(name)?;
        let is_here = holders.len() == 1 && holders[0].rank == 0;
        (!is_here).then(|| whole_shape(name, holders))
    }

    /// The whole tensor `name`, on rank 0. What it holds itself comes from `own`; the others, which [serve](serving::serve), are
    /// asked for it.
    fn read(
        &self,
        world: &dyn Collective,
        name: &str,
        kind: Option<char>,
        own: &dyn Fn() -> io::Result<TensorData>,
    ) -> io::Result<TensorData> {
        let question: String = kind.into_iter().chain(name.chars()).collect();
        let holders = self.holders.get(name).map_or(&[][..], Vec::as_slice);
        let parts = holders.iter().map(|Holder { rank, shape }| {
            if *rank == 0 {
                return own();
            }
            let bytes = serving::ask(world, *rank, &question).map_err(io::Error::other)?;
            let mut values = Values(&bytes);
            let data = values.take(shape.clone().into()).map_err(io::Error::other)?;
            values.end().map_err(io::Error::other)?;
            Ok(data)
        });
        let mut parts = parts.collect::<io::Result<Vec<_>>>()?;
        match (Cut::of(parameter_of(name)), parts.len()) {
            (_, 1) => Ok(parts.remove(0)),
            (Cut::Along(axis), n) if n > 1 => Ok(joined(&parts, axis, whole_shape(name, holders))),
            _ => Err(io::Error::other(format!("no process has `{name}`"))),
        }
    }
}

fn whole_shape(name: &str, holders: &[Holder]) -> Vec<usize> {
    let mut shape = holders[0].shape.clone();
    if let Cut::Along(axis) = Cut::of(parameter_of(name)) {
        shape[axis] = holders.iter().map(|holder| holder.shape[axis]).sum();
    }
    shape
}

/// Parts that follow one another along an axis, in one tensor of this shape.
fn joined(parts: &[TensorData], axis: usize, shape: Vec<usize>) -> TensorData {
    let n_outer: usize = shape[..axis].iter().product();
    let mut values = Vec::with_capacity(shape.iter().product());
    let parts: Vec<&[f32]> = parts.iter().map(|part| part.as_slice().expect("parts are of type f32")).collect();
    for outer in 0..n_outer {
        for part in &parts {
            let block = part.len() / n_outer;
            values.extend_from_slice(&part[outer * block..(outer + 1) * block]);
        }
    }
    TensorData::new(values, shape)
}

/// The path of the parameter of a moment `PATH.first`, or of the parameter itself.
pub(crate) fn parameter_of(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((path, "first" | "second" | "momentum")) => path,
        _ => name,
    }
}

/// The weights of a model that other ranks hold, while rank 0 saves it.
struct OtherWeights {
    holdings: Holdings,
    line: Arc<dyn Collective>,
    /// What this rank has of them.
    own: BTreeMap<String, DispatchTensor>,
}

impl Elsewhere for OtherWeights {
    fn shape(&self, path: &str) -> Option<Vec<usize>> {
        self.holdings.elsewhere(path)
    }

    fn read(&self, path: &str) -> io::Result<TensorData> {
        let own = || host_data(self.own[path].clone()).map_err(io::Error::other);
        self.holdings.read(&*self.line, path, Some(PUBLISHED), &own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_joined_along_their_axis() {
        let part = |values: &[f32], shape: [usize; 2]| TensorData::new(values.to_vec(), shape);
        let rows = joined(&[part(&[1.0, 2.0], [1, 2]), part(&[3.0, 4.0, 5.0, 6.0], [2, 2])], 0, vec![3, 2]);
        assert_eq!(rows, part(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [3, 2]));
        let columns = joined(&[part(&[1.0, 2.0], [2, 1]), part(&[3.0, 4.0, 5.0, 6.0], [2, 2])], 1, vec![2, 3]);
        assert_eq!(columns, part(&[1.0, 3.0, 4.0, 2.0, 5.0, 6.0], [2, 3]));
    }
}
