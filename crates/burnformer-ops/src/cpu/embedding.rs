//! Rows of a table, and the gradient of the table.

use super::for_overwrite;
use super::parallel::{self, BLOCK_ROWS};

/// Row `ids[i]` of `weight` `[vocab_size, d]` for every `i`.
///
/// # Panics
/// If an id is outside the table.
pub(crate) fn forward(weight: &[f32], d: usize, ids: &[i64]) -> Vec<f32> {
    let vocab_size = weight.len() / d.max(1);
    let mut out = for_overwrite(ids.len() * d);
    if out.is_empty() {
        return out;
    }
    let tasks: Vec<_> = out.chunks_mut(BLOCK_ROWS * d).zip(ids.chunks(BLOCK_ROWS)).collect();
    parallel::map(tasks, ids.len() * d, |_, (out, ids): (&mut [f32], &[i64])| {
        for (out, &id) in out.chunks_exact_mut(d).zip(ids) {
            let id = checked(id, vocab_size);
            out.copy_from_slice(&weight[id * d..(id + 1) * d]);
        }
    });
    out
}

/// `[vocab_size, d]`: for every row of the table the sum of `dy` at the places that took it, in their order.
pub(crate) fn backward(dy: &[f32], vocab_size: usize, d: usize, ids: &[i64]) -> Vec<f32> {
    // The places of every id in a row of their own: a counting sort, which keeps their order.
    let mut ends = vec![0_usize; vocab_size + 1];
    for &id in ids {
        ends[checked(id, vocab_size) + 1] += 1;
    }
    for id in 0..vocab_size {
        ends[id + 1] += ends[id];
    }
    let starts = ends.clone();
    let mut places = vec![0_usize; ids.len()];
    for (place, &id) in ids.iter().enumerate() {
        let slot = &mut ends[id as usize];
        places[*slot] = place;
        *slot += 1;
    }
    let mut gradient = for_overwrite(vocab_size * d);
    if gradient.is_empty() {
        return gradient;
    }
    let tasks: Vec<_> = gradient.chunks_mut(BLOCK_ROWS * d).collect();
    parallel::map(tasks, vocab_size * d, |block, gradient: &mut [f32]| {
        for (id, sum) in (block * BLOCK_ROWS..).zip(gradient.chunks_exact_mut(d)) {
            sum.fill(0.0);
            for &place in &places[starts[id]..starts[id + 1]] {
                for (sum, x) in sum.iter_mut().zip(&dy[place * d..(place + 1) * d]) {
                    *sum += x;
                }
            }
        }
    });
    gradient
}

fn checked(id: i64, vocab_size: usize) -> usize {
    let index = usize::try_from(id).ok().filter(|&id| id < vocab_size);
    index.unwrap_or_else(|| panic!("embedding: id {id} is outside a table of {vocab_size} rows"))
}
