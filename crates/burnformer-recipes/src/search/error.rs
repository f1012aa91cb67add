//! What can go wrong in a search, and what becomes of a trial whose run ends with an error.

use std::error::Error;
use std::path::PathBuf;

use burnformer_core::CollectiveError;
use burnformer_core::config::ConfigError;
use burnformer_core::files::FileError;
use burnformer_core::lock::LockError;
use burnformer_core::progress::{Interrupted, is_interrupted};
use burnformer_core::settings::SettingsError;
use burnformer_search::{Failure, PictureError, SearchError};
use burnformer_train::TrainError;

use crate::advice::chain;
use crate::{RecipeError, causes};

/// Why a trial cannot be run, of whatever type.
pub type TrialError = Box<dyn Error + Send + Sync>;

/// An error of a search.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SearchRunError {
    /// The space, or the journal.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// The settings of the search.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A recipe cannot be planned.
    #[error(transparent)]
    Recipe(Box<RecipeError>),
    /// The run of a trial cannot be made, or fails for a reason that is not in its settings.
    #[error("trial {number} cannot be run")]
    Trial {
        /// Number of the trial.
        number: usize,
        /// Why.
        source: TrialError,
    },
    /// The settings of all trials cannot work.
    #[error("none of {n} trials could be run to its end, the first of them: {message}")]
    NoTrial {
        /// Number of trials.
        n: usize,
        /// Why the first one cannot be run.
        message: String,
    },
    /// The runs do not measure the metric on validation samples.
    #[error("the runs have no validation metric `{name}`")]
    NoMetric {
        /// Its name.
        name: String,
        /// The metrics there are.
        known: Vec<String>,
    },
    /// A setting that does not have the value that was chosen for it.
    #[error("`{key}` of the first trial is {found}, not {wanted} as the search has chosen")]
    Overridden {
        /// Dotted key of the setting.
        key: String,
        /// The value that was chosen.
        wanted: String,
        /// The value of the run.
        found: String,
    },
    /// A search is in the folder already.
    #[error("`{}` already holds a search: resume it, or choose another folder", folder.display())]
    Exists {
        /// The folder.
        folder: PathBuf,
    },
    /// A folder that holds something else.
    #[error("`{}` holds other files (`{file}`), choose an empty or a new folder", folder.display())]
    Occupied {
        /// The folder.
        folder: PathBuf,
        /// One of the files in it.
        file: String,
    },
    /// A folder without a search.
    #[error("`{}` is not the folder of a search: it has no `search.toml`", folder.display())]
    NotASearch {
        /// The folder.
        folder: PathBuf,
    },
    /// A setting that a resumed search cannot change.
    #[error("cannot resume the search with another `{key}`: the trials so far depend on it")]
    Fixed {
        /// The setting.
        key: &'static str,
    },
    /// The system has no thread to give.
    #[error("cannot start a thread for a trial: lower `jobs` or `threads`, or allow more processes (`ulimit -u`)")]
    Threads(#[source] TrialError),
    /// Another process has failed, or cannot be reached.
    #[error("the processes cannot search together any more")]
    Collective(#[from] CollectiveError),
    /// The search is in use.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A file cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A picture cannot be drawn.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// The work was asked to stop.
    #[error("interrupted")]
    Interrupted(#[from] Interrupted),
}

impl From<RecipeError> for SearchRunError {
    fn from(error: RecipeError) -> Self {
        Self::Recipe(Box::new(error))
    }
}

impl SearchRunError {
    /// What the user can do about it, beyond what it says.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoMetric { known, .. } if known.is_empty() => {
                Some("the runs need validation samples: trials are compared by what is measured on them".to_owned())
            }
            Self::NoMetric { known, .. } => Some(format!("set `metric` to one of {}", known.join(", "))),
            Self::Fixed { .. } => Some(
                "`trials`, `jobs`, `threads`, `memory_gib` and `keep` can change; for all else begin another search"
                    .to_owned(),
            ),
            Self::Overridden { key, .. } => Some(format!(
                "leave out the flag of `command` that sets `{key}`, or keep `space.{key}` within what the model can have"
            )),
            Self::NoTrial { .. } => Some("change `space` or the settings in `command`".to_owned()),
            _ => None,
        }
    }

    /// The error of another type, if all this one does is to pass it on.
    pub(crate) fn passed_on(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Settings(error) => Some(error),
            Self::Recipe(error) => Some(error),
            _ => None,
        }
    }
}

/// What an error of a run means for its trial.
pub(super) enum Fate {
    /// It goes on later.
    Interrupted,
    /// It has ended: another trial may do better.
    Ended(Failure),
    /// The search cannot go on: another trial would meet this too.
    Broken,
}

impl Fate {
    pub(super) fn of(error: &(dyn Error + 'static)) -> Self {
        if is_interrupted(error) {
            return Self::Interrupted;
        }
        let message = || causes(error).join(": ");
        for cause in chain(error) {
            if let Some(TrainError::Diverged { .. }) = cause.downcast_ref() {
                return Self::Ended(Failure::Diverged(message()));
            }
            let is_of_settings = cause.is::<ConfigError>()
                || matches!(
                    cause.downcast_ref(),
                    Some(SettingsError::WrongType { .. } | SettingsError::Impossible { .. })
                )
                || matches!(cause.downcast_ref(), Some(RecipeError::Memory(_)))
                || matches!(cause.downcast_ref(), Some(TrainError::TooFewSamples { .. }))
                || matches!(
                    cause.downcast_ref(),
                    Some(SearchError::FewSteps { .. } | SearchError::FewEvaluations { .. })
                );
            if is_of_settings {
                return Self::Ended(Failure::Impossible(message()));
            }
        }
        Self::Broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_errors_of_the_settings_end_a_trial() {
        let of = |error: TrialError| match Fate::of(error.as_ref()) {
            Fate::Interrupted => "interrupted",
            Fate::Ended(Failure::Diverged(_)) => "diverged",
            Fate::Ended(Failure::Impossible(_)) => "impossible",
            Fate::Broken => "broken",
        };
        let config = || ConfigError::check("a", &1, false, "2").unwrap_err();
        assert_eq!(of(Box::new(Interrupted)), "interrupted");
        assert_eq!(of(Box::new(RecipeError::from(TrainError::Interrupted(Interrupted)))), "interrupted");
        assert_eq!(of(Box::new(RecipeError::Config(config()))), "impossible");
        assert_eq!(
            of(Box::new(RecipeError::Train(TrainError::TooFewSamples { n_samples: 1, batch_size: 2 }))),
            "impossible"
        );
        assert_eq!(of(Box::new(SearchError::FewSteps { steps: 1, rungs: 2 })), "impossible");
        assert_eq!(
            of(Box::new(RecipeError::NoValidationTexts { reason: "there are too few different rows" })),
            "broken"
        );
        assert_eq!(of(std::io::Error::other("the disk is full").into()), "broken");
    }
}
