//! Weights as integers, in panels.

use super::quantize::round_to_int8;
use super::tile::{COLUMNS, Line, PANEL_LINES};
use crate::PrepareError;

/// Terms, at most: the sum of more products of integers up to 127 may not fit into 32 bits.
const TERMS: usize = (i32::MAX / (127 * 127)) as usize;

/// Groups of four terms in a row of `d_in`, with zeros behind the last: a row ends with a line, as the tiles of AMX do.
pub(super) fn groups(d_in: usize) -> usize {
    d_in.next_multiple_of(Line::<i8>::LEN) / 4
}

/// A weight `[d_out, d_in]`, rounded to integers with one scale per output channel.
#[derive(Debug)]
pub(crate) struct Weights {
    /// For each panel of [`COLUMNS`] channels, for each group of four terms, these terms of each channel.
    lines: Vec<Line<i8>>,
    /// NaN of a channel with NaN or an infinite number.
    scales: Vec<f32>,
    /// Of each channel, what is too much in sums of products with activations plus 128, negated.
    corrections: Vec<i32>,
    d_in: usize,
    d_out: usize,
}

impl Weights {
    /// Rounds and packs a weight, row after row.
    ///
    /// # Errors
    /// If a sum might not fit into 32 bits.
    pub(crate) fn quantize(weight: &[f32], [d_out, d_in]: [usize; 2]) -> Result<Self, PrepareError> {
        assert_eq!(weight.len(), d_out * d_in, "a weight [{d_out}, {d_in}]");
        if d_in > TERMS {
            return Err(PrepareError::Terms { found: d_in, most: TERMS });
        }
        let n_panels = d_out.div_ceil(COLUMNS);
        let mut lines = vec![Line([0; Line::<i8>::LEN]); n_panels * groups(d_in) * PANEL_LINES];
        let (mut scales, mut corrections) = (vec![0.0; n_panels * COLUMNS], vec![0; n_panels * COLUMNS]);
        let mut integers = vec![0; d_in];
        for (number, weight) in weight.chunks_exact(d_in.max(1)).enumerate() {
            scales[number] = round_to_int8(weight, &mut integers);
            let sum: i32 = integers.iter().map(|&integer| i32::from(integer)).sum();
            // The sums of products start from it, and end within 32 bits.
            corrections[number] = sum.wrapping_mul(-128);
            let panel = number / COLUMNS * groups(d_in) * PANEL_LINES;
            let bytes = Line::bytes_mut(&mut lines[panel..panel + groups(d_in) * PANEL_LINES]);
            let columns = bytes.as_chunks_mut::<{ COLUMNS * 4 }>().0;
            for (integers, bytes) in integers.chunks(4).zip(columns) {
                bytes[number % COLUMNS * 4..][..integers.len()].copy_from_slice(integers);
            }
        }
        Ok(Self { lines, scales, corrections, d_in, d_out })
    }

    pub(crate) fn d_in(&self) -> usize {
        self.d_in
    }

    pub(crate) fn d_out(&self) -> usize {
        self.d_out
    }

    pub(super) fn panels(&self) -> usize {
        self.d_out.div_ceil(COLUMNS)
    }

    /// Bytes of a panel.
    pub(super) fn panel_len(&self) -> usize {
        groups(self.d_in) * PANEL_LINES * Line::<i8>::LEN
    }

    /// The lines of a panel.
    pub(super) fn panel(&self, number: usize) -> &[Line<i8>] {
        let len = groups(self.d_in) * PANEL_LINES;
        &self.lines[number * len..][..len]
    }

    /// The scales of a panel.
    pub(super) fn scales(&self, panel: usize) -> &[f32; COLUMNS] {
        &self.scales.as_chunks().0[panel]
    }

    /// The corrections of a panel: where the sums of its channels begin.
    pub(super) fn corrections(&self, panel: usize) -> &[i32; COLUMNS] {
        &self.corrections.as_chunks().0[panel]
    }
}
