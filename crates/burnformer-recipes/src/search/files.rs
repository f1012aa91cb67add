//! What a search writes about its trials beside the journal, and its report.

use std::path::{Path, PathBuf};

use burnformer_core::files::atomic_write_bytes;
use burnformer_core::settings::to_toml;
use burnformer_reports::{SearchReport, SettingValue, TrialReport};
use burnformer_search::{
    Direction, Study, Trial, TrialState, history_picture, importance, importance_picture, parallel_picture,
};
use serde_json::Value;

use super::{SearchRunError, trial_folder};

/// Names of the files.
const BEST_FILE: &str = "best.toml";
const TABLE_FILE: &str = "trials.csv";
const HISTORY_FILE: &str = "history.svg";
const PARALLEL_FILE: &str = "parallel_coordinates.svg";
const IMPORTANCE_FILE: &str = "importance.svg";

/// Writes the table, the best settings, and the pictures into `out`.
pub(super) fn write(out: &Path, study: &Study) -> Result<(), SearchRunError> {
    if study.trials().is_empty() {
        return Ok(());
    }
    atomic_write_bytes(&out.join(TABLE_FILE), table(study))?;
    atomic_write_bytes(&out.join(HISTORY_FILE), history_picture(study)?)?;
    atomic_write_bytes(&out.join(PARALLEL_FILE), parallel_picture(study)?)?;
    if let Some(shares) = importance(study.space(), &study.observations()) {
        atomic_write_bytes(&out.join(IMPORTANCE_FILE), importance_picture(study.space(), &shares)?)?;
    }
    if let Some(best) = study.best() {
        let trial = &study.trials()[best];
        let settings = to_toml(&study.space().settings(&trial.values))?;
        let value = trial.value.map_or_else(String::new, |value| format!(": {} {value}", study.objective().metric));
        let text = format!("# Trial {best}{value}. Lay it over other settings with `--config`.\n{settings}");
        atomic_write_bytes(&out.join(BEST_FILE), text)?;
    }
    Ok(())
}

/// The report of a search.
pub(super) fn report(out: &Path, study: &Study) -> SearchReport {
    let objective = study.objective();
    let keys = || study.space().parameters().iter().map(|parameter| parameter.key.clone());
    let trials = study.trials().iter().enumerate();
    let best = study.best();
    SearchReport {
        folder: out.to_owned(),
        metric: objective.metric.clone(),
        maximize: objective.direction == Direction::Maximize,
        best,
        best_settings: best.map(|_| out.join(BEST_FILE)),
        importance: importance(study.space(), &study.observations()).map(|shares| keys().zip(shares).collect()),
        trials: trials.map(|(number, trial)| of_trial(trial_folder(out, number), number, trial, study)).collect(),
    }
}

fn of_trial(folder: PathBuf, number: usize, trial: &Trial, study: &Study) -> TrialReport {
    let parameters = study.space().parameters().iter().zip(&trial.values);
    let setting = |value: Value| match value {
        Value::Bool(flag) => SettingValue::Flag(flag),
        Value::Number(number) => match number.as_i64() {
            Some(number) => SettingValue::Whole(number),
            None => SettingValue::Number(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => SettingValue::Text(text),
        other => SettingValue::Text(other.to_string()),
    };
    TrialReport {
        number,
        state: state_name(trial.state).to_owned(),
        value: trial.value,
        steps: trial.evaluations.keys().last().copied().unwrap_or(0),
        settings: parameters.map(|(it, value)| (it.key.clone(), setting(it.domain.setting(*value)))).collect(),
        folder,
        error: trial.failure.as_ref().map(|failure| failure.message().to_owned()),
    }
}

fn state_name(state: TrialState) -> &'static str {
    match state {
        TrialState::Running => "running",
        TrialState::Complete => "complete",
        TrialState::Pruned => "pruned",
        TrialState::Failed => "failed",
    }
}

/// The trials as CSV: number, state, last step that was evaluated, value, settings, error.
fn table(study: &Study) -> String {
    let field = |text: &str| match text.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    };
    let parameters = study.space().parameters();
    let keys = parameters.iter().map(|parameter| field(&parameter.key));
    let head = ["trial", "state", "steps"].map(str::to_owned).into_iter().chain([field(&study.objective().metric)]);
    let head: Vec<String> = head.chain(keys).chain(["error".to_owned()]).collect();
    let row = |(number, trial): (usize, &Trial)| {
        let steps = trial.evaluations.keys().last().copied().unwrap_or(0);
        let value = trial.value.map_or_else(String::new, |value| value.to_string());
        let settings = parameters.iter().zip(&trial.values).map(|(it, value)| match it.domain.setting(*value) {
            Value::String(text) => field(&text),
            other => other.to_string(),
        });
        let first = [number.to_string(), state_name(trial.state).to_owned(), steps.to_string(), value];
        let error = trial.failure.as_ref().map_or_else(String::new, |failure| field(failure.message()));
        first.into_iter().chain(settings).chain([error]).collect::<Vec<String>>()
    };
    let rows = [head].into_iter().chain(study.trials().iter().enumerate().map(row));
    rows.map(|row| row.join(",") + "\n").collect()
}
