//! A stack of layers, at once or position by position.

use crate::cache::{DecoderCache, MemoryPools, Pools};
use crate::layer::{Context, Past, ProjectedMemory};
use crate::{AttnWeights, DropoutRng, Layer, LayerConfig, LayerInput, Mask, Memory, Norm, assert_valid};
use crate::{checkpointing, pipeline};
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burnformer_core::{ConfigError, Validate};
use burnformer_ops as ops;

/// Settings of a [`Stack`].
#[derive(Config, Debug)]
pub struct StackConfig {
    /// Number of layers.
    pub n_layers: usize,
    /// Settings of every layer.
    pub layer: LayerConfig,
}

impl Validate for StackConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        ConfigError::check_positive("n_layers", self.n_layers)?;
        self.layer.validate().map_err(|error| error.within("layer"))
    }
}

impl StackConfig {
    /// Allocates the stack on `device`.
    ///
    /// # Panics
    /// If [`Self::validate`] fails.
    pub fn init(&self, device: &Device) -> Stack {
        assert_valid(self);
        Stack {
            layers: (0..self.n_layers).map(|_| self.layer.init(device)).collect(),
            norm_final: self.layer.norm_final(device),
        }
    }
}

/// [`Layer`]s one above the other, with a final norm if they are pre-norm. With `causal` layers and no cross-attention it is
/// the body of a causal language model; [`Encoder`](crate::Encoder) and [`Decoder`](crate::Decoder) are the paper's two.
///
/// ```
/// use burn::tensor::Tensor;
/// use burnformer_nn::{LayerConfig, LayerInput, StackConfig, init};
/// use burnformer_ops::DeviceChoice;
///
/// let device = DeviceChoice::Auto.open()?;
/// let stack = StackConfig::new(2, LayerConfig::new(12, 3, 20).with_causal(true)).init(&device);
/// let stack = init::by_name(stack, 42, init::xavier_uniform);
/// let x = Tensor::<3>::ones([2, 5, 12], &device);
/// assert_eq!(stack.forward(LayerInput::new(x.clone())).dims(), [2, 5, 12]);
///
/// let mut cache = stack.cache(None);
/// let prompt = stack.forward_cached(x.clone().narrow(1, 0, 4), &mut cache);
/// let next = stack.forward_cached(x.narrow(1, 4, 1), &mut cache);
/// assert_eq!((prompt.dims(), next.dims(), cache.seq_length()), ([2, 4, 12], [2, 1, 12], 5));
/// # Ok::<(), burnformer_ops::DeviceError>(())
/// ```
#[derive(Module, Debug)]
pub struct Stack {
    layers: Vec<Layer>,
    norm_final: Option<Norm>,
}

impl Stack {
    /// All positions at once.
    ///
    /// # Shapes
    /// - returns: `[batch_size, seq_length, d_model]`
    ///
    /// # Panics
    /// If the shapes do not fit, or there is a memory and no cross-attention, or the other way round.
    pub fn forward(&self, input: LayerInput) -> Tensor<3> {
        self.run(input, None, |_| ())
    }

    /// [`Self::forward`], and the attention weights of every layer and head. Slower: it materialises them.
    ///
    /// # Panics
    /// As [`Self::forward`].
    pub fn forward_with_attn_weights(&self, input: LayerInput) -> (Tensor<3>, AttnWeights) {
        let mut weights = AttnWeights::default();
        let out = self.run(input, Some(&mut weights), |_| ());
        (out, weights)
    }

    /// The input of every layer, and the output of [`Self::forward`].
    ///
    /// # Shapes
    /// - returns: `[batch_size, seq_length, d_model]` for each layer, and one more
    ///
    /// # Panics
    /// As [`Self::forward`].
    pub fn hidden_states(&self, input: LayerInput) -> Vec<Tensor<3>> {
        let mut states = Vec::with_capacity(self.layers.len() + 1);
        let out = self.run(input, None, |x| states.push(x.clone()));
        states.push(out);
        states
    }

