//! What may change in the settings of a run that is resumed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use burnformer_core::settings::{self, SettingsError};
use burnformer_train::{RunFolder, TrainConfig};
use serde_json::Value;

use crate::{RecipeError, RunSettings};

/// A setting that is another than that of the latest checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Dotted key of the setting.
    pub key: String,
    /// Value of the checkpoint; null if absent.
    pub before: Value,
    /// Value of the resumed run; null if absent.
    pub after: Value,
}

/// A line such as `` `train.steps` was 100, is now 200 ``.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Value| if value.is_null() { "absent".to_owned() } else { value.to_string() };
        write!(f, "`{}` was {}, is now {}", self.key, shown(&self.before), shown(&self.after))
    }
}

/// What a change of a setting does to a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// It holds from the next step on.
    Applied,
    /// Data or a model lie in another place. Whether the data are the same, their fingerprint tells.
    Place,
    /// The model that a run begins with, of which its checkpoints have all: another one only where it was moved. The
    /// checkpoints of an adapter do not have it.
    Base,
    /// The number of steps: not less than are done.
    Steps,
    /// Another value, but not one where there was none, nor none where there was one.
    Value,
    /// A part of the size of a step: only how a step is cut into micro-batches may change.
    Step,
    /// The checkpoint, or the order of the samples, depends on it.
    Fixed,
}

/// The first row that has the key, or its beginning if the row ends with a dot, decides. What is in no row is fixed.
const RULES: [(&str, Rule); 18] = [
    ("train.micro_batch_size", Rule::Step),
    ("train.micro_batch_tokens", Rule::Step),
    ("train.grad_accum_steps", Rule::Step),
    ("train.window", Rule::Fixed),
    ("train.optimizer.kind", Rule::Fixed),
    ("train.freeze", Rule::Fixed),
    ("train.unfreeze_every", Rule::Fixed),
    ("train.ema_decay", Rule::Value),
    ("train.steps", Rule::Steps),
    ("train.", Rule::Applied),
    ("corpus", Rule::Place),
    ("validation", Rule::Place),
    ("data.paths", Rule::Place),
    ("data.format.target", Rule::Place),
    ("validation.paths", Rule::Place),
    ("validation.format.target", Rule::Place),
    ("model", Rule::Base),
    ("init", Rule::Base),
];

impl Rule {
    fn of(key: &str) -> Self {
        let has = |row: &str| if row.ends_with('.') { key.starts_with(row) } else { key == row };
        RULES.iter().find(|(row, _)| has(row)).map_or(Self::Fixed, |(_, rule)| *rule)
    }

    /// Whether a run goes on with the change, apart from the number of steps that it has done.
    fn allows(self, change: &Change, before: &TrainConfig, after: &TrainConfig, has_adapter: bool) -> bool {
        match self {
            Self::Applied | Self::Steps => true,
            Self::Base => match (&change.before, &change.after) {
                (Value::String(before), Value::String(after)) => {
                    has_adapter || !Path::new(before).exists() || is_same(before.as_ref(), after.as_ref())
                }
                _ => false,
            },
            Self::Place | Self::Value => !change.before.is_null() && !change.after.is_null(),
            Self::Step => before.batch_size() == after.batch_size(),
            Self::Fixed => false,
        }
    }
}

