//! The logits of the token behind one hypothesis.

/// Logits of one row, some of them changed by [`Rules`](super::rules::Rules).
pub(super) struct Row<'a> {
    logits: &'a mut [f32],
    /// Of the current logits, if they were normalised again, else of the model's.
    logsumexp: f32,
    /// Of the model's logits.
    model_logsumexp: f32,
    /// Tokens whose logit was changed and may still come, and the model's logit.
    changed: Vec<(u32, f32)>,
}

impl<'a> Row<'a> {
    pub(super) fn new(logits: &'a mut [f32], logsumexp: f32) -> Self {
        Self { logits, logsumexp, model_logsumexp: logsumexp, changed: Vec::new() }
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
    pub(super) fn penalise(&mut self, tokens: Vec<u32>, factor: f64) {
        let logsumexp = self.logsumexp;
        self.change(tokens, |logit| logsumexp + (logit - logsumexp) * factor as f32);
    }

    /// Multiplies the negative logits of these tokens and divides the positive ones, each once.
    ///
    /// Source: Keskar et al. 2019, section 4.1, as in transformers' greedy search.
    pub(super) fn penalise_logits(&mut self, tokens: Vec<u32>, factor: f64) {
        let factor = factor as f32;
        self.change(tokens, |logit| if logit < 0.0 { logit * factor } else { logit / factor });
    }

    /// Excludes all tokens but these, which get the probability 1 each.
    pub(super) fn force(&mut self, tokens: &[u32]) {
        let logsumexp = self.logsumexp;
        let mut forced = vec![false; self.logits.len()];
        tokens.iter().for_each(|&token| forced[token as usize] = true);
        self.change(tokens.to_vec(), |_| logsumexp);
        for (logit, is_forced) in self.logits.iter_mut().zip(forced) {
            if !is_forced {
                *logit = f32::NEG_INFINITY;
            }
        }
    }

    /// Makes the probabilities of the tokens that are left add up to 1.
    pub(super) fn normalize(&mut self) {
        let most = self.logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        if most.is_finite() {
            let sum: f64 = self.logits.iter().map(|logit| f64::from(logit - most).exp()).sum();
            self.logsumexp = most + sum.ln() as f32;
        }
    }

    /// The log-probability after the rules.
    pub(super) fn value(&self, token: u32) -> f64 {
        f64::from(self.logits[token as usize]) - f64::from(self.logsumexp)
    }

    /// The model's own log-probability.
    pub(super) fn log_prob(&self, token: u32) -> f64 {
        let changed = self.changed.iter().find(|(it, _)| *it == token);
        let logit = changed.map_or(self.logits[token as usize], |(_, before)| *before);
        f64::from(logit) - f64::from(self.model_logsumexp)
    }

    /// Changes the logits of these tokens, each once.
    fn change(&mut self, mut tokens: Vec<u32>, to: impl Fn(f32) -> f32) {
        tokens.sort_unstable();
        tokens.dedup();
        let n_before = self.changed.len();
        for token in tokens {
            let logit = &mut self.logits[token as usize];
            if !self.changed[..n_before].iter().any(|(it, _)| *it == token) {
                self.changed.push((token, *logit));
            }
            *logit = to(*logit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: probabilities 0.5, 0.25, 0.25.
    #[test]
    fn a_forced_token_is_certain_and_keeps_the_models_probability() {
        let mut logits = [0.5_f32.ln(), 0.25_f32.ln(), 0.25_f32.ln()];
        let mut row = Row::new(&mut logits, 0.0);
        row.penalise_logits(vec![1, 1], 2.0);
        row.force(&[1]);
        assert_eq!((row.value(1), row.value(0)), (0.0, f64::NEG_INFINITY));
        assert!((row.log_prob(1) - 0.25_f64.ln()).abs() < 1e-6);
    }

    #[test]
    fn what_is_left_adds_up_to_one() {
        let mut logits = [0.5_f32.ln(), 0.25_f32.ln(), 0.25_f32.ln()];
        let mut row = Row::new(&mut logits, 0.0);
        row.forbid(0);
        row.normalize();
        assert!((row.value(1) - 0.5_f64.ln()).abs() < 1e-6);
        assert!((row.log_prob(1) - 0.25_f64.ln()).abs() < 1e-6);
    }

    #[test]
    fn positive_logits_are_divided_by_the_penalty_and_negative_ones_multiplied() {
        let mut logits = [3.0, -3.0, 1.0];
        Row::new(&mut logits, 4.0).penalise_logits(vec![1, 0, 0], 2.0);
        assert_eq!(logits, [1.5, -6.0, 1.0]);
    }
}
