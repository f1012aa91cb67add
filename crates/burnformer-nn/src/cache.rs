//! Key-value caches: the positions that decoding has behind it.

use crate::Mask;
use burn::tensor::{Int, Tensor};
use burnformer_ops::{self as ops, assert_same_axis};

/// Projected keys and values, `[batch_size, kv_length, n_kv_heads, d_head]` each.
#[derive(Clone, Debug)]
pub struct KeyValue {
    pub(crate) key: Tensor<4>,
    pub(crate) value: Tensor<4>,
}

impl KeyValue {
    /// Number of positions.
    #[must_use]
    pub fn kv_length(&self) -> usize {
        self.key.dims()[1]
    }

    /// Number of sequences.
    pub(crate) fn batch_size(&self) -> usize {
        self.key.dims()[0]
    }

    /// These sequences, in this order; one may come several times.
    fn select(self, rows: Tensor<1, Int>) -> Self {
        Self { key: self.key.select(0, rows.clone()), value: self.value.select(0, rows) }
    }

    /// Appends these positions to those of the given rows of `past`; `None` for all rows as they are.
    fn after(self, past: Option<Self>, rows: Option<&Tensor<1, Int>>) -> Self {
        let Some(past) = past else { return self };
        if rows.is_none() {
            let shapes = [past.key.dims(), self.key.dims()];
            assert_same_axis("decoder cache", "batch_size", ("cache", &shapes[0], 0), ("x", &shapes[1], 0));
        }
        Self {
            key: ops::append(past.key, rows.cloned(), self.key),
            value: ops::append(past.value, rows.cloned(), self.value),
        }
    }
}

/// Key-value cache of a stack: keys and values of the memory, if there is cross-attention, and of all positions so far.
#[derive(Clone, Debug)]
pub struct DecoderCache {
    pub(crate) layers: Vec<LayerCache>,
    pub(crate) memory_mask: Mask,
    /// The rows that go on, where they are not all as they were. Each is copied with its next position, so not before.
    pub(crate) rows: Option<Tensor<1, Int>>,
}

/// The part of one layer.
#[derive(Clone, Debug)]
pub(crate) struct LayerCache {
    /// `None` before the first position.
    pub(crate) past: Option<KeyValue>,
    /// `None` without cross-attention.
    pub(crate) memory: Option<KeyValue>,
}

impl LayerCache {
    /// Number of positions so far.
    pub(crate) fn seq_length(&self) -> usize {
        self.past.as_ref().map_or(0, KeyValue::kv_length)
    }

    /// Adds positions, and returns all.
    pub(crate) fn append(&mut self, new: KeyValue, rows: Option<&Tensor<1, Int>>) -> KeyValue {
        let all = new.after(self.past.take(), rows);
        self.past = Some(all.clone());
        all
    }
}

impl DecoderCache {
    /// Number of positions so far.
    #[must_use]
    pub fn seq_length(&self) -> usize {
        // Layers of other stages of a pipeline have no positions here.
        self.layers.iter().map(LayerCache::seq_length).max().unwrap_or(0)
    }

    /// Continues with these rows of the positions so far, in this order; one may come several times, or never. The memory
    /// stays.
    ///
    /// # Shapes
    /// - rows: `[n]`, each less than the batch size so far
    pub fn select(&mut self, rows: Tensor<1, Int>) {
        self.rows = Some(match self.rows.take() {
            None => rows,
            Some(before) => before.select(0, rows),
        });
    }

    /// Continues with these sequences of the memory, in this order; one may come several times, or never. Rows of positions
    /// stay: [`Self::select`] those that look at them. Without cross-attention there is no memory, and nothing changes.
    ///
    /// # Shapes
    /// - sequences: `[n]`, each less than the number of sequences so far
    pub fn select_memory(&mut self, sequences: &Tensor<1, Int>) {
        for layer in &mut self.layers {
            layer.memory = layer.memory.take().map(|memory| memory.select(sequences.clone()));
        }
        self.memory_mask = match std::mem::take(&mut self.memory_mask) {
            Mask::None => Mask::None,
            Mask::Keys(keys) => Mask::Keys(keys.select(0, sequences.clone())),
            Mask::Full(full) => Mask::Full(full.select(0, sequences.clone())),
        };
    }
}
