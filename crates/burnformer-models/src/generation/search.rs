//! The search for the hypotheses of one source.

use super::candidates::{Best, Candidate, Score};
use super::hypothesis::{Hypothesis, Ranking};
use super::row::Row;
use super::rules::Rules;
use super::sampling::{SampleKey, draw};

/// A live hypothesis.
#[derive(Clone, Copy, Debug)]
struct Live {
    /// Its last token among [`Search::nodes`]; `None` for the start.
    node: Option<usize>,
    score: Score,
}

/// A token and its predecessor. Hypotheses share common beginnings, so that a step copies none.
#[derive(Debug)]
struct Node {
    token: u32,
    before: Option<usize>,
}

/// A row of the next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Successor {
    /// The row of this step that it continues, among those of its source.
    pub(super) row: usize,
    pub(super) token: u32,
}

/// The search for one source, or for one sample of it.
#[derive(Debug)]
pub(super) struct Search {
    /// The tokens of the prompt that count as the hypothesis's own where repetitions are looked for.
    context: Vec<u32>,
    nodes: Vec<Node>,
    live: Vec<Live>,
    /// Number of tokens of every live hypothesis.
    length: usize,
    /// Longest hypothesis.
    max_length: usize,
    ended: Ranking,
    /// Number of finished hypotheses, also those that are no longer among the best.
    n_ended: usize,
    key: Option<SampleKey>,
}

impl Search {
    /// The search for the `n_best` most probable hypotheses of up to `max_length` tokens behind `context`.
    pub(super) fn beam(context: Vec<u32>, n_best: usize, max_length: usize) -> Self {
        Self {
            context,
            nodes: Vec::new(),
            live: vec![Live { node: None, score: Score::START }],
            length: 0,
            max_length,
            ended: Ranking::new(n_best),
            n_ended: 0,
            key: None,
        }
    }

    /// One sample: a beam of one, whose candidate is drawn.
    pub(super) fn sample(context: Vec<u32>, key: SampleKey, max_length: usize) -> Self {
        Self { key: Some(key), ..Self::beam(context, 1, max_length) }
    }

    /// The hypotheses that the search found, best first.
    pub(super) fn into_hypotheses(self) -> Vec<Hypothesis> {
        self.ended.hypotheses
    }

    /// Takes the logits behind every live hypothesis, and returns the rows that go on: none if the search is over.
    ///
    /// # Shapes
    /// - logits: `[n_live, vocab_size]`
    /// - logsumexp: `[n_live]`
    pub(super) fn step(&mut self, logits: &mut [f32], logsumexp: &[f32], rules: &Rules) -> Vec<Successor> {
        let vocab_size = logits.len() / logsumexp.len();
        let mut best = Best::new(2 * rules.settings.n_beams);
        let mut drawn = Vec::new();
        for (row, (logits, &logsumexp)) in logits.chunks_exact_mut(vocab_size).zip(logsumexp).enumerate() {
            let live = &self.live[row];
            if live.score.is_filler() {
                continue;
            }
            let mut logits = Row::new(logits, logsumexp);
            let tokens = if rules.need_tokens() { [&*self.context, &*self.tokens(live)].concat() } else { Vec::new() };
            rules.apply(&mut logits, self.length, self.max_length, tokens);
            match (self.key, &rules.settings.sampling) {
                (Some(key), Some(sampling)) => {
                    let token = draw(logits.logits(), sampling, key.uniform(self.length));
                    drawn.extend(token.map(|token| Candidate::new(row, token, live.score, &logits)));
                }
                _ => best.offer(row, live.score, &logits),
            }
        }
        drawn.extend(best.into_candidates());
        self.advance(&drawn, rules)
    }

    /// One step of the search over its candidates, best first.
    fn advance(&mut self, candidates: &[Candidate], rules: &Rules) -> Vec<Successor> {
        let n_beams = rules.settings.n_beams;
        let mut next = Vec::with_capacity(n_beams);
        let mut ended = Vec::new();
        for (rank, candidate) in candidates.iter().enumerate() {
            if Some(candidate.token) == rules.eos_id {
                if rank < n_beams {
                    let Candidate { row, score, .. } = *candidate;
                    self.end(&Live { score, ..self.live[row] }, true, rules);
                    ended.push(row);
                }
            } else if self.length < self.max_length && next.len() < n_beams {
                next.push(candidate);
            }
        }
        let Some(leader) = next.first() else {
            for (row, live) in std::mem::take(&mut self.live).iter().enumerate() {
                if !live.score.is_filler() && !ended.contains(&row) {
                    self.end(live, false, rules);
                }
            }
            return Vec::new();
        };
        self.n_ended += ended.len();
        if self.is_over(leader.score.total, rules) {
            return Vec::new();
        }
        self.continue_with(&next, rules)
    }

    /// `true` if enough hypotheses have ended, or if no live one can become one of the best, the most probable of them
    /// having `total`.
    fn is_over(&self, total: f64, rules: &Rules) -> bool {
        let Some(worst) = self.ended.worst_of_full() else { return false };
        let is_greedy = rules.settings.n_beams == 1;
        let is_enough = self.n_ended >= rules.settings.n_beams && (rules.settings.early_stopping || is_greedy);
        // No token makes a hypothesis more probable, and nothing is divided by more than the longest.
        is_enough || total / rules.settings.divisor(self.max_length + 1) <= worst.score
    }

    fn continue_with(&mut self, next: &[&Candidate], rules: &Rules) -> Vec<Successor> {
        self.length += 1;
        let first = self.nodes.len();
        let nodes = next.iter().map(|it| Node { token: it.token, before: self.live[it.row].node });
        self.nodes.extend(nodes);
        let live = |(place, it): (usize, &&Candidate)| Live { node: Some(first + place), score: it.score };
        self.live = next.iter().enumerate().map(live).collect();
        let mut successors: Vec<_> = next.iter().map(|it| Successor { row: it.row, token: it.token }).collect();
        // All sources have as many rows.
        self.live.resize(rules.settings.n_beams, Live { node: None, score: Score::FILLER });
        successors.resize(rules.settings.n_beams, successors[0]);
        successors
    }

    /// Adds a finished or cut-off hypothesis to the ranking.
    fn end(&mut self, live: &Live, is_finished: bool, rules: &Rules) {
        let divisor = rules.settings.divisor(self.length + usize::from(is_finished));
        let tokens = self.tokens(live);
        let Score { log_prob, total } = live.score;
        self.ended.add(Hypothesis { tokens, log_prob, score: total / divisor, is_finished });
    }

    fn tokens(&self, live: &Live) -> Vec<u32> {
        let mut tokens = Vec::with_capacity(self.length);
        let mut place = live.node;
        while let Some(node) = place.map(|place| &self.nodes[place]) {
            tokens.push(node.token);
            place = node.before;
        }
        tokens.reverse();
        tokens
    }
}
