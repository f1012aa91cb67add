//! Low-rank adapters of weights.

use crate::{DropoutRng, constant_param};
use burn::module::{Module, ModuleVisitor, Param, Reparameterization, Reparameterizer};
use burn::tensor::{Device, Int, Tensor};
use burnformer_ops::{self as ops, Dropout};
use std::collections::BTreeMap;

/// What the weight of a [`Lora`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoraKind {
    /// It is multiplied by the input, as in [`Linear`](crate::Linear).
    Linear,
    /// Its rows are looked up, as in [`Embedding`](crate::Embedding).
    Embedding,
}

/// Settings of one [`Lora`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoraConfig {
    /// What the weight does.
    pub kind: LoraKind,
    /// Width between the two matrices, at least 1.
    pub rank: usize,
    /// Factor of the product of both matrices.
    pub scale: f64,
    /// Probability of dropping an element of the input of the first matrix, in `[0, 1)`; tables have none.
    pub dropout: f64,
}

/// A low-rank adapter of a weight `[d_out, d_in]`, which is `weight + scale · b a`; of a table `[vocab_size, d_model]` it is
/// `weight + scale · (b a)ᵀ`. Attached to a weight by [`Self::attach`], and part of it for all that visits or maps a module:
/// its parameters are at the path of the weight with `lora.a` and `lora.b`.
///
/// Maps and tables compute `x weightᵀ + scale · (dropout(x) aᵀ) bᵀ`, so that the sum of both is never there, nor a gradient of
/// a weight that is not trained. What reads a weight in another way gets the sum. burn's `Module::materialize` makes a weight
/// of it.
///
/// Source: Hu et al. 2022, as in peft.
#[derive(Module, Debug)]
pub struct Lora {
    /// `[rank, d_in]`, of a table `[rank, vocab_size]`.
    a: Param<Tensor<2>>,
    /// `[d_out, rank]`, of a table `[d_model, rank]`.
    b: Param<Tensor<2>>,
    #[module(skip)]
    config: LoraConfig,
}

impl Lora {
    /// Attaches an adapter, zero until it is initialised or loaded, to every weight for whose path `choose` has settings. A
    /// weight has one adapter at most: those of the module before are dropped.
    ///
    /// # Panics
    /// If a chosen parameter is no matrix.
    #[must_use]
    pub fn attach<M: Module>(module: M, choose: impl FnMut(&str) -> Option<LoraConfig>) -> M {
        module.apply_reparameterization(Attach { choose })
    }

    /// The kinds of all weights in `module` that can have an adapter, by path.
    #[must_use]
    pub fn weights<M: Module>(module: &M) -> BTreeMap<String, LoraKind> {
        let mut weights = Weights { path: Vec::new(), containers: Vec::new(), found: BTreeMap::new() };
        module.visit(&mut weights);
        weights.found
    }

    fn new([n_rows, n_columns]: [usize; 2], config: LoraConfig, device: &Device) -> Self {
        let (d_out, d_in) = match config.kind {
            LoraKind::Linear => (n_rows, n_columns),
            LoraKind::Embedding => (n_columns, n_rows),
        };
        Self {
            a: constant_param([config.rank, d_in], 0.0, device),
            b: constant_param([d_out, config.rank], 0.0, device),
            config,
        }
    }

    /// `out`, the output of a map for `x`, with what the adapter adds.
    ///
    /// # Shapes
    /// - out: `[.., d_out]`
    /// - x: `[.., d_in]`
    pub(crate) fn add<const D: usize>(&self, out: Tensor<D>, x: Tensor<D>, rng: DropoutRng) -> Tensor<D> {
        let x = ops::dropout(x, None, Dropout::new(self.config.dropout, rng));
        let low = ops::linear(x, self.a.val(), None) * self.config.scale; // [.., rank]
        out + ops::linear(low, self.b.val(), None)
    }

    /// What the adapter adds to the rows `ids` of a table, `[batch_size, seq_length, d_model]`.
    pub(crate) fn rows(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        let low = ops::embedding(self.a.val().transpose(), ids) * self.config.scale; // [batch_size, seq_length, rank]
        ops::linear(low, self.b.val(), None)
    }

    /// What the adapter adds to its weight.
    fn delta(&self) -> Tensor<2> {
        let product = self.b.val().matmul(self.a.val()) * self.config.scale;
        match self.config.kind {
            LoraKind::Linear => product,
            LoraKind::Embedding => product.transpose(),
        }
    }
}

impl Reparameterization for Lora {
    const NAME: &'static str = "lora";

    fn apply<const D: usize>(&self, base: Tensor<D>) -> Tensor<D> {
        let delta = self.delta().reshape(base.shape());
        base + delta
    }
}

struct Attach<C> {
    choose: C,
}

impl<C: FnMut(&str) -> Option<LoraConfig>> Reparameterizer for Attach<C> {
    type Reparam = Lora;

    fn reparameterize<const D: usize>(
        &mut self,
        path: &str,
        param: Param<Tensor<D>>,
    ) -> (Param<Tensor<D>>, Option<Lora>) {
        let lora = (self.choose)(path).map(|config| {
            let shape = param.lazy_shape();
            let &[n_rows, n_columns] = shape.as_slice() else { panic!("adapter of `{path}`, which is no matrix") };
            Lora::new([n_rows, n_columns], config, &param.lazy_device())
        });
        (param, lora)
    }
}

/// Finds weights by the type of the module that holds them.
struct Weights {
    path: Vec<String>,
    containers: Vec<String>,
    found: BTreeMap<String, LoraKind>,
}

/// The modules whose weight can have an adapter, as burn names their types.
const KINDS: [(&str, LoraKind); 3] = [
    ("Struct:Linear", LoraKind::Linear),
    ("Struct:Embedding", LoraKind::Embedding),
    ("Struct:LearnedPositions", LoraKind::Embedding),
];

impl ModuleVisitor for Weights {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.push(name.to_owned());
        self.containers.push(container_type.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
        self.containers.pop();
    }

    fn visit_float<const D: usize>(&mut self, _param: &Param<Tensor<D>>) {
        let container = self.containers.last();
        let kind = KINDS.iter().find(|(name, _)| container.is_some_and(|container| container == name));
        if let (Some((_, kind)), true) = (kind, D == 2) {
            self.found.insert(self.path.join("."), *kind);
        }
    }
}
