//! Tree-structured Parzen estimators: the value at which the density of good trials is highest against that of the others.
//!
//! Source: Bergstra et al. 2011, sections 4 and 4.2, with the bandwidths of the crate `tpe` 0.3.1, one parameter at a time.
// The crate itself turns on another feature of `rand`, below burn, and burn compiles once more for that.

use burnformer_core::random::Stream;

/// Most draws of a candidate that lies outside of the range; a draw is inside at least every third time.
const MOST_DRAWS: usize = 100;

/// The best of `candidates` draws from the density of `good` values in `[low, high]`, by its ratio to that of `bad` ones.
pub(crate) fn propose(
    good: Vec<f64>,
    bad: Vec<f64>,
    (low, high): (f64, f64),
    candidates: usize,
    stream: &mut Stream,
) -> f64 {
    let (good, bad) = (Parzen::new(good, low, high), Parzen::new(bad, low, high));
    best((0..candidates).map(|_| good.draw(stream)), |&value| good.log_density(value) - bad.log_density(value))
        .unwrap_or((low + high) / 2.0)
}

/// The best of `candidates` draws of `n` choices, as [`propose`].
pub(crate) fn propose_choice(good: &[f64], bad: &[f64], n: u64, candidates: usize, stream: &mut Stream) -> f64 {
    let weights = |values: &[f64]| {
        let mut weights = vec![1.0; n as usize];
        values.iter().for_each(|&value| weights[value as usize] += 1.0);
        let sum: f64 = weights.iter().sum();
        weights.iter().map(|weight| weight / sum).collect::<Vec<f64>>()
    };
    let (good, bad) = (weights(good), weights(bad));
    let draw = |stream: &mut Stream| {
        let mut left = stream.uniform();
        good.iter()
            .position(|weight| {
                left -= weight;
                left < 0.0
            })
            .unwrap_or(good.len() - 1)
    };
    let found = best((0..candidates).map(|_| draw(stream)), |&place| good[place].ln() - bad[place].ln());
    found.unwrap_or(0) as f64
}

/// The first of the values with the highest score.
fn best<T>(values: impl Iterator<Item = T>, score: impl Fn(&T) -> f64) -> Option<T> {
    let scored = values.map(|value| (score(&value), value));
    scored.reduce(|best, other| if other.0 > best.0 { other } else { best }).map(|(_, value)| value)
}

/// A mixture of normal densities, one about each value and a wide one about the middle of the range.
struct Parzen {
    /// Mean and standard deviation of each.
    normals: Vec<(f64, f64)>,
    low: f64,
    high: f64,
}

impl Parzen {
    fn new(mut values: Vec<f64>, low: f64, high: f64) -> Self {
        values.push((low + high) / 2.0);
        values.sort_by(f64::total_cmp);
        let (n, width) = (values.len(), high - low);
        let least = width / (1.0 + n as f64).min(100.0);
        let deviation = |place: usize| {
            let before = if place == 0 { low } else { values[place - 1] };
            let after = values.get(place + 1).copied().unwrap_or(high);
            let (left, right) = (values[place] - before, after - values[place]);
            // At the ends the way to the neighbour counts, not that to the end of the range.
            let deviation = match place {
                0 if n > 1 => right,
                place if n > 1 && place == n - 1 => left,
                _ => left.max(right),
            };
            deviation.max(least).min(width)
        };
        Self { normals: (0..n).map(|place| (values[place], deviation(place))).collect(), low, high }
    }

    /// The logarithm of the density, but for a term that is the same for all values.
    fn log_density(&self, value: f64) -> f64 {
        let terms = self.normals.iter().map(|(mean, deviation)| {
            let z = (value - mean) / deviation;
            -0.5 * z * z - deviation.ln()
        });
        let terms: Vec<f64> = terms.collect();
        let most = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        most + terms.iter().map(|term| (term - most).exp()).sum::<f64>().ln()
    }

    fn draw(&self, stream: &mut Stream) -> f64 {
        for _ in 0..MOST_DRAWS {
            let (mean, deviation) = self.normals[stream.below(self.normals.len() as u64) as usize];
            let value = mean + deviation * stream.normal();
            if (self.low..self.high).contains(&value) {
                return value;
            }
        }
        (self.low + self.high) / 2.0
    }
}

#[cfg(test)]
mod tests {
    use burnformer_core::random::{Key, Purpose};

    use super::*;

    /// Differences of the logarithms of two densities by the crate `tpe` 0.3.1, made by `tests/fixtures/tpe.rs.txt`.
    #[test]
    fn densities_are_those_of_the_crate_tpe() {
        let fixture: serde_json::Value = serde_json::from_str(include_str!("../tests/fixtures/tpe.json")).unwrap();
        for case in fixture.as_array().unwrap() {
            let numbers = |key: &str| -> Vec<f64> {
                case[key].as_array().unwrap().iter().map(|it| it.as_f64().unwrap()).collect()
            };
            let (low, high) = (case["low"].as_f64().unwrap(), case["high"].as_f64().unwrap());
            let parzen = Parzen::new(numbers("values"), low, high);
            let points = numbers("points");
            let expected = numbers("log_pdf");
            for (point, expected_here) in points.iter().zip(&expected) {
                let found = parzen.log_density(*point) - parzen.log_density(points[0]);
                let wanted = expected_here - expected[0];
                assert!((found - wanted).abs() < 1e-9 * (1.0 + wanted.abs()), "{found} {wanted}");
            }
        }
    }

    #[test]
    fn proposals_are_in_the_range_and_near_good_values() {
        let mut near = 0;
        for trial in 0..200 {
            let mut stream = Stream::new(Key::new(1, Purpose::Search, "a"), trial);
            let bad = (0..=20).map(|n| -3.0 + f64::from(n) * 0.3).filter(|value| !(1.5..2.7).contains(value)).collect();
            let value = propose(vec![2.0, 2.1, 2.2], bad, (-3.0, 3.0), 24, &mut stream);
            assert!((-3.0..3.0).contains(&value));
            near += usize::from((1.5..2.7).contains(&value));
            let choice = propose_choice(&[2.0, 2.0, 2.0], &[0.0, 1.0, 1.0, 0.0, 3.0], 4, 24, &mut stream);
            assert_eq!(choice, 2.0);
        }
        assert!(near > 150, "{near}");
    }
}
