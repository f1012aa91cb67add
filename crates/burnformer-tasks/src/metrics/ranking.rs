//! Metrics of rankings and retrieval.

use serde::{Deserialize, Serialize};

/// How relevant the answers to one query are, in the order of a system, best first.
///
/// A gain above 0 marks a relevant answer; among graded answers the greater gain is the better one.
///
/// ```
/// use burnformer_tasks::metrics::RankedGains;
///
/// let ranked = RankedGains::of_scores(&[0.2, 0.9, 0.5], &[1.0, 0.0, 1.0]);
/// assert_eq!(ranked.reciprocal_rank(10), 0.5);
/// assert_eq!(ranked.recall(2), 0.5);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct RankedGains {
    /// Gains in the order of the system.
    gains: Vec<f64>,
    /// Gains of all relevant answers, the greatest first.
    ideal: Vec<f64>,
}

impl RankedGains {
    /// The gains of all answers in the order of a system. A gain that is negative or NaN counts as 0.
    #[must_use]
    pub fn new(gains: Vec<f64>) -> Self {
        let all = gains.clone();
        Self::of_part(gains, all)
    }

    /// As [`Self::new`], of answers that are only a part of all, such as the best 100 of a corpus. `all` has the gains of all
    /// relevant answers in any order, also of those that the system did not return.
    #[must_use]
    pub fn of_part(mut gains: Vec<f64>, mut all: Vec<f64>) -> Self {
        // `max` ignores NaN.
        gains.iter_mut().for_each(|gain| *gain = gain.max(0.0));
        all.retain(|gain| *gain > 0.0);
        all.sort_unstable_by(|a, b| b.total_cmp(a));
        Self { gains, ideal: all }
    }

    /// The answers with these gains in descending order of their scores. Equal scores keep the order of the answers; NaN is
    /// behind all numbers.
    ///
    /// # Panics
    /// If there is not one score for each gain.
    #[must_use]
    pub fn of_scores(scores: &[f64], gains: &[f64]) -> Self {
        let (n_scores, n_gains) = (scores.len(), gains.len());
        assert_eq!(n_scores, n_gains, "ranking: {n_scores} scores and {n_gains} gains");
        let mut order: Vec<usize> = (0..scores.len()).collect();
        // 0 is added so that 0 and -0 are equal.
        let key = |place: &usize| if scores[*place].is_nan() { f64::NEG_INFINITY } else { scores[*place] + 0.0 };
        order.sort_by(|a, b| key(b).total_cmp(&key(a)));
        Self::new(order.into_iter().map(|place| gains[place]).collect())
    }

    /// Number of relevant answers that there are.
    #[must_use]
    pub fn n_relevant(&self) -> usize {
        self.ideal.len()
    }

    /// `1 / rank` of the first relevant answer, 0 if it is not among the first `k`.
    #[must_use]
    pub fn reciprocal_rank(&self, k: usize) -> f64 {
        self.first(k).position(|gain| gain > 0.0).map_or(0.0, |place| 1.0 / (place + 1) as f64)
    }

    /// Average precision: mean over the relevant answers of the precision at their rank, where those behind the first `k`
    /// count as 0. The mean is over `k` if more are relevant. 0 without relevant answers.
    #[must_use]
    pub fn average_precision(&self, k: usize) -> f64 {
        let mut found = 0;
        let precision = |(place, gain): (usize, f64)| {
            found += usize::from(gain > 0.0);
            if gain > 0.0 { found as f64 / (place + 1) as f64 } else { 0.0 }
        };
        let sum: f64 = self.first(k).enumerate().map(precision).sum();
        sum / self.n_relevant().min(k).max(1) as f64
    }

    /// Normalised discounted cumulative gain of the first `k`: the sum of `gain / log₂(rank + 1)`, relative to the best
    /// possible order. 0 without relevant answers.
    ///
    /// Source: Järvelin and Kekäläinen 2002, with the gain itself as in scikit-learn and `trec_eval`, not `2^gain - 1`.
    #[must_use]
    pub fn ndcg(&self, k: usize) -> f64 {
        let discounted = |gains: &mut dyn Iterator<Item = f64>| -> f64 {
            gains.enumerate().map(|(place, gain)| gain / ((place + 2) as f64).log2()).sum()
        };
        let best = discounted(&mut self.ideal.iter().copied().take(k));
        if best == 0.0 { 0.0 } else { discounted(&mut self.first(k)) / best }
    }

    /// Share of the relevant answers that are among the first `k`. 0 without relevant answers.
    #[must_use]
    pub fn recall(&self, k: usize) -> f64 {
        self.first(k).filter(|gain| *gain > 0.0).count() as f64 / self.n_relevant().max(1) as f64
    }

    /// Share of the first `k` places that a relevant answer has; 0 for no place.
    #[must_use]
    pub fn precision(&self, k: usize) -> f64 {
        self.first(k).filter(|gain| *gain > 0.0).count() as f64 / k.max(1) as f64
    }

    fn first(&self, k: usize) -> impl Iterator<Item = f64> + '_ {
        self.gains.iter().copied().take(k)
    }
}

/// Means over queries, each in `[0, 1]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RankingMeans {
    /// Mean reciprocal rank.
    pub mrr: f64,
    /// Mean average precision.
    pub map: f64,
    /// Mean normalised discounted cumulative gain.
    pub ndcg: f64,
    /// Mean recall.
    pub recall: f64,
}

impl RankingMeans {
    /// The means over the first `k` answers to each query, queries without relevant answers included (they count 0). Zeros
    /// without queries.
    #[must_use]
    pub fn at(queries: &[RankedGains], k: usize) -> Self {
        let mean = |score: fn(&RankedGains, usize) -> f64| {
            queries.iter().map(|query| score(query, k)).sum::<f64>() / queries.len().max(1) as f64
        };
        Self {
            mrr: mean(RankedGains::reciprocal_rank),
            map: mean(RankedGains::average_precision),
            ndcg: mean(RankedGains::ndcg),
            recall: mean(RankedGains::recall),
        }
    }
}
