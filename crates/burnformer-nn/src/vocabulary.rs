//! Logits of tokens, of which each rank may have some: the greatest, and the loss.

use crate::LossSum;
use crate::tensor_parallel::{Group, group_of_columns};
use burn::tensor::{IndexingUpdateOp, Int, Tensor, TensorData};
use burnformer_ops::{self as ops, CrossEntropyOptions};
use std::sync::Arc;

/// The number of the greatest logit of each row, the first of equal ones. Not differentiated.
///
/// # Shapes
/// - logits: `[n, vocab_size]`, or the columns that this rank has [of them](crate::with_tensor_parallel)
/// - returns: `[n]`
#[must_use]
pub fn best_tokens(logits: Tensor<2>, vocab_size: usize) -> Tensor<1, Int> {
    let [n, width] = logits.dims();
    let Some(group) = group_of_columns(width, vocab_size) else { return logits.argmax(1).reshape([n]) };
    let device = logits.device();
    let (greatest, index) = logits.max_dim_with_indices(1);
    let first = group.share(vocab_size).start as i64;
    let index: Vec<i64> = index.into_data().iter::<i64>().map(|index| index + first).collect();
    let greatest: Vec<f32> = greatest.into_data().iter::<f32>().collect();
    let mut best = index.clone();
    if let Some(all) = group.gather([bytemuck::cast_slice(&greatest), bytemuck::cast_slice::<_, u8>(&index)].concat()) {
        let mut so_far = vec![f32::NEG_INFINITY; n];
        for message in all {
            let (greatest, index) = message.split_at(n * size_of::<f32>());
            let found = bytemuck::pod_collect_to_vec::<u8, f32>(greatest).into_iter();
            let found = found.zip(bytemuck::pod_collect_to_vec::<u8, i64>(index));
            for ((best, so_far), (greatest, index)) in best.iter_mut().zip(&mut so_far).zip(found) {
                if greatest > *so_far {
                    (*so_far, *best) = (greatest, index);
                }
            }
        }
    }
    Tensor::from_data(TensorData::new(best, [n]), &device)
}

/// The logits of all tokens. Not differentiated.
///
/// # Shapes
/// - logits: `[n, vocab_size]`, or the columns that this rank has [of them](crate::with_tensor_parallel)
/// - returns: `[n, vocab_size]`
#[must_use]
pub fn all_tokens(logits: Tensor<2>, vocab_size: usize) -> Tensor<2> {
    match group_of_columns(logits.dims()[1], vocab_size) {
        None => logits,
        Some(group) => group.joined(logits, 1),
    }
}

/// What a rank knows of one row of logits.
#[derive(Clone, Copy, Default, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct Row {
    /// `ln Σ exp(x)` over the rank's logits.
    logsumexp: f32,
    /// The target's logit; 0 if another rank has it.
    at_target: f32,
    /// The sum of the rank's logits, with label smoothing.
    sum: f32,
}

/// [`CrossEntropyLoss`](crate::CrossEntropyLoss) of the columns `logits` that this rank has of `vocab_size`. Ranks exchange three
/// numbers for each row.
pub(crate) fn cross_entropy(
    group: &Arc<Group>,
    logits: Tensor<2>,
    targets: Tensor<1, Int>,
    vocab_size: usize,
    options: CrossEntropyOptions,
) -> LossSum {
    let CrossEntropyOptions { ignore, label_smoothing } = options;
    let is_tracked = logits.gradient_checkpointing_strategy().is_some();
    let (tracked, logits) = if is_tracked { (Some(logits.clone()), logits.inner()) } else { (None, logits) };
    let (device, n, first) = (logits.device(), targets.dims()[0], group.share(vocab_size).start as i64);
    let width = logits.dims()[1] as i64;
    let targets: Vec<i64> = targets.into_data().iter::<i64>().collect();
    for &target in &targets {
        let fits = target == ignore || (0..vocab_size as i64).contains(&target);
        assert!(fits, "cross_entropy: target {target} is outside a vocabulary of {vocab_size}");
    }
    let here: Vec<Option<i64>> =
        targets.iter().map(|target| Some(target - first).filter(|column| (0..width).contains(column))).collect();
    // A row whose target is elsewhere, or ignored, takes the first column times zero.
    let columns: Vec<i64> = here.iter().map(|column| column.unwrap_or(0)).collect();
    let columns = Tensor::<2, Int>::from_data(TensorData::new(columns, [n, 1]), &device);

    let floats = |x: Tensor<1>| x.into_data().convert::<f32>().try_into_vec::<f32>().expect("they are of type f32");
    let logsumexp = floats(ops::logsumexp(logits.clone()));
    let at_target = floats(logits.clone().gather(1, columns.clone()).reshape([n]));
    let sums = if label_smoothing > 0.0 { floats(logits.clone().sum_dim(1).reshape([n])) } else { vec![0.0; n] };
    let rows: Vec<Row> = (0..n)
        .map(|i| Row { logsumexp: logsumexp[i], at_target: here[i].map_or(0.0, |_| at_target[i]), sum: sums[i] })
        .collect();
    let all = group.gather(bytemuck::cast_slice(&rows).to_vec()).unwrap_or_default();
    let all: Vec<Vec<Row>> = all.iter().map(|rows| bytemuck::pod_collect_to_vec(rows)).collect();

    let (mut total, mut count, mut denominators) = (0.0_f64, 0.0_f32, Vec::with_capacity(n));
    for (i, &target) in targets.iter().enumerate() {
        let of_ranks = all.iter().map(|rows| rows[i]);
        let greatest = of_ranks.clone().map(|row| row.logsumexp).fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = of_ranks.clone().map(|row| f64::from(row.logsumexp - greatest).exp()).sum();
        let logsumexp = (f64::from(greatest) + sum.ln()) as f32;
        denominators.push(logsumexp);
        if target != ignore {
            let at_target: f32 = of_ranks.clone().map(|row| row.at_target).sum();
            let mean = of_ranks.map(|row| f64::from(row.sum)).sum::<f64>() / vocab_size as f64;
            let expected = (1.0 - label_smoothing) * f64::from(at_target) + label_smoothing * mean;
            total += f64::from(logsumexp) - expected;
            count += 1.0;
        }
    }
    let one = |x: f32| Tensor::<1>::from_data([x], &device);
    let sum = one(total as f32);
    let Some(tracked) = tracked else { return LossSum { sum, count: one(count) } };

    let column = |values: Vec<f32>| Tensor::<2>::from_data(TensorData::new(values, [n, 1]), &device);
    let denominators = column(denominators);
    let counts = column(targets.iter().map(|&target| f32::from(u8::from(target != ignore))).collect());
    let kept = (label_smoothing - 1.0) as f32;
    let at_target = column(here.iter().map(|column| column.map_or(0.0, |_| kept)).collect());
    let everywhere = label_smoothing / vocab_size as f64;
    let sum = ops::with_backward(tracked, sum, move |gradient: Tensor<1>| {
        let probabilities = (logits.clone() - denominators.clone()).exp();
        let probabilities = if everywhere > 0.0 { probabilities - everywhere } else { probabilities };
        let difference = probabilities.scatter(1, columns.clone(), at_target.clone(), IndexingUpdateOp::Add);
        difference * (counts.clone() * gradient.reshape([1, 1]))
    });
    LossSum { sum, count: Tensor::from_inner(one(count)) }
}
