//! Metrics as pure functions, equal to those of scikit-learn, SciPy, sacreBLEU and seqeval.
//!
//! Metrics are computed from sums over examples, which add up over batches; none is a mean of batch means.

mod auroc;
mod bleu;
mod bleu_tokenizer;
mod bootstrap;
mod calibration;
mod chrf;
mod class_scores;
mod confusion;
mod confusion_bootstrap;
mod corpus;
mod correlation;
mod entities;
mod intervals;
mod label_probabilities;
mod multi_label;
mod ngrams;
mod probabilities;
mod ranking;
mod ranks;
mod squad;
mod table;
mod whitespace;

pub use auroc::{auroc, auroc_of_labels, auroc_one_vs_rest};
pub use bleu::{Bleu, BleuScore, BleuStatistics};
pub use bleu_tokenizer::BleuTokenizer;
pub use bootstrap::{BootstrapEstimate, PairedBootstrap, paired_bootstrap, paired_bootstrap_of};
pub use calibration::{CALIBRATION_BINS, Reliability, ReliabilityBin};
pub use chrf::{Chrf, ChrfScore, ChrfStatistics, ChrfVariant, RunCounts};
pub use class_scores::ClassScores;
pub use confusion::{ConfusionMatrix, MOST_WRITTEN, majority};
pub use confusion_bootstrap::ConfusionIntervals;
pub use corpus::{CorpusMetric, MetricError};
pub use correlation::{kendall_tau_b, pearson, spearman};
pub use entities::{Entity, EntityCounts, EntityMode, EntityScores, entities, n_stray_tags};
pub use intervals::{BootstrapInterval, bootstrap_interval};
pub use label_probabilities::LabelProbabilities;
pub use multi_label::MultiLabelCounts;
pub use probabilities::ClassProbabilities;
pub use ranking::{RankedGains, RankingMeans};
pub use squad::{AnswerRules, AnswerScores, ThresholdedAnswer, best_threshold, is_chinese};

/// Perplexity: `exp` of the mean negative log-likelihood per token (in nats), the size of a vocabulary from which a
/// uniform choice is as uncertain.
#[must_use]
pub fn perplexity(mean_negative_log_likelihood: f64) -> f64 {
    mean_negative_log_likelihood.exp()
}

/// Entropy of the distribution that `counts` are proportional to, in nats: the loss of the best constant prediction.
///
/// 0 if all counts are 0.
pub fn entropy(counts: impl IntoIterator<Item = u64>) -> f64 {
    // With n = Σ c: -Σ c/n ln(c/n) = ln n - (Σ c ln c) / n.
    let (mut total, mut sum) = (0.0, 0.0);
    for count in counts.into_iter().filter(|&count| count > 0) {
        let count = count as f64;
        total += count;
        sum += count * count.ln();
    }
    // Rounding must not make the entropy of a single class negative.
    if total == 0.0 { 0.0 } else { (total.ln() - sum / total).max(0.0) }
}

/// Wilson's confidence interval of a probability of success after `successes` in `total` trials, `z` standard
/// deviations to either side: 1.96 for 95 %.
///
/// Unlike `p ± z √(p (1 - p) / n)` it is valid for few trials and stays within `[0, 1]`; without trials it is `[0, 1]`.
///
/// Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".
///
/// # Panics
/// If there are more successes than trials.
#[must_use]
pub fn wilson_interval(successes: u64, total: u64, z: f64) -> (f64, f64) {
    assert!(successes <= total, "wilson_interval: {successes} successes in {total} trials");
    if total == 0 {
        return (0.0, 1.0);
    }
    let n = total as f64;
    let p = successes as f64 / n;
    let shrink = 1.0 + z * z / n;
    let centre = (p + z * z / (2.0 * n)) / shrink;
    let half_width = z / shrink * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    ((centre - half_width).max(0.0), (centre + half_width).min(1.0))
}
