//! The search for the hypotheses of one source.

use super::candidates::{Best, Candidate, Score};
use super::hypothesis::{Hypothesis, Ranking};
use super::row::Row;
use super::rules::{Limits, Position, Rules};
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
    /// Number of tokens of the prompt.
    prompt_length: usize,
    limits: Limits,
    ended: Ranking,
    /// Number of finished hypotheses, also those that are no longer among the best.
    n_ended: usize,
    key: Option<SampleKey>,
}

impl Search {
    /// The search for the most probable hypotheses behind `prompt`: for `n_best`, or, in transformers, for as many as
    /// there are beams.
    pub(super) fn beam(prompt: &[u32], limits: Limits, rules: &Rules) -> Self {
        let is_transformers = rules.is_transformers();
        let capacity = if is_transformers { rules.settings.n_beams } else { rules.settings.n_best };
        Self {
            context: rules.context(prompt),
            nodes: Vec::new(),
            live: vec![Live { node: None, score: Score::START }],
            length: 0,
            prompt_length: prompt.len(),
            limits,
            ended: Ranking::new(capacity, !is_transformers),
            n_ended: 0,
            key: None,
        }
    }

    /// One sample: a beam of one, whose candidate is drawn.
    pub(super) fn sample(prompt: &[u32], limits: Limits, rules: &Rules, key: SampleKey) -> Self {
        let ended = Ranking::new(1, !rules.is_transformers());
        Self { key: Some(key), ended, ..Self::beam(prompt, limits, rules) }
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
        let mut best = Best::new(rules.n_candidates());
        let mut drawn = Vec::new();
        for (row, (logits, &logsumexp)) in logits.chunks_exact_mut(vocab_size).zip(logsumexp).enumerate() {
            let live = &self.live[row];
            if live.score.is_filler() {
                continue;
            }
            let mut logits = Row::new(logits, logsumexp);
            let tokens = if rules.need_tokens() { [&*self.context, &*self.tokens(live)].concat() } else { Vec::new() };
            let (length, limits, prompt_length) = (self.length, self.limits, self.prompt_length);
            rules.apply(&mut logits, Position { length, limits, tokens, prompt_length });
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
        let is_transformers = rules.is_transformers();
        // There the end token is one of the longest text, and what has that length competes like what has ended.
        let is_last = is_transformers && (1..=self.length + 1).contains(&self.limits.max);
        let mut next = Vec::with_capacity(n_beams);
        let mut ended = Vec::new();
        for (rank, candidate) in candidates.iter().enumerate() {
            let is_end = rules.is_end(candidate.token);
            if is_end || is_last {
                if rank < n_beams {
                    self.end(candidate, is_end, rules);
                    ended.push(candidate.row);
                }
            } else if self.length < self.limits.max && next.len() < n_beams {
                next.push(candidate);
            }
        }
        let Some(leader) = next.first() else {
            for (row, live) in std::mem::take(&mut self.live).iter().enumerate() {
                if !live.score.is_filler() && !ended.contains(&row) && (!is_last || ended.is_empty()) {
                    self.cut_off(live, rules);
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
        let settings = rules.settings;
        let is_greedy = settings.n_beams == 1;
        let is_enough = self.n_ended >= settings.n_beams && (settings.early_stopping || is_greedy);
        // No token makes a hypothesis more probable, and nothing is divided by more than the longest; with a negative penalty,
        // by less than a short one.
        let longest = match rules.is_transformers() {
            true => self.limits.max,
            false => self.limits.max + 1,
        };
        let length =
            if settings.heuristic_stopping || settings.length_penalty <= 0.0 { self.length + 1 } else { longest };
        is_enough || total / settings.divisor(length) <= worst.score
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

    /// Adds the hypothesis that a candidate ends, with its token if that is no end token.
    fn end(&mut self, candidate: &Candidate, is_finished: bool, rules: &Rules) {
        let mut tokens = self.tokens(&self.live[candidate.row]);
        if !is_finished {
            tokens.push(candidate.token);
        }
        self.add(tokens, candidate.score, self.length + 1, is_finished, rules);
    }

    /// Adds a live hypothesis that cannot go on.
    fn cut_off(&mut self, live: &Live, rules: &Rules) {
        self.add(self.tokens(live), live.score, self.length, false, rules);
    }

    /// Adds a hypothesis of `length` tokens, the end token among them.
    fn add(&mut self, tokens: Vec<u32>, score: Score, length: usize, is_finished: bool, rules: &Rules) {
        let Score { log_prob, total } = score;
        self.ended.add(Hypothesis { tokens, log_prob, score: total / rules.settings.divisor(length), is_finished });
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
