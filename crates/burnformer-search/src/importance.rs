//! How much each setting matters: PED-ANOVA.
//!
//! Source: Watanabe et al. 2023, as `optuna.importance.PedAnovaImportanceEvaluator` of Optuna 5.0 has it.

use libm::erf;

use crate::{Domain, Observation, Space};

/// Share of the trials that count as good.
const GOOD: f64 = 0.1;
/// Most points of a grid.
const MOST_POINTS: u64 = 50;
/// Weight of the density that knows nothing.
const PRIOR: f64 = 1.0;
/// Keeps ratios of densities finite.
const EPSILON: f64 = 1e-12;

/// The share of each parameter in what makes trials good, in the order of the parameters; the shares add up to 1. `None` if
/// there are too few trials to tell. `known` has the best first.
#[must_use]
pub fn importance(space: &Space, known: &[Observation]) -> Option<Vec<f64>> {
    let last = known.get(((known.len() as f64 * GOOD).ceil() as usize).checked_sub(1)?)?;
    // Trials as good as the last good one are good too.
    let is_good = |it: &&Observation| (it.level, it.score) >= (last.level, last.score);
    let n_good = known.iter().take_while(is_good).count();
    let divergence = |place: usize, domain: &Domain| {
        let values = |of: &[Observation]| of.iter().map(|it| it.values[place]).collect::<Vec<f64>>();
        let (good, all) = (density(domain, &values(&known[..n_good])), density(domain, &values(known)));
        let terms = good.iter().zip(&all).map(|(good, all)| (good + EPSILON, all + EPSILON));
        terms.map(|(good, all)| all * (good / all - 1.0).powi(2)).sum::<f64>()
    };
    let found: Vec<f64> = space
        .parameters()
        .iter()
        .enumerate()
        .map(
            |(place, parameter)| {
                if parameter.domain.len() == Some(1) { 0.0 } else { divergence(place, &parameter.domain) }
            },
        )
        .collect();
    let sum: f64 = found.iter().sum();
    (n_good < known.len() && sum > 0.0).then(|| found.iter().map(|value| value / sum).collect())
}

/// The density of the values on the grid of the domain.
fn density(domain: &Domain, values: &[f64]) -> Vec<f64> {
    match domain {
        Domain::Choice { values: choices } => of_choices(&counts(values.iter().map(|it| *it as usize), choices.len())),
        Domain::Uniform { low, high } => of_numbers(&on_grid(values, *low, *high, MOST_POINTS)),
        Domain::LogUniform { low, high } => {
            let logs: Vec<f64> = values.iter().map(|value| value.ln()).collect();
            of_numbers(&on_grid(&logs, low.ln(), high.ln(), MOST_POINTS))
        }
        Domain::Integer { low, .. } => {
            let len = domain.len().unwrap_or(1);
            of_numbers(&on_grid(values, *low as f64, domain.nth(len - 1), len.min(MOST_POINTS)))
        }
    }
}

fn counts(places: impl Iterator<Item = usize>, n: usize) -> Vec<f64> {
    let mut counts = vec![0.0; n];
    places.for_each(|place| counts[place.min(n - 1)] += 1.0);
    counts
}

/// The number of values about each of `n` points from `low` to `high`.
fn on_grid(values: &[f64], low: f64, high: f64, n: u64) -> Vec<f64> {
    let step = (high - low) / (n - 1) as f64;
    counts(values.iter().map(|value| ((value - low) / step - 0.5).ceil().max(0.0) as usize), n as usize)
}

/// A mixture of a distribution about each choice that occurs, and a uniform one.
fn of_choices(counts: &[f64]) -> Vec<f64> {
    let n_kernels = counts.iter().filter(|count| **count > 0.0).count() + 1;
    let (sum, n) = (counts.iter().sum::<f64>() + PRIOR, counts.len() as f64);
    let floor = PRIOR / n_kernels as f64;
    let of = |place: usize| {
        let terms = counts.iter().enumerate().filter(|(_, count)| **count > 0.0).map(|(other, count)| {
            let weight = floor + f64::from(u8::from(other == place));
            count * weight / (1.0 + n * floor)
        });
        (terms.sum::<f64>() + PRIOR / n) / sum
    };
    (0..counts.len()).map(of).collect()
}

