//! Rows of tokens, padded to one length.

use std::ops::Range;

use super::PaddingStats;

/// Padding of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Padding {
    /// Padding token.
    pub pad_id: u32,
    /// Rows are padded to a multiple of this length, at least one, so that a device meets few different shapes.
    pub multiple_of: usize,
}

impl Padding {
    /// The same for a model that takes at most `max_length` tokens: to a multiple of the greatest length that divides both, so
    /// that no row becomes longer.
    #[must_use]
    pub fn within(self, max_length: usize) -> Self {
        let divides_both = |n: &usize| self.multiple_of.is_multiple_of(*n) && max_length.is_multiple_of(*n);
        Self { multiple_of: (1..=self.multiple_of).rev().find(divides_both).unwrap_or(1), ..self }
    }

    /// Length of rows whose longest has `length` tokens.
    #[must_use]
    pub fn row_length(&self, length: usize) -> usize {
        length.next_multiple_of(self.multiple_of.max(1))
    }
}

/// Rows of tokens of one length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Padded {
    /// `[batch_size, seq_length]`, one row after the other.
    pub ids: Vec<u32>,
    /// Number of tokens of each row, without padding.
    pub lengths: Vec<usize>,
    /// Length of the rows.
    pub seq_length: usize,
    /// Divisor of the length.
    pub multiple_of: usize,
}

impl Padded {
    /// Pads the rows to one length.
    pub fn new<'a>(rows: impl ExactSizeIterator<Item = &'a [u32]> + Clone, padding: &Padding) -> Self {
        let longest = rows.clone().map(<[u32]>::len).max().unwrap_or(0);
        let seq_length = padding.row_length(longest);
        let (mut ids, mut lengths) = (Vec::with_capacity(rows.len() * seq_length), Vec::with_capacity(rows.len()));
        for row in rows {
            lengths.push(row.len());
            ids.extend_from_slice(row);
            ids.resize(lengths.len() * seq_length, padding.pad_id);
        }
        Self { ids, lengths, seq_length, multiple_of: padding.multiple_of }
    }

    /// These rows alone, padded to the longest of them.
    ///
    /// # Panics
    /// If a row is out of range.
    #[must_use]
    pub fn rows(&self, rows: Range<usize>) -> Self {
        let lengths = self.lengths[rows.clone()].to_vec();
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let seq_length = longest.next_multiple_of(self.multiple_of.max(1)).min(self.seq_length);
        let row = |row: usize| &self.ids[row * self.seq_length..][..seq_length];
        Self { ids: rows.flat_map(row).copied().collect(), lengths, seq_length, multiple_of: self.multiple_of }
    }

    /// Number of rows.
    #[must_use]
    pub fn batch_size(&self) -> usize {
        self.lengths.len()
    }

    /// `[batch_size, seq_length]`: `true` marks padding.
    pub fn mask_pad(&self) -> impl Iterator<Item = bool> {
        self.lengths.iter().flat_map(|&length| (0..self.seq_length).map(move |column| column >= length))
    }

    /// `[batch_size, seq_length]`: 1 behind the first `first_lengths` tokens of each row, 0 in front and in padding.
    pub(super) fn segments<'a>(&'a self, first_lengths: &'a [usize]) -> impl Iterator<Item = u8> + 'a {
        first_lengths.iter().zip(&self.lengths).flat_map(|(&first, &length)| {
            (0..self.seq_length).map(move |column| u8::from((first..length).contains(&column)))
        })
    }

    /// Padding of the rows.
    #[must_use]
    pub fn padding_stats(&self) -> PaddingStats {
        PaddingStats { tokens: self.lengths.iter().map(|&length| length as u64).sum(), total: self.ids.len() as u64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_row_is_padded_beyond_what_a_model_takes() {
        for (max_length, multiple_of) in [(512, 8), (510, 2), (70, 2), (31, 1), (12, 4), (4, 4), (0, 8)] {
            let padding = Padding { pad_id: 0, multiple_of: 8 }.within(max_length);
            assert_eq!(padding.multiple_of, multiple_of, "{max_length}");
            assert_eq!(padding.row_length(max_length), max_length);
        }
    }
}
