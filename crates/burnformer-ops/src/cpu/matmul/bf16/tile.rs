//! The kernel: a panel of rows times a panel of columns, summed in 24 registers.

use std::arch::x86_64::*;

use super::{
    layout::{Format, LANE_LINES, ROWS},
    lines::{Line, WORDS, elements, load, multiply_add},
};

/// A part of the output, and the cells that it is the product of.
pub(super) struct Tile<'a> {
    pub(super) a: &'a [Line],
    pub(super) a_format: Format,
    /// In [`Format::Steps`].
    pub(super) b: &'a [Line],
    pub(super) steps: usize,
    pub(super) out: *mut f32,
    pub(super) row_stride: usize,
    pub(super) column_stride: usize,
    /// At most [`ROWS`].
    pub(super) rows: usize,
    /// At most [`COLUMNS`].
    pub(super) columns: usize,
    pub(super) alpha: f32,
    pub(super) accumulate: bool,
    pub(super) bias: Option<&'a [f32]>,
}

impl Tile<'_> {
    /// # Safety
    /// The processor has the instructions. `out` with its strides is the place of `rows` times `columns` elements,
    /// which nobody else reads or writes.
    #[target_feature(enable = "avx512f,avx512bf16")]
    pub(super) unsafe fn multiply(&self) {
        if self.column_stride == 1 {
            // What is not there yet arrives while the sums are made.
            for row in 0..self.rows {
                let place = self.out.wrapping_add(row * self.row_stride);
                _mm_prefetch::<_MM_HINT_ET0>(place.cast());
                _mm_prefetch::<_MM_HINT_ET0>(place.wrapping_add(WORDS).cast());
            }
        }
        // SAFETY: the caller's promise.
        unsafe {
            match (self.a_format, self.rows) {
                (Format::Steps, ..=4) => self.write(&self.sums::<4, 1, WORDS>()),
                (Format::Steps, ..=8) => self.write(&self.sums::<8, 1, WORDS>()),
                (Format::Steps, _) => self.write(&self.sums::<ROWS, 1, WORDS>()),
                (Format::Lanes, ..=4) => self.write(&self.sums::<4, { LANE_LINES * WORDS }, 1>()),
                (Format::Lanes, ..=8) => self.write(&self.sums::<8, { LANE_LINES * WORDS }, 1>()),
                (Format::Lanes, _) => self.write(&self.sums::<ROWS, { LANE_LINES * WORDS }, 1>()),
            }
        }
    }

    /// The product of the first `N` lanes of `a`, whose words are `LANE` apart by lane and `STEP` by step, and `b`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bf16")]
    fn sums<const N: usize, const LANE: usize, const STEP: usize>(&self) -> [[__m512; 2]; N] {
        assert!(self.b.len() >= 2 * self.steps);
        assert!(self.steps == 0 || self.a.len() * WORDS > (N - 1) * LANE + (self.steps - 1) * STEP);
        let mut sums = [[_mm512_setzero_ps(); 2]; N];
        let mut a = self.a.as_ptr().cast::<i32>();
        for b in self.b[..2 * self.steps].chunks_exact(2) {
            for (lane, sums) in sums.iter_mut().enumerate() {
                // SAFETY: the second assertion.
                let word = _mm512_set1_epi32(unsafe { *a.add(lane * LANE) });
                *sums = [multiply_add(word, b[0], sums[0]), multiply_add(word, b[1], sums[1])];
            }
            // The last step may lead out of the cell, where nothing is read.
            a = a.wrapping_add(STEP);
        }
        sums
    }

    /// Puts sums where they belong.
    ///
    /// # Safety
    /// As for [`Self::multiply`].
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn write<const N: usize>(&self, sums: &[[__m512; 2]; N]) {
        let alpha = _mm512_set1_ps(self.alpha);
        for half in 0..self.columns.div_ceil(WORDS) {
            let columns = half * WORDS..self.columns.min((half + 1) * WORDS);
            let mask = (u32::MAX >> (32 - columns.len())) as u16;
            let bias = self.bias.map_or(_mm512_setzero_ps(), |bias| load(&bias[columns.clone()]));
            for (row, sums) in sums.iter().enumerate().take(self.rows) {
                // SAFETY: an element of the tile.
                let place = unsafe { self.out.add(row * self.row_stride + columns.start * self.column_stride) };
                if self.column_stride == 1 {
                    let mut base = bias;
                    if self.accumulate {
                        // SAFETY: what is not in the tile is masked out, and is not read.
                        base = _mm512_add_ps(unsafe { _mm512_maskz_loadu_ps(mask, place) }, bias);
                    }
                    let product = _mm512_fmadd_ps(alpha, sums[half], base);
                    if columns.len() == WORDS {
                        // SAFETY: there are 16 elements.
                        unsafe { _mm512_storeu_ps(place, product) };
                    } else {
                        // SAFETY: what is not in the tile is masked out, and is not written.
                        unsafe { _mm512_mask_storeu_ps(place, mask, product) };
                    }
                } else {
                    let product = elements(_mm512_fmadd_ps(alpha, sums[half], bias));
                    for (column, value) in product.into_iter().enumerate().take(columns.len()) {
                        // SAFETY: an element of the tile.
                        let place = unsafe { &mut *place.add(column * self.column_stride) };
                        *place = if self.accumulate { *place + value } else { value };
                    }
                }
            }
        }
    }
}
