//! Runs of one recipe that differ in the seed alone, and the mean of their scores.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};

use burnformer_core::config::{ConfigError, Validate};
use burnformer_core::files::{FileError, atomic_write_bytes, remove_leftovers};
use burnformer_core::settings;
use burnformer_reports::{SeedRun, SeedScore, SeedsReport};
use burnformer_train::RunFolder;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::apart::apart;
use crate::ranks::{agreed, first};
use crate::recipe_name::recipe_of;
use crate::text::{fact, number};
use crate::{AnyRecipe, Context, Note, RecipeError, Report};

/// Settings of the runs.
const SEEDS_FILE: &str = "seeds.toml";
/// Report on the runs.
const REPORT_FILE: &str = "seeds.json";

/// Runs with the settings of one recipe and several seeds, each in the folder `seed-N` of one folder. Killed at any moment, they go
/// on with [`Self::open`] and [`Self::run`].
///
/// ```text
/// seeds.toml       the seeds, and the settings of every run
/// seed-42/ …       the run folders
/// seeds.json       the report, once all runs have ended
/// ```
#[derive(Debug)]
pub struct Seeds {
    folder: PathBuf,
    file: SeedsFile,
}

/// The content of `seeds.toml`.
#[derive(Debug, Serialize, Deserialize)]
struct SeedsFile {
    seeds: Vec<u64>,
    /// Settings of any recipe, whose seed is replaced.
    run: BTreeMap<String, Value>,
}

impl Validate for SeedsFile {
    fn validate(&self) -> Result<(), ConfigError> {
        let n = self.seeds.len();
        ConfigError::check("seeds", &n, n > 0, "at least one seed")
    }
}

/// Settings of any recipe.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Settings(BTreeMap<String, Value>);

impl Validate for Settings {
    fn validate(&self) -> Result<(), ConfigError> {
        Ok(())
    }
}

impl Seeds {
    /// Begins `n` runs of `recipe` in the new or empty folder `folder`, with its seed and those that follow it. Nothing is trained yet.
    ///
    /// # Errors
    /// If the folder holds something or cannot be written, there are not so many seeds, or such a run would not begin.
    pub fn create(folder: &Path, recipe: &dyn AnyRecipe, n: u64, context: &Context<'_>) -> Result<Self, RecipeError> {
        let checked = RunFolder::check_free(folder).map_err(RecipeError::from);
        agreed(context.collective, checked.and_then(|()| recipe.check_run(&context.alone())))?;
        let Settings(run) = settings::reload_text("run.toml", &recipe.settings_toml()?, &[])?;
        let seed = run.get("seed").and_then(Value::as_u64).unwrap_or_default();
        // TOML has no greater numbers.
        let last = seed.checked_add(n.saturating_sub(1)).filter(|last| i64::try_from(*last).is_ok());
        ConfigError::check("seed", &seed, last.is_some(), "one with so many others behind it, below 2^63")?;
        let file = SeedsFile { seeds: (0..n).map(|i| seed + i).collect(), run };
        file.validate()?;
        first(context.collective, || {
            let io = |source| FileError::Io { attempt: "create", path: folder.to_owned(), source };
            fs::create_dir_all(folder).map_err(io)?;
            Ok::<_, RecipeError>(atomic_write_bytes(&folder.join(SEEDS_FILE), settings::to_toml(&file)?)?)
        })?;
        Ok(Self { folder: folder.to_owned(), file })
    }

    /// The runs that were begun in `folder`; `None` if it holds something else.
    ///
    /// # Errors
    /// If their settings cannot be read.
    pub fn open(folder: &Path) -> Result<Option<Self>, RecipeError> {
        let path = folder.join(SEEDS_FILE);
        if !path.is_file() {
            return Ok(None);
        }
        Ok(Some(Self { folder: folder.to_owned(), file: settings::reload(&path, &[])? }))
    }

    /// Trains what is left of the runs, one after the other, and reports on all. Of several processes each trains some of the runs
    /// alone, unless they share one model. `reload` opens a run in its folder, as for resuming it.
    ///
    /// # Errors
    /// That of the first run that fails; an interruption.
    pub fn run<E: From<RecipeError> + Display>(
        &self,
        reload: impl Fn(&Path, &Context<'_>) -> Result<Box<dyn AnyRecipe>, E>,
        context: &Context<'_>,
    ) -> Result<SeedsReport<Value>, E> {
        first(context.collective, || remove_leftovers(&self.folder).map_err(RecipeError::from))?;
        let (rank, size) = if context.shares_models() { (0, 1) } else { context.place() };
        let work = |context: &Context<'_>| -> Result<Vec<Value>, E> {
            let seeds = self.file.seeds.iter().enumerate().skip(rank).step_by(size);
            seeds.map(|(index, &seed)| self.run_one(index, seed, &reload, context)).collect()
        };
        let reports = if context.shares_models() { work(context).map(|all| vec![all]) } else { apart(context, work) };
        let reports = reports.inspect_err(|_| {
            if context.interrupt().requested() {
                let recipe = recipe_of(&self.file.run).unwrap_or_default();
                context.observer.note(&Note::SeedsInterrupted { recipe, folder: &self.folder });
            }
        })?;
        let seeds = self.file.seeds.iter().enumerate();
        let runs: Vec<_> =
            seeds.map(|(index, &seed)| SeedRun { seed, report: reports[index % size][index / size].clone() }).collect();
        let report = SeedsReport { folder: self.folder.clone(), scores: scores(&runs), runs };
        first(context.collective, || {
            let json = serde_json::to_vec_pretty(&report)?;
            Ok::<_, RecipeError>(atomic_write_bytes(&self.folder.join(REPORT_FILE), json)?)
        })?;
        Ok(report)
    }

