//! The journal of a study, in the format of Optuna's `JournalFileBackend`: a JSON object a line, whose order is its history.
//!
//! Source: `optuna/storages/journal/_storage.py` of Optuna 5.0.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use burnformer_core::files::{atomic_write_bytes, read_limited};
use serde_json::{Map, Value, json};

use crate::{Direction, Failure, Objective, SearchError, Space, TrialState};

/// Longest file, in bytes.
const MOST_BYTES: u64 = 1 << 30;
/// Who writes the lines. Optuna's workers have other names.
const WORKER: &str = "burnformer";
/// Numbers of operations.
const CREATE_STUDY: u64 = 0;
const DELETE_STUDY: u64 = 1;
const STUDY_USER_ATTR: u64 = 2;
const STUDY_SYSTEM_ATTR: u64 = 3;
const CREATE_TRIAL: u64 = 4;
const SET_PARAM: u64 = 5;
const SET_STATE: u64 = 6;
const SET_INTERMEDIATE: u64 = 7;
const USER_ATTR: u64 = 8;
const SYSTEM_ATTR: u64 = 9;
const DISCARD: u64 = 10;
/// Name of the attribute with the names of metrics.
const METRIC_NAMES: &str = "study:metric_names";
/// How the names of the attributes of a comparison begin; the first is that of Optuna's `SuccessiveHalvingPruner`.
const COMPLETED: &str = "completed_rung_";
const PROMOTED: &str = "promoted_rung_";
/// Names of the attributes with the reason of an early end.
const DIVERGED: &str = "diverged";
const IMPOSSIBLE: &str = "error";

/// A change of a study.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operation {
    Start { values: Vec<f64>, time: String },
    Evaluation { trial: usize, step: u64, value: f64 },
    Rung { trial: usize, rung: usize, value: f64 },
    Promotion { trial: usize, rung: usize },
    Failure { trial: usize, failure: Failure },
    End { trial: usize, state: TrialState, value: Option<f64>, time: String },
}

impl Operation {
    fn to_json(&self, space: &Space) -> Value {
        match self {
            Self::Start { values, time } => {
                let pairs = || space.parameters().iter().zip(values);
                let distributions = pairs().map(|(it, _)| (it.key.clone(), json!(it.domain.distribution())));
                let params = pairs().map(|(it, value)| (it.key.clone(), json!(value)));
                json!({
                    "op_code": CREATE_TRIAL, "worker_id": WORKER, "study_id": 0, "datetime_start": time, "state": 0,
                    "distributions": distributions.collect::<Map<_, _>>(), "params": params.collect::<Map<_, _>>(),
                })
            }
            Self::Evaluation { trial, step, value } => json!({
                "op_code": SET_INTERMEDIATE, "worker_id": WORKER, "trial_id": trial, "step": step,
                "intermediate_value": value,
            }),
            Self::Rung { trial, rung, value } => {
                attribute(SYSTEM_ATTR, *trial, &format!("{COMPLETED}{rung}"), json!(value))
            }
            Self::Promotion { trial, rung } => {
                attribute(SYSTEM_ATTR, *trial, &format!("{PROMOTED}{rung}"), json!(true))
            }
            Self::Failure { trial, failure } => {
                let name = match failure {
                    Failure::Diverged(_) => DIVERGED,
                    Failure::Impossible(_) => IMPOSSIBLE,
                };
                attribute(USER_ATTR, *trial, name, json!(failure.message()))
            }
            Self::End { trial, state, value, time } => json!({
                "op_code": SET_STATE, "worker_id": WORKER, "trial_id": trial, "state": *state as u8,
                "values": value.map(|value| vec![value]), "datetime_complete": time,
            }),
        }
    }
}

fn attribute(operation: u64, trial: usize, name: &str, value: Value) -> Value {
    let table = if operation == USER_ATTR { "user_attr" } else { "system_attr" };
    json!({"op_code": operation, "worker_id": WORKER, "trial_id": trial, table: {name: value}})
}

/// The file, open to append to.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    /// Length of the lines that are whole, in bytes.
    length: u64,
}

impl Journal {
    pub(crate) fn create(path: &Path, name: &str, objective: &Objective) -> Result<Self, SearchError> {
        let direction = match objective.direction {
            Direction::Minimize => 1,
            Direction::Maximize => 2,
        };
        let study = json!({
            "op_code": CREATE_STUDY, "worker_id": WORKER, "study_name": name, "directions": [direction],
        });
        let metric = json!({
            "op_code": STUDY_SYSTEM_ATTR, "worker_id": WORKER, "study_id": 0,
            "system_attr": {METRIC_NAMES: [objective.metric]},
        });
        let text = format!("{study}\n{metric}\n");
        let written = atomic_write_bytes(path, &text).map_err(io::Error::other);
        written.map_err(SearchError::io("write", path))?;
        Self::append_to(path, text.len() as u64)
    }

