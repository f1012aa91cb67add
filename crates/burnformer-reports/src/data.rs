//! Reports on the data of a fine-tuning run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::RepeatedTexts;

/// What a fine-tuning run learns from and is measured on, known before its first step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataReport {
    /// Name of the rows in the plural, such as `texts`.
    pub rows: String,
    /// Training rows.
    pub training: DataPart,
    /// Validation rows.
    pub validation: DataPart,
    /// Test rows.
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    pub test: Option<DataPart>,
    /// Longest sample that is trained on, in tokens, special tokens included.
    pub max_seq_length: u64,
    /// Labels with their numbers of training texts, or of words, the most frequent first; empty for tasks without labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<LabelCount>,
    /// Scores of the training texts; absent for tasks without scores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scores: Option<ScoreRange>,
    /// Texts that are there more than once.
    pub repeated: RepeatedTexts,
    /// The first texts with contradicting labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contradictions: Vec<Contradiction>,
}

/// The rows of a part of the data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DataPart {
    /// Number of rows.
    pub rows: u64,
    /// Number of rows of its files that were skipped, as they cannot be used.
    #[serde(default)]
    pub skipped_rows: u64,
    /// Their numbers by what is wrong with them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub skipped_by_reason: BTreeMap<String, u64>,
    /// Number of samples: rows, or windows of rows.
    pub samples: u64,
    /// Lengths of the samples.
    pub lengths: Lengths,
    /// Number of rows that are longer than the maximum length, of which the rest is cut off; absent where none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<u64>,
    /// Counts of the task by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counts: BTreeMap<String, u64>,
}

/// Lengths of samples in tokens, special tokens included, after what is too long was cut off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lengths {
    /// Shortest length.
    pub min: u64,
    /// Median: half of the samples are no longer.
    pub median: u64,
    /// Nine of ten samples are no longer.
    pub p90: u64,
    /// 99 of 100 samples are no longer.
    pub p99: u64,
    /// Longest length.
    pub max: u64,
}

/// A label, and how often it occurs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelCount {
    /// Name of the label.
    pub label: String,
    /// Number of training texts, or of words for tags of words.
    pub count: u64,
}

/// Range and mean of scores.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoreRange {
    /// Least score.
    pub min: f64,
    /// Mean score.
    pub mean: f64,
    /// Greatest score.
    pub max: f64,
}

impl ScoreRange {
    /// The range of `scores`; `None` without any.
    #[must_use]
    pub fn of(scores: &[f64]) -> Option<Self> {
        let range = |(min, max): (f64, f64), score: &f64| (min.min(*score), max.max(*score));
        let (min, max) = scores.iter().fold((f64::INFINITY, f64::NEG_INFINITY), range);
        let mean = scores.iter().sum::<f64>() / scores.len() as f64;
        (!scores.is_empty()).then_some(Self { min, mean, max })
    }
}

/// A text with contradicting labels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contradiction {
    /// Its beginning.
    pub text: String,
    /// Its labels; empty for tags of words.
    pub labels: Vec<String>,
}

impl Lengths {
    /// The quantiles of these lengths, by the nearest rank; 0 without lengths.
    #[must_use]
    pub fn of(mut lengths: Vec<u64>) -> Self {
        lengths.sort_unstable();
        let n = lengths.len();
        let quantile = |percent: usize| match n {
            0 => 0,
            n => lengths[(n * percent).div_ceil(100).clamp(1, n) - 1],
        };
        Self { min: quantile(0), median: quantile(50), p90: quantile(90), p99: quantile(99), max: quantile(100) }
    }
}

impl DataReport {
    /// The parts, each with its name.
    pub fn parts(&self) -> impl Iterator<Item = (&'static str, &DataPart)> {
        let given =
            [("training", Some(&self.training)), ("validation", Some(&self.validation)), ("test", self.test.as_ref())];
        given.into_iter().filter_map(|(name, part)| Some((name, part?)))
    }

    /// Each fact with its name; those to beware of only if there are any.
    #[must_use]
    pub fn lines(&self) -> Vec<(String, String)> {
        let rows = |part: &DataPart| (part.rows > 0).then(|| grouped(part.rows));
        let mut lines = vec![(self.rows.clone(), self.each(rows))];
        let mut beware = |name: &str, values: String| {
            if !values.is_empty() {
                lines.push((name.to_owned(), values));
            }
        };
        let samples = |part: &DataPart| (part.samples != part.rows).then(|| grouped(part.samples));
        beware("samples", self.each(samples));
        let skipped = |part: &DataPart| {
            let reasons = part.skipped_by_reason.iter().map(|(reason, rows)| format!("{reason} {}", grouped(*rows)));
            let reasons = reasons.collect::<Vec<_>>().join(", ");
            let reasons = if reasons.is_empty() { reasons } else { format!(" ({reasons})") };
            (part.skipped_rows > 0).then(|| format!("{}{reasons}", grouped(part.skipped_rows)))
        };
        beware("skipped rows", self.each(skipped));
        beware("labels", self.label_line());
        let scores = self.scores.map(|it| format!("from {} to {}, mean {:.4}", it.min, it.max, it.mean));
        beware("scores", scores.unwrap_or_default());
        let absent: Vec<String> = self.labels.iter().filter(|it| it.count == 0).map(|it| it.label.clone()).collect();
        beware("not trained on", crate::first_of(&absent, MOST_NAMED));
        let Lengths { median, p90, p99, max, .. } = self.training.lengths;
        beware("tokens", format!("median {median}, 90 % up to {p90}, 99 % up to {p99}, longest {max}"));
        let cut = |part: &DataPart| {
            let cut = part.cut.filter(|cut| *cut > 0)?;
            Some(format!("{} ({:.2} %)", grouped(cut), 100.0 * cut as f64 / part.rows.max(1) as f64))
        };
        beware(&format!("cut at {} tokens", self.max_seq_length), self.each(cut));
        for name in self.training.counts.keys() {
            let count =
                |part: &DataPart| part.counts.get(name).filter(|count| **count > 0).map(|count| grouped(*count));
            beware(name, self.each(count));
        }
        let RepeatedTexts { rows, of, conflicts, .. } = self.repeated;
        let read = if of > 0 { format!(", of {} that were read", grouped(of)) } else { String::new() };
        beware("repeated texts", some(rows, "row", "rows", &format!("with the text of an earlier one{read}")));
        beware("contradictions", self.contradiction_line(conflicts));
        for (part, texts, others) in self.repeated.leaks() {
            beware(&format!("also in {others}"), format!("{} {part}", grouped(texts)));
        }
        lines
    }

