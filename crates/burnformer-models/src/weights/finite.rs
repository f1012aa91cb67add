//! Values that no weight of a model has: NaN and infinity.

/// Number of values that are NaN or infinite.
pub(super) fn n_not_finite(values: &[f32]) -> usize {
    // The exponent of such a value is all ones: one more carries into the sign. No branch, so that it is vectorised.
    let carry = |value: &f32| (value.to_bits() & 0x7f80_0000).wrapping_add(0x0080_0000);
    let carries = values.iter().fold(0, |carries, value| carries | carry(value));
    if carries >> 31 == 0 { 0 } else { values.iter().filter(|value| !value.is_finite()).count() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_nan_and_infinity_are_not_finite() {
        let finite = [0.0, -0.0, 1.0, f32::MAX, f32::MIN, f32::MIN_POSITIVE, f32::from_bits(1), -f32::from_bits(1)];
        assert_eq!(n_not_finite(&finite), 0);
        assert_eq!(n_not_finite(&[]), 0);
        for wrong in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::from_bits(0x7f80_0001)] {
            for place in 0..finite.len() {
                let mut values = finite;
                values[place] = wrong;
                assert_eq!(n_not_finite(&values), 1, "{wrong} at {place}");
            }
        }
    }
}
