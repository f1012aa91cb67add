//! Attention of single queries to places of a pool: one step of decoding, whose rows share what they have in common.

use crate::extension::TransformerOps;
use crate::shapes::assert_same_axis;
use burn::backend::Dispatch;
use burn::tensor::Tensor;
use std::ops::Range;
use std::sync::Arc;

/// Places of a pool, one list for each of some queries. A clone shares its memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places(Arc<Lists>);

#[derive(Debug, Default, PartialEq, Eq)]
struct Lists {
    places: Vec<u32>,
    /// The part of `places` that each query has.
    spans: Vec<Range<usize>>,
}

impl Places {
    /// Lists that are parts of `places`, and may overlap.
    ///
    /// # Panics
    /// If a part ends beyond `places`.
    #[must_use]
    pub fn new(places: Vec<u32>, spans: Vec<Range<usize>>) -> Self {
        let fits = |span: &Range<usize>| span.start <= span.end && span.end <= places.len();
        assert!(spans.iter().all(fits), "places: a list ends beyond the {} places", places.len());
        Self(Arc::new(Lists { places, spans }))
    }

    /// The lists with these numbers, in this order.
    ///
    /// # Panics
    /// If one is not there.
    #[must_use]
    pub fn select(&self, numbers: &[usize]) -> Self {
        numbers.iter().map(|&number| self.list(number).iter().copied()).collect()
    }

    /// Number of lists.
    #[must_use]
    pub fn n_lists(&self) -> usize {
        self.0.spans.len()
    }

    /// The places of the list with this number, in order.
    ///
    /// # Panics
    /// If there is no such list.
    #[must_use]
    pub fn list(&self, number: usize) -> &[u32] {
        &self.0.places[self.0.spans[number].clone()]
    }

    /// All lists, in order.
    pub fn lists(&self) -> impl ExactSizeIterator<Item = &[u32]> {
        self.0.spans.iter().map(|span| &self.0.places[span.clone()])
    }

    /// Length of the longest list.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.0.spans.iter().map(ExactSizeIterator::len).max().unwrap_or(0)
    }

    /// Number of places in all lists.
    #[must_use]
    pub fn n_places(&self) -> usize {
        self.0.spans.iter().map(ExactSizeIterator::len).sum()
    }
}

/// Lists one after the other.
impl<L: IntoIterator<Item = u32>> FromIterator<L> for Places {
    fn from_iter<I: IntoIterator<Item = L>>(lists: I) -> Self {
        let (mut places, mut spans) = (Vec::new(), Vec::new());
        for list in lists {
            let start = places.len();
            places.extend(list);
            spans.push(start..places.len());
        }
        Self::new(places, spans)
    }
}

/// The pool with `new` at the places from `first` on; it grows if they are beyond its end, to twice
/// the places in use unless it was empty. Written in place where nobody else
/// holds the pool.
///
/// # Shapes
/// - pool: `[n_places, n_heads, d_head]`
/// - new: `[n_new, n_heads, d_head]`
/// - returns: `[at least first + n_new, n_heads, d_head]`
///
/// # Panics
/// If heads differ, or `first` is beyond the end of the pool.
pub fn store(pool: Tensor<3>, first: usize, new: Tensor<3>) -> Tensor<3> {
    let (before, behind) = (pool.dims(), new.dims());
    assert_same_axis("store", "n_heads", ("pool", &before, 1), ("new", &behind, 1));
    assert_same_axis("store", "d_head", ("pool", &before, 2), ("new", &behind, 2));
    assert!(first <= before[0], "store: place {first} is beyond the pool {before:?}");
    Tensor::from_dispatch(<Dispatch as TransformerOps>::store(pool.into_dispatch(), new.into_dispatch(), first))
}

/// Scaled dot-product attention of each query over the places of its list: `softmax(q kᵀ / sqrt(d_head)) v`. A query without
/// places gives zeros.
///
/// # Shapes
/// - q: `[n, n_heads, d_head]`, one query for each list
/// - key: `[n_places, n_kv_heads, d_head]`; adjacent heads of queries share one where `n_kv_heads` is smaller
/// - value: `[n_places, n_kv_heads, d_value]`
/// - returns: `[n, n_heads, d_value]`, without gradient
///
/// # Panics
/// If the shapes do not fit, or a place is beyond the pool.
///
/// Source: Vaswani et al. 2017, section 3.2.1; lists of places as in Kwon et al. 2023, `PagedAttention`, with pages of one
/// position.
pub fn attend_places(q: Tensor<3>, key: Tensor<3>, value: Tensor<3>, places: Places) -> Tensor<3> {
    let (queries, keys, values) = (q.dims(), key.dims(), value.dims());
    assert!(
        queries[0] == places.n_lists(),
        "attend_places: {} lists of places for the queries {queries:?}, expected one for each",
        places.n_lists()
    );
    assert_same_axis("attend_places", "d_head", ("q", &queries, 2), ("key", &keys, 2));
    assert_same_axis("attend_places", "n_places", ("key", &keys, 0), ("value", &values, 0));
    assert_same_axis("attend_places", "n_kv_heads", ("key", &keys, 1), ("value", &values, 1));
    assert!(
        keys[1] > 0 && queries[1].is_multiple_of(keys[1]),
        "attend_places: the heads of `q` {queries:?} cannot share those of `key` {keys:?} evenly"
    );
    let last = places.lists().flatten().max();
    assert!(
        last.is_none_or(|&last| (last as usize) < keys[0]),
        "attend_places: place {last:?} is beyond `key` {keys:?}"
    );
    let [q, key, value] = [q, key, value].map(Tensor::into_dispatch);
    Tensor::from_dispatch(<Dispatch as TransformerOps>::attend_places(q, key, value, places))
}
