//! Checkpoints: a model folder, the optimiser's moments, the state of the run, and the trained weights if the model is their
//! average.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::hash::Hasher;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::module::Module;
use burn::tensor::Device;
use burnformer_core::files::{AtomicFolder, FileError, atomic_write_bytes, open_regular, read_limited};
use burnformer_models::ModelError;
use burnformer_models::weights::Weights;
use burnformer_nn::parts::{Part, part_of};
use burnformer_tasks::Task;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_64;

use crate::ema::Ema;
use crate::holdings::{AllHoldings, parameter_of};
use crate::layers::LayerRule;
use crate::ranks::Ranks;
use crate::run::Run;
use crate::seal::{self, Seal};
use crate::shards::Shards;
use crate::{
    Optimizer, OptimizerStateError, ParameterRule, RunProgress, Stages, TrainConfig, TrainError, TrainState, parameters,
};

pub(crate) const OPTIMIZER_FILE: &str = "optimizer.safetensors";
/// The weights that were trained, where the model is their moving average.
pub(crate) const TRAINED_FILE: &str = "trained.safetensors";
pub(crate) const STATE_FILE: &str = "state.json";
/// Version of the layout. `state.json` of the first one has no checksum of itself.
const FORMAT: u32 = 2;
/// How deep folders of modules lie within a checkpoint.
const MOST_LEVELS: usize = 2;
/// Longest file of a state, in bytes: sums of many classes take megabytes.
const MOST_STATE: u64 = 1 << 28;

/// What a run is resumed from.
pub struct Checkpoint<T: Task> {
    /// The model, on a device that tracks gradients.
    pub model: T::Model,
    /// Optimiser with its moments.
    pub optimizer: Optimizer,
    /// Which rank updates which parameter.
    pub(crate) shards: Arc<Shards>,
    /// The moving average of the weights, if the settings ask for it.
    pub(crate) ema: Option<Ema>,
    /// State of the run.
    pub state: TrainState<T::MetricState>,
    /// `true` if the settings ask for a checkpoint after this step, whenever the run is stopped and however fast it is; `false`
    /// for one that only saves what was done.
    pub scheduled: bool,
}

/// What a checkpoint is read for.
pub(crate) struct Source<'a, T> {
    pub(crate) task: &'a T,
    pub(crate) config: &'a TrainConfig,
    pub(crate) parameter_rule: &'a dyn ParameterRule,
    /// Names of the batches that a checkpoint may have, the first of which is today's.
    pub(crate) batches: &'a [String],
    /// The device, with gradient tracking.
    pub(crate) device: Device,
    /// The processes that go on with it.
    pub(crate) ranks: &'a Ranks<'a>,
    /// The stages of the model, where they run one each.
    pub(crate) stages: Option<&'a Stages>,
}

/// The content of `state.json`.
#[derive(Serialize, Deserialize)]
struct StateFile<L> {
    format: u32,
    /// Description of the batches, on which positions depend.
    batches: String,
    state: TrainState<L>,
    optimizer_steps: u64,
    /// Number of updates before the moments of a parameter were started, by path, where there were some.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    optimizer_starts: BTreeMap<String, u64>,
    /// See [`Checkpoint::scheduled`].
    #[serde(default = "always")] // Checkpoints that were written before.
    scheduled: bool,
    /// Checksum of every other file of the checkpoint.
    checksums: BTreeMap<String, String>,
}

fn always() -> bool {
    true
}

/// The folder of the checkpoint after `step` steps.
pub(crate) fn path(checkpoints: &Path, step: u64) -> PathBuf {
    checkpoints.join(format!("step-{step}"))
}

