//! The sum of squares of a whole tensor.

use super::{argument, empty, is_usable, ordered};
use crate::reference;
use burn::backend::{Shape, TensorMetadata};
use burn_wgpu::{CubeTensor, Wgpu};
use cubecl::prelude::*;

/// Units of a cube: what every device that runs WebGPU has.
const UNITS: usize = 256;
/// Elements that a unit adds before it is worth starting another.
const ELEMENTS_PER_UNIT: usize = 16;

/// [`reference::sum_of_squares`] in one launch, or two for more than 4096 elements, in an order that depends on their
/// number alone.
pub(crate) fn sum_of_squares(x: CubeTensor) -> CubeTensor {
    if !is_usable(&x) {
        return reference::sum_of_squares::<Wgpu>(x);
    }
    let n = x.shape().num_elements();
    let n_cubes = n.div_ceil(UNITS * ELEMENTS_PER_UNIT).min(UNITS);
    let sums = sum(ordered(x), n, n_cubes, true);
    if n_cubes == 1 { sums } else { sum(sums, n_cubes, 1, false) }
}

fn sum(x: CubeTensor, n: usize, n_cubes: usize, of_squares: bool) -> CubeTensor {
    let sums = empty(&x, Shape::new([n_cubes]));
    let (cube_count, cube_dim) = (CubeCount::new_1d(n_cubes as u32), CubeDim::new_1d(UNITS as u32));
    sum_kernel::launch(&x.client, cube_count, cube_dim, argument(&x), argument(&sums), n, of_squares);
    sums
}

/// Every cube adds up its share of the first `n` elements.
#[cube(launch)]
fn sum_kernel(x: &[f32], sums: &mut [f32], n: usize, #[comptime] of_squares: bool) {
    let mut sum = 0.0f32;
    for at in range_stepped(ABSOLUTE_POS, n, CUBE_COUNT * UNITS) {
        let element = x[at];
        if of_squares {
            sum += element * element;
        } else {
            sum += element;
        }
    }

    let mut sums_of_units = Shared::<[f32]>::new_slice(UNITS);
    let unit = UNIT_POS as usize;
    sums_of_units[unit] = sum;
    sync_cube();
    #[unroll]
    for level in 1..UNITS.ilog2() + 1 {
        let half = comptime!(UNITS >> level);
        if unit < half {
            let other = sums_of_units[unit + half];
            sums_of_units[unit] += other;
        }
        sync_cube();
    }
    if unit == 0 {
        sums[CUBE_POS] = sums_of_units[0];
    }
}
