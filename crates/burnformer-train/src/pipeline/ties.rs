//! Parameters that several stages use, such as a table of embeddings that is the output layer too.

use std::collections::BTreeMap;

use burn::backend::DispatchTensor;
use burn::module::Module;

use super::Stages;
use crate::values::tracked;

/// The parameters that a stage shares with others. Each stage adds its part of the gradient to that of the stages behind it, as
/// burn does in one process: backward passes come to the output layer first. The first stage trains the parameter.
pub(crate) struct Ties {
    /// By path.
    ties: BTreeMap<String, Tie>,
}

/// A parameter that this stage shares.
pub(crate) struct Tie {
    /// The nearest stage in front of this one that holds the parameter.
    pub(crate) before: Option<usize>,
    /// The nearest stage behind this one that holds it.
    pub(crate) behind: Option<usize>,
}

impl Ties {
    /// What the stage `stage` shares of `model`.
    pub(crate) fn new<M: Module>(stages: &Stages, stage: usize, model: &M) -> Self {
        let paths = burnformer_models::stats::parameters(model).into_iter().map(|(path, _)| path);
        let tie = |path: String| {
            let holders = stages.holders(&path);
            let place = holders.iter().position(|&holder| holder == stage)?;
            let before = place.checked_sub(1).map(|before| holders[before]);
            let behind = holders.get(place + 1).copied();
            (holders.len() > 1).then_some((path, Tie { before, behind }))
        };
        Self { ties: paths.filter_map(tie).collect() }
    }

    /// The shared parameters in the order of paths.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Tie)> {
        self.ties.iter().map(|(path, tie)| (path.as_str(), tie))
    }

    /// `true` if a stage in front of this one trains the parameter at `path`.
    pub(crate) fn is_trained_before(&self, path: &str) -> bool {
        self.ties.get(path).is_some_and(|tie| tie.before.is_some())
    }

    /// The shared parameters of `model`, tracked as there.
    pub(crate) fn tensors<M: Module>(&self, model: &M) -> BTreeMap<String, DispatchTensor> {
        tracked(model, &|path| self.ties.contains_key(path))
    }
}