impl<T: Task> Checkpoint<T> {
    /// Writes the checkpoint of `run` as a whole or not at all. One of the same step is replaced. The other ranks
    /// [serve](crate::serving::serve) what they hold, by `holdings`. Moments were started after the `starts` of all.
    pub(crate) fn write(
        task: &T,
        run: &Run<'_, T>,
        holdings: &AllHoldings,
        starts: BTreeMap<String, u64>,
        batches: &str,
        scheduled: bool,
        checkpoints: &Path,
    ) -> Result<(), TrainError> {
        let Run { model, optimizer, ema, state, .. } = run;
        let folder = AtomicFolder::create(&path(checkpoints, state.step))?;
        let save = || match ema {
            Some(ema) => task.save(&ema.apply(model.valid()), folder.path()),
            None => task.save(model, folder.path()),
        };
        holdings.with_weights(run, save).map_err(TrainError::task)?;
        if ema.is_some() {
            holdings.write_trained(run, &folder.path().join(TRAINED_FILE))?;
        }
        holdings.write_moments(run, &folder.path().join(OPTIMIZER_FILE))?;
        let file = StateFile {
            format: FORMAT,
            batches: batches.to_owned(),
            state: state.clone(),
            optimizer_steps: optimizer.n_steps(),
            optimizer_starts: starts,
            scheduled,
            checksums: checksums(folder.path())?,
        };
        let path = folder.path().join(STATE_FILE);
        let json = serde_json::to_vec_pretty(&file).map_err(|error| FileError::Io {
            attempt: "write",
            path: path.clone(),
            source: error.into(),
        })?;
        atomic_write_bytes(&path, seal::seal(json))?;
        Ok(folder.commit_replacing()?)
    }

    /// Reads the last checkpoint of `steps` that is whole on all ranks. Those that are not whole are handed to `damaged`.
    pub(crate) fn latest(
        source: &Source<'_, T>,
        checkpoints: &Path,
        steps: &[u64],
        mut damaged: impl FnMut(TrainError),
    ) -> Result<Option<Self>, TrainError> {
        for &step in steps.iter().rev() {
            let folder = path(checkpoints, step);
            let (found, problem) = match source.ranks.within_parts(source.stages, || Self::read(source, &folder)) {
                Ok(checkpoint) => (Some(checkpoint), Ok(None)),
                Err(TrainError::Damaged { problem, .. }) => (None, Ok(Some(problem))),
                Err(error) => (None, Err(error)),
            };
            match source.ranks.agree(problem)?.into_iter().flatten().next() {
                Some(problem) => damaged(TrainError::Damaged { folder, problem }),
                None => return Ok(found),
            }
        }
        Ok(None)
    }

    fn read(source: &Source<'_, T>, folder: &Path) -> Result<Self, TrainError> {
        let Source { task, config, parameter_rule, batches, device, ranks, stages } = source;
        let damaged = |problem: String| TrainError::Damaged { folder: folder.to_owned(), problem };
        let file: StateFile<T::MetricState> = read_state(folder)?;
        if !batches.contains(&file.batches) {
            let now = batches.first().cloned().unwrap_or_default();
            return Err(TrainError::OtherRun { what: "data", begun: file.batches, now });
        }
        let model = task.load(folder, device).map_err(TrainError::task)?;
        // As the step trained it that this is the checkpoint of.
        let rule = LayerRule::new(config, *parameter_rule, &model)?;
        let (model, _) = parameters::track(&rule, model, file.state.step.max(1));
        let is_elsewhere = |path: &str| stages.is_some_and(|it| !it.trains(ranks.stage(), path));
        let shards = Arc::new(Shards::new(&rule, &model, config.steps, ranks.data.as_ref(), &is_elsewhere));
        let optimizer = Optimizer::going_on(
            config.optimizer.clone(),
            file.optimizer_steps,
            file.optimizer_starts,
            Arc::clone(&shards),
        );
        let optimizer =
            read_moments(optimizer, &model, &folder.join(OPTIMIZER_FILE), device).map_err(|error| match error {
                MomentsError::Model(error) => damaged(format!("`{OPTIMIZER_FILE}`: {error}")),
                MomentsError::State(error) => error.into(),
            })?;
        let (ema, model) = match config.ema_decay {
            Some(decay) => {
                let (ema, model) = Ema::read_weights(decay, model, &folder.join(TRAINED_FILE), device)
                    .map_err(|error| damaged(format!("`{TRAINED_FILE}`: {error}")))?;
                (Some(ema), model)
            }
            None => (None, model),
        };
        Ok(Self { model, optimizer, shards, ema, state: file.state, scheduled: file.scheduled })
    }
}

