//! Which rank updates which parameter.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

use crate::{Collective, ParameterRule};

/// The owner of every parameter: the rank that sums up its gradient, updates it, and keeps its moments. Parameters are whole, the
/// largest are dealt first, each to the rank that has least.
///
/// Source: Rajbhandari et al. 2020, "Memory optimizations toward training trillion parameter models", section 5.1, whose cuts go through parameters.
#[derive(Debug)]
pub(crate) struct Shards {
    rank: usize,
    n_ranks: usize,
    owners: BTreeMap<String, usize>,
    /// The parameters that ranks with another part of the model train.
    elsewhere: BTreeSet<String>,
}

impl Shards {
    /// The owners, among the ranks of `data`, of the parameters of `model` that `rule` trains in a run of so many steps; and of the others, which a
    /// rule may train in between.
    ///
    /// Those for whose path `is_elsewhere` holds are of no rank of `data`.
    pub(crate) fn new<M: Module>(
        rule: &dyn ParameterRule,
        model: &M,
        steps: u64,
        data: &dyn Collective,
        is_elsewhere: &dyn Fn(&str) -> bool,
    ) -> Self {
        let mut parameters = Sizes::default();
        model.visit(&mut parameters);
        let (elsewhere, here): (BTreeMap<_, _>, BTreeMap<_, _>) =
            parameters.sizes.into_iter().partition(|(path, _)| is_elsewhere(path));
        let is_trained = |path: &str| rule.is_trained(path, 1) || rule.is_trained(path, steps);
        let mut sizes: Vec<_> =
            here.into_iter().map(|(path, size)| (!is_trained(&path), Reverse(size), path)).collect();
        sizes.sort();
        let mut loads = vec![0; data.size()];
        let mut deal = |(_, Reverse(size), path)| {
            let owner = (0..loads.len()).min_by_key(|&rank| loads[rank]).expect("there is a rank");
            loads[owner] += size;
            (path, owner)
        };
        let owners = sizes.into_iter().map(&mut deal).collect();
        Self { rank: data.rank(), n_ranks: data.size(), owners, elsewhere: elsewhere.into_keys().collect() }
    }

    /// The number of this rank.
    pub(crate) fn rank(&self) -> usize {
        self.rank
    }

    /// The number of ranks.
    pub(crate) fn n_ranks(&self) -> usize {
        self.n_ranks
    }

    /// The rank that owns the parameter at `path`.
    ///
    /// # Panics
    /// If the model has none there.
    pub(crate) fn owner(&self, path: &str) -> usize {
        self.owners[path]
    }

    /// `true` if this rank owns the parameter at `path`.
    pub(crate) fn is_own(&self, path: &str) -> bool {
        !self.is_elsewhere(path) && self.owner(path) == self.rank
    }

    /// `true` if ranks with another part of the model train the parameter at `path`.
    pub(crate) fn is_elsewhere(&self, path: &str) -> bool {
        self.elsewhere.contains(path)
    }
}

/// The number of elements of every parameter, by path.
#[derive(Default)]
struct Sizes {
    sizes: BTreeMap<String, usize>,
    path: Vec<String>,
}

impl ModuleVisitor for Sizes {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.sizes.insert(self.path.join("."), param.shape().num_elements());
    }
}

#[cfg(test)]
mod tests {
    use burnformer_core::collective::thread_ranks;
    use burnformer_nn::{Linear, LinearConfig};
    use burnformer_ops::DeviceChoice;

    use super::*;
    use crate::AllParameters;

    /// Trains the biases alone.
    struct Biases;

    impl ParameterRule for Biases {
        fn is_trained(&self, path: &str, _step: u64) -> bool {
            path.ends_with("bias")
        }

        fn learning_rate_factor(&self, _path: &str) -> f64 {
            1.0
        }
    }

    fn owners(rule: &dyn ParameterRule, n_ranks: usize) -> Vec<Vec<(String, usize)>> {
        let device = DeviceChoice::Auto.open().unwrap();
        let model: Vec<Linear> = [(3, 4), (2, 2), (2, 3)].map(|(a, b)| LinearConfig::new(a, b).init(&device)).into();
        let ranks = thread_ranks(n_ranks);
        ranks.iter().map(|rank| Shards::new(rule, &model, 5, rank, &|_| false).owners.into_iter().collect()).collect()
    }

    #[test]
    fn all_ranks_deal_alike_and_the_largest_first() {
        let found = owners(&AllParameters, 2);
        assert_eq!(found[0], found[1]);
        // 12 to rank 0; 6, 4 and 4 to rank 1; 3 to rank 0; 2 to rank 1.
        let expected = [("0.bias", 1), ("0.weight", 0), ("1.bias", 1), ("1.weight", 1), ("2.bias", 0), ("2.weight", 1)];
        assert_eq!(found[0], expected.map(|(path, owner)| (path.to_owned(), owner)));
    }

    #[test]
    fn what_is_trained_is_dealt_before_the_rest() {
        let found = &owners(&Biases, 3)[0];
        let mut biases: Vec<usize> =
            found.iter().filter(|(path, _)| path.ends_with("bias")).map(|(_, owner)| *owner).collect();
        biases.sort_unstable();
        assert_eq!(biases, [0, 1, 2]);
    }
}
