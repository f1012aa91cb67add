//! Search for settings: trials of any recipe, each a run of its own that goes on from its own checkpoint.
//!
//! A search is a folder:
//!
//! ```text
//! search.toml          resolved settings
//! journal.log          what is known of the trials, as Optuna writes it
//! trials/0000/         the run of the first trial
//! best.toml            settings of the best trial, for `--config`
//! trials.csv           a row for each trial
//! history.svg …        pictures
//! ```

mod budget;
mod error;
mod files;
mod scheduler;
mod settings;
mod text;
mod trial;
mod worker;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burnformer_core::collective::Local;
use burnformer_core::files::{FileError, atomic_write_bytes, remove_leftovers};
use burnformer_core::lock::FolderLock;
use burnformer_core::settings::{reload, to_toml};
use burnformer_reports::{Plan, SearchReport};
use burnformer_search::{Direction, Objective, Space, Study};
use serde_json::Value;

use crate::changes::flat;
use crate::ranks::first;
use crate::recipe_name::{chosen_by, settings_of};
use crate::{AnyRecipe, Context};

use error::Fate;
pub use error::{SearchRunError, TrialError};
pub use settings::{Keep, SearchSettings};

/// Names of the files and folders of a search.
const SETTINGS_FILE: &str = "search.toml";
const JOURNAL_FILE: &str = "journal.log";
const TRIALS: &str = "trials";

/// So many trials that cannot be run, and none that can, end the search.
const HOPELESS: usize = 5;

/// Metrics of which less is better, beside all that end with `loss`.
const MINIMIZED: [&str; 4] = ["perplexity", "mse", "mae", "ece"];

/// Makes the recipes of a search's trials.
pub trait Trials: Sync {
    /// A new run in `folder` with these settings, each as `key=value`, over all others.
    ///
    /// # Errors
    /// Why there is no such run.
    fn begin(&self, folder: &Path, sets: &[String], context: &Context<'_>) -> Result<Box<dyn AnyRecipe>, TrialError>;

    /// The run in `folder`, to be resumed.
    ///
    /// # Errors
    /// Why it cannot be resumed.
    fn reload(&self, folder: &Path, context: &Context<'_>) -> Result<Box<dyn AnyRecipe>, TrialError>;
}

/// A search.
///
/// ```no_run
/// use std::path::Path;
///
/// use burnformer_recipes::{
///     AnyRecipe, Context, Overrides, Pretrain, PretrainSettings, PretrainStart, Search, SearchSettings, TrialError, Trials,
/// };
///
/// struct Pretraining;
///
/// impl Trials for Pretraining {
///     fn begin(&self, _: &Path, sets: &[String], _: &Context<'_>) -> Result<Box<dyn AnyRecipe>, TrialError> {
///         let settings = PretrainSettings::begin(&PretrainStart::new("corpus"), &Overrides { file: None, sets })?;
///         Ok(Box::new(Pretrain::new(settings)?))
///     }
///
///     fn reload(&self, folder: &Path, _: &Context<'_>) -> Result<Box<dyn AnyRecipe>, TrialError> {
///         Ok(Box::new(Pretrain::reload(folder, &[])?))
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let space = "space.\"train.optimizer.learning_rate\" = { kind = \"log-uniform\", low = 1e-4, high = 1e-2 }";
/// let settings = burnformer_core::settings::load_text(&SearchSettings::default(), "space", space, &[])?;
/// let report = Search::new(settings, &Pretraining)?.run("runs/search".as_ref(), &Context::default())?;
/// println!("best trial {:?}", report.best);
/// # Ok(())
/// # }
/// ```
pub struct Search<'a> {
    settings: SearchSettings,
    space: Space,
    trials: &'a dyn Trials,
}

impl<'a> Search<'a> {
    /// A search with these settings, whose runs `trials` makes.
    ///
    /// # Errors
    /// If the space cannot be searched.
    pub fn new(settings: SearchSettings, trials: &'a dyn Trials) -> Result<Self, SearchRunError> {
        let space = Space::new(&settings.space)?;
        Ok(Self { settings, space, trials })
    }