/// Makes sure that the checkpoint in `folder` is what was written.
pub(crate) fn verify(folder: &Path) -> Result<(), TrainError> {
    read_state::<IgnoredAny>(folder).map(drop)
}

/// What the state of the checkpoint in `folder` says, if it can be read.
pub(crate) fn progress(folder: &Path) -> Option<RunProgress> {
    #[derive(Deserialize)]
    struct File {
        state: TrainState<IgnoredAny>,
    }
    let File { state } = serde_json::from_slice(&read_limited(&folder.join(STATE_FILE), MOST_STATE).ok()?).ok()?;
    Some(RunProgress {
        step: state.step,
        best_step: state.best.map(|best| best.step),
        evaluations_without_improvement: state.evaluations_without_improvement,
    })
}

/// `true` if the settings asked for the checkpoint of this step; also for one that cannot be read.
pub(crate) fn is_scheduled(checkpoints: &Path, step: u64) -> bool {
    #[derive(Deserialize)]
    struct Scheduled {
        #[serde(default = "always")]
        scheduled: bool,
    }
    let json = read_limited(&path(checkpoints, step).join(STATE_FILE), MOST_STATE).unwrap_or_default();
    serde_json::from_slice(&json).map_or(true, |state: Scheduled| state.scheduled)
}

/// The steps of the checkpoints that the settings asked for, in order.
pub(crate) fn scheduled_steps(checkpoints: &Path) -> Result<Vec<u64>, TrainError> {
    let mut steps = steps(checkpoints)?;
    steps.retain(|&step| is_scheduled(checkpoints, step));
    Ok(steps)
}

/// The content of `state.json`, if that and the other files are what was written.
fn read_state<L: DeserializeOwned>(folder: &Path) -> Result<StateFile<L>, TrainError> {
    let damaged = |problem: String| TrainError::Damaged { folder: folder.to_owned(), problem };
    let json = read_limited(&folder.join(STATE_FILE), MOST_STATE);
    let json = json.map_err(|error| damaged(format!("`{STATE_FILE}`: {error}")))?;
    let seal = seal::check(&json);
    if seal == Seal::Broken {
        return Err(damaged(format!("`{STATE_FILE}` is not what was written")));
    }
    let file: StateFile<L> =
        serde_json::from_slice(&json).map_err(|error| damaged(format!("`{STATE_FILE}`: {error}")))?;
    if !(1..=FORMAT).contains(&file.format) {
        return Err(damaged(format!("it has format {}, expected 1 to {FORMAT}", file.format)));
    }
    if seal == Seal::Missing && file.format > 1 {
        return Err(damaged(format!("`{STATE_FILE}` has lost its checksum")));
    }
    if let Some(step) = folder.file_name().and_then(step_of).filter(|step| *step != file.state.step) {
        return Err(damaged(format!("`{STATE_FILE}` is of step {}, expected {step}", file.state.step)));
    }
    // A file that cannot be read is as lost as one that has changed.
    let found = checksums(folder).map_err(|error| damaged(causes(&error)))?;
    for (name, checksum) in &file.checksums {
        if found.get(name) != Some(checksum) {
            return Err(damaged(format!("`{name}` is not what was written")));
        }
    }
    Ok(file)
}

/// The files of a checkpoint that make a model folder, by their paths within it, the weights last.
pub(crate) fn model_files(folder: &Path) -> Result<Vec<PathBuf>, TrainError> {
    let mut names = files(folder)?;
    names.retain(|name| ![OPTIMIZER_FILE, TRAINED_FILE, STATE_FILE].map(Path::new).contains(&name.as_path()));
    // Those of modules in folders of their own belong to the weights at the top, which come last of all.
    names.sort_by_key(|name| (name.extension() == Some(OsStr::new("safetensors")), depth(name) == 1));
    Ok(names)
}