    /// What `value` says of each part.
    fn each(&self, value: impl Fn(&DataPart) -> Option<String>) -> String {
        let parts = self.parts().filter_map(|(name, part)| Some(format!("{} {name}", value(part)?)));
        parts.collect::<Vec<_>>().join(", ")
    }

    fn contradiction_line(&self, conflicts: u64) -> String {
        let [one, many, what] = match (self.labels.is_empty(), self.scores.is_some()) {
            (false, _) => ["text", "texts", "with different labels"],
            (true, true) => ["text", "texts", "with different scores"],
            (true, false) => ["question", "questions", "with and without an answer"],
        };
        some(conflicts, one, many, what)
    }

    fn label_line(&self) -> String {
        let total: u64 = self.labels.iter().map(|it| it.count).sum();
        let (Some(first), Some(last)) = (self.labels.first(), self.labels.iter().rfind(|it| it.count > 0)) else {
            return String::new();
        };
        let shown = |it: &LabelCount| {
            format!("`{}` ({}, {:.1} %)", it.label, grouped(it.count), 100.0 * it.count as f64 / total.max(1) as f64)
        };
        format!("{}, from {} to {}", grouped(self.labels.len() as u64), shown(first), shown(last))
    }
}

/// Most labels that a line names.
const MOST_NAMED: usize = 10;

/// How many there are of `what`, called `one` or `many`; empty for none.
fn some(count: u64, one: &str, many: &str, what: &str) -> String {
    match count {
        0 => String::new(),
        1 => format!("1 {one} {what}"),
        _ => format!("{} {many} {what}", grouped(count)),
    }
}

/// A number with commas between groups of three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_lengths_that_occur() {
        assert_eq!(Lengths::of(Vec::new()), Lengths::default());
        assert_eq!(Lengths::of(vec![7]), Lengths { min: 7, median: 7, p90: 7, p99: 7, max: 7 });
        let lengths = Lengths::of((1..=200).rev().collect());
        assert_eq!(lengths, Lengths { min: 1, median: 100, p90: 180, p99: 198, max: 200 });
    }

    #[test]
    fn a_report_says_what_there_is_and_what_to_beware_of() {
        let label = |label: &str, count| LabelCount { label: label.to_owned(), count };
        let training = DataPart { rows: 1000, samples: 1000, cut: Some(5), ..DataPart::default() };
        let mut report = DataReport {
            rows: "texts".to_owned(),
            validation: DataPart { rows: 100, cut: Some(0), ..training.clone() },
            training,
            test: None,
            max_seq_length: 128,
            labels: vec![label("a", 700), label("b", 300), label("c", 0)],
            scores: None,
            repeated: RepeatedTexts::default(),
            contradictions: Vec::new(),
        };
        report.validation.samples = 100;
        let lines = |report: &DataReport| -> Vec<String> {
            report.lines().into_iter().map(|(name, value)| format!("{name}: {value}")).collect()
        };
        let expected = [
            "texts: 1,000 training, 100 validation",
            "labels: 3, from `a` (700, 70.0 %) to `b` (300, 30.0 %)",
            "not trained on: c",
            "tokens: median 0, 90 % up to 0, 99 % up to 0, longest 0",
            "cut at 128 tokens: 5 (0.50 %) training",
        ];
        assert_eq!(lines(&report), expected);
        report.repeated =
            RepeatedTexts { rows: 7, of: 1100, conflicts: 2, test_in_training: 3, ..RepeatedTexts::default() };
        report.training.counts = [("words cut off".to_owned(), 12), ("others".to_owned(), 0)].into();
        report.scores = ScoreRange::of(&[1.0, 0.5, 0.0, 0.5]);
        report.validation.skipped_rows = 4;
        report.validation.skipped_by_reason = [("unknown labels".to_owned(), 3), ("empty values".to_owned(), 1)].into();
        let expected = [
            "skipped rows: 4 (empty values 1, unknown labels 3) validation",
            "scores: from 0 to 1, mean 0.5000",
            "words cut off: 12 training",
            "repeated texts: 7 rows with the text of an earlier one, of 1,100 that were read",
            "contradictions: 2 texts with different labels",
            "also in training: 3 test",
        ];
        let found = lines(&report);
        assert!(expected.into_iter().all(|line| found.iter().any(|found| found == line)), "{found:?}");
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<DataReport>(&json).unwrap(), report);
    }
}
