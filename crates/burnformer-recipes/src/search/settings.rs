//! Settings of a search.

use std::collections::BTreeMap;

use burnformer_core::config::{ConfigError, Validate};
use burnformer_search::{AshaConfig, Direction, Sampler};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::SEED;

/// Settings of a search: the schema of its file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SearchSettings {
    /// Command that trains, as on a command line of the program but without `--out`: `finetune --model …`. A library makes the
    /// runs itself.
    #[serde(default)]
    pub command: String,
    /// Validation metric that trials are compared by; absent for the one that the recipe chooses its best model by.
    pub metric: Option<String>,
    /// Whether less or more of the metric is better; absent for what is usual: less of a loss, more of anything else.
    pub direction: Option<Direction>,
    /// Number of trials.
    pub trials: usize,
    /// Seed of the values that are tried. That of the runs is their own setting.
    pub seed: u64,
    /// Greatest number of trials that run at once, in each process.
    pub jobs: usize,
    /// Number of threads that all trials of a process together compute with; absent for all there are.
    pub threads: Option<usize>,
    /// Memory that the trials of a process that run at once may take together, in GiB, as the plans of the runs estimate it; absent for
    /// what the machine has left.
    pub memory_gib: Option<f64>,
    /// Which runs stay on the disk: `all`, or the `best` and those that wait. What the others have measured stays in the journal.
    #[serde(default)]
    pub keep: Keep,
    /// How the values of a trial are chosen.
    pub sampler: Sampler,
    /// When trials are compared, so that only the best go on; absent if all do all their steps.
    pub asha: Option<AshaConfig>,
    /// The settings that are searched: a parameter at each key.
    pub space: BTreeMap<String, Value>,
}

/// Which runs of a search stay on the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// All of them.
    #[default]
    All,
    /// That of the best trial, and those of trials that run or wait.
    Best,
}

impl Default for SearchSettings {
    fn default() -> Self {
        Self {
            command: String::new(),
            metric: None,
            direction: None,
            trials: 20,
            seed: SEED,
            jobs: 1,
            threads: None,
            memory_gib: None,
            keep: Keep::All,
            sampler: Sampler::default(),
            asha: None,
            space: BTreeMap::new(),
        }
    }
}

impl Validate for SearchSettings {
    fn validate(&self) -> Result<(), ConfigError> {
        ConfigError::check("trials", &self.trials, (1..=100_000).contains(&self.trials), "1 to 100000")?;
        ConfigError::check("jobs", &self.jobs, (1..=1024).contains(&self.jobs), "1 to 1024")?;
        if let Some(threads) = self.threads {
            ConfigError::check("threads", &threads, (1..=4096).contains(&threads), "1 to 4096")?;
        }
        if let Some(memory) = self.memory_gib {
            ConfigError::check_finite_positive("memory_gib", memory)?;
        }
        self.sampler.validate().map_err(|error| error.within("sampler"))?;
        self.asha.as_ref().map_or(Ok(()), |asha| asha.validate().map_err(|error| error.within("asha")))
    }
}

impl SearchSettings {
    /// The first setting that differs in `now` and may not: the trials so far depend on it.
    pub(super) fn fixed_change(&self, now: &Self) -> Option<&'static str> {
        [
            ("command", self.command != now.command),
            ("metric", self.metric != now.metric),
            ("direction", self.direction != now.direction),
            ("seed", self.seed != now.seed),
            ("sampler", self.sampler != now.sampler),
            ("asha", self.asha != now.asha),
            ("space", self.space != now.space),
        ]
        .into_iter()
        .find_map(|(key, differs)| differs.then_some(key))
    }
}

#[cfg(test)]
mod tests {
    use burnformer_core::settings::{load_text, reload_text, to_toml};

    use super::*;

    const FILE: &str = "
command = \"finetune --model base --train 'my data.csv'\"
trials = 9
[asha]
[sampler]
kind = \"random\"
[space]
train.optimizer.learning_rate = { kind = \"log-uniform\", low = 1e-5, high = 1e-3 }
\"train.micro_batch_size\" = { kind = \"choice\", values = [16, 32] }
";

    #[test]
    fn a_file_is_read_and_written() {
        let settings: SearchSettings = load_text(&SearchSettings::default(), "space.toml", FILE, &[]).unwrap();
        assert_eq!(
            (settings.trials, settings.asha, &settings.sampler),
            (9, Some(AshaConfig::default()), &Sampler::Random)
        );
        assert_eq!(settings.space.len(), 2);
        let again: SearchSettings = reload_text("search.toml", &to_toml(&settings).unwrap(), &[]).unwrap();
        assert_eq!(again, settings);
        assert_eq!(settings.fixed_change(&SearchSettings { trials: 10, jobs: 2, ..again.clone() }), None);
        assert_eq!(settings.fixed_change(&SearchSettings { seed: 10, ..again }), Some("seed"));
    }

    #[test]
    fn unknown_and_impossible_settings_are_named() {
        for (text, expected) in [
            ("trails = 3", "sets the unknown key `trails`, did you mean `trials`?"),
            ("trials = 0", "`trials` is 0, expected 1 to 100000"),
            ("[asha]\nrungs = 0", "`asha.rungs` is 0"),
            ("[asha]\nreductoin = 3", "`asha.reductoin`"),
            ("[sampler]\nkind = \"tpe\"\ngamma = 1.0", "`sampler.gamma` is 1"),
            ("[sampler]\nkind = \"grid\"", "unknown variant `grid`"),
            ("memory_gib = 0", "`memory_gib`"),
        ] {
            let error = load_text(&SearchSettings::default(), "s.toml", text, &[]).unwrap_err();
            let text = crate::causes(&error).join(": ");
            assert!(text.contains(expected), "{text}");
        }
    }
}
