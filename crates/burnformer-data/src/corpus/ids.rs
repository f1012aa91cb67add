//! Token ids as they lie in a shard.

use std::ops::Range;

/// A run of token ids: two bytes each if the vocabulary has at most 65,536 entries, else four.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ids<'a> {
    /// Two bytes an id.
    Narrow(&'a [u16]),
    /// Four bytes an id.
    Wide(&'a [u32]),
}

impl<'a> Ids<'a> {
    /// Number of ids.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Narrow(ids) => ids.len(),
            Self::Wide(ids) => ids.len(),
        }
    }

    /// `true` if there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The ids of `range`.
    ///
    /// # Panics
    /// If the range reaches past the end.
    #[must_use]
    pub fn slice(self, range: Range<usize>) -> Self {
        match self {
            Self::Narrow(ids) => Self::Narrow(&ids[range]),
            Self::Wide(ids) => Self::Wide(&ids[range]),
        }
    }

    /// The ids one by one.
    pub fn iter(self) -> impl Iterator<Item = u32> + 'a {
        let (narrow, wide) = match self {
            Self::Narrow(ids) => (ids, &[][..]),
            Self::Wide(ids) => (&[][..], ids),
        };
        narrow.iter().map(|&id| u32::from(id)).chain(wide.iter().copied())
    }

    /// Appends the ids to `target`.
    pub fn append_to(self, target: &mut Vec<u32>) {
        match self {
            Self::Narrow(ids) => target.extend(ids.iter().map(|&id| u32::from(id))),
            Self::Wide(ids) => target.extend_from_slice(ids),
        }
    }

    /// The largest id; `None` if there are no ids.
    #[must_use]
    pub fn max(self) -> Option<u32> {
        match self {
            Self::Narrow(ids) => ids.iter().max().map(|&id| u32::from(id)),
            Self::Wide(ids) => ids.iter().max().copied(),
        }
    }
}
