//! The logits of the token behind one hypothesis.

/// Logits of one row, some of them changed by [`Rules`](super::rules::Rules).
pub(super) struct Row<'a> {
    logits: &'a mut [f32],
    logsumexp: f32,
    /// Tokens whose logit was penalised, ascending, and their log-probability before.
    penalised: Vec<(u32, f32)>,
}

impl<'a> Row<'a> {
    pub(super) fn new(logits: &'a mut [f32], logsumexp: f32) -> Self {
        Self { logits, logsumexp, penalised: Vec::new() }
    }

    /// The current logits; minus infinity for excluded tokens.
    pub(super) fn logits(&self) -> &[f32] {
        self.logits
    }

    /// Logarithm of the sum of exponentials: a logit less it is a log-probability.
    pub(super) fn logsumexp(&self) -> f32 {
        self.logsumexp
    }

    pub(super) fn forbid(&mut self, token: u32) {
        self.logits[token as usize] = f32::NEG_INFINITY;
    }

    /// Multiplies the log-probabilities of these tokens, each once.
    pub(super) fn penalise(&mut self, mut tokens: Vec<u32>, factor: f64) {
        tokens.sort_unstable();
        tokens.dedup();
        for token in tokens {
            let logit = &mut self.logits[token as usize];
            let log_prob = *logit - self.logsumexp;
            *logit = self.logsumexp + log_prob * factor as f32;
            self.penalised.push((token, log_prob));
        }
    }

    /// The log-probability after the rules.
    pub(super) fn value(&self, token: u32) -> f64 {
        f64::from(self.logits[token as usize]) - f64::from(self.logsumexp)
    }

    /// The model's own log-probability.
    pub(super) fn log_prob(&self, token: u32) -> f64 {
        match self.penalised.binary_search_by_key(&token, |(it, _)| *it) {
            Ok(index) => f64::from(self.penalised[index].1),
            Err(_) => self.value(token),
        }
    }
}
