//! Sampling of a token.

use super::Sampling;
use burnformer_core::random::{Key, Purpose, Stream};

/// The random numbers of one sample. A draw belongs to its position, so that nothing else in a batch changes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct SampleKey(Key);

impl SampleKey {
    /// The key of one of the samples of a source.
    pub(super) fn new(seed: u64, source: u64, sample: usize) -> Self {
        Self(Key::new(seed, Purpose::Sampling, "").part(source).part(sample as u64))
    }

    /// A uniform number in `[0, 1)` for the token at `position`.
    pub(super) fn uniform(self, position: usize) -> f64 {
        Stream::new(self.0, position as u64).uniform()
    }
}

/// The token at which the cumulative probability exceeds `uniform`, in `[0, 1)`; `None` if all tokens are excluded.
pub(super) fn draw(logits: &[f32], sampling: &Sampling, uniform: f64) -> Option<u32> {
    let mut weights = kept(logits, sampling);
    if let Some(top_p) = sampling.top_p {
        keep_most_probable(&mut weights, top_p);
    }
    let mut rest = uniform * weights.iter().map(|(_, weight)| weight).sum::<f64>();
    for &(token, weight) in &weights {
        if rest < weight {
            return Some(token);
        }
        rest -= weight;
    }
    // Rounding of the differences may leave a rest.
    weights.last().map(|(token, _)| *token)
}

/// The tokens that `top_k` leaves, with weights in proportion to their probabilities.
fn kept(logits: &[f32], sampling: &Sampling) -> Vec<(u32, f64)> {
    let least = sampling.top_k.map_or(f32::NEG_INFINITY, |top_k| nth_largest(logits, top_k));
    let maximum = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weight = |logit: f32| (f64::from(logit - maximum) / sampling.temperature).exp();
    let tokens = (0_u32..).zip(logits).filter(|(_, logit)| **logit >= least && **logit > f32::NEG_INFINITY);
    tokens.map(|(token, &logit)| (token, weight(logit))).collect()
}

/// The `n`-th largest, or the smallest if there are fewer.
fn nth_largest(values: &[f32], n: usize) -> f32 {
    let mut values = values.to_vec();
    let index = n.min(values.len()) - 1;
    *values.select_nth_unstable_by(index, |a, b| b.total_cmp(a)).1
}

/// Keeps the smallest number of largest weights whose share is `top_p` at least.
fn keep_most_probable(weights: &mut Vec<(u32, f64)>, top_p: f64) {
    weights.sort_by(|a, b| b.1.total_cmp(&a.1));
    let enough = top_p * weights.iter().map(|(_, weight)| weight).sum::<f64>();
    let mut sum = 0.0;
    let is_needed = |&&(_, weight): &&(u32, f64)| {
        let is_needed = sum < enough;
        sum += weight;
        is_needed
    };
    let n = weights.iter().take_while(is_needed).count();
    weights.truncate(n);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Logits whose probabilities are 0.1, 0.4, 0.2 and 0.3.
    fn logits() -> Vec<f32> {
        [0.1_f32, 0.4, 0.2, 0.3].iter().map(|p| p.ln() + 5.0).collect()
    }

    /// The tokens that are drawn, and their shares to two digits.
    fn shares(logits: &[f32], sampling: &Sampling) -> Vec<(u32, f64)> {
        let n = 10_000;
        let mut counts = [0_u32; 4];
        for i in 0..n {
            counts[draw(logits, sampling, f64::from(i) / f64::from(n)).unwrap() as usize] += 1;
        }
        let share = |count| (f64::from(count) / f64::from(n) * 100.0).round() / 100.0;
        (0..).zip(counts).filter(|(_, count)| *count > 0).map(|(token, count)| (token, share(count))).collect()
    }

    #[test]
    fn tokens_are_drawn_by_their_probabilities() {
        let plain = Sampling::default();
        assert_eq!(shares(&logits(), &plain), [(0, 0.1), (1, 0.4), (2, 0.2), (3, 0.3)]);
        // Squares, of which the sum is 0.3.
        let cold = Sampling { temperature: 0.5, ..plain };
        assert_eq!(shares(&logits(), &cold), [(0, 0.03), (1, 0.53), (2, 0.13), (3, 0.3)]);
    }

    #[test]
    fn top_k_keeps_the_most_probable_and_their_equals() {
        let top = |top_k| Sampling { top_k: Some(top_k), ..Sampling::default() };
        assert_eq!(shares(&logits(), &top(1)), [(1, 1.0)]);
        assert_eq!(shares(&logits(), &top(2)), [(1, 0.57), (3, 0.43)]);
        assert_eq!(shares(&logits(), &top(9)).len(), 4);
        assert_eq!(shares(&[1.0, 2.0, 1.0, 0.0], &top(2)).len(), 3);
    }

    #[test]
    fn top_p_keeps_the_fewest_that_reach_it() {
        let top = |top_p| Sampling { top_p: Some(top_p), ..Sampling::default() };
        assert_eq!(shares(&logits(), &top(0.39)), [(1, 1.0)]);
        assert_eq!(shares(&logits(), &top(0.41)), [(1, 0.57), (3, 0.43)]);
        assert_eq!(shares(&logits(), &top(0.71)).len(), 3);
        assert_eq!(shares(&logits(), &top(1.0)).len(), 4);
        assert_eq!(shares(&logits(), &top(1e-9)), [(1, 1.0)]);
    }

    #[test]
    fn what_must_not_come_is_never_drawn() {
        let none = f32::NEG_INFINITY;
        for sampling in [Sampling::default(), Sampling { top_k: Some(3), top_p: Some(0.9), temperature: 2.0 }] {
            assert_eq!(shares(&[none, 1.0, none, 1.0], &sampling), [(1, 0.5), (3, 0.5)]);
            assert_eq!(draw(&[none; 4], &sampling, 0.5), None);
        }
    }
}