/// Number of components of a path.
fn depth(path: &Path) -> usize {
    path.components().count()
}

/// The files in `folder` and in the folders of modules within it, by their paths within it. Links are files.
fn files(folder: &Path) -> Result<Vec<PathBuf>, TrainError> {
    let (mut files, mut folders) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(within) = folders.pop() {
        let place = folder.join(&within);
        let read = |source| TrainError::Read { path: place.clone(), source };
        for entry in fs::read_dir(&place).map_err(read)? {
            let entry = entry.map_err(read)?;
            let path = within.join(entry.file_name());
            match entry.file_type().map_err(read)?.is_dir() && depth(&path) <= MOST_LEVELS {
                true => folders.push(path),
                false => files.push(path),
            }
        }
    }
    Ok(files)
}

/// The steps of which there are checkpoints, in order.
pub(crate) fn steps(checkpoints: &Path) -> Result<Vec<u64>, TrainError> {
    let read = |source| TrainError::Read { path: checkpoints.to_owned(), source };
    let mut steps = Vec::new();
    for entry in fs::read_dir(checkpoints).map_err(read)? {
        let name = entry.map_err(read)?.file_name();
        steps.extend(step_of(&name));
    }
    steps.sort_unstable();
    Ok(steps)
}

/// Puts checkpoints back that a killed process was replacing.
pub(crate) fn recover(checkpoints: &Path) -> Result<(), TrainError> {
    let read = |source| TrainError::Read { path: checkpoints.to_owned(), source };
    for entry in fs::read_dir(checkpoints).map_err(read)? {
        let name = entry.map_err(read)?.file_name();
        let replaced = name.to_str().and_then(|name| name.strip_prefix('.')?.strip_suffix(".replaced"));
        if let Some(name) = replaced {
            AtomicFolder::recover(&checkpoints.join(name))?;
        }
    }
    Ok(())
}

/// The step of a checkpoint's folder, by its name.
fn step_of(name: &OsStr) -> Option<u64> {
    let step = name.to_str()?.strip_prefix("step-")?.parse().ok()?;
    // Not `step-007`, which is no name that was written.
    (name == OsStr::new(&format!("step-{step}"))).then_some(step)
}

/// What `error` says, and what caused it.
fn causes(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {}", causes(source)))
}

/// The checksum of every file in a checkpoint but the one that holds them.
fn checksums(folder: &Path) -> Result<BTreeMap<String, String>, TrainError> {
    let mut sums = BTreeMap::new();
    for name in files(folder)? {
        let path = folder.join(&name);
        if name != Path::new(STATE_FILE) && path.is_file() {
            let parts: Vec<_> = name.iter().map(OsStr::to_string_lossy).collect();
            sums.insert(parts.join("/"), checksum(&path)?);
        }
    }
    Ok(sums)
}

fn checksum(path: &Path) -> Result<String, TrainError> {
    let read = |source| TrainError::Read { path: path.to_owned(), source };
    let mut file = open_regular(path).map_err(read)?;
    let mut hasher = XxHash3_64::with_seed(0);
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).map_err(read)? {
            0 => return Ok(format!("{:016x}", hasher.finish())),
            n => hasher.write(&buffer[..n]),
        }
    }
}

/// Names of modules that have changed, of which no model has the old one: layers of a decoder had their own.
const RENAMED: [(&str, &str); 2] = [("self_attention", "attention"), ("norm_self", "norm_attn")];

/// The path of a moment under the names of today.
fn renamed(path: &str) -> String {
    let name = |name| RENAMED.iter().find_map(|(former, now)| (*former == name).then_some(*now)).unwrap_or(name);
    path.split('.').map(name).collect::<Vec<_>>().join(".")
}

