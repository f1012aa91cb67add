//! Scores of predicted numbers.

use serde::{Deserialize, Serialize};

/// Scores of predicted numbers on texts with true ones. A correlation is absent where it is not defined, as of equal numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegressionScores {
    /// Number of texts.
    pub texts: u64,
    /// Mean loss: squared error, or of a ranking binary cross-entropy in nats.
    pub loss: f64,
    /// Mean absolute error.
    pub mean_absolute_error: f64,
    /// Pearson's correlation.
    pub pearson: Option<f64>,
    /// Spearman's rank correlation.
    pub spearman: Option<f64>,
    /// Kendall's rank correlation, tau-b.
    pub kendall: Option<f64>,
    /// 95 % confidence interval of Pearson's correlation, by the bootstrap over texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pearson_interval: Option<(f64, f64)>,
    /// 95 % confidence interval of Spearman's correlation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spearman_interval: Option<(f64, f64)>,
    /// Area under the ROC curve, where every true score is 0 or 1 and both occur.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auroc: Option<f64>,
    /// Scores of the texts of each query as a ranking, where queries have several texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranking: Option<RankingScores>,
}

/// Means over queries of how well their texts are ranked. Texts with a true score above 0 are relevant.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RankingScores {
    /// Number of queries with several texts.
    pub queries: u64,
    /// Mean reciprocal rank of the first relevant text among the first 10.
    pub mrr_at_10: f64,
    /// Normalised discounted cumulative gain of the first 10.
    pub ndcg_at_10: f64,
    /// Mean average precision of all texts.
    pub map: f64,
    /// Mean share of the relevant texts among the first 10.
    pub recall_at_10: f64,
}

impl RegressionScores {
    /// Each number with its name.
    #[must_use]
    pub fn lines(&self) -> Vec<(String, String)> {
        let ranking = |score: fn(&RankingScores) -> f64| self.ranking.as_ref().map(score);
        let numbers = [
            ("loss", Some(self.loss), None),
            ("mean absolute error", Some(self.mean_absolute_error), None),
            ("Pearson", self.pearson, self.pearson_interval),
            ("Spearman", self.spearman, self.spearman_interval),
            ("Kendall tau-b", self.kendall, None),
            ("AUROC", self.auroc, None),
            ("MRR@10", ranking(|it| it.mrr_at_10), None),
            ("NDCG@10", ranking(|it| it.ndcg_at_10), None),
            ("MAP", ranking(|it| it.map), None),
            ("recall@10", ranking(|it| it.recall_at_10), None),
        ];
        let shown = |(name, value, interval): (&str, Option<f64>, Option<(f64, f64)>)| {
            let interval = interval.map(|(low, high)| format!(" (95 % interval {low:.4} to {high:.4})"));
            Some((name.to_owned(), format!("{:.4}{}", value?, interval.unwrap_or_default())))
        };
        let counts = [("texts", Some(self.texts)), ("queries", self.ranking.map(|it| it.queries))];
        let counts = counts.into_iter().filter_map(|(name, count)| Some((name.to_owned(), count?.to_string())));
        counts.chain(numbers.into_iter().filter_map(shown)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_defined_is_shown() {
        let ranking = RankingScores { queries: 2, mrr_at_10: 0.5, ndcg_at_10: 0.5, map: 0.5, recall_at_10: 1.0 };
        let none = RegressionScores {
            texts: 3,
            loss: 0.25,
            mean_absolute_error: 0.5,
            pearson: None,
            spearman: None,
            kendall: None,
            pearson_interval: None,
            spearman_interval: None,
            auroc: None,
            ranking: None,
        };
        let names = |scores: &RegressionScores| scores.lines().into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names(&none), ["texts", "loss", "mean absolute error"]);
        let pearson_interval = Some((0.5, 1.0));
        let all = RegressionScores { pearson: Some(1.0), pearson_interval, ranking: Some(ranking), ..none };
        assert_eq!(
            names(&all),
            ["texts", "queries", "loss", "mean absolute error", "Pearson", "MRR@10", "NDCG@10", "MAP", "recall@10"]
        );
        assert_eq!(all.lines()[4].1, "1.0000 (95 % interval 0.5000 to 1.0000)");
        let json = serde_json::to_string(&all).unwrap();
        assert_eq!(serde_json::from_str::<RegressionScores>(&json).unwrap(), all);
    }
}