    /// Opens the journal of a study of `space`, and returns what the study looks for and all its changes.
    pub(crate) fn open(path: &Path, space: &Space) -> Result<(Self, Objective, Vec<Operation>), SearchError> {
        let bytes = read_limited(path, MOST_BYTES).map_err(SearchError::io("read", path))?;
        // A line that a killed process has not finished.
        let length = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let mut reader =
            Reader { space, direction: None, metric: String::new(), operations: Vec::new(), missing: Vec::new() };
        for (place, line) in bytes[..length].split(|byte| *byte == b'\n').enumerate() {
            if !line.is_empty() {
                let read = serde_json::from_slice(line).map_err(|error| error.to_string());
                let read = read.and_then(|line| reader.read(&line));
                read.map_err(|problem| SearchError::Line { path: path.to_owned(), line: place + 1, problem })?;
            }
        }
        let lacks = reader.missing.iter().position(|known| known.values < space.parameters().len());
        if let Some(trial) = lacks {
            let line = bytes[..length].split(|byte| *byte == b'\n').count() - 1;
            return Err(SearchError::Line { path: path.to_owned(), line, problem: lacking(trial) });
        }
        let Some(direction) = reader.direction else { return Err(SearchError::NoStudy { path: path.to_owned() }) };
        let journal = Self::append_to(path, length as u64)?;
        journal.file.set_len(length as u64).map_err(SearchError::io("write", path))?;
        Ok((journal, Objective { metric: reader.metric, direction }, reader.operations))
    }

    fn append_to(path: &Path, length: u64) -> Result<Self, SearchError> {
        let file = OpenOptions::new().append(true).open(path).map_err(SearchError::io("open", path))?;
        Ok(Self { path: path.to_owned(), file, length })
    }

    /// Writes one line at once, or nothing of it; it survives a loss of power.
    pub(crate) fn append(&mut self, operation: &Operation, space: &Space) -> Result<(), SearchError> {
        let line = format!("{}\n", operation.to_json(space));
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        if let Err(source) = written {
            // As if nothing had been written; if that fails too, the next reader removes the rest of a line.
            let _ = self.file.set_len(self.length);
            return Err(SearchError::io("write", &self.path)(source));
        }
        self.length += line.len() as u64;
        Ok(())
    }
}

fn lacking(trial: usize) -> String {
    format!("trial {trial} has no value of some parameter: another program made it")
}

/// Reads lines one after the other.
struct Reader<'a> {
    space: &'a Space,
    direction: Option<Direction>,
    metric: String,
    operations: Vec<Operation>,
    /// For each trial, where it starts in `operations`, and how many of its values and comparisons are known.
    missing: Vec<Known>,
}

#[derive(Default)]
struct Known {
    start: usize,
    values: usize,
    rungs: usize,
    promotions: usize,
    is_finished: bool,
}

