//! Dropout whose mask is drawn where it is used and never stored.

use super::random::philox4x32_10;
use super::{argument, empty, grid, is_maybe_usable, is_usable, maybe_argument, ordered};
use crate::{Dropout, MaybeTensor, reference};
use burn::backend::ops::IntTensorOps;
use burn::backend::{TensorData, TensorMetadata};
use burn_wgpu::{CubeTensor, Wgpu};
use burnformer_core::random::Draw;
use cubecl::prelude::*;

/// [`reference::dropout`] in one launch; only the planes' keys and the sample numbers are uploaded.
pub(crate) fn dropout(x: CubeTensor, residual: MaybeTensor<Wgpu>, options: Dropout) -> CubeTensor {
    let shape = x.shape();
    let dims: &[usize] = &shape;
    let [planes, rows, columns] = match dims {
        [_, columns] => [1, 1, *columns],
        [_, planes @ .., rows, columns] => [planes.iter().product(), *rows, *columns],
        _ => [0; 3],
    };
    let samples = options.draw.samples();
    let fits = planes > 0 && dims[0] == samples.len() && (0.0..1.0).contains(&options.probability);
    // The kernel's columns begin with the first.
    let fits = fits && options.draw.first_quad() == 0;
    // The definition says what is wrong with arguments that do not fit.
    if !fits || !is_usable(&x) || !is_maybe_usable(&residual) {
        return reference::dropout::<Wgpu>(x, residual, options);
    }

    let keys = (0..planes).flat_map(|plane| options.draw.key(plane));
    let samples = samples.iter().flat_map(|&sample| [sample as u32, (sample >> 32) as u32]);
    let words: Vec<u32> = keys.chain(samples).collect();
    let n_words = words.len();
    let words = Wgpu::int_from_data(TensorData::new(words, [n_words]), &x.device);

    let x = ordered(x);
    let out = empty(&x, shape.clone());
    let n_quads = shape.num_elements() / columns * columns.div_ceil(4);
    let (cube_count, cube_dim) = grid(&x, n_quads);
    dropout_kernel::launch(
        &x.client,
        cube_count,
        cube_dim,
        if columns.is_multiple_of(4) { 4 } else { 1 },
        argument(&x),
        maybe_argument(residual).into(),
        argument(&words),
        argument(&out),
        n_quads,
        planes,
        rows,
        columns,
        Draw::threshold(options.probability),
        (1.0 / (1.0 - options.probability)) as f32,
    );
    out
}

/// A unit draws the numbers of one quad of columns and applies them, to vectors where rows consist of whole quads.
///
/// `words` holds the keys of all planes, then the sample numbers, each as its low and its high half.
#[cube(launch)]
fn dropout_kernel<N: Size>(
    x: &[Vector<f32, N>],
    residual: ComptimeOption<&[Vector<f32, N>]>,
    words: &[u32],
    out: &mut [Vector<f32, N>],
    n_quads: usize,
    planes: usize,
    rows: usize,
    columns: usize,
    threshold: u32,
    kept: f32,
) {
    if ABSOLUTE_POS >= n_quads {
        terminate!();
    }
    let quads = columns.div_ceil(4);
    let quad = ABSOLUTE_POS % quads;
    let line = ABSOLUTE_POS / quads; // of (sample, plane, row)
    let row = line % rows;
    let key = line / rows % planes * 2;
    let sample = (planes + line / rows / planes) * 2;
    let counter = (quad as u32, row as u32, words[sample], words[sample + 1]);
    let numbers = philox4x32_10(counter, (words[key], words[key + 1]));

    let width = N::value().comptime();
    #[unroll]
    for part in 0..4 / width {
        let column = quad * 4 + part * width;
        if column < columns {
            let mut multipliers = Vector::<f32, N>::empty();
            #[unroll]
            for lane in 0..width {
                let number = numbers.extract(comptime!(part * width + lane));
                multipliers.insert(lane, select(number < threshold, 0.0, kept));
            }
            let at = (line * columns + column) / width;
            let dropped = x[at] * multipliers;
            #[comptime]
            match residual {
                ComptimeOption::Some(residual) => out[at] = residual[at] + dropped,
                ComptimeOption::None => out[at] = dropped,
            }
        }
    }
}
