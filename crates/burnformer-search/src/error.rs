//! What can go wrong in a search.

use std::io;
use std::path::{Path, PathBuf};

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SearchError {
    /// A space without a parameter.
    #[error("`space` has no parameter, expected at least one such as `{EXAMPLE}`")]
    EmptySpace,
    /// A value in the space that is no parameter.
    #[error("`space.{key}` is no parameter: {problem}; expected a table such as `{EXAMPLE}`")]
    NotAParameter {
        /// Dotted key of the setting.
        key: String,
        /// What is wrong.
        problem: String,
    },
    /// A parameter whose range or choices cannot work.
    #[error("`space.{key}`: `{field}` is {found}, expected {expected}")]
    Range {
        /// Dotted key of the setting.
        key: String,
        /// Key in the parameter's table.
        field: &'static str,
        /// Its value.
        found: String,
        /// Values that work.
        expected: &'static str,
    },
    /// The evaluations of a run are too far apart to compare trials as early as `asha` wants.
    #[error(
        "trials are compared after {step} of {steps} steps, but the run is evaluated every {every} steps: set \
         `train.evaluate_every` to at most {most}, or lower `asha.rungs` or `asha.reduction`"
    )]
    FewEvaluations {
        /// Step of the first comparison.
        step: u64,
        /// Steps of the run.
        steps: u64,
        /// Steps between two evaluations.
        every: u64,
        /// The most that there may be.
        most: u64,
    },
    /// Too few steps to compare trials on the way.
    #[error(
        "a run of {steps} steps is too short for {rungs} comparisons on its way: lower `asha.rungs`, or train longer"
    )]
    FewSteps {
        /// Steps of the run.
        steps: u64,
        /// Comparisons.
        rungs: usize,
    },
    /// The system refused.
    #[error("cannot {attempt} the journal `{}`", path.display())]
    Io {
        /// What was attempted, as a verb.
        attempt: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line of a journal that cannot be followed.
    #[error("line {line} of the journal `{}` cannot be used: {problem}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// A journal without a study.
    #[error("the journal `{}` has no study", path.display())]
    NoStudy {
        /// The file.
        path: PathBuf,
    },
}

/// A parameter, as it is written.
const EXAMPLE: &str = "train.optimizer.learning_rate = { kind = \"log-uniform\", low = 1e-5, high = 1e-3 }";

impl SearchError {
    pub(crate) fn io(attempt: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { attempt, path: path.to_owned(), source }
    }
}
