//! Sums and maxima over rows. Compilers leave some of such loops scalar, so these are written for registers. Sums are made
//! in [`LANES`] parts whatever the registers.

use super::math::{self, LANES};
use pulp::Simd;

/// The dot product of two rows of one length.
#[inline(always)]
pub(super) fn dot<S: Simd>(simd: S, x: &[f32], y: &[f32]) -> f32 {
    match LANES / S::F32_LANES {
        2 => dot_in::<S, 2>(simd, x, y),
        4 => dot_in::<S, 4>(simd, x, y),
        8 => dot_in::<S, 8>(simd, x, y),
        _ => math::dot(x, y),
    }
}

/// The sum of a row.
#[inline(always)]
pub(super) fn sum<S: Simd>(simd: S, x: &[f32]) -> f32 {
    match LANES / S::F32_LANES {
        2 => sum_in::<S, 2>(simd, x),
        4 => sum_in::<S, 4>(simd, x),
        8 => sum_in::<S, 8>(simd, x),
        _ => math::sum(x),
    }
}

/// The largest element of a row, minus infinity if there is none; anything if one is not a number.
#[inline(always)]
pub(super) fn maximum<S: Simd>(simd: S, x: &[f32]) -> f32 {
    let (x, rest) = S::as_simd_f32s(x);
    let (pairs, last) = x.as_chunks::<2>();
    let mut maxima = [simd.splat_f32s(f32::NEG_INFINITY); 2];
    for pair in pairs {
        maxima = [simd.max_f32s(pair[0], maxima[0]), simd.max_f32s(pair[1], maxima[1])];
    }
    for last in last {
        maxima[0] = simd.max_f32s(*last, maxima[0]);
    }
    let maximum = simd.reduce_max_f32s(simd.max_f32s(maxima[0], maxima[1]));
    rest.iter().copied().fold(maximum, math::larger)
}

/// [`dot`] in `N` registers.
#[inline(always)]
fn dot_in<S: Simd, const N: usize>(simd: S, x: &[f32], y: &[f32]) -> f32 {
    let ((x, x_rest), (y, y_rest)) = (S::as_simd_f32s(x), S::as_simd_f32s(y));
    let ((x, x_last), (y, y_last)) = (x.as_chunks::<N>(), y.as_chunks::<N>());
    let mut sums = [simd.splat_f32s(0.0); N];
    for (x, y) in x.iter().zip(y) {
        for i in 0..N {
            sums[i] = simd.mul_add_e_f32s(x[i], y[i], sums[i]);
        }
    }
    for ((sum, x), y) in sums.iter_mut().zip(x_last).zip(y_last) {
        *sum = simd.mul_add_e_f32s(*x, *y, *sum);
    }
    if !x_rest.is_empty() {
        let (x, y) = (simd.partial_load_f32s(x_rest), simd.partial_load_f32s(y_rest));
        sums[x_last.len()] = simd.mul_add_e_f32s(x, y, sums[x_last.len()]);
    }
    add_up(simd, sums)
}

/// [`sum`] in `N` registers.
#[inline(always)]
fn sum_in<S: Simd, const N: usize>(simd: S, x: &[f32]) -> f32 {
    let (x, rest) = S::as_simd_f32s(x);
    let (x, last) = x.as_chunks::<N>();
    let mut sums = [simd.splat_f32s(0.0); N];
    for x in x {
        for i in 0..N {
            sums[i] = simd.add_f32s(sums[i], x[i]);
        }
    }
    for (sum, x) in sums.iter_mut().zip(last) {
        *sum = simd.add_f32s(*sum, *x);
    }
    if !rest.is_empty() {
        sums[last.len()] = simd.add_f32s(sums[last.len()], simd.partial_load_f32s(rest));
    }
    add_up(simd, sums)
}

/// Lanes half as far apart each time, as in [`math`].
#[inline(always)]
fn add_up<S: Simd, const N: usize>(simd: S, mut sums: [S::f32s; N]) -> f32 {
    let mut n = N / 2;
    while n > 0 {
        for i in 0..n {
            sums[i] = simd.add_f32s(sums[i], sums[i + n]);
        }
        n /= 2;
    }
    simd.reduce_sum_f32s(sums[0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::Vectors;

    struct All<'a>(&'a [f32], &'a [f32]);

    impl pulp::WithSimd for All<'_> {
        type Output = [f32; 3];

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> [f32; 3] {
            [sum(simd, self.0), dot(simd, self.0, self.1), maximum(simd, self.0)]
        }
    }

    /// Sums of whole numbers are exact in any order.
    #[test]
    fn they_are_right_at_every_length() {
        for vectors in Vectors::all() {
            for len in 0..200 {
                let x: Vec<f32> = (0..len).map(|i| ((i * 37) % 101) as f32 - 90.0).collect();
                let y: Vec<f32> = (0..len).map(|i| ((i * 53) % 71) as f32 - 30.0).collect();
                let expected = [
                    x.iter().sum::<f32>(),
                    x.iter().zip(&y).map(|(x, y)| x * y).sum::<f32>(),
                    x.iter().copied().fold(f32::NEG_INFINITY, f32::max),
                ];
                assert_eq!(vectors.run(All(&x, &y)), expected, "{len} elements by {vectors:?}");
            }
        }
    }

    /// The order of a sum is that of the loops in [`math`].
    #[test]
    fn sums_have_the_same_bits_in_any_registers() {
        let x: Vec<f32> = (0..333).map(|i| 1.0 / (i as f32 - 100.5)).collect();
        for len in [7, 16, 31, 33, 48, 100, 333] {
            for vectors in Vectors::all() {
                assert_eq!(vectors.run(All(&x[..len], &x[..len]))[0].to_bits(), math::sum(&x[..len]).to_bits());
            }
        }
    }
}
