//! Memory for packed panels, kept by each thread: fresh pages would cost more than packing.

use std::{
    cell::RefCell,
    ops::{Deref, DerefMut},
};

use super::lines::{Line, ZERO};

thread_local! {
    /// Buffers that are not in use, the last one given back on top.
    static BUFFERS: RefCell<Vec<Vec<Line>>> = const { RefCell::new(Vec::new()) };
}

/// Lines with anything in them, given back to the thread by [`Drop`].
///
/// A thread that waits for its tasks may start another product in between, hence several buffers for each.
pub(super) struct Buffer {
    memory: Vec<Line>,
    length: usize,
}

impl Buffer {
    pub(super) fn take(length: usize) -> Self {
        let mut memory = BUFFERS.with_borrow_mut(Vec::pop).unwrap_or_default();
        if memory.len() < length {
            // What is in there need not be kept.
            memory.clear();
            memory.resize(length, ZERO);
        }
        Self { memory, length }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let memory = std::mem::take(&mut self.memory);
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
