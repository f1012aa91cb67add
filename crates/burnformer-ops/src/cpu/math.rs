//! Functions of one number, written so that a loop over them becomes vector instructions: no branches, no calls. NaN stays
//! NaN. `mul_add` is one instruction on x86 with AVX2 and on ARM; processors from before 2013 call a function for it.

/// Accumulators of a sum: two of the widest registers.
pub(super) const LANES: usize = 32;

/// 1.5 · 2^23: adding it rounds to a whole number.
const TO_INTEGER: f32 = 12_582_912.0;

/// `e^x`, relative error below 2e-7; 0 where the result would be subnormal, infinite above 88.7.
///
/// Source: the polynomial of Cephes' `expf` (Moshier), after splitting off a power of two.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    let bounded = if x > 89.0 { 89.0 } else { x };
    let bounded = if bounded < -88.0 { -88.0 } else { bounded };
    let (e, shifted) = exp_parts(bounded);
    // 2^n in two factors, since 2^128 has none of its own. The low bits of `shifted` are n.
    let n = (shifted.to_bits() as i32).wrapping_sub(TO_INTEGER.to_bits() as i32);
    let half = n >> 1;
    let power = |n: i32| f32::from_bits((n.wrapping_add(127) << 23) as u32);
    let result = e * power(half) * power(n.wrapping_sub(half));
    // NaN went through all of this: no comparison holds for it.
    if x < -87.3 { 0.0 } else { result }
}

/// [`exp`] of a number that is not positive, with the same bits and a third less work; wrong above 88.
#[inline(always)]
pub(super) fn exp_of_non_positive(x: f32) -> f32 {
    let bounded = if x < -87.3 { -87.3 } else { x };
    let (e, shifted) = exp_parts(bounded);
    // The low bits of `shifted` are n, and the shift drops all others.
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    // NaN went through all of this: no comparison holds for it.
    if x < -87.3 { 0.0 } else { e * power }
}

/// `e^x / 2^n` in [0.7, 1.5], and n as `n + TO_INTEGER`.
#[inline(always)]
fn exp_parts(x: f32) -> (f32, f32) {
    const LN_2_HIGH: f32 = 0.693_359_4; // 355 / 512: times a whole number below 2^15 it is exact.
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let shifted = x.mul_add(std::f32::consts::LOG2_E, TO_INTEGER);
    let n = shifted - TO_INTEGER;
    let r = n.mul_add(-LN_2_LOW, n.mul_add(-LN_2_HIGH, x));
    let mut p: f32 = 1.987_569_1e-4;
    p = p.mul_add(r, 1.398_2e-3);
    p = p.mul_add(r, 8.333_452e-3);
    p = p.mul_add(r, 4.166_579_6e-2);
    p = p.mul_add(r, 0.166_666_65);
    p = p.mul_add(r, 0.5);
    (p.mul_add(r * r, r) + 1.0, shifted)
}

/// The error function, absolute error below 5e-7.
///
/// Source: the rational approximation on [-4, 4] of Eigen (`generic_fast_erf_float`).
#[inline(always)]
pub(super) fn erf(x: f32) -> f32 {
    let x = if x > 4.0 { 4.0 } else { x };
    let x = if x < -4.0 { -4.0 } else { x };
    let y = x * x;
    let mut p: f32 = -2.726_142_3e-10;
    p = p.mul_add(y, 2.770_681_4e-8);
    p = p.mul_add(y, -2.101_024e-6);
    p = p.mul_add(y, -5.692_506_4e-5);
    p = p.mul_add(y, -7.349_906_3e-4);
    p = p.mul_add(y, -2.954_6e-3);
    p = p.mul_add(y, -1.609_603_3e-2);
    let mut q: f32 = -1.456_607_2e-5;
    q = q.mul_add(y, -2.133_740_6e-4);
    q = q.mul_add(y, -1.682_827e-3);
    q = q.mul_add(y, -7.373_329_2e-3);
    q = q.mul_add(y, -1.426_473_9e-2);
    x * p / q
}

/// The hyperbolic tangent, absolute error below 3e-7.
#[inline(always)]
pub(super) fn tanh(x: f32) -> f32 {
    let e = exp(-2.0 * x.abs());
    let magnitude = (1.0 - e) / (1.0 + e);
    // Near zero the difference above cancels.
    let small = x.abs() - x.abs() * x * x * (1.0 / 3.0);
    let magnitude = if x.abs() < 0.02 { small } else { magnitude };
    if x < 0.0 { -magnitude } else { magnitude }
}

/// `Σ f(x)` in [`LANES`] accumulators.
#[inline(always)]
pub(super) fn sum_of(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for chunk in chunks {
        for (sum, &x) in lanes.iter_mut().zip(chunk) {
            *sum += f(x);
        }
    }
    for (sum, &x) in lanes.iter_mut().zip(rest) {
        *sum += f(x);
    }
    add_up(lanes)
}