    /// Trains what is left of a run, and returns its report.
    fn run_one<E: From<RecipeError>>(
        &self,
        index: usize,
        seed: u64,
        reload: impl Fn(&Path, &Context<'_>) -> Result<Box<dyn AnyRecipe>, E>,
        context: &Context<'_>,
    ) -> Result<Value, E> {
        context.observer.note(&Note::Seed { seed, number: index + 1, of: self.file.seeds.len() });
        let folder = first(context.collective, || self.begun(seed))?;
        let report = reload(&folder, context)?.resume_run(&folder, context)?;
        Ok(report.to_value().map_err(RecipeError::from)?)
    }

    /// The folder of the run with this seed, in which it has begun.
    fn begun(&self, seed: u64) -> Result<PathBuf, RecipeError> {
        let folder = self.folder.join(format!("seed-{seed}"));
        if !RunFolder::settings_file(&folder).is_file() {
            let mut run = self.file.run.clone();
            run.insert("seed".to_owned(), seed.into());
            RunFolder::create(&folder, &settings::to_toml(&Settings(run))?)?;
        }
        Ok(folder)
    }
}

/// The scores of the best models that all reports have.
fn scores(runs: &[SeedRun<Value>]) -> Vec<SeedScore> {
    let all: Vec<_> = runs.iter().map(|run| of_report(&run.report)).collect();
    let values = |name: &str| -> Option<Vec<f64>> {
        all.iter().map(|scores| scores.iter().find(|score| score.0 == name).map(|score| score.1)).collect()
    };
    let names = all.first().into_iter().flatten().map(|score| &score.0);
    names.filter_map(|name| SeedScore::new(name.clone(), values(name)?)).collect()
}

/// Every score of a report, with its name: the numbers of the validation and test samples that are no counts.
fn of_report(report: &Value) -> Vec<(String, f64)> {
    fn collect(part: &str, scores: &Value, found: &mut Vec<(String, f64)>) {
        for (name, value) in scores.as_object().into_iter().flatten() {
            match value {
                Value::Object(_) if name == "metrics" => collect(part, value, found),
                Value::Number(number) if number.is_f64() && !name.ends_with("_standard_error") => {
                    found.extend(number.as_f64().map(|value| (format!("{part}.{name}"), value)));
                }
                _ => {}
            }
        }
    }
    let mut found = Vec::new();
    for part in ["validation", "test"] {
        collect(part, &report[part], &mut found);
    }
    found
}

impl Report for SeedsReport<Value> {
    fn text(&self) -> String {
        let seeds: Vec<_> = self.runs.iter().map(|run| run.seed.to_string()).collect();
        let head = [
            fact("runs", format_args!("{}, seeds {}", self.folder.display(), seeds.join(", "))),
            fact("", "mean ± sample standard deviation (each seed)"),
        ];
        let score = |score: &SeedScore| {
            let values: Vec<_> = score.values.iter().map(|value| number(*value)).collect();
            let mean = number(score.mean);
            // With the digits of the mean, where it is a small number.
            let deviation = match (0.01..10.0).contains(&score.mean.abs()) {
                true => format!("{:.4}", score.deviation),
                false => number(score.deviation),
            };
            fact(&score.name.replace(['.', '_'], " "), format_args!("{mean} ± {deviation} ({})", values.join(", ")))
        };
        head.into_iter().chain(self.scores.iter().map(score)).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn scores_are_the_numbers_of_validation_and_test_that_all_runs_have() {
        let run = |seed, accuracy: f64, loss: Value| SeedRun {
            seed,
            report: json!({
                "folder": "a", "steps": 9, "seconds": 1.5, "majority_accuracy": 0.25,
                "validation": {"texts": 8, "accuracy": accuracy, "accuracy_standard_error": 0.1, "labels": ["a"],
                    "metrics": {"loss": loss}, "calibration": {"error": 0.5}},
                "test": {"accuracy": 1.0}
            }),
        };
        let found = scores(&[run(1, 0.5, json!(2.5)), run(2, 0.75, json!(1.5))]);
        let names: Vec<_> = found.iter().map(|score| score.name.as_str()).collect();
        assert_eq!(names, ["validation.accuracy", "validation.loss", "test.accuracy"]);
        assert_eq!((found[0].mean, found[1].mean, found[2].deviation), (0.625, 2.0, 0.0));
        assert_eq!(found[0].values, [0.5, 0.75]);
        // What one run has not is no score of all.
        let found = scores(&[run(1, 0.5, json!(2.5)), run(2, 0.75, Value::Null)]);
        assert_eq!(found.len(), 2);
        let report = SeedsReport { folder: "runs/a".into(), runs: vec![run(1, 0.5, Value::Null)], scores: found };
        let text = report.text();
        assert!(
            text.contains("runs/a, seeds 1\n")
                && text.contains("validation accuracy  0.6250 ± 0.1768 (0.5000, 0.7500)\n"),
            "{text}"
        );
    }
}