/// The settings in which `now` differs from those that the latest checkpoint of the run in `folder` was made with. Before
/// there is a checkpoint, any may change.
///
/// # Errors
/// If the settings of the checkpoint cannot be read; [`RecipeError::FixedSettings`] if one has changed that must not.
pub(crate) fn changes<S: RunSettings>(folder: &Path, now: &S) -> Result<Vec<Change>, RecipeError> {
    // A run of version 0.1.0 has no copy of its settings until it is resumed.
    let copy = RunFolder::begun_settings_file(folder);
    let file = if copy.is_file() { copy } else { RunFolder::settings_file(folder) };
    let begun: S = settings::reload(&file, &[])?;
    let (before, after) = (keys(&begun)?, keys(now)?);
    let all: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let value = |of: &BTreeMap<String, Value>, key: &String| of.get(key).cloned().unwrap_or_default();
    let changes =
        all.into_iter().map(|key| Change { key: key.clone(), before: value(&before, key), after: value(&after, key) });
    let changes: Vec<_> = changes.filter(|change| change.before != change.after).collect();
    let Some(progress) = RunFolder::progress(folder) else { return Ok(changes) };
    let has_adapter = before.keys().any(|key| key.starts_with("lora."));
    let allows = |change: &Change| Rule::of(&change.key).allows(change, begun.train(), now.train(), has_adapter);
    let refused: Vec<_> = changes.iter().filter(|change| !allows(change)).cloned().collect();
    if !refused.is_empty() {
        return Err(RecipeError::FixedSettings { folder: folder.to_owned(), changes: refused });
    }
    let (step, steps) = (progress.step, now.train().steps);
    let is_late = |change: &&Change| match Rule::of(&change.key) {
        Rule::Applied => step >= steps,
        Rule::Steps => step > steps,
        _ => false,
    };
    let late: Vec<_> = changes.iter().filter(is_late).cloned().collect();
    match late.is_empty() {
        true => Ok(changes),
        false => Err(RecipeError::NoStepLeft { folder: folder.to_owned(), step, changes: late }),
    }
}

/// `true` if both paths lead to one place.
fn is_same(one: &Path, other: &Path) -> bool {
    one.canonicalize().is_ok_and(|one| other.canonicalize().is_ok_and(|other| one == other))
}

/// The values of all settings by their dotted keys; a list is one value.
pub(crate) fn keys<S: RunSettings>(settings: &S) -> Result<BTreeMap<String, Value>, SettingsError> {
    let settings = serde_json::to_value(settings).map_err(|source| SettingsError::Preset { source })?;
    let Value::Object(table) = settings else { return Ok(BTreeMap::new()) };
    Ok(flat(table.into_iter().collect()))
}

/// The values of tables within tables by their dotted keys.
pub(crate) fn flat(settings: BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    fn collect(value: Value, key: String, found: &mut BTreeMap<String, Value>) {
        match value {
            Value::Object(table) => {
                table.into_iter().for_each(|(name, value)| collect(value, format!("{key}.{name}"), found));
            }
            Value::Null => {}
            value => drop(found.insert(key, value)),
        }
    }
    let mut found = BTreeMap::new();
    settings.into_iter().for_each(|(key, value)| collect(value, key, &mut found));
    found
}

#[cfg(test)]
mod tests {
    use burnformer_data::readers::{Format, Input, TextLayout};
    use burnformer_train::AdamConfig;
    use serde_json::json;

    use super::*;
    use crate::FinetuneSettings;

    fn begun() -> FinetuneSettings {
        let format = Format::Text { layout: TextLayout::Lines };
        FinetuneSettings::new(Path::new("model"), Input::new(vec!["a.txt".to_owned()], format))
    }

