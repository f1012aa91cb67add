//! Memory for packed panels, in lines of a cache. Each thread keeps what it used, unless it is large: fresh pages would cost more
//! than packing.

use std::{
    cell::RefCell,
    ops::{Deref, DerefMut},
};

/// 64 bytes at an address that is a multiple of 64: a line of a cache, and a register of AVX-512.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(in crate::cpu) struct Line([u32; Line::WORDS]);

impl Line {
    /// Words of 32 bits in a line.
    pub(in crate::cpu) const WORDS: usize = 16;

    pub(super) const ZERO: Self = Self([0; Self::WORDS]);
}

/// The words of lines as `f32`.
pub(super) fn floats(lines: &[Line]) -> &[f32] {
    // SAFETY: A line is 16 words without padding, at a stricter alignment, and any bits are an `f32`.
    unsafe { std::slice::from_raw_parts(lines.as_ptr().cast(), lines.len() * Line::WORDS) }
}

/// [`floats`] to write.
pub(in crate::cpu) fn floats_mut(lines: &mut [Line]) -> &mut [f32] {
    // SAFETY: As in `floats`, and any `f32` is a word.
    unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), lines.len() * Line::WORDS) }
}

/// Lines of a caller that writes them before it reads any.
pub(in crate::cpu) fn lines_for_overwrite(length: usize) -> Vec<Line> {
    let mut lines = Vec::with_capacity(length);
    // SAFETY: The capacity is there, any bits are a line, and packing writes all that a kernel reads; the tests of the kernels run on
    // NaN instead.
    #[allow(clippy::uninit_vec)]
    unsafe {
        lines.set_len(length);
    }
    if cfg!(test) {
        floats_mut(&mut lines).fill(f32::NAN);
    }
    lines
}

/// A thread gives back larger buffers: 16 MiB.
const KEPT_LINES: usize = 1 << 18;

thread_local! {
    /// Buffers that are not in use, the last one given back on top.
    static BUFFERS: RefCell<Vec<Vec<Line>>> = const { RefCell::new(Vec::new()) };
}

/// Lines with anything in them, given back to the thread by [`Drop`].
///
/// A thread that waits for its tasks may start another product in between, hence several buffers for each.
pub(in crate::cpu) struct Buffer {
    memory: Vec<Line>,
    length: usize,
}

impl Buffer {
    pub(in crate::cpu) fn take(length: usize) -> Self {
        let mut memory = BUFFERS.with_borrow_mut(Vec::pop).unwrap_or_default();
        if memory.len() < length {
            // What is in there need not be kept.
            memory.clear();
            memory.resize(length, Line::ZERO);
        }
        Self { memory, length }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let memory = std::mem::take(&mut self.memory);
        if memory.len() > KEPT_LINES {
            return;
        }
        BUFFERS.with_borrow_mut(|buffers| buffers.push(memory));
    }
}

impl Deref for Buffer {
    type Target = [Line];

    fn deref(&self) -> &[Line] {
        &self.memory[..self.length]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [Line] {
        &mut self.memory[..self.length]
    }
}
