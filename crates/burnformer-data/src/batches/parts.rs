//! Parts of a batch: cuts sorted rows where padding would cost more than another forward pass.

use std::ops::Range;

/// Number of tokens from which a forward pass has its full speed per token.
const ENOUGH: usize = 256;
/// Reciprocal of the largest share of padding.
const SHARE: usize = 16;

/// Cuts rows of these ascending lengths into parts, each padded by itself. A part has at most `n_rows` rows and, once
/// it is large enough, at most one sixteenth of padding. So many rows of one length stay together, and a few long rows
/// do not lengthen all others.
///
/// ```
/// use burnformer_data::batches::parts;
///
/// assert_eq!(parts(&[90, 91, 92, 180, 200], 32), [0..3, 3..5]);
/// assert_eq!(parts(&[7, 7, 9], 2), [0..2, 2..3]);
/// ```
#[must_use]
pub fn parts(lengths: &[usize], n_rows: usize) -> Vec<Range<usize>> {
    let (mut parts, mut start, mut n_tokens) = (Vec::new(), 0, 0);
    for (row, &length) in lengths.iter().enumerate() {
        let padding = (row - start) * length - n_tokens.min((row - start) * length);
        if row > start && (row - start >= n_rows || (n_tokens >= ENOUGH && padding * SHARE > n_tokens)) {
            parts.push(start..row);
            (start, n_tokens) = (row, 0);
        }
        n_tokens += length;
    }
    if start < lengths.len() {
        parts.push(start..lengths.len());
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_in_one_part_and_little_is_padding() {
        let lengths: Vec<usize> = (0..200).map(|row| 8 + row * row / 160).collect();
        let parts = parts(&lengths, 32);
        let rows: Vec<usize> = parts.iter().cloned().flatten().collect();
        assert_eq!(rows, (0..200).collect::<Vec<_>>());
        for part in &parts[..parts.len() - 1] {
            let (n_tokens, longest) = (lengths[part.clone()].iter().sum::<usize>(), lengths[part.end - 1]);
            let padding = part.len() * longest - n_tokens;
            assert!(part.len() <= 32);
            assert!(padding * 16 <= n_tokens || n_tokens < ENOUGH + longest, "{part:?}");
        }
    }

    #[test]
    fn no_rows_are_no_parts() {
        assert!(parts(&[], 32).is_empty());
    }
}
