//! Objectives of pretraining, each with a recipe.

use std::collections::BTreeMap;
use std::path::Path;

use burnformer_core::config::{ConfigError, Validate};
use burnformer_core::settings;
use burnformer_models::{Architecture, Head, ModelClass};
use burnformer_train::RunFolder;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::RecipeError;

/// Objective of a pretraining run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Objective {
    /// Masked language modelling, and next-sentence prediction of a BERT: [`Pretrain`](crate::Pretrain). The `run.toml` of such a run has
    /// no `objective`.
    #[default]
    MaskedLm,
    /// Prediction of the next token: [`PretrainCausalLm`](crate::PretrainCausalLm).
    CausalLm,
}

/// `objective` among any other settings.
#[derive(Serialize, Deserialize)]
struct Settings {
    #[serde(default)]
    objective: Objective,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

impl Validate for Settings {
    fn validate(&self) -> Result<(), ConfigError> {
        Ok(())
    }
}

impl Objective {
    /// The objective of the run in `folder`; the default if there is no run.
    ///
    /// # Errors
    /// If its `run.toml` cannot be read, or names an objective that is not known.
    pub fn of_run(folder: &Path) -> Result<Self, RecipeError> {
        let file = RunFolder::settings_file(folder);
        match file.is_file() {
            true => Ok(settings::reload::<Settings>(&file, &[])?.objective),
            false => Ok(Self::default()),
        }
    }

    /// Refuses the model in `init` if only the other objective pretrains models of its type.
    pub(crate) fn check_init(self, init: &Path) -> Result<(), RecipeError> {
        let found = Architecture::of(init)?;
        let by = match found {
            Architecture::Gpt2 => Some(Self::CausalLm),
            _ if ModelClass::new(found, Head::MaskedLm).is_some() => Some(Self::MaskedLm),
            // Of neither: the settings of its model are refused with what is expected.
            _ => None,
        };
        match by.filter(|by| *by != self) {
            Some(_) => {
                let model_type = found.model_type();
                Err(RecipeError::OtherObjective { init: init.to_owned(), model_type, asked: self })
            }
            None => Ok(()),
        }
    }

    /// The name in `run.toml`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::MaskedLm => "masked-lm",
            Self::CausalLm => "causal-lm",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_without_an_objective_predicts_masked_tokens() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Objective::of_run(folder.path()).unwrap(), Objective::MaskedLm);
        let found = |toml: &str| {
            std::fs::write(RunFolder::settings_file(folder.path()), toml).unwrap();
            Objective::of_run(folder.path()).map_err(|error| error.to_string())
        };
        assert_eq!(found("seed = 1\n[train]\nsteps = 3\n"), Ok(Objective::MaskedLm));
        for objective in [Objective::MaskedLm, Objective::CausalLm] {
            assert_eq!(found(&format!("objective = \"{}\"\nseed = 1\n", objective.name())), Ok(objective));
        }
        assert!(found("objective = \"telepathy\"\n").unwrap_err().contains("objective"));
    }
}
