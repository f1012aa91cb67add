//! Where a pipeline is cut.

use std::ops::Range;

/// Cuts `work` into `n` ranges, none of them empty, whose largest sum is as small as can be.
pub(super) fn balanced(work: &[u64], n: usize) -> Vec<Range<usize>> {
    let sum = |range: Range<usize>| work[range].iter().sum::<u64>();
    // The largest sum of the first `end` items in so many ranges, and where the last range begins.
    let mut best: Vec<Vec<(u64, usize)>> = vec![(0..=work.len()).map(|end| (sum(0..end), 0)).collect()];
    for n in 2..=n {
        let before = &best[n - 2];
        let last = |end: usize| {
            let starts = (n - 1..end).map(|start| (before[start].0.max(sum(start..end)), start));
            starts.min().unwrap_or((u64::MAX, 0))
        };
        let row = (0..=work.len()).map(last).collect();
        best.push(row);
    }
    let (mut ranges, mut end) = (Vec::with_capacity(n), work.len());
    for row in best.iter().rev() {
        let start = row[end].1;
        ranges.push(start..end);
        end = start;
    }
    ranges.reverse();
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_sum_is_as_small_as_can_be() {
        assert_eq!(balanced(&[1, 1, 1, 1], 1), [0..4]);
        assert_eq!(balanced(&[1, 1, 1, 1], 2), [0..2, 2..4]);
        assert_eq!(balanced(&[1, 1, 1, 1], 4), [0..1, 1..2, 2..3, 3..4]);
        // A head as heavy as two layers.
        assert_eq!(balanced(&[1, 1, 1, 3], 2), [0..3, 3..4]);
        for (work, n) in [(vec![5, 1, 1, 1, 1, 1], 3), (vec![1, 9, 1, 1, 9], 2), (vec![3, 0, 0, 0], 3)] {
            let found = balanced(&work, n);
            assert!(found.iter().all(|range| !range.is_empty()), "{found:?}");
            assert_eq!(found.iter().cloned().flatten().collect::<Vec<_>>(), (0..work.len()).collect::<Vec<_>>());
            assert_eq!(largest(&work, &found), smallest(&work, n), "{work:?} in {n}: {found:?}");
        }
    }

    fn largest(work: &[u64], ranges: &[Range<usize>]) -> u64 {
        ranges.iter().map(|range| work[range.clone()].iter().sum()).max().unwrap()
    }

    /// By trying every cut.
    fn smallest(work: &[u64], n: usize) -> u64 {
        if n == 1 {
            return work.iter().sum();
        }
        let of = |end: usize| smallest(&work[..end], n - 1).max(work[end..].iter().sum());
        (n - 1..work.len()).map(of).min().unwrap()
    }
}
