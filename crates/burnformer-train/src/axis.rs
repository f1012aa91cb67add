//! The axis of a picture along which values lie: evenly, or by orders of magnitude.

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::coord::types::RangedCoordf64;

/// Values beyond this are as good as infinite.
pub(crate) const HUGE: f64 = 1e30;
/// How many numbers stand beside an axis, about.
const TICKS: usize = 7;
/// Share of an axis on either side that is left free.
const MARGIN: f64 = 0.05;

pub(crate) type Range = std::ops::Range<f64>;

/// An axis, long enough for the values that it was made of.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    scale: Scale,
    /// Both ends, as places on the axis.
    places: Range,
}

/// How values become places on an axis.
#[derive(Clone, Copy, Debug)]
enum Scale {
    Even,
    Decades,
}

impl Axis {
    /// An axis on which equal differences are equally long.
    pub(crate) fn even(values: impl Iterator<Item = f64>) -> Self {
        Self { scale: Scale::Even, places: range(values, MARGIN) }
    }

    /// An axis on which equal ratios are equally long, of positive values.
    pub(crate) fn decades(values: impl Iterator<Item = f64>) -> Self {
        Self { scale: Scale::Decades, places: range(values.map(f64::log10), MARGIN) }
    }

    /// The value half-way.
    pub(crate) fn middle(&self) -> f64 {
        self.scale.value((self.places.start + self.places.end) / 2.0)
    }

    /// How long the axis is about a value: a number beside it has the digits that this asks for.
    pub(crate) fn span_at(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Even => self.places.end - self.places.start,
            Scale::Decades => value,
        }
    }

    /// The round values that have a number beside them.
    fn ticks(&self) -> Vec<f64> {
        let evenly = || RangedCoordf64::from(self.range()).key_points(TICKS);
        let Scale::Decades = self.scale else { return evenly() };
        let powers: Vec<_> = (self.places.start.floor() as i32..=self.places.end.floor() as i32).collect();
        let of_power = |&power: &i32| [1.0, 2.0, 5.0].map(|factor| factor * 10_f64.powi(power));
        let inside = |value: &f64| self.range().contains(value);
        let fine: Vec<_> = powers.iter().flat_map(of_power).filter(inside).collect();
        match fine.len() {
            ..3 => evenly(),
            3..=TICKS => fine,
            _ => {
                let step = powers.len().div_ceil(TICKS) as i32;
                let coarse = powers.iter().filter(|&power| power % step == 0);
                coarse.map(|&power| 10_f64.powi(power)).filter(inside).collect()
            }
        }
    }
}

impl Scale {
    fn place(self, value: f64) -> f64 {
        match self {
            Self::Even => value,
            Self::Decades => value.log10(),
        }
    }

    fn value(self, place: f64) -> f64 {
        match self {
            Self::Even => place,
            Self::Decades => 10_f64.powf(place),
        }
    }
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        RangedCoordf64::from(self.places.clone()).map(&self.scale.place(*value), limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, _hint: Hint) -> Vec<f64> {
        self.ticks()
    }

    fn range(&self) -> Range {
        self.scale.value(self.places.start)..self.scale.value(self.places.end)
    }
}

/// The least and the greatest value.
pub(crate) fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)))
}

/// From the least to the greatest value, with a margin of that share on either side. What hardly changes gets room around it:
/// an axis needs a length.
pub(crate) fn range(values: impl Iterator<Item = f64>, margin: f64) -> Range {
    let (low, high) = bounds(values);
    let size = low.abs().max(high.abs());
    let room = match high - low {
        _ if size < 1.0 / HUGE => 1.0,
        spread if spread < 1e-4 * size => 0.1 * size,
        spread => margin * spread,
    };
    low - room..high + room
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_values_stand_beside_decades() {
        let check = |low: f64, high: f64, expected: &[f64]| {
            let found = Axis::decades([low, high].into_iter()).ticks();
            let is_near = |(found, expected): (&f64, &f64)| (found - expected).abs() < 1e-9 * expected;
            assert!(found.len() == expected.len() && found.iter().zip(expected).all(is_near), "{found:?}");
        };
        check(4.9, 450.0, &[5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0]);
        check(4.9, 30_000.0, &[10.0, 100.0, 1e3, 1e4]);
        check(5.3, 8.1, &[5.5, 6.0, 6.5, 7.0, 7.5, 8.0]);
        check(0.9, 1e29, &[1.0, 1e5, 1e10, 1e15, 1e20, 1e25, 1e30]);
    }

    #[test]
    fn equal_ratios_are_equally_long() {
        let axis = Axis::decades([1.0, 1000.0].into_iter());
        let places = [1.0, 10.0, 100.0, 1000.0].map(|value| axis.map(&value, (0, 1100)));
        assert_eq!(places, [50, 383, 716, 1050]);
        assert!((axis.middle() - 1000_f64.sqrt()).abs() < 1e-9);
        assert_eq!(axis.span_at(10.0), 10.0);
        let axis = Axis::even([1.0, 3.0].into_iter());
        assert!((axis.middle() - 2.0).abs() < 1e-12 && (axis.span_at(3.0) - 2.2).abs() < 1e-12);
    }
}
