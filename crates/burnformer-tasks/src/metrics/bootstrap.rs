//! Paired bootstrap resampling: significance of the difference between two systems.

use burnformer_core::random::{Key, Purpose, Stream};
use serde::{Deserialize, Serialize};

use super::corpus::{CorpusMetric, MetricError};

/// Comparison of a baseline and a system by bootstrap resampling.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairedBootstrap {
    /// Scores of the baseline.
    pub baseline: BootstrapEstimate,
    /// Scores of the system.
    pub system: BootstrapEstimate,
    /// p-value: probability of a difference at least as large if the systems were equally good, in `(0, 1]`. Below
    /// 0.05, the difference is called significant. Two systems with the same answers get the smallest possible value,
    /// as in sacreBLEU: check the scores too.
    pub p_value: f64,
}

/// A score with its confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BootstrapEstimate {
    /// Score on the test set.
    pub score: f64,
    /// Mean over the resamples.
    pub mean: f64,
    /// Half the width of the interval that holds 95 % of the resamples' scores.
    pub half_width: f64,
}

/// Compares two systems on `n_resamples` test sets (1,000 are usual) drawn with replacement, the same for the same
/// `seed`, from the statistics of the same sentences.
///
/// ```
/// use burnformer_tasks::metrics::{Chrf, CorpusMetric, paired_bootstrap};
///
/// # fn main() -> Result<(), burnformer_tasks::metrics::MetricError> {
/// let chrf = Chrf::default();
/// let references = ["The cat sat on the mat.", "It is raining.", "He came late."];
/// let baseline = chrf.statistics(&["A dog.", "It rains.", "He has come late."], &[&references])?;
/// let system = chrf.statistics(&["The cat sits on a mat.", "It rains.", "He came too late."], &[&references])?;
/// let comparison = paired_bootstrap(&chrf, &baseline, &system, 1_000, 42)?;
/// assert!(comparison.system.score > comparison.baseline.score);
/// # Ok(())
/// # }
/// ```
///
/// Source: Koehn 2004, "Statistical Significance Tests for Machine Translation Evaluation", with the two-sided p-value
/// of sacreBLEU, which draws other resamples.
///
/// # Errors
/// If there is no sentence or no resample, or the systems have different numbers of sentences.
pub fn paired_bootstrap<M: CorpusMetric>(
    metric: &M,
    baseline: &[M::Statistics],
    system: &[M::Statistics],
    n_resamples: u64,
    seed: u64,
) -> Result<PairedBootstrap, MetricError> {
    let key = Key::new(seed, Purpose::Order, "paired bootstrap");
    let n_sentences = baseline.len();
    let resamples = (0..n_resamples).map(|resample| {
        let mut stream = Stream::new(key, resample);
        (0..n_sentences).map(move |_| stream.below(n_sentences as u64) as usize)
    });
    paired_bootstrap_of(metric, baseline, system, resamples)
}

/// [`paired_bootstrap`] on given resamples, each a list of sentence indices.
///
/// # Errors
/// If there is no sentence or no resample, or the systems have different numbers of sentences.
///
/// # Panics
/// If an index in a resample is out of range.
pub fn paired_bootstrap_of<M: CorpusMetric>(
    metric: &M,
    baseline: &[M::Statistics],
    system: &[M::Statistics],
    resamples: impl IntoIterator<Item: IntoIterator<Item = usize>>,
) -> Result<PairedBootstrap, MetricError> {
    if baseline.len() != system.len() {
        return Err(MetricError::DifferentSystems { baseline: baseline.len(), system: system.len() });
    }
    if baseline.is_empty() {
        return Err(MetricError::NoSentences);
    }
    let all: Vec<usize> = (0..baseline.len()).collect();
    let score = |statistics: &[M::Statistics], sentences: &[usize]| -> f64 {
        metric.score(sentences.iter().map(|&sentence| statistics[sentence]).sum()).into()
    };
    let [baseline_score, system_score] = [baseline, system].map(|statistics| score(statistics, &all));

    let (mut baseline_scores, mut system_scores) = (Vec::new(), Vec::new());
    for resample in resamples {
        let sentences: Vec<usize> = resample.into_iter().collect();
        baseline_scores.push(score(baseline, &sentences));
        system_scores.push(score(system, &sentences));
    }
    if system_scores.is_empty() {
        return Err(MetricError::NoResamples);
    }
    let p_value = p_value(&baseline_scores, &system_scores, (system_score - baseline_score).abs());
    Ok(PairedBootstrap {
        baseline: BootstrapEstimate::new(baseline_score, baseline_scores),
        system: BootstrapEstimate::new(system_score, system_scores),
        p_value,
    })
}

impl BootstrapEstimate {
    fn new(score: f64, mut resamples: Vec<f64>) -> Self {
        resamples.sort_by(f64::total_cmp);
        // One in forty lies beyond either end.
        let beyond = resamples.len() / 40;
        let [low, high] = [resamples[beyond], resamples[resamples.len() - 1 - beyond]];
        Self { score, mean: mean(&resamples), half_width: (high - low) / 2.0 }
    }
}

/// How often the resamples' differences, moved so that their mean is 0, exceed the `observed` one. The observed one is
/// counted among them, so that the value is never 0.
fn p_value(baseline: &[f64], system: &[f64], observed: f64) -> f64 {
    let differences: Vec<f64> =
        baseline.iter().zip(system).map(|(baseline, system)| (system - baseline).abs()).collect();
    let mean = mean(&differences);
    let beyond = differences.iter().filter(|&&difference| difference - mean > observed).count();
    (beyond + 1) as f64 / (differences.len() + 1) as f64
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
