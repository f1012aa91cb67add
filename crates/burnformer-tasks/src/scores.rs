//! Scores of a batch by name, kept on the device until they are read in one transfer.

use burn::tensor::{ExecutionError, Tensor};

/// Named numbers of a forward pass, from which metrics are computed. They stay on the device until [`Self::read`].
///
/// ```
/// use burn::tensor::Tensor;
/// use burnformer_ops::DeviceChoice;
/// use burnformer_tasks::Scores;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = DeviceChoice::Auto.open()?;
/// let answers = Tensor::<1>::from_floats([2.0, 0.0, 1.0], &device);
/// let scores = Scores::new().with("loss", answers.clone().sum()).with("answers", answers);
///
/// let values = scores.read()?;
/// assert_eq!(values.one("loss")?, 3.0);
/// assert_eq!(values.many("answers", 3)?, [2.0, 0.0, 1.0]);
/// assert_eq!(values.many("answers", 4).unwrap_err().to_string(), "the score `answers` has 3 values, expected 4");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Scores {
    scores: Vec<(&'static str, Tensor<1>)>,
}

impl Scores {
    /// No scores yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the numbers `values` `[n]` under a name. Their gradient is not tracked.
    ///
    /// # Panics
    /// If there is a score of that name.
    #[must_use]
    pub fn with(mut self, name: &'static str, values: Tensor<1>) -> Self {
        assert!(self.scores.iter().all(|(other, _)| *other != name), "the score `{name}` is given twice");
        self.scores.push((name, values.inner()));
        self
    }

    /// Waits for the device and reads all scores in one transfer.
    ///
    /// # Errors
    /// If the device fails.
    pub fn read(self) -> Result<ScoreValues, ScoresError> {
        let lengths: Vec<_> = self.scores.iter().map(|(name, values)| (*name, values.dims()[0])).collect();
        let tensors: Vec<_> = self.scores.into_iter().map(|(_, values)| values).collect();
        let read = match tensors.len() {
            0 => Vec::new(),
            _ => Tensor::cat(tensors, 0).try_into_data()?.iter::<f64>().collect(),
        };
        let mut left = &read[..];
        let mut take = |length| {
            let (values, rest) = left.split_at(length);
            left = rest;
            values.to_vec()
        };
        Ok(ScoreValues { values: lengths.into_iter().map(|(name, length)| (name, take(length))).collect() })
    }
}

/// [`Scores`] that were read from the device.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoreValues {
    values: Vec<(&'static str, Vec<f64>)>,
}

impl ScoreValues {
    /// The score `name`, a single number.
    ///
    /// # Errors
    /// If there is no score of that name, or it has another number of values.
    pub fn one(&self, name: &'static str) -> Result<f64, ScoresError> {
        self.many(name, 1).map(|values| values[0])
    }

    /// The score `name` of `length` numbers, such as one for each example of the batch.
    ///
    /// # Errors
    /// If there is no score of that name, or it has another number of values.
    pub fn many(&self, name: &'static str, length: usize) -> Result<&[f64], ScoresError> {
        match self.values.iter().find(|(other, _)| *other == name) {
            Some((_, values)) if values.len() == length => Ok(values),
            Some((_, values)) => Err(ScoresError::Length { name, found: values.len(), expected: length }),
            None => Err(ScoresError::Missing { name, found: self.values.iter().map(|(name, _)| *name).collect() }),
        }
    }
}

/// Errors of scores.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScoresError {
    /// The device failed.
    #[error("the device failed")]
    Execution(#[from] ExecutionError),
    /// A score that the forward pass did not compute.
    #[error("there is no score `{name}`, found {}", listed(found))]
    Missing {
        /// Name of the missing score.
        name: &'static str,
        /// Names of the scores that exist.
        found: Vec<&'static str>,
    },
    /// A score with an unexpected number of values.
    #[error("the score `{name}` has {found} values, expected {expected}")]
    Length {
        /// Name of the score.
        name: &'static str,
        /// Number of values found.
        found: usize,
        /// Number of values expected.
        expected: usize,
    },
}

fn listed(names: &[&str]) -> String {
    match names {
        [] => "none".to_owned(),
        names => names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
    }
}

#[cfg(test)]
mod tests {
    use burnformer_ops::DeviceChoice;

    use super::*;

    fn values() -> ScoreValues {
        let device = DeviceChoice::Auto.open().unwrap().autodiff();
        let tensor = |values: &[f32]| Tensor::<1>::from_floats(values, &device).require_grad();
        Scores::new().with("loss", tensor(&[0.5])).with("answers", tensor(&[3.0, 1.0])).read().unwrap()
    }

    #[test]
    fn scores_come_back_under_their_names() {
        let values = values();
        assert_eq!(values.one("loss").unwrap(), 0.5);
        assert_eq!(values.many("answers", 2).unwrap(), [3.0, 1.0]);
        assert_eq!(Scores::new().read().unwrap(), ScoreValues { values: Vec::new() });
    }

    #[test]
    fn a_missing_name_and_another_length_are_errors() {
        let said = |result: Result<f64, ScoresError>| result.unwrap_err().to_string();
        assert_eq!(said(values().one("correct")), "there is no score `correct`, found `loss`, `answers`");
        assert_eq!(said(values().one("answers")), "the score `answers` has 2 values, expected 1");
        let none = Scores::new().read().unwrap();
        assert_eq!(said(none.one("loss")), "there is no score `loss`, found none");
    }

    #[test]
    #[should_panic(expected = "the score `loss` is given twice")]
    fn a_name_is_given_once() {
        let device = DeviceChoice::Auto.open().unwrap();
        let one = || Tensor::<1>::ones([1], &device);
        let _ = Scores::new().with("loss", one()).with("loss", one());
    }
}
