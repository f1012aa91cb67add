//! The sequence of random numbers of one counter.

use super::{Key, philox4x32_10};

/// Sequence of random numbers for one `counter`, such as a sample, an element of a weight or an epoch.
///
/// ```
/// use burnformer_core::random::{Key, Purpose, Stream};
///
/// let key = Key::new(42, Purpose::Mask, "");
/// let mut of_sample_7 = Stream::new(key, 7);
/// assert!((0.0..1.0).contains(&of_sample_7.uniform()));
/// assert!(of_sample_7.below(10) < 10);
/// ```
#[derive(Clone, Debug)]
pub struct Stream {
    key: [u32; 2],
    counter: u64,
    block: u64,
    words: [u32; 4],
    used: usize,
}

impl Stream {
    /// Starts the sequence of `counter` under `key`.
    #[must_use]
    pub fn new(key: Key, counter: u64) -> Self {
        Self { key: key.words(), counter, block: 0, words: [0; 4], used: 4 }
    }

    /// A uniform 32-bit number.
    pub fn bits(&mut self) -> u32 {
        if self.used == 4 {
            let halves = |word: u64| [word as u32, (word >> 32) as u32];
            let [block_low, block_high] = halves(self.block);
            let [low, high] = halves(self.counter);
            self.words = philox4x32_10([block_low, block_high, low, high], self.key);
            self.block += 1;
            self.used = 0;
        }
        self.used += 1;
        self.words[self.used - 1]
    }

    /// A uniform 64-bit number.
    pub fn bits64(&mut self) -> u64 {
        u64::from(self.bits()) | u64::from(self.bits()) << 32
    }

    /// A uniform number in `[0, 1)`, a multiple of 2⁻⁵³.
    pub fn uniform(&mut self) -> f64 {
        (self.bits64() >> 11) as f64 * (-53_f64).exp2()
    }

    /// A standard normal number, by the method of Box and Muller (1958).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// A standard normal number truncated to `[low, high]`, by rejection.
    ///
    /// # Panics
    /// If the interval is empty, not a number, or so far out that less than about one draw in a thousand is accepted
    /// (it must reach into `[-3, 3]` by a tenth at least).
    pub fn truncated_normal(&mut self, low: f64, high: f64) -> f64 {
        assert!(
            high.min(3.0) - low.max(-3.0) >= 0.1,
            "truncated normal: [{low}, {high}] must overlap [-3, 3] by 0.1 at least"
        );
        loop {
            let draw = self.normal();
            if (low..=high).contains(&draw) {
                return draw;
            }
        }
    }

    /// A uniform integer in `[0, bound)`, without bias (Lemire 2019, "Fast random integer generation in an interval").
    ///
    /// # Panics
    /// If `bound` is zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "there is no integer below 0");
        loop {
            let product = u128::from(self.bits64()) * u128::from(bound);
            let low = product as u64;
            // Every result has either floor(2^64 / bound) or one more preimage; those beyond the floor are drawn again.
            if low >= bound || low >= bound.wrapping_neg() % bound {
                return (product >> 64) as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    const N: usize = 100_000;

    fn draws(mut draw: impl FnMut(&mut Stream) -> f64) -> Vec<f64> {
        let mut stream = Stream::new(Key::new(1, Purpose::Weights, "test"), 0);
        (0..N).map(|_| draw(&mut stream)).collect()
    }

    /// Mean and variance lie within 5 standard errors; `kurtosis` is that of the distribution.
    fn check_moments(draws: &[f64], mean: f64, variance: f64, kurtosis: f64) {
        let n = draws.len() as f64;
        let found_mean = draws.iter().sum::<f64>() / n;
        let found_variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        assert!((found_mean - mean).abs() < 5.0 * (variance / n).sqrt(), "mean {found_mean}, expected {mean}");
        let variance_error = 5.0 * variance * ((kurtosis - 1.0) / n).sqrt();
        assert!((found_variance - variance).abs() < variance_error, "variance {found_variance}, expected {variance}");
    }

    #[test]
    fn uniform_has_its_moments_and_range() {
        let draws = draws(Stream::uniform);
        assert!(draws.iter().all(|x| (0.0..1.0).contains(x)));
        check_moments(&draws, 0.5, 1.0 / 12.0, 1.8);
    }

    #[test]
    fn normal_has_its_moments_and_tails() {
        let draws = draws(Stream::normal);
        check_moments(&draws, 0.0, 1.0, 3.0);
        let beyond_two = draws.iter().filter(|x| x.abs() > 2.0).count() as f64 / N as f64;
        assert!((beyond_two - 0.0455).abs() < 0.0035, "{beyond_two} beyond two standard deviations");
    }

    #[test]
    fn truncated_normal_has_its_moments_and_range() {
        let draws = draws(|stream| stream.truncated_normal(-2.0, 2.0));
        assert!(draws.iter().all(|x| x.abs() <= 2.0));
        // With z = 2 Φ(2) - 1: variance v = 1 - 4 φ(2) / z, fourth moment f = 3 v - 16 φ(2) / z, kurtosis f / v².
        check_moments(&draws, 0.0, 0.773_741_3, 2.365_5);
    }

    #[test]
    fn below_is_uniform() {
        let mut counts = [0_usize; 7];
        for draw in draws(|stream| stream.below(7) as f64) {
            counts[draw as usize] += 1;
        }
        let expected = N as f64 / 7.0;
        let chi_square: f64 = counts.iter().map(|&count| (count as f64 - expected).powi(2) / expected).sum();
        assert!(chi_square < 22.5, "chi square {chi_square} with 6 degrees of freedom (0.999 quantile 22.46)");
    }

    #[test]
    fn a_stream_depends_on_its_key_and_counter_alone() {
        let key = Key::new(3, Purpose::Pair, "");
        let first = |counter| Stream::new(key, counter).bits64();
        assert_eq!(first(5), first(5));
        assert_ne!(first(5), first(6));
        assert_ne!(first(5), first(5 + (1 << 32)));
        assert_ne!(first(5), Stream::new(key.part(0), 5).bits64());
    }
}
