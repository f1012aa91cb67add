//! Confidence intervals of the scores that follow from a confusion matrix.

use std::collections::{BTreeSet, HashMap};

use burnformer_core::random::{Key, Purpose, Stream};
use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::ConfusionMatrix;
use super::class_scores::{Margins, f1, ratio};
use super::confusion::mcc;
use super::intervals::{BootstrapInterval, RESAMPLES};

/// Largest number of examples in a resample.
const MAX_DRAWS: u64 = 100_000;

/// 95 % confidence intervals of scores of one confusion matrix, by the bootstrap over examples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConfusionIntervals {
    /// Of the accuracy.
    pub accuracy: BootstrapInterval,
    /// Of the macro-F1.
    pub macro_f1: BootstrapInterval,
    /// Of the Matthews correlation coefficient.
    pub mcc: BootstrapInterval,
}

impl ConfusionMatrix {
    /// Confidence intervals from 1,000 test sets drawn from this one with replacement (the bootstrap of Efron 1979, by
    /// percentiles), the same for the same `seed`; `None` without examples.
    ///
    /// Of more than 100,000 examples, 100,000 are drawn, and the intervals are scaled with `1 / √n`.
    #[must_use]
    pub fn intervals(&self, seed: u64) -> Option<ConfusionIntervals> {
        let n_classes = self.n_classes as f64;
        let scores = self.resamples(seed, |margins: &[Margins]| {
            let (found, all) = margins.iter().fold((0, 0), |(found, all), [f, n, _]| (found + f, all + n));
            let macro_f1 = margins.iter().copied().map(f1).sum::<f64>() / n_classes;
            [ratio(found, all), macro_f1, mcc(margins)]
        });
        let total = self.total();
        let interval = |score: f64, place: usize| {
            let resamples = scores.iter().map(|scores| scores[place]).collect();
            BootstrapInterval::of(score, resamples, total.min(MAX_DRAWS), total)
        };
        Some(ConfusionIntervals {
            accuracy: interval(self.accuracy(), 0)?,
            macro_f1: interval(self.macro_f1(), 1)?,
            mcc: interval(self.mcc(), 2)?,
        })
    }

    /// Standard deviation of the macro-F1 over the resamples of [`Self::intervals`]; 0 without examples.
    #[must_use]
    pub fn macro_f1_standard_error(&self, seed: u64) -> f64 {
        self.intervals(seed).map_or(0.0, |intervals| intervals.macro_f1.standard_error)
    }

    /// `score` of each resample, from the margins of the classes that occur; all others have zeros in every resample.
    /// Nothing without examples.
    fn resamples<T: Send>(&self, seed: u64, score: impl Fn(&[Margins]) -> T + Sync) -> Vec<T> {
        let total = self.total();
        if total == 0 {
            return Vec::new();
        }
        let occurring: BTreeSet<usize> = self.cells.keys().flat_map(|&(truth, predicted)| [truth, predicted]).collect();
        let places: HashMap<usize, usize> = occurring.into_iter().zip(0..).collect();
        // Where each cell's examples end when all are laid in a row.
        let ends: Vec<(u64, (usize, usize))> = self
            .cells()
            .scan(0, |end, (truth, predicted, count)| {
                *end += count;
                Some((*end, (places[&truth], places[&predicted])))
            })
            .collect();

        // Of so few examples each knows its cell; of more it is searched.
        let n_known = if total <= MAX_DRAWS { ends.len() } else { 0 };
        let known = self.cells.values().take(n_known).zip(0..);
        let known: Vec<u32> = known.flat_map(|(&count, cell)| std::iter::repeat_n(cell, count as usize)).collect();
        let cell_of = |example: u64| match known.get(example as usize) {
            Some(&cell) => ends[cell as usize].1,
            None => ends[ends.partition_point(|&(end, _)| end <= example)].1,
        };

        let key = Key::new(seed, Purpose::Order, "bootstrap");
        let draws = total.min(MAX_DRAWS);
        let of_resample = |margins: &mut Vec<Margins>, resample: u64| {
            let mut stream = Stream::new(key, resample);
            margins.fill([0; 3]);
            for _ in 0..draws {
                let (truth, predicted) = cell_of(stream.below(total));
                margins[truth][0] += u64::from(truth == predicted);
                margins[truth][1] += 1;
                margins[predicted][2] += 1;
            }
            score(margins)
        };
        (0..RESAMPLES).into_par_iter().map_init(|| vec![[0; 3]; places.len()], of_resample).collect()
    }
}
