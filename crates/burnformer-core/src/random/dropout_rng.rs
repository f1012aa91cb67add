//! Permission to draw dropout masks: the dropout sites of a forward pass.

use super::{Key, Purpose, philox4x32_10};
use std::sync::Arc;

/// Permission to draw dropout masks at one place of a model, for the samples of one batch; off in evaluation.
///
/// Not `Clone`: passing it on consumes it, so two places cannot use the same random numbers. A layer splits it among its
/// dropout sites, in a fixed order:
///
/// ```
/// use burnformer_core::random::DropoutRng;
///
/// // Two sequences of a batch, which are samples 8 and 9 of the training run.
/// let rng = DropoutRng::training(42, [8, 9]);
/// let [after_attention, feed_forward] = rng.split();
/// assert!(after_attention.into_draw().is_some());
/// assert!(DropoutRng::off().into_draw().is_none());
/// # drop(feed_forward);
/// ```
#[derive(Debug)]
pub struct DropoutRng(Option<Draw>);

impl DropoutRng {
    /// No dropout: evaluation.
    #[must_use]
    pub fn off() -> Self {
        Self(None)
    }

    /// Dropout for a batch whose rows are the samples with these numbers.
    #[must_use]
    pub fn training(seed: u64, samples: impl Into<Arc<[u64]>>) -> Self {
        let key = Key::new(seed, Purpose::Dropout, "");
        Self(Some(Draw { key, samples: samples.into(), first_plane: 0, first_quad: 0 }))
    }

    /// Splits the permission among `N` sites.
    #[must_use]
    pub fn split<const N: usize>(self) -> [Self; N] {
        std::array::from_fn(|site| self.part(site))
    }

    /// Splits the permission among the `n` layers of a stack. The random numbers of a layer do not depend on `n`.
    pub fn layers(self, n: usize) -> impl Iterator<Item = Self> {
        (0..n).map(move |layer| self.part(layer))
    }

    /// The same permission for other rows: those of a batch that is made of the samples' parts. Each number stands for one row,
    /// and no two rows of a step may have the same one.
    #[must_use]
    pub fn with_rows(self, rows: impl Into<Arc<[u64]>>) -> Self {
        Self(self.0.map(|draw| Draw { samples: rows.into(), ..draw }))
    }

    /// The same permission once more, for a forward pass that is repeated: it draws the same masks.
    #[must_use]
    pub fn again(&self) -> Self {
        Self(self.0.clone())
    }

    /// The draw that an operator receives; `None` in evaluation.
    #[must_use]
    pub fn into_draw(self) -> Option<Draw> {
        self.0
    }

    fn part(&self, site: usize) -> Self {
        Self(self.0.as_ref().map(|draw| Draw { key: draw.key.part(site as u64), ..draw.clone() }))
    }
}

/// The random numbers of one dropout site: a function of (sample number, plane, row, column). An operator receives this,
/// and its backward pass keeps it.
///
/// A plane is an attention head; a tensor without heads has the one plane 0. Rows and columns are positions in the whole
/// sample, so that padding and the split into batches change nothing.
#[derive(Clone, Debug)]
pub struct Draw {
    key: Key,
    samples: Arc<[u64]>,
    /// Where a part of a tensor begins in the whole one.
    first_plane: usize,
    first_quad: u32,
}

impl Draw {
    /// The numbers of the part of a tensor whose planes begin with `plane` of the whole tensor, and whose columns with `column`.
    ///
    /// # Panics
    /// If `column` is no multiple of four.
    #[must_use]
    pub fn from(self, plane: usize, column: usize) -> Self {
        assert!(column.is_multiple_of(4), "dropout: a part that begins at column {column}, no multiple of 4");
        Self { first_plane: plane, first_quad: (column / 4) as u32, ..self }
    }

    /// What is added to the number of a quad, see [`Self::quad`].
    #[inline]
    #[must_use]
    pub fn first_quad(&self) -> u32 {
        self.first_quad
    }

    /// Sample numbers, one for each row of the batch.
    #[must_use]
    pub fn samples(&self) -> &[u64] {
        &self.samples
    }

    /// The Philox key of `plane`.
    #[inline]
    #[must_use]
    pub fn key(&self, plane: usize) -> [u32; 2] {
        self.key.part((self.first_plane + plane) as u64).words()
    }

    /// The numbers of the columns `4 * quad` to `4 * quad + 3` of one row of the whole tensor, under the key of a plane.
    #[inline]
    #[must_use]
    pub fn quad(key: [u32; 2], sample: u64, row: u32, quad: u32) -> [u32; 4] {
        philox4x32_10([quad, row, sample as u32, (sample >> 32) as u32], key)
    }

    /// A number below this one drops its element; the probability is exact to 2⁻³².
    #[inline]
    #[must_use]
    pub fn threshold(probability: f64) -> u32 {
        (probability * 32_f64.exp2()) as u32
    }

