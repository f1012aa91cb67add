//! Messages on their way.

use std::cell::OnceCell;

/// Messages that MPI reads until they are sent: a list that grows through a shared reference, so that a message neither moves
/// nor goes away while there is the list.
#[derive(Default)]
pub(crate) struct Outbox(OnceCell<Box<Node>>);

struct Node {
    message: Vec<u8>,
    rest: Outbox,
}

impl Outbox {
    /// Keeps a message. Returns it, and the end of the list, for the next one.
    ///
    /// # Panics
    /// If this is not the end of the list.
    pub(crate) fn keep(&self, message: Vec<u8>) -> (&[u8], &Self) {
        assert!(self.is_empty(), "a message is kept at the end of the list");
        let node = self.0.get_or_init(|| Box::new(Node { message, rest: Self::default() }));
        (&node.message, &node.rest)
    }

    /// Whether this is the end of the list.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.get().is_none()
    }
}

impl Drop for Outbox {
    /// Without recursion, as a list may be long.
    fn drop(&mut self) {
        let mut next = self.0.take();
        while let Some(mut node) = next {
            next = node.rest.0.take();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_stay_where_they_are() {
        let outbox = Outbox::default();
        let (mut end, mut kept) = (&outbox, Vec::new());
        for n in 0..200_000_u32 {
            let (message, rest) = end.keep(n.to_le_bytes().to_vec());
            kept.push(message);
            end = rest;
        }
        assert!(!outbox.is_empty() && end.is_empty());
        assert!((0..).zip(kept).all(|(n, message): (u32, _)| message == n.to_le_bytes()));
        drop(outbox);
    }
}
