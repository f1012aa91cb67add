//! The best continuations of the hypotheses of one source.

use super::row::Row;
use super::search::Live;

/// A hypothesis and a token behind it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Candidate {
    /// Place of the hypothesis among those of its source.
    pub(super) row: usize,
    pub(super) token: u32,
    /// The model's log-probability of all tokens.
    pub(super) log_prob: f64,
    /// The same with the repetition penalty.
    pub(super) total: f64,
}

impl Candidate {
    pub(super) fn new(row: usize, token: u32, live: &Live, logits: &Row) -> Self {
        let (log_prob, total) = (live.log_prob + logits.log_prob(token), live.total + logits.value(token));
        Self { row, token, log_prob, total }
    }
}

/// Logits that are looked at together: a vector register or two.
const LANES: usize = 32;

/// The candidates of the largest totals, best first; of equal ones the first that was offered.
pub(super) struct Best {
    capacity: usize,
    candidates: Vec<Candidate>,
}

impl Best {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, candidates: Vec::with_capacity(capacity + 1) }
    }

    /// Offers every token behind a hypothesis.
    pub(super) fn offer(&mut self, row: usize, live: &Live, logits: &Row) {
        let origin = live.total - f64::from(logits.logsumexp());
        // The logit that the next candidate must reach, and exceed before it is rounded to a float.
        let mut bound = (self.worst() - origin) as f32;
        for (first, chunk) in (0..).step_by(LANES).zip(logits.logits().chunks(LANES)) {
            // Few chunks have one, so that almost all time goes into a comparison without a branch.
            if !chunk.iter().fold(false, |any, &logit| any | (logit >= bound)) {
                continue;
            }
            for (token, &logit) in (first..).zip(chunk) {
                if logit >= bound && self.worst() < origin + f64::from(logit) {
                    self.insert(Candidate::new(row, token, live, logits));
                    bound = (self.worst() - origin) as f32;
                }
            }
        }
    }

    pub(super) fn into_candidates(self) -> Vec<Candidate> {
        self.candidates
    }

    /// What a candidate must exceed.
    fn worst(&self) -> f64 {
        match self.candidates.last() {
            Some(worst) if self.candidates.len() == self.capacity => worst.total,
            _ => f64::NEG_INFINITY,
        }
    }

    fn insert(&mut self, candidate: Candidate) {
        let place = self.candidates.partition_point(|it| it.total >= candidate.total);
        self.candidates.insert(place, candidate);
        self.candidates.truncate(self.capacity);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Logits of 1,000 tokens with many equal ones, two hypotheses of which the second is behind by one.
    #[test]
    fn the_best_are_those_of_a_stable_sort() {
        let logit = |row: usize, token: u32| ((token as usize * 7919 + row * 31) % 97) as f32 * 0.25;
        let mut lives = [Live::start(); 2];
        lives[1].total = -1.0;
        let mut expected: Vec<Candidate> = Vec::new();
        let mut best = Best::new(40);
        for (row, live) in lives.iter().enumerate() {
            let mut logits: Vec<f32> = (0..1000).map(|token| logit(row, token)).collect();
            let mut logits = Row::new(&mut logits, 3.0);
            logits.forbid(5);
            let tokens = (0..1000).filter(|&token| token != 5);
            expected.extend(tokens.map(|token| Candidate::new(row, token, live, &logits)));
            best.offer(row, live, &logits);
        }
        expected.sort_by(|a, b| b.total.total_cmp(&a.total));
        assert_eq!(best.into_candidates(), expected[..40]);
    }
}
