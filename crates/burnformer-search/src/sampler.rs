//! Samplers: the values of the next trial.

use burnformer_core::random::{Key, Purpose, Stream};
use burnformer_core::{ConfigError, Validate};
use serde::{Deserialize, Serialize};

use crate::tpe::{propose, propose_choice};
use crate::{Domain, Observation, Space};

/// How the values of a trial are chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Sampler {
    /// Independent of all other trials.
    Random,
    /// Tree-structured Parzen estimators (Bergstra et al. 2011): more often where good trials were.
    Tpe {
        /// Number of trials that are chosen at random first.
        #[serde(default = "default::startup_trials")]
        startup_trials: u64,
        /// Share of the trials that count as good, in `(0, 1)`.
        #[serde(default = "default::gamma")]
        gamma: f64,
        /// Number of values that are drawn, of which the most promising is taken.
        #[serde(default = "default::candidates")]
        candidates: u64,
    },
}

/// Values of keys that a file may leave out.
mod default {
    pub(super) fn startup_trials() -> u64 {
        10
    }

    pub(super) fn gamma() -> f64 {
        0.1
    }

    pub(super) fn candidates() -> u64 {
        24
    }
}

impl Default for Sampler {
    fn default() -> Self {
        Self::Tpe {
            startup_trials: default::startup_trials(),
            gamma: default::gamma(),
            candidates: default::candidates(),
        }
    }
}

impl Validate for Sampler {
    fn validate(&self) -> Result<(), ConfigError> {
        let Self::Tpe { gamma, candidates, .. } = self else { return Ok(()) };
        ConfigError::check("gamma", gamma, *gamma > 0.0 && *gamma < 1.0, "more than 0, less than 1")?;
        ConfigError::check("candidates", candidates, (1..=10_000).contains(candidates), "1 to 10000")
    }
}

impl Sampler {
    /// The values of trial `number`, one for each parameter of `space`: a function of `seed`, the number, and what is known
    /// of other trials, the best of them first.
    #[must_use]
    pub fn propose(&self, space: &Space, seed: u64, number: u64, known: &[Observation]) -> Vec<f64> {
        let parameters = space.parameters().iter().enumerate();
        parameters
            .map(|(place, parameter)| {
                let mut stream = Stream::new(Key::new(seed, Purpose::Search, &parameter.key), number);
                match self {
                    Self::Tpe { startup_trials, gamma, candidates }
                        if known.len() as u64 >= (*startup_trials).max(1) =>
                    {
                        let n_good = (known.len() as f64 * gamma).ceil() as usize;
                        let values: Vec<f64> = known.iter().map(|it| it.values[place]).collect();
                        let (good, bad) = values.split_at(n_good);
                        promising(&parameter.domain, good, bad, *candidates as usize, &mut stream)
                    }
                    _ => random(&parameter.domain, &mut stream),
                }
            })
            .collect()
    }
}

fn random(domain: &Domain, stream: &mut Stream) -> f64 {
    match domain {
        Domain::Uniform { low, high } => (low + (high - low) * stream.uniform()).clamp(*low, *high),
        Domain::LogUniform { low, high } => {
            let (from, to) = (low.ln(), high.ln());
            (from + (to - from) * stream.uniform()).exp().clamp(*low, *high)
        }
        _ => domain.nth(stream.below(domain.len().unwrap_or(1))),
    }
}

/// What TPE takes.
fn promising(domain: &Domain, good: &[f64], bad: &[f64], candidates: usize, stream: &mut Stream) -> f64 {
    let logs = |values: &[f64]| values.iter().map(|value| value.ln()).collect();
    match domain {
        Domain::Uniform { low, high } => propose(good.to_vec(), bad.to_vec(), (*low, *high), candidates, stream),
        Domain::LogUniform { low, high } => {
            let ends = (low.ln(), high.ln());
            propose(logs(good), logs(bad), ends, candidates, stream).exp().clamp(*low, *high)
        }
        Domain::Integer { low, step, .. } => {
            // Each number stands for what is nearer to it than to the others.
            let len = domain.len().unwrap_or(1);
            let place = |value: &f64| (value - *low as f64) / *step as f64;
            let places = |values: &[f64]| values.iter().map(place).collect();
            let found = propose(places(good), places(bad), (-0.5, len as f64 - 0.5), candidates, stream);
            domain.nth((found.round().max(0.0) as u64).min(len - 1))
        }
        Domain::Choice { values } => propose_choice(good, bad, values.len() as u64, candidates, stream),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn space() -> Space {
        let table = json!({
            "rate": {"kind": "log-uniform", "low": 1e-5, "high": 1e-1},
            "layers": {"kind": "integer", "low": 2, "high": 8, "step": 2},
            "share": {"kind": "uniform", "low": -1.0, "high": 1.0},
            "name": {"kind": "choice", "values": ["a", "b", "c"]},
        });
        Space::new(&serde_json::from_value(table).unwrap()).unwrap()
    }

    #[test]
    fn random_values_fill_the_space() {
        let space = space();
        let drawn: Vec<_> = (0..400).map(|number| Sampler::Random.propose(&space, 7, number, &[])).collect();
        // Sorted by key: layers, name, rate, share.
        let share = |of: &dyn Fn(&[f64]) -> bool| drawn.iter().filter(|values| of(values)).count();
        for value in [2.0, 4.0, 6.0, 8.0] {
            assert!((70..130).contains(&share(&|it| it[0] == value)));
        }
        assert!((100..170).contains(&share(&|it| it[1] == 1.0)));
        assert!((160..240).contains(&share(&|it| it[2] < 1e-3)));
        assert!((160..240).contains(&share(&|it| it[3] < 0.0)));
        assert!(drawn.iter().all(|it| space.parameters().iter().zip(it).all(|(of, value)| of.domain.contains(*value))));
        assert_eq!(Sampler::Random.propose(&space, 7, 3, &[]), drawn[3]);
        assert_ne!(Sampler::Random.propose(&space, 8, 3, &[]), drawn[3]);
    }

    /// The best values found by TPE are better than those found at random, over several seeds.
    #[test]
    fn tpe_comes_nearer_to_the_best() {
        let space = space();
        let loss = |values: &[f64]| {
            let rate = (values[2].ln() - 1e-3_f64.ln()).abs() / 4.0;
            rate + (values[3] - 0.5).abs() + (values[0] - 4.0).abs() / 6.0 + f64::from(u8::from(values[1] != 2.0))
        };
        let search = |sampler: &Sampler, seed| {
            let mut known: Vec<(f64, Observation)> = Vec::new();
            for number in 0..60 {
                let observations: Vec<_> = known.iter().map(|(_, it)| it.clone()).collect();
                let values = sampler.propose(&space, seed, number, &observations);
                assert!(space.parameters().iter().zip(&values).all(|(of, value)| of.domain.contains(*value)));
                known.push((loss(&values), Observation { values, ..Observation::default() }));
                known.sort_by(|a, b| a.0.total_cmp(&b.0));
            }
            known[0].0
        };
        let mean = |sampler: &Sampler| (0..20).map(|seed| search(sampler, seed)).sum::<f64>() / 20.0;
        let (tpe, random) = (mean(&Sampler::default()), mean(&Sampler::Random));
        assert!(tpe < 0.6 * random, "{tpe} {random}");
    }
}