    /// A run with the settings `begun`, in a folder with a copy of them as a checkpoint was made with them.
    fn run() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        drop(RunFolder::create(folder.path(), &settings::to_toml(&begun()).unwrap()).unwrap());
        let checkpoint = folder.path().join("checkpoints/step-1");
        std::fs::create_dir_all(&checkpoint).unwrap();
        let state = json!({
            "step": 1, "position": {"window": 0, "batch": 1}, "tokens": 1, "seconds": 1.0, "evaluated": 0, "best": null,
            "evaluations_without_improvement": 0, "tally": {}
        });
        std::fs::write(checkpoint.join("state.json"), json!({"state": state}).to_string()).unwrap();
        folder
    }

    fn found(sets: &[&str]) -> Result<Vec<String>, RecipeError> {
        let sets: Vec<String> = sets.iter().map(|&set| set.to_owned()).collect();
        let now: FinetuneSettings = settings::load(&begun(), None, &sets).unwrap();
        let found = changes(run().path(), &now)?;
        Ok(found.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn what_may_change_is_listed() {
        assert_eq!(found(&[]).unwrap(), [""; 0]);
        let steps = found(&["train.steps=7", "train.patience=3", "train.optimizer.learning_rate=0.5"]).unwrap();
        let rate = AdamConfig::default().learning_rate;
        assert_eq!(
            steps,
            [
                format!("`train.optimizer.learning_rate` was {rate}, is now 0.5"),
                "`train.patience` was absent, is now 3".to_owned(),
                "`train.steps` was 1000, is now 7".to_owned()
            ]
        );
        assert_eq!(found(&["data.paths=[\"b.txt\"]", "model=other"]).unwrap().len(), 2);
        let halves = ["train.micro_batch_size=16", "train.grad_accum_steps=2"];
        assert_eq!(found(&halves).unwrap().len(), 2);
        assert!(!found(&["train.schedule={kind=\"inverse-sqrt\",warmup_steps=4}"]).unwrap().is_empty());
    }

    #[test]
    fn what_the_checkpoint_depends_on_is_refused_by_name() {
        for set in [
            "seed=1",
            "max_seq_length=7",
            "from_scratch=true",
            "on_bad_row=skip",
            "validation_share=0.5",
            "data.format.layout=file",
            "train.window=4096",
            "train.micro_batch_size=16",
            "train.grad_accum_steps=2",
        ] {
            let key = set.split('=').next().unwrap();
            let Err(RecipeError::FixedSettings { changes, .. }) = found(&[set, "train.steps=7"]) else {
                panic!("{set} is allowed");
            };
            assert!(changes.len() == 1 && changes[0].key == key, "{changes:?}");
        }
        let validation = "validation={paths=[\"b.txt\"],format={kind=\"text\",layout=\"lines\"}}";
        assert!(matches!(found(&[validation]), Err(RecipeError::FixedSettings { .. })));
        for set in ["train.optimizer.kind=adam", "train.freeze=2", "train.unfreeze_every=9", "train.ema_decay=0.9"] {
            assert!(matches!(found(&[set]), Err(RecipeError::FixedSettings { .. })), "{set}");
        }
    }

    /// The step of the checkpoint is 1.
    #[test]
    fn settings_of_steps_are_refused_when_none_is_left() {
        for sets in [["train.steps=1", "train.optimizer.learning_rate=0.5"], ["train.steps=1", "train.patience=3"]] {
            assert!(matches!(found(&sets), Err(RecipeError::NoStepLeft { step: 1, .. })), "{sets:?}");
        }
        assert_eq!(found(&["train.steps=1"]).unwrap().len(), 1);
    }

    #[test]
    fn another_model_is_refused_while_that_of_the_run_is_there() {
        let change = |before: &Path, after: &Path| Change {
            key: "model".to_owned(),
            before: json!(before),
            after: json!(after),
        };
        let (train, folder) = (TrainConfig::default(), tempfile::tempdir().unwrap());
        let (here, other) = (folder.path().join("a"), folder.path().join("b"));
        let allows = |before: &Path, after: &Path, has_adapter| {
            Rule::of("model").allows(&change(before, after), &train, &train, has_adapter)
        };
        assert!(allows(&here, &other, false));
        std::fs::create_dir(&here).unwrap();
        assert!(!allows(&here, &other, false));
        assert!(allows(&here, &other, true));
        assert!(allows(&here, &folder.path().join(".").join("a"), false));
    }

    #[test]
    fn anything_may_change_before_the_first_checkpoint() {
        let folder = run();
        std::fs::remove_dir_all(folder.path().join("checkpoints/step-1")).unwrap();
        let edited = FinetuneSettings { seed: 1, ..begun() };
        assert_eq!(changes(folder.path(), &edited).unwrap().len(), 1);
    }

    /// The copy decides, not the file that people edit.
    #[test]
    fn an_edited_file_is_compared_with_what_the_run_was_begun_with() {
        let folder = run();
        let edited = FinetuneSettings { seed: 1, ..begun() };
        std::fs::write(RunFolder::settings_file(folder.path()), settings::to_toml(&edited).unwrap()).unwrap();
        let Err(RecipeError::FixedSettings { changes, .. }) = changes(folder.path(), &edited) else {
            panic!("the seed may change");
        };
        assert_eq!((&changes[0].before, &changes[0].after), (&json!(42), &json!(1)));
    }
}
