//! Generated texts and their ranking.

/// A generated text, as tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Hypothesis {
    /// The generated tokens, without prompt, start and end token.
    pub tokens: Vec<u32>,
    /// The sum of the log-probabilities that the model gives these tokens, and the end token if it came.
    pub log_prob: f64,
    /// Score for ranking: `log_prob`, with the repetition penalty, divided by the length penalty.
    pub score: f64,
    /// `true` if the hypothesis ended with an end token; `false` if it reached `max_length`.
    pub is_finished: bool,
}

/// The best hypotheses so far, best first; of equal ones the first.
#[derive(Debug)]
pub(super) struct Ranking {
    capacity: usize,
    /// `true` if finished ones are better than those cut off, whatever their scores.
    finished_first: bool,
    pub(super) hypotheses: Vec<Hypothesis>,
}

impl Ranking {
    pub(super) fn new(capacity: usize, finished_first: bool) -> Self {
        Self { capacity, finished_first, hypotheses: Vec::new() }
    }

    /// The best of these, best first.
    pub(super) fn sorted(mut self, hypotheses: impl Iterator<Item = Hypothesis>) -> Vec<Hypothesis> {
        hypotheses.for_each(|it| self.add(it));
        self.hypotheses
    }

    pub(super) fn add(&mut self, hypothesis: Hypothesis) {
        let rank = |it: &Hypothesis| (self.finished_first && it.is_finished, it.score);
        let place = self.hypotheses.partition_point(|it| rank(it) >= rank(&hypothesis));
        self.hypotheses.insert(place, hypothesis);
        self.hypotheses.truncate(self.capacity);
    }

    /// The worst hypothesis, if the list is full.
    pub(super) fn worst_of_full(&self) -> Option<&Hypothesis> {
        self.hypotheses.last().filter(|_| self.hypotheses.len() == self.capacity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finished_ones_come_first_or_not_then_the_score_decides_then_the_order() {
        let of = |token, score, is_finished| Hypothesis { tokens: vec![token], log_prob: score, score, is_finished };
        for (finished_first, expected) in [(true, [6, 3, 4, 2]), (false, [6, 1, 3, 4])] {
            let mut ranking = Ranking::new(4, finished_first);
            for (token, score, is_finished) in
                [(1, -1.0, false), (2, -3.0, true), (3, -2.0, true), (4, -2.0, true), (5, -9.0, true), (6, -0.5, true)]
            {
                assert_eq!(ranking.worst_of_full().is_some(), token > 4);
                ranking.add(of(token, score, is_finished));
            }
            let tokens: Vec<u32> = ranking.hypotheses.iter().map(|it| it.tokens[0]).collect();
            assert_eq!(tokens, expected);
        }
    }
}
