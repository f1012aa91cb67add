//! BLEU: precision of a translation's n-grams against its references.

use std::fmt;
use std::iter::Sum;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use super::bleu_tokenizer::BleuTokenizer;
use super::corpus::{CorpusMetric, SACREBLEU, case_name, cased};
use super::ngrams::{NgramCounts, count, matches};
use super::whitespace::split;

/// Longest n-gram, in words.
const MAX_ORDER: usize = 4;

/// BLEU of a corpus, as sacreBLEU computes it: geometric mean of the precisions of n-grams of 1 to 4 words, times a
/// penalty for translations shorter than their references. See [`CorpusMetric`] for an example.
///
/// An order of which no n-gram matches counts as half a match, the next one as a quarter, and so on (smoothing `exp`);
/// a corpus without any match, or without any n-gram of four words, scores 0. It is no metric for single sentences.
///
/// Source: Papineni et al. 2002, sections 2.2 and 2.3; the smoothing is method 3 of Chen and Cherry 2014.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bleu {
    /// Tokenizer that cuts sentences into words.
    pub tokenizer: BleuTokenizer,
    /// `true` ignores case.
    pub lowercase: bool,
}

/// Statistics of a sentence, summed over a corpus. Index `n - 1` stands for n-grams of `n` words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BleuStatistics {
    /// Number of words.
    pub hypothesis_length: u64,
    /// Number of words of the reference of the closest length; of two, the shorter.
    pub reference_length: u64,
    /// Number of n-grams found in a reference, clipped at the largest count in one reference.
    pub matches: [u64; MAX_ORDER],
    /// Number of n-grams.
    pub totals: [u64; MAX_ORDER],
}

/// BLEU of a corpus, and its components.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BleuScore {
    /// Score in `[0, 100]`, up to rounding.
    pub score: f64,
    /// Smoothed precisions, in percent; all 0 if nothing matches. Index `n - 1` stands for n-grams of `n` words.
    pub precisions: [f64; MAX_ORDER],
    /// Brevity penalty, in `[0, 1]`.
    pub brevity_penalty: f64,
    /// Sums over the corpus.
    #[serde(flatten)]
    pub statistics: BleuStatistics,
}

impl CorpusMetric for Bleu {
    type Statistics = BleuStatistics;
    type Score = BleuScore;

    fn sentence(&self, hypothesis: &str, references: &[&str]) -> BleuStatistics {
        let tokenize = |sentence: &str| self.tokenizer.tokenize(&cased(sentence, self.lowercase));
        let hypothesis = tokenize(hypothesis);
        let references: Vec<_> = references.iter().map(|reference| tokenize(reference)).collect();
        let words: Vec<_> = split(&hypothesis).collect();
        let references: Vec<Vec<_>> = references.iter().map(|reference| split(reference).collect()).collect();

        let closest = references.iter().map(Vec::len).min_by_key(|&length| (length.abs_diff(words.len()), length));
        let mut statistics = BleuStatistics {
            hypothesis_length: words.len() as u64,
            reference_length: closest.expect("a sentence has at least one reference") as u64,
            ..BleuStatistics::default()
        };
        for order in 1..=MAX_ORDER {
            statistics.matches[order - 1] = matches(&count(&words, order), &most(&references, order));
            statistics.totals[order - 1] = (words.len() + 1).saturating_sub(order) as u64;
        }
        statistics
    }

    fn score(&self, sum: BleuStatistics) -> BleuScore {
        let [hypothesis_length, reference_length] = [sum.hypothesis_length, sum.reference_length].map(|n| n as f64);
        let brevity_penalty = if hypothesis_length >= reference_length {
            1.0
        } else {
            (1.0 - reference_length / hypothesis_length).exp() // 0 without a word
        };
        let mut precisions = [0.0; MAX_ORDER];
        if sum.matches == [0; MAX_ORDER] {
            return BleuScore { score: 0.0, precisions, brevity_penalty, statistics: sum };
        }
        let mut smoothed = 1.0;
        for ((precision, matches), total) in precisions.iter_mut().zip(sum.matches).zip(sum.totals) {
            *precision = match (matches, total) {
                (_, 0) => 0.0,
                (0, total) => {
                    smoothed /= 2.0;
                    100.0 * smoothed / total as f64
                }
                (matches, total) => 100.0 * matches as f64 / total as f64,
            };
        }
        // The logarithm of a precision of 0 is -∞, and the score 0.
        let mean_logarithm = precisions.iter().map(|precision| precision.ln()).sum::<f64>() / MAX_ORDER as f64;
        BleuScore { score: brevity_penalty * mean_logarithm.exp(), precisions, brevity_penalty, statistics: sum }
    }

    fn signature(&self, n_references: usize) -> String {
        let [case, tokenizer] = [case_name(self.lowercase), self.tokenizer.name()];
        format!("nrefs:{n_references}|case:{case}|eff:no|tok:{tokenizer}|smooth:exp|version:{SACREBLEU}")
    }
}

/// Largest count of each n-gram in one reference.
fn most<'a>(references: &'a [Vec<&'a str>], order: usize) -> NgramCounts<'a, &'a str> {
    let mut most = NgramCounts::new();
    for (ngram, count) in references.iter().flat_map(|words| count(words, order)) {
        let entry = most.entry(ngram).or_default();
        *entry = count.max(*entry);
    }
    most
}

impl AddAssign for BleuStatistics {
    fn add_assign(&mut self, other: Self) {
        self.hypothesis_length += other.hypothesis_length;
        self.reference_length += other.reference_length;
        for order in 0..MAX_ORDER {
            self.matches[order] += other.matches[order];
            self.totals[order] += other.totals[order];
        }
    }
}

impl Sum for BleuStatistics {
    fn sum<I: Iterator<Item = Self>>(statistics: I) -> Self {
        let mut sum = Self::default();
        statistics.for_each(|sentence| sum += sentence);
        sum
    }
}

impl From<BleuScore> for f64 {
    fn from(bleu: BleuScore) -> Self {
        bleu.score
    }
}

impl fmt::Display for BleuScore {
    /// As sacreBLEU prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p1, p2, p3, p4] = self.precisions;
        let BleuStatistics { hypothesis_length, reference_length, .. } = self.statistics;
        let ratio = if reference_length == 0 { 0.0 } else { hypothesis_length as f64 / reference_length as f64 };
        write!(f, "BLEU = {:.2} {p1:.1}/{p2:.1}/{p3:.1}/{p4:.1} ", self.score)?;
        write!(f, "(BP = {:.3} ratio = {ratio:.3} ", self.brevity_penalty)?;
        write!(f, "hyp_len = {hypothesis_length} ref_len = {reference_length})")
    }
}
