//! The allocator of a program that trains.

use libmimalloc_sys::{mi_option_set, mi_option_t};

/// An allocator that hands buffers of megabytes out again, where the system's maps and clears new memory for each: a third
/// of a training step. Meant for `#[global_allocator]`, with [`keep_freed_memory`].
pub use mimalloc::MiMalloc;

/// `mi_option_purge_delay`, which the bindings leave out: milliseconds until freed memory goes back to the system.
const PURGE_DELAY: mi_option_t = 15;

/// Keeps memory that is freed with the program until it ends; without it, [`MiMalloc`] gives memory back after a second, and
/// a training step clears it anew.
pub fn keep_freed_memory() {
    // SAFETY: It writes a number to mimalloc's table of options, and -1 is what means never.
    unsafe { mi_option_set(PURGE_DELAY, -1) }
}