/// Moments that cannot be read.
#[derive(Debug, thiserror::Error)]
enum MomentsError {
    /// The file cannot be read.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// They are not those of the model.
    #[error(transparent)]
    State(#[from] OptimizerStateError),
}

/// The file of moments, and their names in it by those of today.
fn open_moments(path: &Path) -> Result<(Weights, BTreeMap<String, String>), ModelError> {
    let file = Weights::open(path)?;
    let names = file.names().into_iter().map(|name| (renamed(&name), name)).collect();
    Ok((file, names))
}

/// `optimizer` with the moments that it keeps, read one at a time, so that the file is not in memory beside them.
fn read_moments<M: Module>(
    mut optimizer: Optimizer,
    model: &M,
    path: &Path,
    device: &Device,
) -> Result<Optimizer, MomentsError> {
    let (mut file, names) = open_moments(path)?;
    // What belongs to the part of the model that is here.
    let here = |(now, name): (&String, &String)| {
        let part = part_of(parameter_of(now));
        (part != Part::None).then(|| Some((now.clone(), part.shape(file.shape(name)?))))?
    };
    let shapes: Vec<_> = names.iter().filter_map(here).collect();
    optimizer.check(model, shapes.iter().map(|(name, shape)| (name.as_str(), shape.as_slice())))?;
    for (now, name) in names {
        let part = part_of(parameter_of(&now));
        if part != Part::None && optimizer.keeps(&now) {
            let data = part.of(file.read(&name)?);
            optimizer.load_moment(now, data, device)?;
        }
    }
    Ok(optimizer)
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;
    use burnformer_models::weights::write_tensors;

    use super::*;

    #[test]
    fn files_in_folders_of_modules_belong_to_a_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        for name in
            ["model.safetensors", "2_Dense/model.safetensors", "1_Pooling/config.json", OPTIMIZER_FILE, STATE_FILE]
        {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
        let files = model_files(folder.path()).unwrap();
        let expected = ["1_Pooling/config.json", "2_Dense/model.safetensors", "model.safetensors"];
        assert_eq!(files, expected.map(PathBuf::from));
        let sums = checksums(folder.path()).unwrap();
        let expected = ["1_Pooling/config.json", "2_Dense/model.safetensors", "model.safetensors", OPTIMIZER_FILE];
        assert_eq!(sums.keys().collect::<Vec<_>>(), expected);
    }

    /// The paths are those of a `Seq2Seq` before and after its layers became one type.
    #[test]
    fn moments_of_old_checkpoints_have_the_paths_of_today() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(OPTIMIZER_FILE);
        let layer = "transformer.decoder.layers.1";
        let names = [
            (
                format!("{layer}.cross_attention.query.weight.first"),
                format!("{layer}.cross_attention.query.weight.first"),
            ),
            (format!("{layer}.norm_self.bias.first"), format!("{layer}.norm_attn.bias.first")),
            (format!("{layer}.self_attention.key.weight.second"), format!("{layer}.attention.key.weight.second")),
            (
                "transformer.encoder.layers.1.attention.key.weight.first".to_owned(),
                "transformer.encoder.layers.1.attention.key.weight.first".to_owned(),
            ),
        ];
        let moments: Vec<_> =
            names.iter().zip(0_u8..).map(|((old, _), i)| (old.clone(), TensorData::from([f32::from(i)]))).collect();
        let shapes: Vec<_> = moments.iter().map(|(name, moment)| (name.clone(), moment.shape().to_vec())).collect();
        let moment = |name: &str| Ok(moments.iter().find(|(other, _)| other == name).unwrap().1.clone());
        write_tensors(&shapes, moment, &path).unwrap();
        let (mut file, found) = open_moments(&path).unwrap();
        for ((_, now), (_, moment)) in names.iter().zip(&moments) {
            assert_eq!(&file.read(&found[now]).unwrap(), moment, "{now}");
        }
        assert_eq!(found.len(), names.len());
    }
}
