//! Sums in an order that depends on the numbers of their terms alone: whoever adds them has the same bits.

use std::ops::Range;

/// A sum of numbered terms, the leaves of a balanced binary tree: `((0 + 1) + (2 + 3)) + ((4 + 5) + 6)`. What a subtree has no
/// leaf for is left out.
///
/// Terms come in the order of their numbers. One process adds all of them; several add those of a range each, and one of them
/// adds the [nodes](Self::into_nodes) of all. Of `n` terms at most `log2(n) + 1` sums are kept, of a range twice as many.
#[derive(Debug)]
pub(crate) struct TreeSum<V> {
    add: fn(&mut V, V),
    /// Nodes that still lack their siblings, in the order of their leaves.
    nodes: Vec<Node<V>>,
}

/// The sum of the leaves from `index * 2^level` up to the next node of its level.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Node<V> {
    pub(crate) level: u32,
    pub(crate) index: usize,
    pub(crate) value: V,
}

impl<V> TreeSum<V> {
    /// A sum without terms; `add` adds the right one of two nodes to the left one.
    pub(crate) fn new(add: fn(&mut V, V)) -> Self {
        Self { add, nodes: Vec::new() }
    }

    /// Adds the term with this number.
    pub(crate) fn push(&mut self, number: usize, value: V) {
        self.push_node(Node { level: 0, index: number, value });
    }

    /// Adds the terms of a node that follows those before.
    pub(crate) fn push_node(&mut self, mut node: Node<V>) {
        while let Some(mut left) = self.nodes.pop_if(|left| is_sibling(left, &node)) {
            (self.add)(&mut left.value, node.value);
            node = Node { level: node.level + 1, index: node.index / 2, value: left.value };
        }
        self.nodes.push(node);
    }

    /// The sums so far, each of a whole subtree, in the order of their leaves.
    pub(crate) fn into_nodes(self) -> Vec<Node<V>> {
        self.nodes
    }

    /// The sum of all terms, if there are any.
    pub(crate) fn finish(mut self) -> Option<V> {
        let mut sum = self.nodes.pop()?.value;
        // A node without a sibling on its right is the subtree above it.
        while let Some(mut left) = self.nodes.pop() {
            (self.add)(&mut left.value, sum);
            sum = left.value;
        }
        Some(sum)
    }
}

/// The most sums that wait while a process makes the next term of those with the numbers of `range`, and the sums that it has in
/// the end.
pub(crate) fn n_kept(range: Range<usize>) -> (usize, usize) {
    let (mut sum, mut most) = (TreeSum::new(|(), ()| ()), 0);
    for number in range {
        most = most.max(sum.nodes.len());
        sum.push(number, ());
    }
    (most, sum.nodes.len())
}

/// `true` if `right` is the node beside `left` under one parent.
fn is_sibling<V>(left: &Node<V>, right: &Node<V>) -> bool {
    left.level == right.level && right.index % 2 == 1 && left.index + 1 == right.index
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sum that says how it was made.
    fn sum() -> TreeSum<String> {
        TreeSum::new(|left, right| *left = format!("({left}+{right})"))
    }

    #[test]
    fn terms_are_added_in_a_balanced_tree() {
        let of = |n: usize| {
            let mut sum = sum();
            (0..n).for_each(|number| sum.push(number, number.to_string()));
            sum.finish()
        };
        assert_eq!(of(0), None);
        for (n, expected) in
            [(1, "0"), (2, "(0+1)"), (3, "((0+1)+2)"), (5, "(((0+1)+(2+3))+4)"), (7, "(((0+1)+(2+3))+((4+5)+6))")]
        {
            assert_eq!(of(n).as_deref(), Some(expected));
        }
    }

    #[test]
    fn ranges_add_up_to_the_same_tree() {
        for n in 1..=20 {
            let mut whole = sum();
            (0..n).for_each(|number| whole.push(number, number.to_string()));
            let whole = whole.finish();
            for size in 1..=6 {
                let mut joined = sum();
                for rank in 0..size {
                    let mut own = sum();
                    (n * rank / size..n * (rank + 1) / size).for_each(|number| own.push(number, number.to_string()));
                    own.into_nodes().into_iter().for_each(|node| joined.push_node(node));
                }
                assert_eq!(joined.finish(), whole, "{n} terms, {size} ranks");
            }
        }
    }

    #[test]
    fn few_sums_are_kept() {
        let found = [0..1, 0..2, 0..3, 0..4, 0..8, 8..12, 3..5, 1..8, 0..1000].map(n_kept);
        assert_eq!(found, [(0, 1), (1, 1), (1, 2), (2, 1), (3, 1), (2, 1), (1, 2), (4, 3), (9, 6)]);
    }
}
