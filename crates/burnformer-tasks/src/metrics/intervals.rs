//! Confidence intervals by the bootstrap.

use burnformer_core::random::{Key, Purpose, Stream};
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use serde::{Deserialize, Serialize};

/// Number of resamples.
pub(super) const RESAMPLES: u64 = 1_000;
/// Largest number of rows in a resample of [`bootstrap_interval`].
const MOST_ROWS: usize = 20_000;

/// How uncertain a score is, by the bootstrap over rows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BootstrapInterval {
    /// Lower end of the interval that holds 95 % of the resamples' scores.
    pub low: f64,
    /// Upper end of it.
    pub high: f64,
    /// Standard deviation of the resamples' scores.
    pub standard_error: f64,
}

impl BootstrapInterval {
    /// The interval of resamples with these scores of `draws` rows each, drawn from `rows` rows with the given `score`.
    /// Resamples of fewer rows vary more, by the root of the ratio. `None` for fewer than two resamples.
    pub(super) fn of(score: f64, mut resamples: Vec<f64>, draws: u64, rows: u64) -> Option<Self> {
        if resamples.len() < 2 {
            return None;
        }
        let mean = resamples.iter().sum::<f64>() / resamples.len() as f64;
        let squares: f64 = resamples.iter().map(|score| (score - mean).powi(2)).sum();
        let variance = squares / (resamples.len() - 1) as f64;
        resamples.sort_unstable_by(f64::total_cmp);
        let scale = (draws as f64 / rows as f64).sqrt();
        let end = |share| score + scale * (quantile(&resamples, share) - score);
        let standard_error = (variance * draws as f64 / rows as f64).sqrt();
        Some(Self { low: end(0.025), high: end(0.975), standard_error })
    }
}

/// 95 % confidence interval of a score of rows, from 1,000 sets of rows drawn with replacement (the bootstrap of Efron 1979,
/// by percentiles), the same for the same `seed`. `score` is of the rows with these indices; sets of rows of which it is
/// `None` are left out.
///
/// Of more than 20,000 rows, 20,000 are drawn, and the interval is scaled with `1 / √n`.
///
/// `None` without rows, if `score` is `None` of all rows, or of all sets but one.
///
/// ```
/// use burnformer_tasks::metrics::{bootstrap_interval, pearson};
///
/// let (x, y) = ([0.1, 0.4, 0.5, 0.9, 1.0], [0.0, 2.5, 2.0, 4.0, 5.0]);
/// let of = |rows: &[usize], values: &[f64]| rows.iter().map(|&row| values[row]).collect::<Vec<_>>();
/// let interval = bootstrap_interval(5, 42, |rows| pearson(&of(rows, &x), &of(rows, &y))).unwrap();
/// assert!(interval.low < 0.98 && interval.high > 0.98);
/// ```
pub fn bootstrap_interval(
    n_rows: usize,
    seed: u64,
    score: impl Fn(&[usize]) -> Option<f64> + Sync,
) -> Option<BootstrapInterval> {
    if n_rows == 0 {
        return None;
    }
    let all: Vec<usize> = (0..n_rows).collect();
    let of_all = score(&all)?;
    let key = Key::new(seed, Purpose::Order, "bootstrap of rows");
    let draws = n_rows.min(MOST_ROWS);
    let of_resample = |rows: &mut Vec<usize>, resample: u64| {
        let mut stream = Stream::new(key, resample);
        rows.clear();
        rows.extend((0..draws).map(|_| stream.below(n_rows as u64) as usize));
        score(rows)
    };
    let resamples = (0..RESAMPLES).into_par_iter().map_init(Vec::new, of_resample);
    let resamples: Vec<f64> = resamples.collect::<Vec<_>>().into_iter().flatten().collect();
    BootstrapInterval::of(of_all, resamples, draws as u64, n_rows as u64)
}

/// The value below which a share of the sorted numbers lies, between two of them by a straight line.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (below, part) = (place.floor() as usize, place.fract());
    let above = sorted[(below + 1).min(sorted.len() - 1)];
    sorted[below] + part * (above - sorted[below])
}
