//! Products of few rows, such as the linear maps of one short text. Their time is that of reading the other factor, so it is
//! read once, in its order: every element is the dot product of two rows, and nothing is transposed.

use std::arch::x86_64::*;
use std::ops::Range;

use rayon::prelude::*;

use super::lines::{WORDS, elements, prefetch};
use super::target::Target;
use super::{Scale, View, ViewMut};

/// Rows of `a`, at most: for more, transposing the other factor is less work than adding up the words of so many registers.
const ROWS: usize = 32;

/// Terms, at least, so that there is more to multiply than to add up.
const TERMS: usize = 128;

/// Rows and columns whose sums are in registers at once, each in one of its own.
const TILE: usize = 4;

/// Multiplications that are worth a second thread: fewer than for other products, since memory is waited for.
const PARALLEL_MULTIPLICATIONS: usize = 1 << 19;

/// Whether this is the way to multiply `a` and `b`, which depends on shapes and layouts alone.
pub(super) fn suit(a: View, b: View) -> bool {
    a.rows() <= ROWS
        && a.columns() >= TERMS
        && a.column_stride() == 1
        && b.row_stride() == 1
        && is_x86_feature_detected!("avx512f")
}

/// The product of [`super::matmul`], with shapes checked there, of factors that [`suit`].
pub(super) fn product(mut out: ViewMut, a: View, b: View, scale: Scale, may_be_parallel: bool) {
    let (n, b) = (b.columns(), b.transposed());
    let is_worth = a.rows() * a.columns() * n >= PARALLEL_MULTIPLICATIONS;
    let threads = if may_be_parallel && is_worth { rayon::current_num_threads() } else { 1 };
    let target = Target::new(&mut out);
    let part = |number: usize| {
        let start = |number: usize| if number == threads { n } else { n / TILE * number / threads * TILE };
        // SAFETY: The processor has the instructions, the columns are inside of the output, and no other part has them.
        unsafe { columns(target, a, b, scale, start(number)..start(number + 1)) };
    };
    if threads > 1 {
        (0..threads).into_par_iter().for_each(part);
    } else {
        part(0);
    }
}

/// Some columns of the product; `b` is the transpose of the other factor.
///
/// # Safety
/// The processor has AVX-512; the columns are inside of the output, as are the rows of `a`, and nobody else reads or writes
/// them.
#[target_feature(enable = "avx512f")]
unsafe fn columns(target: Target, a: View, b: View, scale: Scale, columns: Range<usize>) {
    for column in columns.clone().step_by(TILE) {
        for row in (0..a.rows()).step_by(TILE) {
            let sums = elements(tile(rows(a, row, a.rows()), rows(b, column, columns.end), TILE * b.row_stride()));
            for (i, sums) in (row..a.rows()).zip(sums.as_chunks::<TILE>().0) {
                for (j, sum) in (column..columns.end).zip(sums) {
                    let bias = scale.bias.map_or(0.0, |bias| bias[j]);
                    // SAFETY: By the caller.
                    let element = unsafe { &mut *target.element(i, j) };
                    let before = if scale.accumulate { *element } else { 0.0 };
                    *element = before + bias + scale.alpha * sum;
                }
            }
        }
    }
}

/// As many rows as a tile has, from the first one on; the last one again where there are fewer.
#[inline]
fn rows(from: View<'_>, first: usize, end: usize) -> [&[f32]; TILE] {
    std::array::from_fn(|row| &from.from((first + row).min(end - 1), 0)[..from.columns()])
}

/// The dot product of each row of `a` with each of `b`, all of one length: those of the first row of `a` first. Fetches what
/// is `ahead` of `b`.
#[inline]
#[target_feature(enable = "avx512f")]
fn tile(a: [&[f32]; TILE], b: [&[f32]; TILE], ahead: usize) -> __m512 {
    let n_terms = a[0].len();
    assert!(a.iter().chain(&b).all(|row| row.len() == n_terms));
    let mut sums = [_mm512_setzero_ps(); TILE * TILE];
    for term in (0..n_terms).step_by(WORDS) {
        // Zeros behind the last term.
        let mask = u16::MAX >> (WORDS - WORDS.min(n_terms - term));
        // SAFETY: Rows are long enough: see above. What is behind their ends is masked out, and is not read.
        let words = |row: &[f32]| unsafe { _mm512_maskz_loadu_ps(mask, row.as_ptr().add(term)) };
        let b_words = [words(b[0]), words(b[1]), words(b[2]), words(b[3])];
        for row in b {
            prefetch(row.as_ptr().wrapping_add(ahead + term));
        }
        for (sums, a) in sums.as_chunks_mut::<TILE>().0.iter_mut().zip(a) {
            let a = words(a);
            for (sum, b) in sums.iter_mut().zip(b_words) {
                *sum = _mm512_fmadd_ps(a, b, *sum);
            }
        }
    }
    add_up(sums)
}

/// The sums of the words of each register, in their order.
#[inline]
#[target_feature(enable = "avx512f")]
fn add_up(mut sums: [__m512; WORDS]) -> __m512 {
    // Neighbours halve what is left of their words, and share a register from then on: first inside of quarters of a
    // register, then quarters as a whole.
    for i in 0..8 {
        let (x, y) = (sums[2 * i], sums[2 * i + 1]);
        sums[i] = _mm512_add_ps(_mm512_unpacklo_ps(x, y), _mm512_unpackhi_ps(x, y));
    }
    for i in 0..4 {
        let (x, y) = (_mm512_castps_pd(sums[2 * i]), _mm512_castps_pd(sums[2 * i + 1]));
        let [low, high] = [_mm512_unpacklo_pd(x, y), _mm512_unpackhi_pd(x, y)];
        sums[i] = _mm512_add_ps(_mm512_castpd_ps(low), _mm512_castpd_ps(high));
    }
    for n in [2, 1] {
        for i in 0..n {
            let (x, y) = (sums[2 * i], sums[2 * i + 1]);
            sums[i] = _mm512_add_ps(_mm512_shuffle_f32x4::<0x88>(x, y), _mm512_shuffle_f32x4::<0xdd>(x, y));
        }
    }
    sums[0]
}
