//! Validation of settings.

/// Settings that can check their own values.
pub trait Validate {
    /// Checks every setting.
    ///
    /// # Errors
    /// The [`ConfigError`] of the first setting with an invalid value. A nested struct passes its own on through
    /// [`ConfigError::within`].
    fn validate(&self) -> Result<(), ConfigError>;
}

/// A setting whose value has the right type but is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A value outside the valid range.
    #[error("`{field}` is {value}, expected {range}")]
    OutOfRange {
        /// Dotted key of the setting.
        field: String,
        /// The value found.
        value: String,
        /// Valid values, in words or as an interval.
        range: &'static str,
    },
    /// A width that the number of attention heads does not divide.
    #[error(
        "`{}` ({d_model}) is not divisible by `{field}` ({n_heads}), choose `{field}` from {}",
        sibling(field, "d_model"),
        divisors_near(*d_model, *n_heads)
    )]
    HeadsDoNotDivide {
        /// Dotted key of the number of heads.
        field: String,
        /// Width of the residual stream.
        d_model: usize,
        /// Number of heads found.
        n_heads: usize,
    },
}

impl ConfigError {
    /// Dotted key of the invalid setting.
    pub fn field(&self) -> &str {
        match self {
            Self::OutOfRange { field, .. } | Self::HeadsDoNotDivide { field, .. } => field,
        }
    }

    /// The same error with `section` in front of the key: `dropout` within `attention` becomes `attention.dropout`.
    #[must_use]
    pub fn within(mut self, section: &str) -> Self {
        let (Self::OutOfRange { field, .. } | Self::HeadsDoNotDivide { field, .. }) = &mut self;
        *field = format!("{section}.{field}");
        self
    }

    /// Checks that `value` is not zero.
    ///
    /// # Errors
    /// [`ConfigError::OutOfRange`] when `value` is 0.
    pub fn check_positive(field: &str, value: usize) -> Result<(), Self> {
        Self::check(field, &value, value > 0, "at least 1")
    }

    /// Checks that `value` is a probability below one.
    ///
    /// # Errors
    /// [`ConfigError::OutOfRange`] when `value` is outside `[0, 1)` or NaN.
    pub fn check_probability(field: &str, value: f64) -> Result<(), Self> {
        Self::check(field, &value, (0.0..1.0).contains(&value), "a value in [0, 1)")
    }

    /// Checks that `value` is positive and finite.
    ///
    /// # Errors
    /// [`ConfigError::OutOfRange`] when `value` is not in `(0, inf)`.
    pub fn check_finite_positive(field: &str, value: f64) -> Result<(), Self> {
        Self::check(field, &value, value.is_finite() && value > 0.0, "a finite value above 0")
    }

    /// Checks that `n_heads` divides `d_model`, and that neither is zero.
    ///
    /// # Errors
    /// [`ConfigError::HeadsDoNotDivide`], or [`ConfigError::OutOfRange`] for a zero.
    pub fn check_divides(d_model: usize, n_heads: usize) -> Result<(), Self> {
        Self::check_positive("d_model", d_model)?;
        Self::check_positive("n_heads", n_heads)?;
        if d_model.is_multiple_of(n_heads) {
            return Ok(());
        }
        Err(Self::HeadsDoNotDivide { field: "n_heads".to_owned(), d_model, n_heads })
    }

    /// Checks a condition; `range` describes the valid values, in words or as an interval.
    ///
    /// # Errors
    /// [`ConfigError::OutOfRange`] unless `holds`.
    pub fn check(field: &str, value: &impl ToString, holds: bool, range: &'static str) -> Result<(), Self> {
        if holds {
            return Ok(());
        }
        Err(Self::OutOfRange { field: field.to_owned(), value: value.to_string(), range })
    }
}

/// The key `name` in the section of `field`.
fn sibling(field: &str, name: &str) -> String {
    field.rsplit_once('.').map_or_else(|| name.to_owned(), |(section, _)| format!("{section}.{name}"))
}

/// Up to five divisors of `d_model` closest to `n_heads`, in ascending order.
fn divisors_near(d_model: usize, n_heads: usize) -> String {
    // The bound keeps an absurd width from becoming an endless loop.
    let mut divisors: Vec<usize> = (1..=d_model.min(4096)).filter(|&n| d_model.is_multiple_of(n)).collect();
    divisors.sort_by_key(|n| n.abs_diff(n_heads));
    divisors.truncate(5);
    divisors.sort_unstable();
    divisors.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zero_size_is_refused_with_its_key() {
        let error = ConfigError::check_positive("d_ff", 0).unwrap_err();
        assert_eq!(error.to_string(), "`d_ff` is 0, expected at least 1");
        assert_eq!(ConfigError::check_positive("d_ff", 1), Ok(()));
    }

    #[test]
    fn a_probability_lies_in_the_half_open_unit_interval() {
        for value in [0.0, 0.5, 1.0 - f64::EPSILON] {
            assert_eq!(ConfigError::check_probability("dropout", value), Ok(()));
        }
        for value in [-0.1, 1.0, f64::NAN, f64::INFINITY] {
            let error = ConfigError::check_probability("dropout", value).unwrap_err();
            assert_eq!(error.to_string(), format!("`dropout` is {value}, expected a value in [0, 1)"));
        }
    }

    #[test]
    fn a_positive_number_is_finite() {
        assert_eq!(ConfigError::check_finite_positive("eps", 1e-12), Ok(()));
        for value in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(ConfigError::check_finite_positive("eps", value).is_err());
        }
    }

    #[test]
    fn heads_that_do_not_divide_are_answered_with_the_nearest_that_do() {
        let error = ConfigError::check_divides(500, 8).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`d_model` (500) is not divisible by `n_heads` (8), choose `n_heads` from 1, 2, 4, 5, 10"
        );
        assert_eq!(ConfigError::check_divides(512, 8), Ok(()));
        assert_eq!(ConfigError::check_divides(0, 8).unwrap_err().field(), "d_model");
        assert_eq!(ConfigError::check_divides(8, 0).unwrap_err().field(), "n_heads");
    }

    #[test]
    fn an_absurd_width_is_answered_at_once() {
        let error = ConfigError::check_divides(usize::MAX, 8).unwrap_err();
        assert!(error.to_string().contains("from 1, 3, 5, 15, 17"), "{error}");
    }

    #[test]
    fn sections_prefix_every_key_of_the_message() {
        let error = ConfigError::check_divides(500, 8).unwrap_err().within("attention").within("model");
        assert_eq!(error.field(), "model.attention.n_heads");
        assert!(error.to_string().starts_with("`model.attention.d_model` (500) is not divisible"), "{error}");
    }
}