    /// Dropout mask of shape `[batch_size, planes, rows, columns]`, to multiply with: 0 for a dropped element, else
    /// `1 / (1 - probability)`.
    ///
    /// # Panics
    /// If the batch size is not the number of samples, or `probability` is outside `[0, 1)`.
    #[must_use]
    pub fn multipliers(&self, shape: [usize; 4], probability: f64) -> Vec<f32> {
        let [batch_size, planes, rows, columns] = shape;
        assert_eq!(
            batch_size,
            self.samples.len(),
            "dropout: {batch_size} rows in the batch, sample numbers for {}",
            self.samples.len()
        );
        assert!((0.0..1.0).contains(&probability), "dropout: probability {probability} is outside [0, 1)");
        let threshold = Self::threshold(probability);
        let kept = (1.0 / (1.0 - probability)) as f32;
        let mut multipliers = Vec::with_capacity(shape.iter().product());
        for &sample in self.samples.iter() {
            for plane in 0..planes {
                let key = self.key(plane);
                for row in 0..rows {
                    for quad in 0..columns.div_ceil(4) {
                        let numbers = Self::quad(key, sample, row as u32, self.first_quad + quad as u32);
                        let width = (columns - 4 * quad).min(4);
                        multipliers
                            .extend(numbers[..width].iter().map(|&bits| if bits < threshold { 0.0 } else { kept }));
                    }
                }
            }
        }
        multipliers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(samples: &[u64]) -> Draw {
        DropoutRng::training(7, samples).into_draw().unwrap()
    }

    #[test]
    fn the_share_of_dropped_elements_is_the_probability() {
        let multipliers = draw(&[3, 4]).multipliers([2, 3, 50, 331], 0.1);
        let n = multipliers.len() as f64;
        let dropped = multipliers.iter().filter(|&&m| m == 0.0).count() as f64;
        assert!((dropped / n - 0.1).abs() < 5.0 * (0.1 * 0.9 / n).sqrt(), "{dropped} of {n}");
        assert!(multipliers.iter().all(|&m| m == 0.0 || m == 1.0 / 0.9_f32));
    }

    #[test]
    fn neither_batch_nor_padding_changes_a_samples_numbers() {
        let [planes, rows, columns] = [2, 3, 5];
        let together = draw(&[10, 11]).multipliers([2, planes, rows, columns], 0.5);
        let padded = draw(&[11]).multipliers([1, planes, rows + 2, columns + 4], 0.5);
        for plane in 0..planes {
            for row in 0..rows {
                for column in 0..columns {
                    assert_eq!(
                        together[((planes + plane) * rows + row) * columns + column],
                        padded[(plane * (rows + 2) + row) * (columns + 4) + column],
                    );
                }
            }
        }
    }

    #[test]
    fn a_part_has_the_numbers_that_the_whole_has_there() {
        let [planes, rows, columns] = [4, 3, 24];
        let whole = draw(&[10, 11]).multipliers([2, planes, rows, columns], 0.5);
        let part = draw(&[10, 11]).from(1, 8).multipliers([2, 3, rows, 16], 0.5);
        let at = |batch, plane, row| ((batch * planes + plane) * rows + row) * columns;
        let expected: Vec<f32> = (0..2)
            .flat_map(|batch| (1..4).map(move |plane| (batch, plane)))
            .flat_map(|(batch, plane)| (0..rows).map(move |row| at(batch, plane, row) + 8))
            .flat_map(|first| whole[first..first + 16].to_vec())
            .collect();
        assert_eq!(part, expected);
    }

    #[test]
    fn sites_layers_planes_rows_and_samples_differ() {
        let numbers = |rng: DropoutRng, shape| rng.into_draw().unwrap().multipliers(shape, 0.5);
        let [a, b] = DropoutRng::training(7, [1]).split();
        let mut layers = DropoutRng::training(7, [1]).layers(2).map(DropoutRng::split::<1>);
        let [c] = layers.next().unwrap();
        let [d] = layers.next().unwrap();
        let shape = [1, 1, 1, 128];
        let all = [numbers(a, shape), numbers(b, shape), numbers(c, shape), numbers(d, shape)];
        let planes = numbers(DropoutRng::training(8, [1]), [1, 2, 2, 128]);
        let mut all: Vec<&[f32]> = all.iter().map(Vec::as_slice).chain(planes.chunks(128)).collect();
        let samples = numbers(DropoutRng::training(9, [1, 2, 1 << 32]), [3, 1, 1, 128]);
        all.extend(samples.chunks(128));
        for (i, first) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|second| first != second), "row {i} appears twice");
        }
    }

    #[test]
    #[should_panic(expected = "2 rows in the batch, sample numbers for 1")]
    fn a_batch_needs_a_number_for_each_row() {
        let _ = draw(&[1]).multipliers([2, 1, 1, 1], 0.5);
    }
}
