//! Scores of text embeddings.

use serde::{Deserialize, Serialize};

/// Scores of embeddings on pairs of texts: of their similarities where pairs have scores, else of the retrieval of second texts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SentenceEmbeddingScores {
    /// Number of pairs.
    pub pairs: u64,
    /// Pearson's correlation of similarity and score; absent without scores, and where it is not defined, as of equal numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pearson: Option<f64>,
    /// Spearman's rank correlation of similarity and score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spearman: Option<f64>,
    /// 95 % interval of it, by the bootstrap over pairs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spearman_interval: Option<(f64, f64)>,
    /// Scores of the retrieval; absent if pairs have scores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retrieval: Option<RetrievalScores>,
    /// Share of pairs that are more similar than the first text is to all negatives of the pair; absent without negatives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub triplet_accuracy: Option<f64>,
}

/// Means over queries, the different first texts. Documents are all different second texts and negatives; those that stand
/// beside a query as its second texts are relevant.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RetrievalScores {
    /// Number of queries.
    pub queries: u64,
    /// Number of documents.
    pub documents: u64,
    /// Share of queries with a relevant document at the top.
    pub accuracy_at_1: f64,
    /// Mean reciprocal rank of the first relevant document among the first 10.
    pub mrr_at_10: f64,
    /// Normalised discounted cumulative gain of the first 10.
    pub ndcg_at_10: f64,
    /// 95 % interval of it, by the bootstrap over queries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ndcg_at_10_interval: Option<(f64, f64)>,
    /// Mean average precision of the first 100.
    pub map_at_100: f64,
    /// Mean share of the relevant documents among the first 10.
    pub recall_at_10: f64,
    /// Mean share of the relevant documents among the first 100.
    pub recall_at_100: f64,
}

impl SentenceEmbeddingScores {
    /// Each number with its name.
    #[must_use]
    pub fn lines(&self) -> Vec<(String, String)> {
        let of = |number: fn(&RetrievalScores) -> f64| self.retrieval.as_ref().map(number);
        let of_ndcg = self.retrieval.and_then(|it| it.ndcg_at_10_interval);
        let numbers = [
            ("Pearson", self.pearson, None),
            ("Spearman", self.spearman, self.spearman_interval),
            ("accuracy@1", of(|it| it.accuracy_at_1), None),
            ("MRR@10", of(|it| it.mrr_at_10), None),
            ("NDCG@10", of(|it| it.ndcg_at_10), of_ndcg),
            ("MAP@100", of(|it| it.map_at_100), None),
            ("recall@10", of(|it| it.recall_at_10), None),
            ("recall@100", of(|it| it.recall_at_100), None),
            ("triplet accuracy", self.triplet_accuracy, None),
        ];
        let counts = [
            ("pairs", Some(self.pairs)),
            ("queries", self.retrieval.map(|it| it.queries)),
            ("documents", self.retrieval.map(|it| it.documents)),
        ];
        let counts = counts.into_iter().filter_map(|(name, count)| Some((name.to_owned(), count?.to_string())));
        let line = |(name, value, interval): (&str, Option<f64>, Option<(f64, f64)>)| {
            let interval = interval.map(|(low, high)| format!(" (95 % interval {low:.4} to {high:.4})"));
            Some((name.to_owned(), format!("{:.4}{}", value?, interval.unwrap_or_default())))
        };
        let numbers = numbers.into_iter().filter_map(line);
        counts.chain(numbers).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_measured_is_shown() {
        let scored = SentenceEmbeddingScores { pairs: 3, pearson: Some(0.5), ..SentenceEmbeddingScores::default() };
        let names = |scores: &SentenceEmbeddingScores| {
            scores.lines().into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names(&scored), "pairs Pearson");
        let retrieval = RetrievalScores {
            queries: 2,
            documents: 3,
            accuracy_at_1: 0.5,
            mrr_at_10: 0.5,
            ndcg_at_10: 0.5,
            ndcg_at_10_interval: Some((0.25, 0.75)),
            map_at_100: 0.5,
            recall_at_10: 1.0,
            recall_at_100: 1.0,
        };
        let retrieved = SentenceEmbeddingScores { pearson: None, retrieval: Some(retrieval), ..scored };
        assert_eq!(names(&retrieved), "pairs queries documents accuracy@1 MRR@10 NDCG@10 MAP@100 recall@10 recall@100");
        assert_eq!(retrieved.lines()[5].1, "0.5000 (95 % interval 0.2500 to 0.7500)");
        let json = serde_json::to_string(&retrieved).unwrap();
        assert!(!json.contains("pearson"));
        assert_eq!(serde_json::from_str::<SentenceEmbeddingScores>(&json).unwrap(), retrieved);
    }
}
