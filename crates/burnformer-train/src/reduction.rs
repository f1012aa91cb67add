//! The gradient of a step, summed up over the ranks: each has the part of the parameters that it owns.

use std::collections::{BTreeMap, BTreeSet};

use burn::tensor::{Device, Tensor};
use burnformer_nn::Cut;
use burnformer_tasks::Task;
use serde::{Deserialize, Serialize};

use crate::ranks::Ranks;
use crate::run::Run;
use crate::shards::Shards;
use crate::tensors::{TensorsError, add_list, message, read_list};
use crate::tree::{Node, TreeSum};
use crate::{CollectiveError, GradientSums, TrainError, Trainer};

/// The gradient of a step.
pub(crate) struct Reduced {
    /// Its part for the parameters that this rank owns.
    pub(crate) own: GradientSums,
    /// The parameters that have one on any rank.
    pub(crate) paths: BTreeSet<String>,
    /// The norm of the whole, `[1]`; absent if no parameter has one.
    pub(crate) norm: Option<Tensor<1>>,
}

impl<T: Task> Trainer<'_, T> {
    /// The sum of the gradients of all micro-batches, of which this rank has `sums`, with the bits that one process gives it.
    pub(crate) fn reduce(&self, run: &Run<'_, T>, sums: TreeSum<GradientSums>) -> Result<Reduced, TrainError> {
        let (ranks, shards) = (run.ranks, &run.shards);
        if ranks.world.size() == 1 {
            return Ok(self.on_pool(|| {
                let own = sums.finish().unwrap_or_default();
                Reduced { paths: own.paths().map(str::to_owned).collect(), norm: own.norm_if_any(), own }
            }));
        }
        let (own, messages) = ranks.together(self.on_pool(|| pack(sums, shards)))?;
        let messages = ranks.data.exchange(messages)?;
        let joined = self.on_pool(|| {
            let own = join(own, messages, shards, &self.device)?;
            let bits = |(path, square): (String, f32)| (path, square.to_bits());
            Ok((own.squares()?.into_iter().map(bits).collect::<Vec<_>>(), own))
        });
        let (squares, own) = match joined {
            Ok((squares, own)) => (Ok(squares), own),
            Err(error) => (Err(error), GradientSums::new()),
        };
        let squares = whole_squares(ranks, ranks.agree(squares)?);
        let on_device = |&square: &f32| Tensor::from_data([square], &self.device);
        let norm = GradientSums::norm_of(squares.values().map(on_device));
        Ok(Reduced { own, paths: squares.into_keys().collect(), norm })
    }
}

/// The sum of squares of every gradient, by path: what each part of a parameter has, and once what all parts of the model have.
/// `found` are those of the parameters that each rank owns, as bits.
fn whole_squares(ranks: &Ranks<'_>, found: Vec<Vec<(String, u32)>>) -> BTreeMap<String, f32> {
    let mut squares: BTreeMap<String, BTreeMap<usize, f32>> = BTreeMap::new();
    for (rank, of_rank) in found.into_iter().enumerate() {
        for (path, bits) in of_rank {
            let is_cut = matches!(Cut::of(&path), Cut::Along(_));
            let part = if is_cut { ranks.tensor_rank_of(rank) } else { 0 };
            squares.entry(path).or_default().entry(part).or_insert(f32::from_bits(bits));
        }
    }
    squares.into_iter().map(|(path, parts)| (path, parts.into_values().sum())).collect()
}

/// What a message says of a node: the paths and shapes of the gradients that follow each other in it.
#[derive(Serialize, Deserialize)]
struct Listed {
    level: u32,
    index: usize,
    gradients: Vec<(String, Vec<usize>)>,
}

/// This rank's nodes with what it owns, and the messages with what the others own. All nodes are listed in all messages: where a
/// parameter has no gradient, the tree is the same.
type Packed = (Vec<Node<GradientSums>>, Vec<Vec<u8>>);

fn pack(sums: TreeSum<GradientSums>, shards: &Shards) -> Result<Packed, TrainError> {
    let nodes = sums.into_nodes();
    let mut n_floats = vec![0; shards.n_ranks()];
    for (path, size) in nodes.iter().flat_map(|node| node.value.sizes()).filter(|(path, _)| !shards.is_own(path)) {
        n_floats[shards.owner(path)] += size;
    }
    let mut messages: Vec<Vec<u8>> = n_floats.into_iter().map(message).collect();
    let mut lists: Vec<Vec<Listed>> = messages.iter().map(|_| Vec::new()).collect();
    let mut own = Vec::with_capacity(nodes.len());
    for Node { level, index, value } in nodes {
        lists.iter_mut().for_each(|list| list.push(Listed { level, index, gradients: Vec::new() }));
        let (value, others) = value.partition(|path| shards.is_own(path));
        own.push(Node { level, index, value });
        for (path, data) in others.into_data()? {
            let owner = shards.owner(&path);
            messages[owner].extend_from_slice(data.as_bytes());
            let listed = lists[owner].last_mut().expect("the node is listed");
            listed.gradients.push((path, data.shape().to_vec()));
        }
    }
    for (message, list) in messages.iter_mut().zip(&lists) {
        add_list(message, list).map_err(CollectiveError::message)?;
    }
    Ok((own, messages))
}

/// The sum of the nodes of all ranks, whose messages are in the order of ranks; in place of its own it has `own`.
fn join(
    own: Vec<Node<GradientSums>>,
    messages: Vec<Vec<u8>>,
    shards: &Shards,
    device: &Device,
) -> Result<GradientSums, TrainError> {
    let mut sum = TreeSum::new(GradientSums::merge);
    let mut own = own.into_iter();
    for (rank, message) in messages.into_iter().enumerate() {
        if rank == shards.rank() {
            own.by_ref().for_each(|node| sum.push_node(node));
            continue;
        }
        for node in unpack(&message, device).map_err(CollectiveError::message)? {
            sum.push_node(node);
        }
    }
    Ok(sum.finish().unwrap_or_default())
}

fn unpack(message: &[u8], device: &Device) -> Result<Vec<Node<GradientSums>>, TensorsError> {
    let (list, mut values) = read_list::<Vec<Listed>>(message)?;
    let mut nodes = Vec::with_capacity(list.len());
    for Listed { level, index, gradients } in list {
        let take = |(path, shape): (String, Vec<usize>)| Ok((path, values.take(shape.into())?));
        let gradients = gradients.into_iter().map(take).collect::<Result<_, TensorsError>>()?;
        nodes.push(Node { level, index, value: GradientSums::from_data(gradients, device) });
    }
    values.end()?;
    Ok(nodes)
}
