//! The kernels: a panel of rows times a panel of columns, summed in 24 registers of AVX-512 or in four tiles of AMX.

use std::arch::x86_64::*;

use super::{
    super::amx::{Sums, Tiles},
    layout::{AVX512_ROWS, Format, LANE_LINES},
    lines::{Line, WORDS, elements, load, multiply_add},
};

/// A part of the output, and the cells that it is the product of.
pub(super) struct Tile<'a> {
    pub(super) a: &'a [Line],
    /// Any but [`Format::Tiles`] for AVX-512, that one for AMX.
    pub(super) a_format: Format,
    /// In [`Format::Steps`].
    pub(super) b: &'a [Line],
    pub(super) steps: usize,
    pub(super) out: *mut f32,
    pub(super) row_stride: usize,
    pub(super) column_stride: usize,
    /// At most [`AVX512_ROWS`], or [`SIZE`](super::super::amx::SIZE) for AMX.
    pub(super) rows: usize,
    /// At most [`COLUMNS`].
    pub(super) columns: usize,
    pub(super) alpha: f32,
    pub(super) accumulate: bool,
    pub(super) bias: Option<&'a [f32]>,
}

impl Tile<'_> {
    /// By AVX-512.
    ///
    /// # Safety
    /// The processor has the instructions. `out` with its strides is the place of `rows` times `columns` elements,
    /// which nobody else reads or writes.
    #[target_feature(enable = "avx512f,avx512bf16")]
    pub(super) unsafe fn multiply(&self) {
        self.prefetch();
        // SAFETY: the caller's promise.
        unsafe {
            match (self.a_format, self.rows) {
                (Format::Steps, ..=4) => self.write(&self.sums::<4, 1, WORDS>()),
                (Format::Steps, ..=8) => self.write(&self.sums::<8, 1, WORDS>()),
                (Format::Steps, _) => self.write(&self.sums::<AVX512_ROWS, 1, WORDS>()),
                (Format::Lanes, ..=4) => self.write(&self.sums::<4, { LANE_LINES * WORDS }, 1>()),
                (Format::Lanes, ..=8) => self.write(&self.sums::<8, { LANE_LINES * WORDS }, 1>()),
                (Format::Lanes, _) => self.write(&self.sums::<AVX512_ROWS, { LANE_LINES * WORDS }, 1>()),
                (Format::Tiles, _) => unreachable!("cells for AMX"),
            }
        }
    }

    /// By AMX, with room for the sums.
    ///
    /// # Safety
    /// As for [`Self::multiply`].
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn multiply_by_tiles(&self, tiles: &Tiles, sums: &mut Sums<f32>) {
        self.prefetch();
        tiles.multiply_bf16(self.a, self.b, self.steps.div_ceil(WORDS), self.rows, sums);
        let end = self.end();
        for (row, sums) in sums.0.iter().enumerate().take(self.rows) {
            let (lower, upper) = sums.split_at(WORDS);
            // SAFETY: the caller's promise.
            unsafe { self.write_row(&end, row, [load(lower), load(upper)]) };
        }
    }

    /// What is not there yet of the output arrives while the sums are made.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn prefetch(&self) {
        if self.column_stride == 1 {
            for row in 0..self.rows {
                let place = self.out.wrapping_add(row * self.row_stride);
                _mm_prefetch::<_MM_HINT_ET0>(place.cast());
                _mm_prefetch::<_MM_HINT_ET0>(place.wrapping_add(WORDS).cast());
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
        let end = self.end();
        for (row, sums) in sums.iter().enumerate().take(self.rows) {
            // SAFETY: the caller's promise.
            unsafe { self.write_row(&end, row, *sums) };
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn end(&self) -> End {
        let halves = [0..WORDS.min(self.columns), WORDS.min(self.columns)..self.columns];
        End {
            alpha: _mm512_set1_ps(self.alpha),
            bias: halves.clone().map(|columns| self.bias.map_or(_mm512_setzero_ps(), |bias| load(&bias[columns]))),
            masks: halves.map(|columns| ((1_u32 << columns.len()) - 1) as u16),
        }
    }

    /// # Safety
    /// As for [`Self::multiply`]; there is such a row.
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn write_row(&self, end: &End, row: usize, sums: [__m512; 2]) {
        for (half, (sums, mask)) in sums.into_iter().zip(end.masks).enumerate() {
            // Nothing is there without a mask, and nothing is read or written.
            let place = self.out.wrapping_add(row * self.row_stride + half * WORDS * self.column_stride);
            if self.column_stride == 1 {
                let mut base = end.bias[half];
                if self.accumulate {
                    // SAFETY: what is not in the tile is masked out, and is not read.
                    base = _mm512_add_ps(unsafe { _mm512_maskz_loadu_ps(mask, place) }, base);
                }
                let product = _mm512_fmadd_ps(end.alpha, sums, base);
                if mask == u16::MAX {
                    // SAFETY: there are 16 elements.
                    unsafe { _mm512_storeu_ps(place, product) };
                } else {
                    // SAFETY: what is not in the tile is masked out, and is not written.
                    unsafe { _mm512_mask_storeu_ps(place, mask, product) };
                }
            } else {
                let product = elements(_mm512_fmadd_ps(end.alpha, sums, end.bias[half]));
                for (column, value) in product.into_iter().enumerate().take(mask.count_ones() as usize) {
                    // SAFETY: an element of the tile.
                    let place = unsafe { &mut *place.wrapping_add(column * self.column_stride) };
                    *place = if self.accumulate { *place + value } else { value };
                }
            }
        }
    }
}

/// What becomes of the sums of every row.
struct End {
    alpha: __m512,
    /// Of the two halves of the columns.
    bias: [__m512; 2],
    /// The columns that are there.
    masks: [u16; 2],
}
