//! chrF: F-score of a translation's character n-grams.

use std::fmt;
use std::iter::Sum;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use super::corpus::{CorpusMetric, SACREBLEU, case_name, cased};
use super::ngrams::{count, matches};
use super::whitespace::split;

/// Longest character n-gram.
const CHAR_ORDER: usize = 6;
/// Longest word n-gram.
const WORD_ORDER: usize = 2;
/// Weight of recall relative to precision.
const BETA: f64 = 2.0;

/// chrF of a corpus, as sacreBLEU computes it: F-score of mean precision and mean recall of character n-grams of order
/// 1 to 6; recall has twice the weight. White space is ignored. No tokenizer is needed. See [`CorpusMetric`] for an
/// example.
///
/// Source: Popović 2015, "chrF: character n-gram F-score for automatic MT evaluation", and Popović 2017, "chrF++: words
/// helping character n-grams". Orders of which hypothesis or reference has no n-gram are left out of the means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chrf {
    /// N-grams that are compared.
    pub variant: ChrfVariant,
    /// `true` ignores case.
    pub lowercase: bool,
}

/// N-grams that chrF compares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChrfVariant {
    /// Character n-grams: chrF.
    #[default]
    #[serde(rename = "chrF")]
    Chrf,
    /// Also words and pairs of words: chrF++.
    #[serde(rename = "chrF++")]
    ChrfPlusPlus,
}

/// Statistics of a sentence against its best reference, summed over a corpus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ChrfStatistics {
    /// Counts of character n-grams; index `n - 1` stands for order `n`.
    pub chars: [RunCounts; CHAR_ORDER],
    /// Counts of word n-grams; index `n - 1` stands for order `n`; zero if they are not compared.
    pub words: [RunCounts; WORD_ORDER],
}

/// Numbers of n-grams of one order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RunCounts {
    /// Number in the hypothesis; 0 for sentences whose reference has none.
    pub hypothesis: u64,
    /// Number in the reference.
    pub reference: u64,
    /// Number of matches, each n-gram counted at most as often as either side has it.
    pub matches: u64,
}

/// chrF of a corpus.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChrfScore {
    /// N-grams that were compared.
    pub variant: ChrfVariant,
    /// Score in `[0, 100]`, up to rounding.
    pub score: f64,
}

impl CorpusMetric for Chrf {
    type Statistics = ChrfStatistics;
    type Score = ChrfScore;

    fn sentence(&self, hypothesis: &str, references: &[&str]) -> ChrfStatistics {
        let hypothesis = cased(hypothesis, self.lowercase);
        let hypothesis = Runs::new(&hypothesis, self.variant);
        let compare =
            |reference: &&str| hypothesis.compare(&Runs::new(&cased(reference, self.lowercase), self.variant));
        // The first of several that agree equally well.
        let best = references
            .iter()
            .map(compare)
            .reduce(|best, next| if f_score(&next) > f_score(&best) { next } else { best });
        best.expect("a sentence has at least one reference")
    }

    fn score(&self, sum: ChrfStatistics) -> ChrfScore {
        ChrfScore { variant: self.variant, score: 100.0 * f_score(&sum) }
    }

    fn signature(&self, n_references: usize) -> String {
        let case = case_name(self.lowercase);
        let word_order = self.variant.word_order();
        format!("nrefs:{n_references}|case:{case}|eff:yes|nc:{CHAR_ORDER}|nw:{word_order}|space:no|version:{SACREBLEU}")
    }
}

impl ChrfVariant {
    fn word_order(self) -> usize {
        match self {
            Self::Chrf => 0,
            Self::ChrfPlusPlus => WORD_ORDER,
        }
    }
}

/// Characters and words of a sentence.
struct Runs<'a> {
    chars: Vec<char>,
    words: Vec<&'a str>,
}

impl<'a> Runs<'a> {
    fn new(sentence: &'a str, variant: ChrfVariant) -> Self {
        let chars = split(sentence).flat_map(str::chars).collect();
        let words = match variant {
            ChrfVariant::Chrf => Vec::new(),
            ChrfVariant::ChrfPlusPlus => split(sentence).flat_map(without_punctuation).collect(),
        };
        Self { chars, words }
    }

    fn compare(&self, reference: &Self) -> ChrfStatistics {
        ChrfStatistics {
            chars: std::array::from_fn(|n| RunCounts::new(&self.chars, &reference.chars, n + 1)),
            words: std::array::from_fn(|n| RunCounts::new(&self.words, &reference.words, n + 1)),
        }
    }
}

/// Cuts one ASCII punctuation mark off: the last character or, if that is none, the first. So `(so)` becomes `(so` and
/// `)`.
fn without_punctuation(word: &str) -> impl Iterator<Item = &str> {
    let is_mark = |c: char| c.is_ascii_punctuation();
    let (start, end) = match word.len() {
        1 => (word, ""),
        length if word.ends_with(is_mark) => word.split_at(length - 1),
        _ if word.starts_with(is_mark) => word.split_at(1),
        _ => (word, ""),
    };
    [start, end].into_iter().filter(|part| !part.is_empty())
}

impl RunCounts {
    fn new<T: Eq + std::hash::Hash>(hypothesis: &[T], reference: &[T], order: usize) -> Self {
        let runs = |tokens: &[T]| (tokens.len() + 1).saturating_sub(order) as u64;
        Self {
            hypothesis: if runs(reference) == 0 { 0 } else { runs(hypothesis) },
            reference: runs(reference),
            matches: matches(&count(hypothesis, order), &count(reference, order)),
        }
    }
}

/// `(1 + β²) p r / (β² p + r)` of mean precision `p` and mean recall `r`, in `[0, 1]`.
fn f_score(statistics: &ChrfStatistics) -> f64 {
    let orders = statistics.chars.iter().chain(&statistics.words);
    let (mut precision, mut recall, mut n_orders) = (0.0, 0.0, 0.0_f64);
    for counts in orders.filter(|counts| counts.hypothesis > 0 && counts.reference > 0) {
        precision += counts.matches as f64 / counts.hypothesis as f64;
        recall += counts.matches as f64 / counts.reference as f64;
        n_orders += 1.0;
    }
    if precision + recall == 0.0 {
        return 0.0;
    }
    let (precision, recall) = (precision / n_orders, recall / n_orders);
    (1.0 + BETA * BETA) * precision * recall / (BETA * BETA * precision + recall)
}

impl AddAssign for ChrfStatistics {
    fn add_assign(&mut self, other: Self) {
        let counts = self.chars.iter_mut().chain(&mut self.words);
        for (counts, more) in counts.zip(other.chars.into_iter().chain(other.words)) {
            counts.hypothesis += more.hypothesis;
            counts.reference += more.reference;
            counts.matches += more.matches;
        }
    }
}

impl Sum for ChrfStatistics {
    fn sum<I: Iterator<Item = Self>>(statistics: I) -> Self {
        let mut sum = Self::default();
        statistics.for_each(|sentence| sum += sentence);
        sum
    }
}

impl From<ChrfScore> for f64 {
    fn from(chrf: ChrfScore) -> Self {
        chrf.score
    }
}

impl fmt::Display for ChrfScore {
    /// As sacreBLEU prints it, with β behind the name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pluses = "+".repeat(self.variant.word_order());
        write!(f, "chrF{BETA}{pluses} = {:.2}", self.score)
    }
}
