//! Correlation of predicted with true numbers.

use super::ranks::mean_ranks;

/// Pearson's correlation coefficient of two lists of numbers, in `[-1, 1]`.
///
/// `None` where it is not defined: for fewer than two pairs, if all numbers of a list are equal, or if one is not finite.
///
/// ```
/// use burnformer_tasks::metrics::pearson;
///
/// assert_eq!(pearson(&[1.0, 2.0, 3.0], &[2.0, 4.0, 6.0]), Some(1.0));
/// assert_eq!(pearson(&[1.0, 2.0, 3.0], &[5.0, 5.0, 5.0]), None);
/// ```
///
/// # Panics
/// If the lists differ in length.
#[must_use]
pub fn pearson(x: &[f64], y: &[f64]) -> Option<f64> {
    check(x, y)?;
    let (x, y) = (deviations(x), deviations(y));
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    let correlation = dot(&x, &y) / (dot(&x, &x) * dot(&y, &y)).sqrt();
    correlation.is_finite().then(|| correlation.clamp(-1.0, 1.0))
}

/// Differences from the mean, scaled so that the largest is 1: squares of large or tiny numbers stay in range.
fn deviations(values: &[f64]) -> Vec<f64> {
    let n = values.len() as f64;
    let rough = values.iter().map(|value| value / n).sum::<f64>();
    // Numbers far from zero leave little precision to their sum.
    let mean = rough + values.iter().map(|value| (value - rough) / n).sum::<f64>();
    let largest = values.iter().map(|value| (value - mean).abs()).fold(0.0, f64::max);
    values.iter().map(|value| (value - mean) / largest).collect()
}

/// Spearman's rank correlation, in `[-1, 1]`: Pearson's of the ranks, where equal numbers share their mean rank.
///
/// `None` where it is not defined, as for [`pearson`].
///
/// # Panics
/// If the lists differ in length.
#[must_use]
pub fn spearman(x: &[f64], y: &[f64]) -> Option<f64> {
    check(x, y)?;
    pearson(&mean_ranks(x), &mean_ranks(y))
}

/// Kendall's rank correlation τ-b, in `[-1, 1]`: pairs in the same order less pairs in opposite orders, as a share of the
/// pairs without ties. Takes time `n log n`.
///
/// `None` where it is not defined, as for [`pearson`].
///
/// Source: Knight 1966, "A computer method for calculating Kendall's tau with ungrouped data".
///
/// # Panics
/// If the lists differ in length.
#[must_use]
pub fn kendall_tau_b(x: &[f64], y: &[f64]) -> Option<f64> {
    check(x, y)?;
    let n = x.len();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_unstable_by(|&a, &b| x[a].total_cmp(&x[b]).then(y[a].total_cmp(&y[b])));
    let tied_in_both = n_pairs(order.chunk_by(|&a, &b| x[a] == x[b] && y[a] == y[b]));
    let tied_in_x = n_pairs(order.chunk_by(|&a, &b| x[a] == x[b]));
    let mut in_order: Vec<f64> = order.iter().map(|&place| y[place]).collect();
    let discordant = inversions(&mut in_order);
    let tied_in_y = n_pairs(in_order.chunk_by(|a, b| a == b));

    let all = n as f64 * (n as f64 - 1.0) / 2.0;
    let concordant_less_discordant = all - tied_in_x - tied_in_y + tied_in_both - 2.0 * discordant;
    let tau = concordant_less_discordant / (all - tied_in_x).sqrt() / (all - tied_in_y).sqrt();
    Some(tau.clamp(-1.0, 1.0))
}

/// Number of pairs within groups.
fn n_pairs<'a, T: 'a>(groups: impl Iterator<Item = &'a [T]>) -> f64 {
    groups.map(|group| group.len() as f64 * (group.len() as f64 - 1.0) / 2.0).sum()
}

/// Sorts the numbers, and counts the pairs that were in the wrong order.
fn inversions(values: &mut [f64]) -> f64 {
    let n = values.len();
    if n < 2 {
        return 0.0;
    }
    let (left, right) = values.split_at_mut(n / 2);
    let mut count = inversions(left) + inversions(right);
    let mut merged = Vec::with_capacity(n);
    let (mut i, mut j) = (0, 0);
    while i < left.len() && j < right.len() {
        if right[j] < left[i] {
            count += (left.len() - i) as f64;
            merged.push(right[j]);
            j += 1;
        } else {
            merged.push(left[i]);
            i += 1;
        }
    }
    merged.extend_from_slice(&left[i..]);
    merged.extend_from_slice(&right[j..]);
    values.copy_from_slice(&merged);
    count
}

/// Refuses lists of different lengths; `None` if no correlation is defined.
fn check(x: &[f64], y: &[f64]) -> Option<()> {
    let (n, others) = (x.len(), y.len());
    assert_eq!(n, others, "correlation: {n} numbers and {others}");
    let usable =
        |values: &[f64]| values.iter().all(|value| value.is_finite()) && values.iter().any(|value| *value != values[0]);
    (usable(x) && usable(y)).then_some(())
}
