//! Rounding to integers in [-127, 127]. Nothing here depends on the instructions that a loop is compiled to.

use crate::cpu::vectorized;

/// Rows and channels whose numbers are all smaller count as zeros, since the reciprocal of their scale may be infinite.
const TINY: f32 = f32::from_bits((127 - 100) << 23); // 2^-100

/// Adding it rounds to the nearest whole number, ties to even, which is then in the low bits: 1.5 * 2^23.
const TO_INTEGER: f32 = 12_582_912.0;

/// Bits of an infinite number; those of NaN, without the sign, are greater.
const INFINITE: u32 = f32::INFINITY.to_bits();

/// The scale of a row, whose numbers divided by it are rounded to `out`, plus 128. Without terms, and of a row of zeros, it is
/// zero; of a row with NaN or an infinite number it is NaN.
#[inline(always)]
pub(super) fn row(x: &[f32], out: &mut [u8]) -> f32 {
    let (scale, reciprocal) = match greatest(x) {
        greatest if greatest >= INFINITE => (f32::NAN, 0.0),
        greatest if f32::from_bits(greatest) < TINY => (0.0, 0.0),
        greatest => (f32::from_bits(greatest) / 127.0, 127.0 / f32::from_bits(greatest)),
    };
    if reciprocal == 0.0 {
        out.fill(128);
        return scale;
    }
    for (out, x) in out.iter_mut().zip(x) {
        *out = (x * reciprocal + TO_INTEGER).to_bits() as u8 ^ 0x80;
    }
    scale
}

/// Rounds the weights of one output to integers in [-127, 127], as [`WeightFormat::Int8`](crate::WeightFormat::Int8) does: to the
/// nearest multiples of a scale, which is returned. The scale is zero if all weights are zero, or smaller than 2^-100, and NaN if one
/// is NaN or infinite; the integers are zero then.
///
/// The scale has 16 binary digits, so that an integer times the scale is exact as an `f32`, and weights that are such products
/// have the same scale and the same integers again.
///
/// # Panics
/// If `out` is not as long as `weights`.
pub fn round_to_int8(weights: &[f32], out: &mut [i8]) -> f32 {
    assert_eq!(weights.len(), out.len(), "an integer for each weight");
    vectorized(
        #[inline(always)]
        || channel(weights, out),
    )
}

/// [`round_to_int8`] of as many integers as weights.
#[inline(always)]
fn channel(weight: &[f32], out: &mut [i8]) -> f32 {
    let greatest = greatest(weight);
    let scale = match f32::from_bits(greatest) {
        _ if greatest >= INFINITE => f32::NAN,
        greatest if greatest < TINY => 0.0,
        // Rounded up, so that no quotient is greater than 127.
        greatest => f32::from_bits(((greatest / 127.0).to_bits() + 0xff) & !0xff),
    };
    if scale.is_nan() || scale == 0.0 {
        out.fill(0);
        return scale;
    }
    for (out, weight) in out.iter_mut().zip(weight) {
        *out = (weight / scale + TO_INTEGER).to_bits() as i8;
    }
    scale
}

/// The greatest magnitude as bits, which have the order of the numbers, with infinity and NaN on top.
#[inline(always)]
fn greatest(numbers: &[f32]) -> u32 {
    numbers.iter().fold(0, |greatest, x| greatest.max(x.to_bits() & !(1 << 31)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The integers and the scale of a row.
    fn rounded(x: &[f32]) -> (Vec<i32>, f32) {
        let mut out = vec![0; x.len()];
        let scale = row(x, &mut out);
        (out.into_iter().map(|x| i32::from(x) - 128).collect(), scale)
    }

    #[test]
    fn rows_are_rounded_to_nearest_with_ties_to_even() {
        let x = [127.0, -127.0, 0.5, 1.5, 2.5, -0.5, -1.5, 0.49, 126.51, 0.0, -0.0];
        assert_eq!(rounded(&x), (vec![127, -127, 0, 2, 2, 0, -2, 0, 127, 0, 0], 1.0));
        assert_eq!(rounded(&[2.0, -1.0, 0.9]), (vec![127, -64, 57], 2.0 / 127.0));
        assert_eq!(rounded(&[f32::MAX, f32::MIN]), (vec![127, -127], f32::MAX / 127.0));
    }

    #[test]
    fn rows_without_a_scale_are_told_by_it() {
        assert_eq!(rounded(&[]), (vec![], 0.0));
        assert_eq!(rounded(&[0.0, -0.0]), (vec![0, 0], 0.0));
        assert_eq!(rounded(&[f32::MIN_POSITIVE, 1e-38]), (vec![0, 0], 0.0));
        for special in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let (integers, scale) = rounded(&[1.0, special]);
            assert_eq!((integers, scale.is_nan()), (vec![0, 0], true), "{special}");
        }
    }

    #[test]
    fn a_channel_of_rounded_weights_is_rounded_to_itself() {
        for seed in 0..2000_u32 {
            let size = f32::from_bits(0x2000_0000 + seed.wrapping_mul(0x9e37_79b9) % 0x5000_0000);
            let weight: Vec<f32> = (0..9)
                .map(|i| size * ((seed.wrapping_mul(7919) + i * 104_729) % 2001) as f32 / 1000.0 - size)
                .collect();
            let (mut integers, mut again) = ([0; 9], [0; 9]);
            let scale = channel(&weight, &mut integers);
            for (&integer, weight) in integers.iter().zip(&weight) {
                assert!(
                    (f32::from(integer) * scale - weight).abs() <= 0.501 * scale,
                    "{weight} as {integer} x {scale}"
                );
            }
            let exact = integers.map(|integer| f32::from(integer) * scale);
            assert_eq!((channel(&exact, &mut again), again), (scale, integers));
        }
    }

    #[test]
    fn channels_without_a_scale_are_told_by_it() {
        let mut integers = [7; 2];
        assert_eq!((channel(&[0.0, -0.0], &mut integers), integers), (0.0, [0; 2]));
        assert_eq!((channel(&[1e-38, 0.0], &mut integers), integers), (0.0, [0; 2]));
        assert!(channel(&[1.0, f32::NAN], &mut integers).is_nan());
        assert!(channel(&[f32::NEG_INFINITY, 1.0], &mut integers).is_nan());
    }
}