#[inline(always)]
pub(super) fn sum(x: &[f32]) -> f32 {
    sum_of(x, |x| x)
}

#[inline(always)]
pub(super) fn dot(x: &[f32], y: &[f32]) -> f32 {
    let ((x_chunks, x_rest), (y_chunks, y_rest)) = (x.as_chunks::<LANES>(), y[..x.len()].as_chunks::<LANES>());
    let mut lanes = [0.0; LANES];
    for (x, y) in x_chunks.iter().zip(y_chunks) {
        for (sum, (x, y)) in lanes.iter_mut().zip(x.iter().zip(y)) {
            *sum += x * y;
        }
    }
    for (sum, (x, y)) in lanes.iter_mut().zip(x_rest.iter().zip(y_rest)) {
        *sum += x * y;
    }
    add_up(lanes)
}

#[inline(always)]
pub(super) fn add_up(lanes: [f32; LANES]) -> f32 {
    fold(lanes, |a, b| a + b)
}

/// Lanes half as far apart each time.
#[inline(always)]
fn fold(mut lanes: [f32; LANES], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] = f(lanes[lane], lanes[lane + width]);
        }
        width /= 2;
    }
    lanes[0]
}

/// The larger of two numbers; the first if the second is none.
#[inline(always)]
pub(super) fn larger(a: f32, b: f32) -> f32 {
    if b > a { b } else { a }
}

/// The largest element that is a number, minus infinity if there is none.
#[inline(always)]
pub(super) fn maximum(x: &[f32]) -> f32 {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = larger(*lane, x);
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(rest) {
        *lane = larger(*lane, x);
    }
    fold(lanes, larger)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(from: f64, to: f64) -> impl Iterator<Item = f32> {
        (0..=200_000).map(move |i| (from + (to - from) * f64::from(i) / 200_000.0) as f32)
    }

    #[test]
    fn exp_is_right_over_its_range() {
        for x in grid(-87.3, 88.7) {
            let expected = f64::from(x).exp();
            let error = (f64::from(exp(x)) - expected).abs() / expected;
            assert!(error < 2e-7, "exp({x}) is off by {error:e}");
        }
        assert_eq!([exp(f32::NEG_INFINITY), exp(-90.0), exp(0.0)], [0.0, 0.0, 1.0]);
        assert_eq!([exp(f32::INFINITY), exp(89.5)], [f32::INFINITY; 2]);
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn exp_of_non_positive_has_the_bits_of_exp() {
        let others = [f32::NEG_INFINITY, f32::MIN, -0.0, 0.0, 1e-6, -1e-30];
        for x in grid(-95.0, 0.0).chain(others) {
            assert_eq!(exp_of_non_positive(x).to_bits(), exp(x).to_bits(), "exp({x})");
        }
        assert!(
            [f32::NAN, -f32::NAN, f32::from_bits(0x7f80_0001)].into_iter().all(|x| exp_of_non_positive(x).is_nan())
        );
    }

    #[test]
    fn tanh_is_right_and_odd() {
        for x in grid(-12.0, 12.0) {
            let error = (f64::from(tanh(x)) - f64::from(x).tanh()).abs();
            assert!(error < 3e-7, "tanh({x}) is off by {error:e}");
            assert_eq!(tanh(-x), -tanh(x));
        }
        assert_eq!([tanh(f32::INFINITY), tanh(f32::NEG_INFINITY)], [1.0, -1.0]);
        assert!(tanh(f32::NAN).is_nan());
    }

    /// The error function's series, in double precision.
    fn erf_series(x: f64) -> f64 {
        let (mut term, mut sum, mut n) = (x, x, 0.0);
        while term.abs() > 1e-17 {
            n += 1.0;
            term *= -x * x / n;
            sum += term / (2.0 * n + 1.0);
        }
        sum * 2.0 / std::f64::consts::PI.sqrt()
    }

    #[test]
    fn erf_is_right_and_odd() {
        for x in grid(-4.5, 4.5) {
            let error = (f64::from(erf(x)) - erf_series(f64::from(x))).abs();
            assert!(error < 5e-7, "erf({x}) is off by {error:e}");
            assert_eq!(erf(-x), -erf(x));
        }
        assert!((erf(f32::INFINITY) - 1.0).abs() < 5e-7);
        assert!(erf(f32::NAN).is_nan());
    }

    #[test]
    fn sums_and_maxima_of_every_length() {
        for len in 0..100 {
            let x: Vec<f32> = (0..len).map(|i| ((i * 37) % 101) as f32 - 50.0).collect();
            assert_eq!(sum(&x), x.iter().sum::<f32>());
            assert_eq!(dot(&x, &x), x.iter().map(|x| x * x).sum::<f32>());
            assert_eq!(maximum(&x), x.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        }
    }
}