    /// The settings of the search in `folder`, changed by `sets`: the number of trials, and what they may take of the machine.
    ///
    /// # Errors
    /// If there is no search, or another setting changes.
    pub fn reload_settings(folder: &Path, sets: &[String]) -> Result<SearchSettings, SearchRunError> {
        let file = folder.join(SETTINGS_FILE);
        if !file.is_file() {
            return Err(SearchRunError::NotASearch { folder: folder.to_owned() });
        }
        let (begun, now): (SearchSettings, SearchSettings) = (reload(&file, &[])?, reload(&file, sets)?);
        match begun.fixed_change(&now) {
            Some(key) => Err(SearchRunError::Fixed { key }),
            None => Ok(now),
        }
    }

    /// Checks that a search can begin in `folder`, without changing anything.
    ///
    /// # Errors
    /// If the folder holds something.
    pub fn check_free(folder: &Path) -> Result<(), SearchRunError> {
        if folder.join(SETTINGS_FILE).exists() {
            return Err(SearchRunError::Exists { folder: folder.to_owned() });
        }
        let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
        // Hidden files are what a killed process leaves.
        let names = entries.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()));
        match names.into_iter().find(|name| !name.starts_with('.')) {
            Some(file) => Err(SearchRunError::Occupied { folder: folder.to_owned(), file }),
            None => Ok(()),
        }
    }

    /// The plan of the first trial, without changing anything.
    ///
    /// # Errors
    /// If there is no such run, or the settings of the search do not fit it.
    pub fn plan(&self, out: &Path, context: &Context<'_>) -> Result<Plan, SearchRunError> {
        Ok(self.first(out, context)?.0)
    }

    /// Searches from the first trial in the new or empty folder `out`.
    ///
    /// # Errors
    /// If the folder holds something, or a trial fails for a reason that is not in its settings; an interruption, behind
    /// which [`Self::resume`] goes on.
    pub fn run(&self, out: &Path, context: &Context<'_>) -> Result<SearchReport, SearchRunError> {
        self.lead(out, context, |context| {
            Self::check_free(out)?;
            let (_, objective) = self.first(out, context)?;
            let io = |source| FileError::Io { attempt: "create", path: out.to_owned(), source };
            fs::create_dir_all(out).map_err(io)?;
            let lock = FolderLock::acquire(out)?;
            Self::check_free(out)?;
            atomic_write_bytes(&out.join(SETTINGS_FILE), to_toml(&self.settings)?)?;
            Ok((lock, self.create(out, objective)?))
        })
    }

    /// Goes on with the search in `out`, whose trials go on from their checkpoints.
    ///
    /// # Errors
    /// As [`Self::run`]; if there is no search.
    pub fn resume(&self, out: &Path, context: &Context<'_>) -> Result<SearchReport, SearchRunError> {
        self.lead(out, context, |context| {
            if !out.join(SETTINGS_FILE).is_file() {
                return Err(SearchRunError::NotASearch { folder: out.to_owned() });
            }
            let lock = FolderLock::acquire(out)?;
            remove_leftovers(out)?;
            if out.join(TRIALS).is_dir() {
                remove_leftovers(&out.join(TRIALS))?;
            }
            let study = if out.join(JOURNAL_FILE).is_file() {
                Study::open(&out.join(JOURNAL_FILE), self.space.clone())?
            } else {
                // The process was killed before it wrote the journal.
                let (_, objective) = self.first(out, context)?;
                self.create(out, objective)?
            };
            atomic_write_bytes(&out.join(SETTINGS_FILE), to_toml(&self.settings)?)?;
            Ok((lock, study))
        })
    }

    /// Goes on with the study that `open` begins or finds on rank 0, which keeps it; the other processes run trials too.
    fn lead(
        &self,
        out: &Path,
        context: &Context<'_>,
        open: impl FnOnce(&Context<'_>) -> Result<(FolderLock, Study), SearchRunError>,
    ) -> Result<SearchReport, SearchRunError> {
        let (mut lock, mut study) = (None, None);
        let metric = first(context.collective, || {
            let (held, opened) = open(&context.alone())?;
            let metric = opened.objective().metric.clone();
            (lock, study) = (Some(held), Some(opened));
            Ok::<_, SearchRunError>(metric)
        })?;
        let report = self.go_on(out, study, &metric, context);
        drop(lock);
        report
    }

    /// Memory in bytes that trials may take together, if the settings say so.
    fn memory_limit(&self) -> Option<u64> {
        self.settings.memory_gib.map(|gib| (gib * (1_u64 << 30) as f64) as u64)
    }

    fn create(&self, out: &Path, objective: Objective) -> Result<Study, SearchRunError> {
        let name = out.canonicalize().ok().and_then(|out| Some(out.file_name()?.to_string_lossy().into_owned()));
        let name = name.unwrap_or_else(|| "search".to_owned());
        Ok(Study::create(&out.join(JOURNAL_FILE), &name, objective, self.space.clone())?)
    }

    /// Plan of the first trial that can be run, and what the search looks for.
    fn first(&self, out: &Path, context: &Context<'_>) -> Result<(Plan, Objective), SearchRunError> {
        let SearchSettings { sampler, seed, asha, metric, direction, .. } = &self.settings;
        let begin = |number: usize| {
            let values = sampler.propose(&self.space, *seed, number as u64, &[]);
            let recipe = self.trials.begin(&trial_folder(out, number), &self.space.sets(&values), context);
            recipe.map(|recipe| (values, recipe)).map_err(|source| (number, source))
        };
        // Some values may not go together, as the number of heads and the width of a model.
        let is_possible = |begun: &Result<_, (usize, TrialError)>| match begun {
            Ok(_) => true,
            Err((_, error)) => !matches!(Fate::of(error.as_ref()), Fate::Ended(_)),
        };
        let begun = (0..HOPELESS.min(self.settings.trials)).map(begin).find(is_possible).unwrap_or_else(|| begin(0));
        let (values, recipe) = begun.map_err(|(number, source)| SearchRunError::Trial { number, source })?;
        let config = recipe.train_config();
        if let Some(asha) = asha {
            asha.steps(config.steps, config.evaluate_every)?;
        }
        let plan = recipe.plan_run(&Context { collective: &Local, ..*context })?;
        let resolved = settings_of(&plan.settings)?;
        self.check_applied(&values, &resolved)?;
        let metric = metric.clone().unwrap_or_else(|| chosen_by(&resolved).unwrap_or("loss").to_owned());
        let is_less_better = metric.ends_with("loss") || MINIMIZED.contains(&metric.as_str());
        let usual = if is_less_better { Direction::Minimize } else { Direction::Maximize };
        Ok((plan, Objective { metric, direction: direction.unwrap_or(usual) }))
    }

    /// Makes sure that a trial has the values that were chosen for it: a flag of the command may override them.
    fn check_applied(&self, values: &[f64], resolved: &BTreeMap<String, Value>) -> Result<(), SearchRunError> {
        let resolved = flat(resolved.clone());
        for (parameter, value) in self.space.parameters().iter().zip(values) {
            let (wanted, found) = (parameter.domain.setting(*value), resolved.get(&parameter.key));
            let is_applied = match (&wanted, found) {
                (Value::String(text), None) => text.is_empty(),
                (Value::Number(wanted), Some(Value::Number(found))) => wanted.as_f64() == found.as_f64(),
                (wanted, found) => found == Some(wanted),
            };
            if !is_applied {
                let found = found.map_or_else(|| "absent".to_owned(), ToString::to_string);
                let (key, wanted) = (parameter.key.clone(), wanted.to_string());
                return Err(SearchRunError::Overridden { key, wanted, found });
            }
        }
        Ok(())
    }
}

/// The folder of the run of a trial in the search folder `out`.
fn trial_folder(out: &Path, number: usize) -> PathBuf {
    out.join(TRIALS).join(format!("{number:04}"))
}
