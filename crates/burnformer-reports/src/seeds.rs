//! Report on runs that differ in the seed alone.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Runs of several seeds, and their scores taken together; `R` is the report of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeedsReport<R> {
    /// Folder with the folders of the runs.
    pub folder: PathBuf,
    /// The runs, in the order of seeds.
    pub runs: Vec<SeedRun<R>>,
    /// The scores that all runs have.
    pub scores: Vec<SeedScore>,
}

/// A run of one seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeedRun<R> {
    /// The seed.
    pub seed: u64,
    /// The report of the run.
    pub report: R,
}

/// A score of the runs of several seeds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeedScore {
    /// Part of the data and name of the score, as in `validation.accuracy`.
    pub name: String,
    /// Mean of the runs.
    pub mean: f64,
    /// Sample standard deviation of the runs, with `n - 1`.
    pub deviation: f64,
    /// The score of each run, in the order of seeds.
    pub values: Vec<f64>,
}

impl SeedScore {
    /// A score with its mean and deviation; `None` for fewer than two values.
    #[must_use]
    pub fn new(name: String, values: Vec<f64>) -> Option<Self> {
        let n = values.len();
        if n < 2 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / n as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Some(Self { name, mean, deviation: (squares / (n - 1) as f64).sqrt(), values })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Python: `statistics.mean([.82, .79, .84, .81])` and `statistics.stdev` of the same.
    #[test]
    fn mean_and_deviation_are_those_of_a_sample() {
        let score = SeedScore::new("test.accuracy".to_owned(), vec![0.82, 0.79, 0.84, 0.81]).unwrap();
        assert!((score.mean - 0.815).abs() < 1e-12, "{}", score.mean);
        assert!((score.deviation - 0.020_816_659_994_661_33).abs() < 1e-12, "{}", score.deviation);
        assert_eq!(SeedScore::new(String::new(), vec![0.5]), None);
    }
}
