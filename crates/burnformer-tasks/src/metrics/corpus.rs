//! Metrics of a corpus of sentences that have references, such as translations.

use std::iter::Sum;

/// A metric that compares sentences with references, and whose score of a corpus follows from sums over its sentences.
///
/// ```
/// use burnformer_tasks::metrics::{Bleu, Chrf, CorpusMetric};
///
/// # fn main() -> Result<(), burnformer_tasks::metrics::MetricError> {
/// let hypotheses = ["The cat sits on the mat.", "It rains."];
/// let references = ["The cat sat on the mat.", "It is raining."];
/// let bleu = Bleu::default();
/// let score = bleu.corpus(&hypotheses, &[&references])?;
/// assert_eq!(score.to_string(), "BLEU = 38.66 80.0/50.0/33.3/25.0 (BP = 0.905 ratio = 0.909 hyp_len = 10 ref_len = 11)");
/// assert_eq!(bleu.signature(1), "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0");
/// println!("{}", Chrf::default().corpus(&hypotheses, &[&references])?); // chrF2 = …
/// # Ok(())
/// # }
/// ```
pub trait CorpusMetric {
    /// Statistics of a sentence.
    type Statistics: Copy + Sum;
    /// Score of a corpus; converts to a number from 0 to 100.
    type Score: Into<f64>;

    /// Compares one sentence with its references.
    ///
    /// # Panics
    /// If there is no reference.
    fn sentence(&self, hypothesis: &str, references: &[&str]) -> Self::Statistics;

    /// The score of sentences whose statistics have this sum.
    fn score(&self, sum: Self::Statistics) -> Self::Score;

    /// Signature of the score in sacreBLEU's format, with the version of sacreBLEU that it equals.
    fn signature(&self, n_references: usize) -> String;

    /// Compares each sentence with its references. `references` has one slice for each set of references, each as long
    /// as `hypotheses`.
    ///
    /// # Errors
    /// If there is no sentence or no reference, or a set of references has another number of sentences.
    fn statistics<H: AsRef<str>, R: AsRef<str>>(
        &self,
        hypotheses: &[H],
        references: &[&[R]],
    ) -> Result<Vec<Self::Statistics>, MetricError> {
        if hypotheses.is_empty() {
            return Err(MetricError::NoSentences);
        }
        if references.is_empty() {
            return Err(MetricError::NoReferences);
        }
        for (set, sentences) in references.iter().enumerate() {
            if sentences.len() != hypotheses.len() {
                let [hypotheses, references] = [hypotheses.len(), sentences.len()];
                return Err(MetricError::DifferentLengths { hypotheses, references, set });
            }
        }
        let of_sentence = |(number, hypothesis): (usize, &H)| {
            let references: Vec<_> = references.iter().map(|set| set[number].as_ref()).collect();
            self.sentence(hypothesis.as_ref(), &references)
        };
        Ok(hypotheses.iter().enumerate().map(of_sentence).collect())
    }

    /// The score of a corpus. `references` has one slice for each set of references, each as long as `hypotheses`.
    ///
    /// # Errors
    /// As [`Self::statistics`].
    fn corpus<H: AsRef<str>, R: AsRef<str>>(
        &self,
        hypotheses: &[H],
        references: &[&[R]],
    ) -> Result<Self::Score, MetricError> {
        Ok(self.score(self.statistics(hypotheses, references)?.into_iter().sum()))
    }
}

/// Why a corpus has no score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricError {
    /// No sentence.
    #[error("there is no sentence to score")]
    NoSentences,
    /// No set of references.
    #[error("there are no references to compare with")]
    NoReferences,
    /// A set of references with another number of sentences.
    #[error(
        "{hypotheses} sentences and {references} references in set {set} (counted from 0): each sentence needs one reference"
    )]
    DifferentLengths {
        /// Number of sentences to score.
        hypotheses: usize,
        /// Number of references in the set.
        references: usize,
        /// Index of the set of references, from 0.
        set: usize,
    },
    /// Two systems with different numbers of sentences.
    #[error("{baseline} sentences of the baseline and {system} of the system: both must have answered the same texts")]
    DifferentSystems {
        /// Number of sentences of the baseline.
        baseline: usize,
        /// Number of sentences of the system.
        system: usize,
    },
    /// No resample.
    #[error("0 resamples, expected at least 1")]
    NoResamples,
}

/// The version of sacreBLEU whose scores these are, for signatures.
pub(super) const SACREBLEU: &str = "2.6.0";

/// The sentence, lower-cased on request.
pub(super) fn cased(sentence: &str, lowercase: bool) -> String {
    if lowercase { sentence.to_lowercase() } else { sentence.to_owned() }
}

/// Case handling, as signatures name it.
pub(super) fn case_name(lowercase: bool) -> &'static str {
    if lowercase { "lc" } else { "mixed" }
}
