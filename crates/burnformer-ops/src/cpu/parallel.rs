//! Work in blocks on several threads.

use rayon::prelude::*;

/// Below this many elements a second thread costs more than it saves.
const WORTH_A_THREAD: usize = 1 << 15;

/// Rows that one task handles. Fixed, so that the order of every sum is.
pub(super) const BLOCK_ROWS: usize = 64;

/// `run(index, task)` of every task, in their order; `elements` is the size of all of them together.
pub(super) fn map<T: Send, R: Send>(tasks: Vec<T>, elements: usize, run: impl Fn(usize, T) -> R + Sync) -> Vec<R> {
    if elements < WORTH_A_THREAD || tasks.len() < 2 {
        return tasks.into_iter().enumerate().map(|(index, task)| run(index, task)).collect();
    }
    tasks.into_par_iter().enumerate().map(|(index, task)| run(index, task)).collect()
}

/// `onto += x`
pub(super) fn add(onto: &mut [f32], x: &[f32]) {
    let len = onto.len();
    map(
        onto.chunks_mut(WORTH_A_THREAD).zip(x.chunks(WORTH_A_THREAD)).collect(),
        len,
        |_, (onto, x): (&mut [f32], &[f32])| {
            for (sum, x) in onto.iter_mut().zip(x) {
                *sum += x;
            }
        },
    );
}

/// The sum of vectors that are equally long, added in their order.
pub(super) fn sum_of(partial: Vec<Vec<f32>>, len: usize) -> Vec<f32> {
    let mut partial = partial.into_iter();
    let Some(mut total) = partial.next() else { return vec![0.0; len] };
    for other in partial {
        add(&mut total, &other);
    }
    total
}
