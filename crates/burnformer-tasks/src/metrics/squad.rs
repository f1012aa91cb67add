//! Exact match and F1 of answers, as the official scripts of SQuAD and MLQA have them.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::LazyLock;

use regex::Regex;

use super::whitespace::{is_space, split};

/// Rules by which answers are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AnswerRules {
    /// SQuAD 1.1, where every question has an answer.
    #[default]
    Squad1,
    /// SQuAD 2.0, where a question may have none: the empty text is the answer then. Differs from 1.1 else only for answers of
    /// which nothing but articles and punctuation is left: two of those agree.
    Squad2,
    /// MLQA's for Chinese: each Chinese character is a word, and punctuation of all languages is left out. Articles stay.
    Chinese,
}

/// How well an answer agrees with the best of the true ones.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AnswerScores {
    /// `true` if both have the same normal form.
    pub exact: bool,
    /// Harmonic mean of the shares of the answer's and of the true answer's words that are in both, in `[0, 1]`.
    pub f1: f64,
}

impl AnswerRules {
    /// The normal form: in lower case without punctuation and without `a`, `an` and `the`, with one blank between words.
    /// SQuAD knows the punctuation of ASCII alone.
    #[must_use]
    pub fn normalize(self, text: &str) -> String {
        static ARTICLES: LazyLock<Regex> = LazyLock::new(|| expression(r"\b(a|an|the)\b"));
        static PUNCTUATION: LazyLock<Regex> = LazyLock::new(|| expression(r"[\p{P}$+<=>^`|~]"));
        let lower = text.to_lowercase();
        let words: Vec<String> = match self {
            Self::Chinese => chinese_words(&PUNCTUATION.replace_all(&lower, "")),
            Self::Squad1 | Self::Squad2 => {
                let bare: String = lower.chars().filter(|c| !c.is_ascii_punctuation()).collect();
                split(&ARTICLES.replace_all(&bare, " ")).map(str::to_owned).collect()
            }
        };
        words.join(" ")
    }

    /// Compares an answer with the true `answers`; without any, as in SQuAD 2.0, the empty text is right.
    ///
    /// Source: Rajpurkar et al. 2016 and 2018, `evaluate-v1.1.py` and `evaluate-v2.0.py`; Lewis et al. 2020,
    /// `mlqa_evaluation_v1.py`. All three give the means over questions in percent.
    pub fn compare<'a>(self, answer: &str, answers: impl IntoIterator<Item = &'a str>) -> AnswerScores {
        let answer = self.normalize(answer);
        let mut truths: Vec<String> = answers.into_iter().map(|truth| self.normalize(truth)).collect();
        if self == Self::Squad2 {
            truths.retain(|truth| !truth.is_empty());
        }
        if truths.is_empty() {
            let exact = answer.is_empty();
            return AnswerScores { exact, f1: f64::from(u8::from(exact)) };
        }
        let mut best = AnswerScores::default();
        for truth in &truths {
            best.exact |= *truth == answer;
            best.f1 = best.f1.max(self.f1(&answer, truth));
        }
        best
    }

    /// F1 of two normal forms.
    fn f1(self, answer: &str, truth: &str) -> f64 {
        if self == Self::Squad2 && (answer.is_empty() || truth.is_empty()) {
            return f64::from(u8::from(answer == truth));
        }
        let mut left: HashMap<&str, usize> = HashMap::new();
        let (mut n_answer, mut n_truth, mut n_same) = (0_u32, 0_u32, 0_u32);
        for word in split(truth) {
            *left.entry(word).or_default() += 1;
            n_truth += 1;
        }
        for word in split(answer) {
            n_answer += 1;
            if let Some(count) = left.get_mut(word).filter(|count| **count > 0) {
                *count -= 1;
                n_same += 1;
            }
        }
        if n_same == 0 {
            return 0.0;
        }
        let (precision, recall) = (f64::from(n_same) / f64::from(n_answer), f64::from(n_same) / f64::from(n_truth));
        2.0 * precision * recall / (precision + recall)
    }
}

fn expression(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a valid expression")
}

/// Whether a character is one of those that MLQA takes for Chinese.
#[must_use]
pub fn is_chinese(character: char) -> bool {
    ('\u{4e00}'..='\u{9fa5}').contains(&character)
}

fn chinese_words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut goes_on = false;
    for c in text.chars() {
        if is_space(c) {
            goes_on = false;
        } else if is_chinese(c) {
            words.push(c.to_string());
            goes_on = false;
        } else {
            match words.last_mut() {
                Some(word) if goes_on => word.push(c),
                _ => words.push(c.to_string()),
            }
            goes_on = true;
        }
    }
    words
}

/// A question with the answer that a model would give, for [`best_threshold`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ThresholdedAnswer {
    /// Score of "no answer" minus that of the answer: the greater, the less likely there is one.
    pub difference: f64,
    /// Score of the answer, in `[0, 1]`; `None` if the question has none, so that giving no answer is right.
    pub score: Option<f64>,
}

/// The threshold of [`ThresholdedAnswer::difference`] above which no answer is given that leads to the best mean score, and that
/// score. It is 0 if it is best to give no answer at all.
///
/// Source: `find_best_thresh` of `evaluate-v2.0.py`.
#[must_use]
pub fn best_threshold(answers: &[ThresholdedAnswer]) -> (f64, f64) {
    let mut sorted: Vec<&ThresholdedAnswer> = answers.iter().collect();
    sorted.sort_by(|a, b| a.difference.partial_cmp(&b.difference).unwrap_or(Ordering::Equal));
    let mut score = answers.iter().filter(|answer| answer.score.is_none()).count() as f64;
    let (mut best, mut threshold) = (score, 0.0);
    for answer in sorted {
        score += answer.score.unwrap_or(-1.0);
        if score > best {
            (best, threshold) = (score, answer.difference);
        }
    }
    (threshold, best / answers.len().max(1) as f64)
}
