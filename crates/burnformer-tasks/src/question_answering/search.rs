//! The search for the best answers in the windows over a context.

use std::cmp::Ordering;
use std::ops::Range;

use burnformer_data::datasets::WindowPlace;
use serde::{Deserialize, Serialize};

/// Settings of the search for answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerSearch {
    /// Number of best first tokens and of best last tokens that are combined in each window, and of answers that are kept.
    pub n_best: usize,
    /// Most tokens of an answer.
    pub max_answer_length: usize,
}

impl Default for AnswerSearch {
    fn default() -> Self {
        Self { n_best: 20, max_answer_length: 30 }
    }
}

/// A part of the context that may be the answer.
#[derive(Clone, Debug, PartialEq)]
pub struct AnswerCandidate {
    /// Its bytes in the context.
    pub bytes: Range<usize>,
    /// Sum of the logits of its first and its last token.
    pub score: f64,
}

/// The best answers in the windows over one context.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowAnswers {
    /// The best answers, the best first.
    pub candidates: Vec<AnswerCandidate>,
    /// Score of "no answer": the least of the windows' sums of both logits of the first position.
    pub no_answer: f64,
}

impl Default for WindowAnswers {
    fn default() -> Self {
        Self { candidates: Vec::new(), no_answer: f64::INFINITY }
    }
}

impl WindowAnswers {
    /// Adds the answers of a window, given the logits of the first and of the last token at each of its positions, padding not
    /// included.
    ///
    /// As in transformers (`postprocess_qa_predictions`) the best tokens are chosen among all positions. Where none of their
    /// combinations is an answer, the best one of all is taken.
    ///
    /// # Panics
    /// If there are not as many logits as positions.
    pub fn add(&mut self, place: &WindowPlace, starts: &[f64], ends: &[f64], search: &AnswerSearch) {
        let (Some(start), Some(end)) = (starts.first(), ends.first()) else { return };
        self.no_answer = self.no_answer.min(start + end);
        let positions = place.positions();
        let is_answer = |first: usize, last: usize| {
            positions.contains(&first)
                && positions.contains(&last)
                && (first..first + search.max_answer_length).contains(&last)
        };
        let candidate = |first: usize, last: usize| AnswerCandidate {
            bytes: place.bytes(first, last),
            score: starts[first] + ends[last],
        };
        let (best_starts, best_ends) = (best(starts, search.n_best), best(ends, search.n_best));
        let pairs = best_starts.iter().flat_map(|&first| best_ends.iter().map(move |&last| (first, last)));
        let mut found: Vec<_> =
            pairs.filter(|&(first, last)| is_answer(first, last)).map(|(first, last)| candidate(first, last)).collect();
        if found.is_empty() {
            let all = positions.clone().flat_map(|first| {
                let last = (first + search.max_answer_length).min(positions.end);
                (first..last).map(move |last| (first, last))
            });
            let score = |&(first, last): &(usize, usize)| starts[first] + ends[last];
            found.extend(all.max_by(|a, b| score(a).total_cmp(&score(b))).map(|(first, last)| candidate(first, last)));
        }
        self.candidates.extend(found);
        self.candidates.sort_by(|a, b| descending(a.score, b.score));
        self.candidates.truncate(search.n_best.max(1));
    }

    /// Score of "no answer" minus that of the best answer; infinite without one.
    #[must_use]
    pub fn difference(&self) -> f64 {
        self.candidates.first().map_or(f64::INFINITY, |best| self.no_answer - best.score)
    }
}

/// The positions of the `n` greatest logits, the greatest first.
fn best(logits: &[f64], n: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|&a, &b| descending(logits[a], logits[b]));
    order.truncate(n.max(1));
    order
}

fn descending(a: f64, b: f64) -> Ordering {
    b.total_cmp(&a)
}
