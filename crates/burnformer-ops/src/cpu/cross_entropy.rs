//! Cross-entropy of logits, without a second tensor of their size.

use super::math::{exp, sum};
use super::{for_overwrite, vectorized};
use super::{logsumexp, parallel};
use crate::CrossEntropyOptions;

/// Rows of logits are long.
const ROWS: usize = 8;

/// A row's target.
fn class(target: i64, vocab_size: usize, options: &CrossEntropyOptions) -> Option<usize> {
    if target == options.ignore {
        return None;
    }
    let index = usize::try_from(target).ok().filter(|&index| index < vocab_size);
    Some(index.unwrap_or_else(|| panic!("cross_entropy: target {target} is outside a vocabulary of {vocab_size}")))
}

/// Sum of the losses of all rows that are not ignored, their number, and the logarithm of every row's denominator.
///
/// # Panics
/// If a target is neither a class nor the ignored value.
pub(crate) fn forward(
    logits: &[f32],
    vocab_size: usize,
    targets: &[i64],
    options: &CrossEntropyOptions,
) -> (f32, f32, Vec<f32>) {
    let mut logsumexp = for_overwrite(targets.len());
    let smoothing = options.label_smoothing as f32;
    let tasks: Vec<_> = logsumexp.chunks_mut(ROWS).zip(targets.chunks(ROWS)).collect();
    let partial = parallel::map(tasks, logits.len(), |block, (logsumexp, targets): (&mut [f32], &[i64])| {
        let (mut total, mut count) = (0.0_f64, 0_u64);
        for (row, (logsumexp, &target)) in (block * ROWS..).zip(logsumexp.iter_mut().zip(targets)) {
            let logits = &logits[row * vocab_size..(row + 1) * vocab_size];
            *logsumexp = logsumexp::of_row(logits);
            let Some(class) = class(target, vocab_size, options) else { continue };
            let mut expected = logits[class];
            if smoothing > 0.0 {
                let mean = vectorized(
                    #[inline(always)]
                    || sum(logits),
                ) / vocab_size as f32;
                expected = (1.0 - smoothing) * expected + smoothing * mean;
            }
            total += f64::from(*logsumexp - expected);
            count += 1;
        }
        (total, count)
    });
    let (total, count) = partial.into_iter().fold((0.0, 0), |(total, count), (t, c)| (total + t, count + c));
    (total as f32, count as f32, logsumexp)
}

/// The gradient of the sum times `scale`, in place of the logits.
pub(crate) fn backward(
    mut logits: Vec<f32>,
    vocab_size: usize,
    logsumexp: &[f32],
    targets: &[i64],
    scale: f32,
    options: &CrossEntropyOptions,
) -> Vec<f32> {
    let everywhere = (options.label_smoothing / vocab_size as f64) as f32;
    let at_target = 1.0 - options.label_smoothing as f32;
    if logits.is_empty() {
        return logits;
    }
    let len = logits.len();
    let tasks: Vec<_> = logits.chunks_mut(ROWS * vocab_size).collect();
    parallel::map(tasks, len, |block, logits: &mut [f32]| {
        for (row, logits) in (block * ROWS..).zip(logits.chunks_exact_mut(vocab_size)) {
            let Some(class) = class(targets[row], vocab_size, options) else {
                logits.fill(0.0);
                continue;
            };
            let (scale, everywhere, origin) = (scale, everywhere, logsumexp[row]);
            let logits_of_row = &mut *logits;
            vectorized(
                #[inline(always)]
                move || {
                    for x in logits_of_row {
                        *x = scale * (exp(*x - origin) - everywhere);
                    }
                },
            );
            logits[class] -= scale * at_target;
        }
    });
    logits
}
