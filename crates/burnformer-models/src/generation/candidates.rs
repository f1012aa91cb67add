//! The best continuations of the hypotheses of one source.

use super::row::Row;

/// The log-probability of a hypothesis: the sum over its tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Score {
    /// As the model gives it.
    pub(super) log_prob: f64,
    /// With the repetition penalty. Candidates are ranked by it.
    pub(super) total: f64,
}

impl Score {
    /// No token yet.
    pub(super) const START: Self = Self { log_prob: 0.0, total: 0.0 };
    /// The score of a row that only fills the beam.
    pub(super) const FILLER: Self = Self { total: f64::NEG_INFINITY, ..Self::START };

    /// `true` for [`Self::FILLER`]: no candidate has a total of minus infinity.
    pub(super) fn is_filler(self) -> bool {
        self.total == f64::NEG_INFINITY
    }

    /// With one more token.
    fn followed_by(self, token: u32, logits: &Row) -> Self {
        Self { log_prob: self.log_prob + logits.log_prob(token), total: self.total + logits.value(token) }
    }
}

/// A hypothesis and a token behind it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Candidate {
    /// Index of the hypothesis among those of its source.
    pub(super) row: usize,
    pub(super) token: u32,
    /// With the token.
    pub(super) score: Score,
}

impl Candidate {
    /// The hypothesis in `row`, which has the score `before`, and `token`.
    pub(super) fn new(row: usize, token: u32, before: Score, logits: &Row) -> Self {
        Self { row, token, score: before.followed_by(token, logits) }
    }
}

/// Number of logits compared at a time: one or two vector registers.
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
    pub(super) fn offer(&mut self, row: usize, before: Score, logits: &Row) {
        let origin = before.total - f64::from(logits.logsumexp());
        // The logit that the next candidate must reach, and exceed before it is rounded to a float.
        let mut bound = (self.worst() - origin) as f32;
        for (first, chunk) in (0..).step_by(LANES).zip(logits.logits().chunks(LANES)) {
            // Few chunks have one, so that almost all time goes into a comparison without a branch.
            if !chunk.iter().fold(false, |any, &logit| any | (logit >= bound)) {
                continue;
            }
            for (token, &logit) in (first..).zip(chunk) {
                if logit >= bound && self.worst() < origin + f64::from(logit) {
                    self.insert(Candidate::new(row, token, before, logits));
                    bound = (self.worst() - origin) as f32;
                }
            }
        }
    }

    pub(super) fn into_candidates(self) -> Vec<Candidate> {
        self.candidates
    }

    /// The total that a candidate must exceed.
    fn worst(&self) -> f64 {
        match self.candidates.last() {
            Some(worst) if self.candidates.len() == self.capacity => worst.score.total,
            _ => f64::NEG_INFINITY,
        }
    }

    fn insert(&mut self, candidate: Candidate) {
        let place = self.candidates.partition_point(|it| it.score.total >= candidate.score.total);
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
        let mut scores = [Score::START; 2];
        scores[1].total = -1.0;
        let mut expected: Vec<Candidate> = Vec::new();
        let mut best = Best::new(40);
        for (row, &score) in scores.iter().enumerate() {
            let mut logits: Vec<f32> = (0..1000).map(|token| logit(row, token)).collect();
            let mut logits = Row::new(&mut logits, 3.0);
            logits.forbid(5);
            let tokens = (0..1000).filter(|&token| token != 5);
            expected.extend(tokens.map(|token| Candidate::new(row, token, score, &logits)));
            best.offer(row, score, &logits);
        }
        expected.sort_by(|a, b| b.score.total.total_cmp(&a.score.total));
        assert_eq!(best.into_candidates(), expected[..40]);
    }
}