impl Reader<'_> {
    fn read(&mut self, line: &Value) -> Result<(), String> {
        let operation = line["op_code"].as_u64().ok_or("it has no `op_code`")?;
        if operation != CREATE_STUDY && self.direction.is_none() {
            return Err("it stands before the line that creates the study".to_owned());
        }
        match operation {
            CREATE_STUDY => self.create_study(line),
            STUDY_SYSTEM_ATTR => {
                if let Some(metric) = line["system_attr"][METRIC_NAMES][0].as_str() {
                    metric.clone_into(&mut self.metric);
                }
                Ok(())
            }
            // Notes of the dashboard, and the like.
            STUDY_USER_ATTR | DISCARD => Ok(()),
            DELETE_STUDY => Err("it deletes the study".to_owned()),
            CREATE_TRIAL => self.create_trial(line),
            SET_PARAM | SET_STATE | SET_INTERMEDIATE | USER_ATTR | SYSTEM_ATTR => self.change(operation, line),
            other => Err(format!("`op_code` is {other}, expected 0 to 10")),
        }
    }

    fn create_study(&mut self, line: &Value) -> Result<(), String> {
        if self.direction.is_some() {
            return Err("it creates another study, expected one".to_owned());
        }
        self.direction = match (line["directions"].as_array().map(Vec::len), line["directions"][0].as_u64()) {
            (Some(1), Some(1)) => Some(Direction::Minimize),
            (Some(1), Some(2)) => Some(Direction::Maximize),
            _ => return Err(format!("`directions` is {}, expected [1] or [2]", line["directions"])),
        };
        Ok(())
    }

    fn create_trial(&mut self, line: &Value) -> Result<(), String> {
        let state = line["state"].as_u64().unwrap_or(0);
        if state != 0 {
            return Err(format!("it adds a trial of state {state}, expected 0: another program made it"));
        }
        self.missing.push(Known { start: self.operations.len(), ..Known::default() });
        let time = line["datetime_start"].as_str().unwrap_or_default().to_owned();
        let values = vec![f64::NAN; self.space.parameters().len()];
        self.operations.push(Operation::Start { values, time });
        let trial = self.missing.len() - 1;
        let Some(params) = line["params"].as_object() else { return Ok(()) };
        params.iter().try_for_each(|(key, value)| self.set_value(trial, key, value))
    }

    fn set_value(&mut self, trial: usize, key: &str, value: &Value) -> Result<(), String> {
        let place = self.space.parameters().iter().position(|parameter| parameter.key == key);
        let place = place.ok_or_else(|| format!("the parameter `{key}` is not in the space"))?;
        let domain = &self.space.parameters()[place].domain;
        let number = value.as_f64().filter(|number| domain.contains(*number));
        let number = number.ok_or_else(|| format!("`{key}` is {value}, which is not in the space"))?;
        let known = &mut self.missing[trial];
        if let Operation::Start { values, .. } = &mut self.operations[known.start] {
            known.values += usize::from(values[place].is_nan());
            values[place] = number;
        }
        Ok(())
    }

    /// A change of a trial.
    fn change(&mut self, operation: u64, line: &Value) -> Result<(), String> {
        let trial = line["trial_id"].as_u64().and_then(|trial| usize::try_from(trial).ok());
        let trial = trial.filter(|trial| *trial < self.missing.len());
        let trial = trial.ok_or_else(|| format!("there is no trial {}", line["trial_id"]))?;
        if self.missing[trial].is_finished {
            // As Optuna does with what comes too late.
            return Ok(());
        }
        let number = |value: &Value, name: &str| {
            value
                .as_f64()
                .filter(|value| value.is_finite())
                .ok_or_else(|| format!("`{name}` is {value}, expected a number"))
        };
        match operation {
            SET_PARAM => {
                let key = line["param_name"].as_str().ok_or("it has no `param_name`")?;
                return self.set_value(trial, key, &line["param_value_internal"]);
            }
            SET_INTERMEDIATE | SET_STATE if self.missing[trial].values < self.space.parameters().len() => {
                return Err(lacking(trial));
            }
            SET_INTERMEDIATE => {
                let step = line["step"].as_u64().ok_or_else(|| format!("`step` is {}", line["step"]))?;
                let value = number(&line["intermediate_value"], "intermediate_value")?;
                self.operations.push(Operation::Evaluation { trial, step, value });
            }
            SET_STATE => return self.set_state(trial, line, number),
            USER_ATTR => {
                let text = |name: &str| line["user_attr"][name].as_str().map(str::to_owned);
                let failure =
                    text(DIVERGED).map(Failure::Diverged).or_else(|| text(IMPOSSIBLE).map(Failure::Impossible));
                self.operations.extend(failure.map(|failure| Operation::Failure { trial, failure }));
            }
            _ => {
                let Some((name, value)) = line["system_attr"].as_object().and_then(|table| table.iter().next()) else {
                    return Err("it has no `system_attr`".to_owned());
                };
                let known = &mut self.missing[trial];
                if *name == format!("{COMPLETED}{}", known.rungs) {
                    let value = number(value, name)?;
                    self.operations.push(Operation::Rung { trial, rung: known.rungs, value });
                    known.rungs += 1;
                } else if *name == format!("{PROMOTED}{}", known.promotions) && known.promotions < known.rungs {
                    self.operations.push(Operation::Promotion { trial, rung: known.promotions });
                    known.promotions += 1;
                } else if name.starts_with(COMPLETED) || name.starts_with(PROMOTED) {
                    return Err(format!("`{name}` does not follow what trial {trial} has done"));
                }
            }
        }
        Ok(())
    }

    fn set_state(
        &mut self,
        trial: usize,
        line: &Value,
        number: impl Fn(&Value, &str) -> Result<f64, String>,
    ) -> Result<(), String> {
        let state = match line["state"].as_u64() {
            Some(0) => return Ok(()),
            Some(1) => TrialState::Complete,
            Some(2) => TrialState::Pruned,
            Some(3) => TrialState::Failed,
            _ => return Err(format!("`state` is {}, expected 0 to 3", line["state"])),
        };
        let value = &line["values"][0];
        let value = if value.is_null() { None } else { Some(number(value, "values")?) };
        if state == TrialState::Complete && value.is_none() {
            return Err(format!("trial {trial} is complete without a value"));
        }
        self.missing[trial].is_finished = true;
        let time = line["datetime_complete"].as_str().unwrap_or_default().to_owned();
        self.operations.push(Operation::End { trial, state, value, time });
        Ok(())
    }
}