/// A mixture of normal distributions about each point that occurs, with the width by Scott's rule, and a wide one.
fn of_numbers(counts: &[f64]) -> Vec<f64> {
    let points: Vec<(f64, f64)> = counts
        .iter()
        .enumerate()
        .filter(|(_, count)| **count > 0.0)
        .map(|(point, count)| (point as f64, *count))
        .collect();
    let sum: f64 = counts.iter().sum();
    let mean = points.iter().map(|(point, count)| point * count).sum::<f64>() / sum;
    let variance =
        points.iter().map(|(point, count)| count * (point - mean).powi(2)).sum::<f64>() / (sum - 1.0).max(1.0);
    let behind = |is_behind: &dyn Fn(f64) -> bool| {
        let mut cumulated = 0.0;
        let found = points.iter().find(|(_, count)| {
            cumulated += count;
            is_behind(cumulated)
        });
        found.or(points.last()).map_or(0.0, |(point, _)| *point)
    };
    let (first, third) = ((sum / 4.0).floor(), (sum * 3.0 / 4.0).floor());
    let between = behind(&|cumulated| cumulated > third) - behind(&|cumulated| cumulated >= first);
    let scott = 1.059 * (between / 1.34).min(variance.sqrt()) * sum.powf(-0.2);
    // At least nine tenths of a normal distribution lie about its point.
    let deviation = scott.max(0.5 / 1.64);
    let n = counts.len() as f64;
    let mass = |mean: f64, deviation: f64, from: f64, to: f64| {
        let below = |value: f64| 0.5 * (1.0 + erf((value - mean) / deviation / std::f64::consts::SQRT_2));
        below(to) - below(from)
    };
    let kernels: Vec<(f64, f64, f64)> = points
        .iter()
        .map(|(point, count)| (*point, deviation, *count))
        .chain([((n - 1.0) / 2.0, n, PRIOR)])
        .map(|(mean, deviation, weight)| {
            (mean, deviation, weight / (sum + PRIOR) / mass(mean, deviation, -0.5, n - 0.5))
        })
        .collect();
    let of = |point: usize| {
        let (from, to) = (point as f64 - 0.5, point as f64 + 0.5);
        kernels.iter().map(|(mean, deviation, weight)| weight * mass(*mean, *deviation, from, to)).sum()
    };
    (0..counts.len()).map(of).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// Shares by Optuna 5.0 of studies of random trials, made by `tests/fixtures/importance.py`.
    #[test]
    fn shares_are_those_of_optuna() {
        let fixture: Value = serde_json::from_str(include_str!("../tests/fixtures/importance.json")).unwrap();
        let numbers =
            |value: &Value| -> Vec<f64> { value.as_array().unwrap().iter().map(|it| it.as_f64().unwrap()).collect() };
        let space = Space::new(&serde_json::from_value(fixture["space"].clone()).unwrap()).unwrap();
        for study in fixture["studies"].as_array().unwrap() {
            let values = numbers(&study["losses"]);
            let trials = study["trials"].as_array().unwrap().iter().zip(values).enumerate();
            let mut known: Vec<Observation> = trials
                .map(|(trial, (values, loss))| Observation { trial, values: numbers(values), level: 1, score: -loss })
                .collect();
            known.sort_by(|a, b| b.score.total_cmp(&a.score));
            let found = importance(&space, &known).unwrap();
            for (found, expected) in found.iter().zip(numbers(&study["importance"])) {
                assert!((found - expected).abs() < 1e-9, "{found} {expected}");
            }
        }
    }

    #[test]
    fn too_few_trials_tell_nothing() {
        let table = serde_json::json!({"a": {"kind": "uniform", "low": 0.0, "high": 1.0}});
        let space = Space::new(&serde_json::from_value(table).unwrap()).unwrap();
        let trial = |score| Observation { values: vec![0.5], level: 1, score, trial: 0 };
        assert_eq!(importance(&space, &[]), None);
        assert_eq!(importance(&space, &[trial(1.0)]), None);
        assert_eq!(importance(&space, &[trial(1.0), trial(1.0)]), None);
    }
}
