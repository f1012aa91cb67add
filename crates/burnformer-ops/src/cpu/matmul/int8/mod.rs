//! Products of activations and weights that are both rounded to 8-bit integers.
//!
//! Weights are rounded once, with one scale per output channel; activations at each product, with one scale per row (dynamic
//! quantisation: Dettmers et al. 2022, `LLM.int8()`, section 2.1; both symmetric, in [-127, 127]). Their products are summed in
//! 32-bit integers without rounding, so the results have the same bits on every processor, with every kernel and any number of
//! threads, and a row does not depend on the others.
//!
//! What the kernels multiply are unsigned bytes, activations plus 128, with signed ones, since that is what `vpdpbusd` does;
//! the surplus is subtracted beforehand, as [`Weights::corrections`].

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512_vnni;
#[cfg(target_arch = "x86_64")]
mod avx_vnni;
mod portable;
mod quantize;
mod rows;
#[cfg(test)]
mod tests;
mod tile;
mod weights;

pub use self::quantize::round_to_int8;
pub(crate) use self::rows::Rows;
pub(crate) use self::weights::Weights;

use rayon::prelude::*;

use self::tile::Tile;
use super::ViewMut;
use super::target::Target;
use crate::cpu::processor::{Int8Kernel, Processor};

/// Products of fewer multiplications are over before other threads have woken up.
const PARALLEL_MULTIPLICATIONS: usize = 1 << 22;

/// Tiles of rows in a task, at most.
const BLOCK: usize = 8;

/// Bytes of weights that meet one tile of rows after the other, a quarter of a second-level cache: so rows of the output are
/// written from end to end.
const GROUP: usize = 1 << 18;

/// Tasks per thread, so that a thread that was held up does not hold up the others for long.
const TASKS_PER_THREAD: usize = 4;

/// `out = rows weightsᵀ + bias` on the threads of the current rayon pool.
///
/// # Shapes
/// - out: `[n, d_out]`, with rows whose elements are neighbours
/// - rows: `[n, d_in]`; weights: `[d_out, d_in]`
/// - bias: `[d_out]`, added to every row
///
/// # Panics
/// If the shapes do not fit.
pub(crate) fn product(out: ViewMut, rows: &Rows, weights: &Weights, bias: Option<&[f32]>) {
    product_by(Processor::this().int8, out, rows, weights, bias);
}

/// [`product`] by a kernel that the processor supports.
fn product_by(kernel: Int8Kernel, mut out: ViewMut, rows: &Rows, weights: &Weights, bias: Option<&[f32]>) {
    let (n, d_out) = (rows.len(), weights.d_out());
    assert!(
        [out.rows(), out.columns(), rows.d_in()] == [n, d_out, weights.d_in()],
        "[{n}, {}] x [{}, {d_out}] does not give [{}, {}]",
        rows.d_in(),
        weights.d_in(),
        out.rows(),
        out.columns()
    );
    assert!(out.column_stride() == 1 || d_out <= 1, "elements of a row of the product have to be neighbours");
    assert!(bias.is_none_or(|bias| bias.len() == d_out), "a bias has to be as long as a row of the product");
    assert!(kernel.is_supported(), "this processor lacks the instructions of `{kernel:?}`");
    let target = Target::new(&mut out);
    let tiles = n.div_ceil(tile::rows(kernel));
    // Tiles of about the same height: one row by itself would take as long as several.
    let first_row = |tile: usize| n * tile / tiles;
    let (blocks, panels) = (tiles.div_ceil(BLOCK), weights.panels());
    let group = (GROUP / weights.panel_len().max(1)).max(1);
    let is_worth = n.saturating_mul(weights.d_in()).saturating_mul(d_out) >= PARALLEL_MULTIPLICATIONS;
    let threads = if is_worth { rayon::current_num_threads() } else { 1 };
    // With few blocks of rows the panels are divided too.
    let parts = if threads > 1 { (threads * TASKS_PER_THREAD).div_ceil(blocks).min(panels) } else { 1 };
    let task = |task: usize| {
        let (block, part) = (task / parts, task % parts);
        let (first, end) = (panels * part / parts, panels * (part + 1) / parts);
        #[cfg(target_arch = "x86_64")]
        let mut unit = (kernel == Int8Kernel::Amx).then(amx::Task::begin);
        for first in (first..end).step_by(group) {
            for tile in block * BLOCK..tiles.min((block + 1) * BLOCK) {
                for panel in first..end.min(first + group) {
                    let tile = Tile::new(rows, first_row(tile)..first_row(tile + 1), weights, panel, bias, target);
                    // SAFETY: The processor has the instructions, see above. The tile is inside of the output, whose shape is
                    // checked, and no two tasks share a tile.
                    unsafe {
                        #[cfg(target_arch = "x86_64")]
                        if let Some(unit) = &mut unit {
                            amx::multiply(&tile, unit);
                            continue;
                        }
                        multiply(kernel, &tile);
                    }
                }
            }
        }
    };
    if threads > 1 {
        (0..blocks * parts).into_par_iter().with_max_len(1).for_each(task);
    } else {
        (0..blocks).for_each(task);
    }
}

/// # Safety
/// The processor supports `kernel`; nobody else reads or writes the elements of the tile.
unsafe fn multiply(kernel: Int8Kernel, tile: &Tile) {
    // SAFETY: By the caller.
    unsafe {
        match kernel {
            #[cfg(target_arch = "x86_64")]
            Int8Kernel::Avx512Vnni => avx512_vnni::multiply(tile),
            #[cfg(target_arch = "x86_64")]
            Int8Kernel::AvxVnni => avx_vnni::multiply(tile),
            #[cfg(target_arch = "x86_64")]
            Int8Kernel::Avx2 => avx2::multiply(tile),
            _ => portable::multiply(tile),
        }
    }
}
