//! An order of samples in which each class comes equally often.

use burnformer_core::random::{Key, Permutation, Purpose};

use super::ClassificationSample;

/// Samples by class. Sample `number` is a function of number and seed, as in any order: no random state is kept.
#[derive(Clone, Debug)]
pub(super) struct Balanced {
    /// Indices of the samples of each class that has any.
    classes: Vec<Vec<u32>>,
    order_of_classes: Key,
    order_within: Key,
}

impl Balanced {
    pub(super) fn new(samples: &[ClassificationSample], seed: u64) -> Self {
        let n_classes = samples.iter().map(|sample| sample.label as usize + 1).max().unwrap_or(0);
        let mut classes = vec![Vec::new(); n_classes];
        samples.iter().zip(0..).for_each(|(sample, index)| classes[sample.label as usize].push(index));
        classes.retain(|samples| !samples.is_empty());
        let key = |place| Key::new(seed, Purpose::Order, place);
        Self { classes, order_of_classes: key("classes in turn"), order_within: key("samples of a class in turn") }
    }

    /// Index of sample `number`. Each turn has every class once, in a new order, and a class goes through its samples, in a new
    /// order each time.
    pub(super) fn at(&self, number: u64) -> usize {
        let n_classes = self.classes.len() as u64;
        let turn = number / n_classes;
        let class = Permutation::new(self.order_of_classes, turn, n_classes).at(number % n_classes) as usize;
        let samples = &self.classes[class];
        let n_samples = samples.len() as u64;
        // A counter of its own for each class and each time.
        let time = (turn / n_samples).wrapping_mul(n_classes).wrapping_add(class as u64);
        samples[Permutation::new(self.order_within, time, n_samples).at(turn % n_samples) as usize] as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_comes_equally_often_and_each_of_its_samples_in_turn() {
        // No sample has class 1.
        let labels = [0, 0, 0, 0, 0, 0, 2, 2, 3];
        let samples: Vec<ClassificationSample> =
            labels.iter().map(|&label| ClassificationSample { ids: vec![], first_length: 0, label }).collect();
        let balanced = Balanced::new(&samples, 7);
        let drawn: Vec<usize> = (0..3 * 12).map(|number| balanced.at(number)).collect();
        for turn in drawn.chunks(3) {
            let mut classes: Vec<u32> = turn.iter().map(|&index| labels[index]).collect();
            classes.sort_unstable();
            assert_eq!(classes, [0, 2, 3]);
        }
        let times = |index| drawn.iter().filter(|&&it| it == index).count();
        assert_eq!((0..9).map(times).collect::<Vec<_>>(), [2, 2, 2, 2, 2, 2, 6, 6, 12]);
        // Turns differ, and so do the rounds through a class.
        assert!(drawn.chunks(3).any(|turn| labels[turn[0]] != labels[drawn[0]]));
        let of_first = drawn.iter().filter(|&&index| index < 6).copied().collect::<Vec<_>>();
        assert_ne!(of_first[..6], of_first[6..]);
        assert_ne!(drawn, (0..36).map(|number| Balanced::new(&samples, 8).at(number)).collect::<Vec<_>>());
    }
}
