//! Products by the crate `gemm`, which has kernels for most processors, in pieces that suit it.
//!
//! `gemm` spends a tenth of its time on factors whose elements lie the wrong way round for its kernels, and a fifth where
//! it packs one for all of its threads at once. So the product is cut here, and every piece gets its factors as they should
//! lie: rows of `b`, and rows of `a`, as neighbours in memory.

use std::ops::Range;

use gemm::Parallelism;
use rayon::prelude::*;

use super::target::Target;
use super::transpose::{can_transpose, transpose};
use super::{Scale, View, ViewMut};
use crate::cpu::for_overwrite;

/// Terms of a sum that are added up in registers. Fixed, so that the order of every sum is; `gemm` adds up as many at once.
const TERMS: usize = 512;

/// Rows and columns of a piece, at most.
const PIECE: [usize; 2] = [1024, 256];

/// The same where `a` is transposed: fewer rows, so that the copy of [`TERMS`] of each fits into a second-level cache, and more
/// columns, since every piece beside another one makes the copy again.
const TRANSPOSED_PIECE: [usize; 2] = [512, 1024];

/// Terms of a segment, at least: sums that are long beside a small output, as gradients of weights are, are cut too, so that
/// every thread reads neighbouring rows of both factors, and reads them once.
const SEGMENT: usize = 1024;

/// Segments, at most, and elements of an output of which there are several.
const SEGMENTS: usize = 8;
const SMALL_OUTPUT: usize = 1 << 19;

/// A piece's sides are multiples of these, but for the last piece.
const UNIT: [usize; 2] = [48, 64];

/// For so few rows or columns `gemm` has loops of its own, which it chooses by the size of the whole product. Pieces must not
/// be so small unless the whole is.
const FEW: usize = 5;
const FEW_UNIT: usize = 512;

/// Rows of `a` from which on it is worth while to transpose `b` for them, and columns of `b` to transpose `a`.
const WORTH_TRANSPOSING: usize = 2;

/// Elements between transposed rows, without which all of them would meet in one set of a cache.
const PAD: usize = 16;

/// The product of [`super::matmul`], with shapes checked there.
pub(super) fn product(mut out: ViewMut, a: View, b: View, scale: Scale, threads: usize) {
    let [m, k, n] = [a.rows(), a.columns(), b.columns()];
    let target = Target::new(&mut out);
    let segments = if m * n > SMALL_OUTPUT { 1 } else { (k / SEGMENT).clamp(1, SEGMENTS) };
    let segments = Parts { length: k, unit: 1, count: segments };
    // The first segment goes to the output, the others wait.
    let mut waiting = for_overwrite((segments.count - 1) * m * n);
    let mut targets = vec![target];
    targets.extend(waiting.chunks_exact_mut(m * n).map(|sums| Target::new(&mut ViewMut::row_major(sums, m, n))));
    let [rows, columns] = pieces([m, n], a.column_stride() == 1, segments.count, threads);
    let piece = |number: usize| {
        let (segment, number) = (number / (rows.count * columns.count), number % (rows.count * columns.count));
        let (rows, columns) = (rows.nth(number / columns.count), columns.nth(number % columns.count));
        let (a, b) = (a.part(rows.clone(), segments.nth(segment)), b.part(segments.nth(segment), columns.clone()));
        let scale = match segment {
            0 => Scale { bias: scale.bias.map(|bias| &bias[columns.clone()]), ..scale },
            _ => Scale { bias: None, accumulate: false, ..scale },
        };
        // SAFETY: The piece is inside of its target, whose constructor checked that it fits its memory and that no two elements
        // are at one place; no other piece of the segment has both its rows and its columns.
        unsafe { targets[segment].at(rows.start, columns.start).multiply(a, b, scale) };
    };
    each(segments.count * rows.count * columns.count, threads, piece);
    if segments.count > 1 {
        each(m, threads, |row| {
            for sums in waiting.chunks_exact(m * n) {
                // SAFETY: The row is inside of `out`, and no other call has it.
                unsafe { target.put_row(row, &sums[row * n..(row + 1) * n], true) };
            }
        });
    }
}

/// `work(0)` to `work(count - 1)`, on several threads if there are.
fn each(count: usize, threads: usize, work: impl Fn(usize) + Send + Sync) {
    if threads > 1 {
        (0..count).into_par_iter().for_each(work);
    } else {
        (0..count).for_each(work);
    }
}

/// How a side is cut.
#[derive(Clone, Copy)]
struct Parts {
    length: usize,
    unit: usize,
    count: usize,
}