    /// An empty cache, which begins decoding. A memory is projected for every layer, once.
    ///
    /// # Panics
    /// If the shapes do not fit, or there is a memory and no cross-attention.
    pub fn cache(&self, memory: Option<Memory>) -> DecoderCache {
        let share = pipeline::share(self.layers.len(), memory.is_some());
        if let Some(memory) = &memory {
            share.hand_on(memory);
        }
        let memory = memory.map(|Memory { states, mask }| {
            let [n_sequences, kv_length, _] = states.dims();
            let mut memory = MemoryPools::new(self.layers.len(), n_sequences, kv_length, mask);
            let layers = self.layers.iter().zip(&mut memory.pools.layers);
            for (layer, pool) in layers.skip(share.layers.start).take(share.layers.len()) {
                *pool = Some(layer.project_memory(&states, &states, &DropoutRng::off()).into());
            }
            memory
        });
        DecoderCache { past: Pools::empty(self.layers.len()), memory }
    }

    /// The positions that follow those in the cache, which are added to it. The cost is linear in their number times the
    /// number of positions so far. Equal to the last rows of [`Self::forward`] on all positions, none of them padding, if the
    /// layers are causal.
    ///
    /// Several rows may look at one sequence of the memory, as the hypotheses of a beam do: as many for each, and adjacent.
    ///
    /// # Shapes
    /// - x: `[batch_size, n_new, d_model]`, embedded with positions from [`DecoderCache::offsets`] on; the batch size is
    ///   a multiple of the memory's
    /// - returns: `[batch_size, n_new, d_model]`
    ///
    /// # Panics
    /// If the shapes do not fit, or the cache was made by a stack with another number of layers.
    pub fn forward_cached(&self, x: Tensor<3>, cache: &mut DecoderCache) -> Tensor<3> {
        let (n_layers, n_cached) = (self.layers.len(), cache.past.layers.len());
        assert!(
            n_layers == n_cached,
            "decoder cache: made by a decoder of {n_cached} layers, used by one of {n_layers}"
        );
        let [batch_size, n_new, _] = x.dims();
        let seen = cache.memory.as_ref().map(|memory| memory.seen(batch_size, n_new));
        let step = cache.extend(batch_size, n_new, self.layers.iter().all(Layer::is_causal));
        let share = pipeline::share(n_layers, self.layers.iter().any(Layer::has_memory));
        let mut x = share.input(x);
        let layers = self.layers.iter().zip(&mut cache.past.layers).enumerate();
        for (number, (layer, pool)) in layers.skip(share.layers.start).take(share.layers.len()) {
            let memory = cache.memory.as_ref().and_then(|memory| memory.pools.layers[number].as_ref());
            let memory = memory.zip(seen.clone()).map(|(pool, seen)| ProjectedMemory::Places(pool, seen));
            let past = Some(Past { pool, step: &step });
            x = layer.run(x, Context { mask: Mask::None, memory, past, rng: DropoutRng::off(), weights: None });
        }
        share.output(if share.ends { self.normalise(x) } else { x })
    }

    fn run(
        &self,
        input: LayerInput,
        mut weights: Option<&mut AttnWeights>,
        mut see: impl FnMut(&Tensor<3>),
    ) -> Tensor<3> {
        let LayerInput { x, mask, mut memory, rng } = input;
        let share = pipeline::share(self.layers.len(), memory.is_some());
        let mut x = share.input(x);
        let layers = self.layers.iter().zip(rng.layers(self.layers.len()));
        for (layer, rng) in layers.skip(share.layers.start).take(share.layers.len()) {
            see(&x);
            let memory = memory.as_mut().map(branch);
            if let Some(strategy) = checkpointing::strategy(&x).filter(|_| weights.is_none()) {
                x = checkpointing::run(layer, x, &mask, memory.as_ref(), rng, strategy);
                continue;
            }
            let (mask, memory) = (mask.clone(), layer.project(memory.as_ref(), &rng));
            x = layer.run(x, Context { mask, memory, past: None, rng, weights: weights.as_deref_mut() });
        }
        if let Some(memory) = &memory {
            share.hand_on(memory);
        }
        share.output(if share.ends { self.normalise(x) } else { x })
    }

    fn normalise(&self, x: Tensor<3>) -> Tensor<3> {
        match &self.norm_final {
            None => x,
            Some(norm) => norm.forward(x),
        }
    }
}

/// The memory for one layer; what is left is for those above it. So the gradient of the memory is that by the lowest layer plus that
/// by the others, which is the same sum where other processes have those: burn adds up the gradients of one tensor in an order
/// that depends on its whole graph.
fn branch(memory: &mut Memory) -> Memory {
    let own = memory.clone();
    if memory.states.gradient_checkpointing_strategy().is_none() {
        return own;
    }
    memory.states = ops::alias(own.states.clone());
    Memory { states: ops::alias(own.states), mask: own.mask }
}
