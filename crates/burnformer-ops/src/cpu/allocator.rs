//! The allocator of a program that trains: mimalloc, and blocks of its own for buffers.
//!
//! The system's allocator maps and clears new memory for each buffer of megabytes: a third of a training step. mimalloc hands
//! them out again, but not across borders of 32 MiB, and leaves holes of up to half of what is in use.

use super::blocks::Blocks;
use libmimalloc_sys::{mi_option_set, mi_option_t};
use memmap2::{MmapMut, MmapOptions};
use mimalloc::MiMalloc;
use std::alloc::{GlobalAlloc, Layout};
use std::ptr::null_mut;
use std::sync::{Mutex, PoisonError};

/// `mi_option_purge_delay`, which the bindings leave out: milliseconds until freed memory goes back to the system.
const PURGE_DELAY: mi_option_t = 15;

/// Bytes of a buffer, which gets a block; anything smaller is mimalloc's.
const BUFFER: usize = 1 << 18;

/// Blocks are whole pages.
const PAGE: usize = 1 << 12;

/// Address space that is reserved at a time. Memory is taken only of the pages that are used.
const RESERVED: usize = 1 << 30;

static BLOCKS: Mutex<Blocks> = Mutex::new(Blocks::new());

/// An allocator that keeps freed memory and hands it out again, with few holes. Meant for `#[global_allocator]`, with
/// [`keep_freed_memory`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Allocator;

/// Keeps memory that is freed with the program until it ends; without it, mimalloc gives memory back after a second, and a
/// training step clears it anew.
pub fn keep_freed_memory() {
    // SAFETY: It writes a number to mimalloc's table of options, and -1 is what means never.
    unsafe { mi_option_set(PURGE_DELAY, -1) }
}

/// Bytes of the block for this layout; `None` where mimalloc has it. A block is found again by this alone.
fn block_size(layout: Layout) -> Option<usize> {
    let fits = layout.size() >= BUFFER && layout.align() <= PAGE;
    fits.then(|| layout.size().next_multiple_of(PAGE))
}

fn with_blocks<R>(work: impl FnOnce(&mut Blocks) -> R) -> R {
    work(&mut BLOCKS.lock().unwrap_or_else(PoisonError::into_inner))
}

/// A block of so many bytes, and whether its bytes are zero; `None` where the system has no more address space.
fn take(size: usize) -> Option<(*mut u8, bool)> {
    with_blocks(|blocks| {
        if let Some(found) = blocks.take(size) {
            return Some(found);
        }
        // A limit of the address space may leave less than is usually reserved.
        [size.max(RESERVED), size].into_iter().find_map(|len| {
            let map: MmapMut = MmapOptions::new().len(len).no_reserve_swap().map_anon().ok()?;
            // Larger pages where the system has some; without them it only takes longer.
            #[cfg(target_os = "linux")]
            let _ = map.advise(memmap2::Advice::HugePage);
            // It is never unmapped: what is freed is handed out again.
            let map = Box::leak(Box::new(map));
            blocks.add(map.as_mut_ptr(), len);
            blocks.take(size)
        })
    })
    .map(|(start, is_zero)| (start.cast_mut(), is_zero))
}

// SAFETY: Blocks are parts of maps of this module, which are never unmapped; `Blocks` hands out no byte twice before it is
// given back, as its tests show, and every block begins at a page. What is no block goes to mimalloc and comes back from
// there: which of both it is, is a function of the layout, which is the same in every call on one allocation.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match block_size(layout) {
            Some(size) => take(size).map_or(null_mut(), |(start, _)| start),
            // SAFETY: The caller's layout.
            None => unsafe { MiMalloc.alloc(layout) },
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let Some(size) = block_size(layout) else {
            // SAFETY: The caller's layout.
            return unsafe { MiMalloc.alloc_zeroed(layout) };
        };
        let Some((start, is_zero)) = take(size) else { return null_mut() };
        if !is_zero {
            // SAFETY: The block has `size` bytes, at least those of the layout, and is nobody else's.
            unsafe { start.write_bytes(0, layout.size()) };
        }
        start
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        match block_size(layout) {
            Some(size) => with_blocks(|blocks| blocks.give_back(start, size)),
            // SAFETY: By its layout it is mimalloc's.
            None => unsafe { MiMalloc.dealloc(start, layout) },
        }
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: The caller promises that the new size, rounded up to the alignment, does not overflow.
        let new_layout = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        match (block_size(layout), block_size(new_layout)) {
            // SAFETY: Before and after it is mimalloc's.
            (None, None) => return unsafe { MiMalloc.realloc(start, layout, new_size) },
            (Some(old), Some(new)) if with_blocks(|blocks| blocks.resize(start, old, new)) => return start,
            _ => {}
        }
        // SAFETY: A new allocation, of which as many bytes are written as both have; then the old one is given back.
        unsafe {
            let new = self.alloc(new_layout);
            if !new.is_null() {
                new.copy_from_nonoverlapping(start, layout.size().min(new_size));
                self.dealloc(start, layout);
            }
            new
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fills allocations of many sizes with a number each, in an order without a pattern, and looks whether it stays.
    #[test]
    fn allocations_keep_what_is_written_to_them() {
        let sizes = [100, BUFFER - 1, BUFFER, BUFFER + 1, 3 * BUFFER, 1 << 22, (1 << 22) + 5000];
        let mut live: Vec<(*mut u8, Layout, u8)> = Vec::new();
        let mut state = 1_u64;
        let mut next = |n: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % n
        };
        for round in 0..400_u32 {
            let (number, size) = (round as u8, sizes[next(sizes.len())]);
            let layout = Layout::from_size_align(size, 16).unwrap();
            // SAFETY: Every allocation is used within its layout, and freed once with it.
            unsafe {
                let whole = |start: *mut u8, layout: Layout| std::slice::from_raw_parts_mut(start, layout.size());
                match next(4) {
                    0 => {
                        let start = Allocator.alloc_zeroed(layout);
                        assert!(whole(start, layout).iter().all(|&byte| byte == 0), "round {round}");
                        whole(start, layout).fill(number);
                        live.push((start, layout, number));
                    }
                    1 => {
                        let start = Allocator.alloc(layout);
                        whole(start, layout).fill(number);
                        live.push((start, layout, number));
                    }
                    2 if !live.is_empty() => {
                        let (start, old, number) = live.swap_remove(next(live.len()));
                        let start = Allocator.realloc(start, old, size);
                        let kept = old.size().min(size);
                        assert!(whole(start, layout)[..kept].iter().all(|&byte| byte == number), "round {round}");
                        whole(start, layout).fill(number);
                        live.push((start, layout, number));
                    }
                    _ if !live.is_empty() => {
                        let (start, layout, number) = live.swap_remove(next(live.len()));
                        assert!(whole(start, layout).iter().all(|&byte| byte == number), "round {round}");
                        Allocator.dealloc(start, layout);
                    }
                    _ => {}
                }
            }
        }
        for (start, layout, _) in live {
            // SAFETY: As above.
            unsafe { Allocator.dealloc(start, layout) };
        }
    }
}