impl Parts {
    fn new(length: usize, unit: usize, longest: usize) -> Self {
        Self { length, unit, count: 1 }.with(length.div_ceil(longest))
    }

    fn with(self, count: usize) -> Self {
        Self { count: count.clamp(1, (self.length / self.unit).max(1)), ..self }
    }

    /// Equally long but for a unit, and the last one for what is left of a unit.
    fn nth(self, number: usize) -> Range<usize> {
        let start = |number: usize| {
            if number == self.count { self.length } else { self.length / self.unit * number / self.count * self.unit }
        };
        start(number)..start(number + 1)
    }
}

/// Rows and columns of the pieces, so that every thread has equally many, or else at least four.
fn pieces([rows, columns]: [usize; 2], a_is_row_major: bool, segments: usize, threads: usize) -> [Parts; 2] {
    let unit = |index: usize, other: usize| if other < FEW { FEW_UNIT } else { UNIT[index] };
    let longest = if a_is_row_major { PIECE } else { TRANSPOSED_PIECE };
    let mut parts = [Parts::new(rows, unit(0, columns), longest[0]), Parts::new(columns, unit(1, rows), longest[1])];
    loop {
        let count = segments * parts[0].count * parts[1].count;
        if count.is_multiple_of(threads) || count >= 4 * threads {
            return parts;
        }
        // The longer side is cut, if it can be.
        let length = parts.map(|parts| parts.length / parts.count);
        let order = if length[0] >= length[1] { [0, 1] } else { [1, 0] };
        let Some(side) =
            order.into_iter().find(|&side| parts[side].with(2 * parts[side].count).count > parts[side].count)
        else {
            return parts;
        };
        parts[side] = parts[side].with(2 * parts[side].count);
    }
}

impl Target {
    /// The product of `a` and `b`, from here on.
    ///
    /// # Safety
    /// `[a.rows(), b.columns()]` elements from here on are inside of the output, each at a place of its own, and nobody else
    /// reads or writes them.
    unsafe fn multiply(self, a: View, b: View, scale: Scale) {
        let [m, k, n] = [a.rows(), a.columns(), b.columns()];
        if let Some(bias) = scale.bias {
            for row in 0..m {
                // SAFETY: By the caller.
                unsafe { self.put_row(row, bias, scale.accumulate) };
            }
        }
        let mut accumulate = scale.accumulate || scale.bias.is_some();
        let (mut a_copy, mut b_copy) = (Vec::new(), Vec::new());
        // Once for k = 0 too, to clear the output.
        for first in (0..k.max(1)).step_by(TERMS) {
            let terms = first..k.min(first + TERMS);
            let stride = terms.len() + PAD;
            let (mut a, mut b) = (a.part(0..m, terms.clone()), b.part(terms, 0..n));
            if b.column_stride() != 1 && m >= WORTH_TRANSPOSING && can_transpose(b.transposed()) {
                b = transposed(b.transposed(), &mut b_copy, n + PAD);
            }
            if a.column_stride() != 1 && n >= WORTH_TRANSPOSING && can_transpose(a.transposed()) {
                a = transposed(a.transposed(), &mut a_copy, stride);
            }
            // SAFETY: The views' constructors checked that all their elements lie in borrowed memory; the output by the caller.
            unsafe { self.gemm(a, b, scale.alpha, accumulate) };
            accumulate = true;
        }
    }

    /// # Safety
    /// As for [`Self::multiply`].
    unsafe fn gemm(self, a: View, b: View, alpha: f32, accumulate: bool) {
        // SAFETY: By the caller.
        unsafe {
            gemm::gemm(
                a.rows(),
                b.columns(),
                a.columns(),
                self.start,
                self.column_stride as isize,
                self.row_stride as isize,
                accumulate,
                a.data().as_ptr(),
                a.column_stride() as isize,
                a.row_stride() as isize,
                b.data().as_ptr(),
                b.column_stride() as isize,
                b.row_stride() as isize,
                1.0,
                alpha,
                false,
                false,
                false,
                Parallelism::None,
            );
        }
    }
}

/// The transpose of a matrix, copied to rows `stride` apart.
fn transposed<'a>(from: View, copy: &'a mut Vec<f32>, stride: usize) -> View<'a> {
    let [rows, columns] = [from.rows(), from.columns()];
    if copy.len() < columns * stride {
        *copy = for_overwrite(columns * stride);
    }
    transpose(from, copy, stride);
    View::strided(copy, columns, rows, stride, 1)
}
