//! The common steps of all recipes: settings, plan, run, scores, model card, report.

use std::path::Path;

use burn::tensor::Device;
use burnformer_core::collective::Measured;
use burnformer_core::peak_memory;
use burnformer_core::progress::{Interrupted, Silent};
use burnformer_core::settings::{self, SettingsError};
use burnformer_data::batches::Collator;
use burnformer_data::datasets::Dataset;
use burnformer_models::{ModelSize, Passes, Staged, StepFloats};
use burnformer_nn::parts::Parts;
use burnformer_ops::{DeviceChoice, is_on_host};
use burnformer_reports::{DataReport, Memory, Plan, RunSummary, Stopped};
use burnformer_tasks::Task;
use burnformer_train::{
    AllParameters, Data, Event, History, MemoryEstimate, ModelCard, Outcome, ParameterRule, RunFolder, Stages, Stop,
    TrainConfig, TrainError, Trainer,
};

use crate::changes::changes;
use crate::memory::{self, Demand};
use crate::ranks::{agreed, check_same, first, shared_folder};
use crate::tensor_parallel::{self, measured};
use crate::{AnyReport, Context, Note, RecipeError, Report, RunSettings};

/// A recipe: a task, a model and its data, ready to train.
pub trait Recipe {
    /// Name of the setting that bounds the length of samples.
    const LENGTH_SETTING: &'static str;
    /// Settings of a run.
    type Settings: RunSettings;
    /// Task to train.
    type Task: Task;
    /// Training samples.
    type Samples: Dataset<Sample = <Self::Collator as Collator>::Sample> + 'static;
    /// Collator, which makes batches of the samples.
    type Collator: Collator<Batch = <Self::Task as Task>::Batch>;
    /// Report of a finished run.
    type Report: Report;

    /// The resolved settings.
    fn settings(&self) -> &Self::Settings;

    /// The task to train.
    fn task(&self) -> &Self::Task;

    /// The training and validation data.
    fn data(&self) -> &Data<Self::Samples, Self::Collator>;

    /// The fingerprint of the data as version 0.1.0 made it, if that is another.
    fn former_fingerprint(&self) -> Option<&str> {
        None
    }

    /// Report on the data, known before the first step; `None` where a recipe has none.
    fn data_report(&self) -> Option<&DataReport> {
        None
    }

    /// Size of model and samples.
    fn size(&self, device: &Device) -> Size;

    /// Size of the model, if it can be cut into parts for [tensor parallelism](burnformer_nn::with_tensor_parallel).
    fn cut_size(&self) -> Option<ModelSize>;

    /// Floats in memory in a step with these settings, on samples of up to `seq_length` tokens.
    fn step_floats(&self, train: &TrainConfig, seq_length: usize, passes: Passes) -> StepFloats;

    /// Refuses a run on the processes of `context` that takes more memory than `available` bytes in each of them, unless the
    /// settings say to start it nevertheless. What the memory of a GPU allows is not known.
    ///
    /// # Errors
    /// [`RecipeError::Memory`], with settings that would fit.
    fn check_memory(&self, device: &Device, context: &Context<'_>, available: u64) -> Result<(), RecipeError> {
        let train = self.settings().train();
        if !train.memory_check || !is_on_host(device) {
            return Ok(());
        }
        Ok(demand(self, &self.size(device), device, context, |demand| demand.check(available))?)
    }

    /// Which parameters are trained, and at which learning rate; by default all at that of the schedule.
    fn parameter_rule(&self) -> Box<dyn ParameterRule + '_> {
        Box::new(AllParameters)
    }

    /// Sends notes to the observer before the run starts.
    ///
    /// # Errors
    /// If it cannot be found out.
    fn announce(&self, _context: &Context<'_>) -> Result<(), RecipeError> {
        Ok(())
    }

    /// The model before its first step, on `device`, which tracks gradients.
    ///
    /// # Errors
    /// If the model that it is initialised from cannot be read.
    fn init(&self, device: &Device, context: &Context<'_>) -> Result<<Self::Task as Task>::Model, RecipeError>;

    /// The report of a run that ended as `run` says, with the best model, which is on `device`, without gradients.
    ///
    /// # Errors
    /// If the model cannot be measured; an interruption.
    fn report(
        &self,
        run: RunSummary,
        best: &<Self::Task as Task>::Model,
        device: &Device,
        context: &Context<'_>,
    ) -> Result<Self::Report, RecipeError>;

    /// The model card for `folder`.
    fn card(&self, folder: &Path, report: &Self::Report) -> ModelCard;

    /// Plan of a run on the device and the processes of `context`, all of which ask for it.
    ///
    /// # Errors
    /// If there is no such device, or a step takes more samples than there are.
    fn plan(&self, context: &Context<'_>) -> Result<Plan, RecipeError> {
        check_same(self.settings(), context)?;
        let (train, device) = (self.settings().train(), context.device);
        let n_neighbours = memory::neighbours(context.collective)?;
        check_ranks(self, context)?;
        let opened = device.open()?;
        let size = self.size(&opened);
        let Size { samples, tokens_per_sample, parameters, trained, .. } = size;
        train.check_samples(samples)?;
        train.check_validation(self.data().validation.is_some())?;
        let samples_per_step = train.samples_per_step(tokens_per_sample);
        let is_known = is_on_host(&opened) && !context.shares_models();
        let available = memory::available(n_neighbours).filter(|_| is_known);
        let (memory, refusal) = demand(self, &size, &opened, context, |demand| {
            (demand.estimate(), available.and_then(|available| demand.check(available).err()))
        });
        let MemoryEstimate { program, weights, gradients, moments, activations } = memory;
        Ok(Plan {
            device: meant(device).to_string(),
            parameters,
            trained,
            samples,
            steps: train.steps,
            samples_per_step: samples_per_step as u64,
            tokens_per_step: (samples_per_step * tokens_per_sample) as u64,
            epochs: train.steps as f64 * samples_per_step / samples as f64,
            processes: context.collective.size(),
            memory_bytes: memory.total(),
            available_bytes: available,
            warning: refusal.map(|refusal| refusal.to_string()),
            memory: Memory { program, weights, gradients, moments, activations },
            data: self.data_report().cloned(),
            settings: settings::to_toml(self.settings())?,
        })
    }

    /// Runs from the first step in the new or empty folder `out`, and writes settings, metrics, checkpoints, the best model
    /// and its card there.
    ///
    /// # Errors
    /// If the folder holds something, data or device or disk fail, the loss diverges; an interruption, behind which
    /// [`Self::resume`] continues.
    fn run(&self, out: &Path, context: &Context<'_>) -> Result<Self::Report, RecipeError> {
        let begun = || {
            let (device, stages) = begin(self, context)?;
            let model = fresh_model(self, &device, context, stages.as_ref())?;
            Ok::<_, RecipeError>((device, model, stages))
        };
        // Nobody looks whether the folder is free any more.
        let (device, model, stages) = agreed(context.collective, begun())?;
        let stages = stages.as_ref();
        let folder = shared_folder(context.collective, out, || {
            let folder = RunFolder::create(out, &settings::to_toml(self.settings())?)?;
            write_data_report(self, &folder)?;
            Ok(folder)
        })?;
        let outcome = train(self, &device, context, stages, |trainer, on_event| {
            trainer.start(model, self.data(), &folder, on_event)
        })?;
        finish(self, &folder, &outcome, &device, context, stages)
    }

    /// Resumes the run in `out` from its latest checkpoint, with exactly the numbers of an uninterrupted run; one that was
    /// killed before its first checkpoint starts anew. Once the checkpoint is accepted, and before the first step, writes these
    /// settings to `run.toml`.
    ///
    /// # Errors
    /// As [`Self::run`]; if there is no run that such settings can go on with.
    fn resume(&self, out: &Path, context: &Context<'_>) -> Result<Self::Report, RecipeError> {
        let (device, stages) = agreed(context.collective, begin(self, context))?;
        let stages = stages.as_ref();
        let folder = shared_folder(context.collective, out, || {
            let folder = RunFolder::open(out)?.with_settings(settings::to_toml(self.settings())?);
            for change in changes(out, self.settings())? {
                context.observer.note(&Note::Changed(&change));
            }
            Ok(folder)
        })?;
        if !first(context.collective, || folder.has_begun().map_err(RecipeError::from))? {
            let model = agreed(context.collective, fresh_model(self, &device, context, stages))?;
            first(context.collective, || write_data_report(self, &folder))?;
            context.observer.note(&Note::StartsAnew { folder: folder.path() });
            let outcome = train(self, &device, context, stages, |trainer, on_event| {
                trainer.start(model, self.data(), &folder, on_event)
            })?;
            return finish(self, &folder, &outcome, &device, context, stages);
        }
        let outcome =
            train(self, &device, context, stages, |trainer, on_event| trainer.resume(self.data(), &folder, on_event))?;
        finish(self, &folder, &outcome, &device, context, stages)
    }
}

/// A recipe of any type. Its methods are those of [`Recipe`].
pub trait AnyRecipe {
    /// Training settings.
    fn train_config(&self) -> &TrainConfig;

    /// All settings, as in `run.toml`.
    ///
    /// # Errors
    /// If TOML cannot represent one.
    fn settings_toml(&self) -> Result<String, RecipeError>;

    /// Refuses a run that [`Recipe::run`] would refuse before it makes its folder.
    ///
    /// # Errors
    /// As there.
    fn check_run(&self, context: &Context<'_>) -> Result<(), RecipeError>;

    /// [`Recipe::plan`].
    ///
    /// # Errors
    /// As there.
    fn plan_run(&self, context: &Context<'_>) -> Result<Plan, RecipeError>;

    /// [`Recipe::run`].
    ///
    /// # Errors
    /// As there.
    fn start_run(&self, out: &Path, context: &Context<'_>) -> Result<Box<dyn AnyReport>, RecipeError>;

    /// [`Recipe::resume`].
    ///
    /// # Errors
    /// As there.
    fn resume_run(&self, out: &Path, context: &Context<'_>) -> Result<Box<dyn AnyReport>, RecipeError>;
}

impl<R: Recipe> AnyRecipe for R
where
    R::Report: 'static,
{
    fn train_config(&self) -> &TrainConfig {
        self.settings().train()
    }

    fn settings_toml(&self) -> Result<String, RecipeError> {
        Ok(settings::to_toml(self.settings())?)
    }

    fn check_run(&self, context: &Context<'_>) -> Result<(), RecipeError> {
        let device = context.device.open()?;
        tensor_parallel::check(self.cut_size(), self.settings().train(), context)?;
        let stages = stages(self, &device, context)?;
        check_memory(self, &device, context, 1)?;
        // What there is to say of the model, the run will say.
        fresh_model(self, &device, &Context { observer: &Silent, ..*context }, stages.as_ref()).map(drop)
    }

    fn plan_run(&self, context: &Context<'_>) -> Result<Plan, RecipeError> {
        self.plan(context)
    }

    fn start_run(&self, out: &Path, context: &Context<'_>) -> Result<Box<dyn AnyReport>, RecipeError> {
        Ok(Box::new(self.run(out, context)?))
    }

    fn resume_run(&self, out: &Path, context: &Context<'_>) -> Result<Box<dyn AnyReport>, RecipeError> {
        Ok(Box::new(self.resume(out, context)?))
    }
}

/// Size of a recipe's model and samples.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Number of training samples per epoch.
    pub samples: u64,
    /// Tokens per sample without padding, or the maximum if not counted.
    pub tokens_per_sample: f64,
    /// Number of weights.
    pub parameters: u64,
    /// Number of those that are trained, if not all are: then none of the body is.
    pub trained: Option<u64>,
    /// Tokens of the longest sample, padding included.
    pub longest: usize,
}

/// What the memory of a run of `recipe` depends on, for `work`.
fn demand<R: Recipe + ?Sized, T>(
    recipe: &R,
    size: &Size,
    device: &Device,
    context: &Context<'_>,
    work: impl FnOnce(&Demand<'_>) -> T,
) -> T {
    work(&Demand {
        n_parameters: size.parameters,
        n_trained: size.trained,
        seq_length: size.longest,
        length_setting: R::LENGTH_SETTING,
        train: recipe.settings().train(),
        n_ranks: (context.collective.size() / context.pipeline_stages / context.tensor_parallel).max(1),
        fused: is_on_host(device),
        step_floats: &|train, seq_length, passes| recipe.step_floats(train, seq_length, passes),
    })
}

/// The model before its first step, if it can be trained as the settings say.
fn fresh_model<R: Recipe + ?Sized>(
    recipe: &R,
    device: &Device,
    context: &Context<'_>,
    stages: Option<&Stages>,
) -> Result<<R::Task as Task>::Model, RecipeError> {
    let init = || recipe.init(&device.clone().autodiff(), context);
    let model = within_part(context, stages, init)?;
    recipe.settings().train().check_parameters(recipe.parameter_rule().as_ref(), &model)?;
    Ok(model)
}

/// What a run begins with: notes, the device, and the stages of the model, if the processes can do it and there is memory for it.
fn begin<R: Recipe + ?Sized>(recipe: &R, context: &Context<'_>) -> Result<(Device, Option<Stages>), RecipeError> {
    check_same(recipe.settings(), context)?;
    let n_neighbours = memory::neighbours(context.collective)?;
    recipe.announce(context)?;
    let device = context.device.open()?;
    check_ranks(recipe, context)?;
    let stages = stages(recipe, &device, context)?;
    check_memory(recipe, &device, context, n_neighbours)?;
    Ok((device, stages))
}

/// Makes sure that the processes can share models as `context` asks for.
fn check_ranks<R: Recipe + ?Sized>(recipe: &R, context: &Context<'_>) -> Result<(), RecipeError> {
    let (ranks, stages) = (context.collective.size(), context.pipeline_stages);
    let multiple = stages * context.tensor_parallel;
    if stages > 1 && !ranks.is_multiple_of(multiple) {
        return Err(TrainError::Ranks { ranks, stages, multiple }.into());
    }
    tensor_parallel::check(recipe.cut_size(), recipe.settings().train(), context)
}

/// The stages that the processes run of the model; `None` if each has the whole model.
fn stages<R: Recipe + ?Sized>(
    recipe: &R,
    device: &Device,
    context: &Context<'_>,
) -> Result<Option<Stages>, RecipeError> {
    let (ranks, n_stages) = (context.collective.size(), context.pipeline_stages);
    if n_stages == 1 {
        return Ok(None);
    }
    let multiple = n_stages * context.tensor_parallel;
    let (micro_batches, replicas) = (recipe.settings().train().grad_accum_steps, ranks / multiple);
    if micro_batches < n_stages * replicas {
        context.observer.note(&Note::IdleStages { micro_batches, replicas, stages: n_stages });
    }
    let staged = recipe.task().staged();
    let measure = |staged: &dyn Staged| {
        let seq_length = recipe.size(device).longest;
        Stages::measure(staged, recipe.settings().train().tokens_per_micro_batch(seq_length), seq_length, device)
    };
    // All cut as the first one has measured.
    let time = first(context.collective, || Ok::<_, RecipeError>(staged.as_deref().map(measure)))?;
    Ok(Some(Stages::new(staged, n_stages, &time.unwrap_or_default())?))
}

/// Calls `body`, in which models that are initialised or loaded have the part of this process alone.
fn within_part<V>(context: &Context<'_>, stages: Option<&Stages>, body: impl FnOnce() -> V) -> V {
    let place = context.collective.rank() / context.tensor_parallel;
    let stage = stages.map(|stages| stages.parts(place % stages.n_stages()));
    let parts = [stage, tensor_parallel::parts(context)].into_iter().flatten().reduce(Parts::and);
    match parts {
        Some(parts) => parts.within(body),
        None => body(),
    }
}

/// [`Recipe::check_memory`] with what there is for each of so many processes on this machine, if that is known. What a part
/// of a model takes is not.
fn check_memory<R: Recipe + ?Sized>(
    recipe: &R,
    device: &Device,
    context: &Context<'_>,
    n_neighbours: usize,
) -> Result<(), RecipeError> {
    let available = memory::available(n_neighbours).filter(|_| !context.shares_models());
    available.map_or(Ok(()), |available| recipe.check_memory(device, context, available))
}

/// The trained model's metrics so far, whatever they are.
type MetricState<R> = <<R as Recipe>::Task as Task>::MetricState;

/// Trains by `work`.
fn train<R: Recipe + ?Sized>(
    recipe: &R,
    device: &Device,
    context: &Context<'_>,
    stages: Option<&Stages>,
    work: impl FnOnce(&Trainer<'_, R::Task>, &mut dyn FnMut(Event<'_>)) -> Result<Outcome<MetricState<R>>, TrainError>,
) -> Result<Outcome<MetricState<R>>, TrainError> {
    let settings = recipe.settings();
    let parameter_rule = recipe.parameter_rule();
    let collective = Measured::new(context.collective);
    let trainer = Trainer::new(recipe.task(), settings.train(), settings.seed(), device.clone())
        .with_parameter_rule(parameter_rule.as_ref())
        .with_progress(context.observer)
        .with_former_fingerprint(recipe.former_fingerprint())
        .with_interrupt(&context.interrupt())
        .with_collective(&collective)
        .with_stages(stages)
        .with_tensor_parallel(context.tensor_parallel);
    // Once all have ended, rank 0 has written what it writes.
    agreed(context.collective, work(&trainer, &mut |event| context.observer.event(&event)))
}

/// Writes the report on the data, if there is one.
fn write_data_report<R: Recipe + ?Sized>(recipe: &R, folder: &RunFolder) -> Result<(), RecipeError> {
    let Some(report) = recipe.data_report() else { return Ok(()) };
    let json = serde_json::to_string_pretty(report).map_err(|source| SettingsError::Preset { source })?;
    Ok(folder.write_data_report(&(json + "\n"))?)
}

/// Measures the best model, and writes its card.
fn finish<R: Recipe + ?Sized>(
    recipe: &R,
    folder: &RunFolder,
    outcome: &Outcome<MetricState<R>>,
    device: &Device,
    context: &Context<'_>,
    stages: Option<&Stages>,
) -> Result<R::Report, RecipeError> {
    let Outcome { stop, state, published } = outcome;
    let stopped = match stop {
        Stop::Finished => Stopped::Finished,
        Stop::Early => Stopped::Early,
        Stop::Interrupted => {
            let note = Note::Interrupted { recipe: R::Settings::RECIPE, folder: folder.path(), step: state.step };
            context.observer.note(&note);
            return Err(Interrupted.into());
        }
    };
    let loaded = within_part(context, stages, || recipe.task().load(folder.path(), device)).map_err(TrainError::task);
    let best = agreed(context.collective, loaded)?;
    let run = RunSummary {
        folder: folder.path().to_owned(),
        stopped,
        steps: state.step,
        best_step: *published,
        tokens: state.tokens,
        seconds: state.seconds,
        peak_memory_bytes: peak_memory(),
    };
    first(context.collective, || {
        let history = History::read(RunFolder::metrics_file(folder.path())).map_err(TrainError::from)?;
        for part in ["train", "validation"] {
            let last = history.iter().rfind(|entry| entry.split == part);
            if let Some(last) = last.filter(|it| it.value("loss").is_some_and(|loss| !loss.is_finite())) {
                context.observer.note(&Note::NotFiniteLoss { step: last.step, part });
            }
        }
        Ok::<_, RecipeError>(())
    })?;
    let report = measured(context, |context| match stages {
        Some(stages) => {
            let (in_stages, replicas) = stages.places(context.collective)?;
            let context = Context { collective: replicas.as_ref(), in_stages: Some(&in_stages), ..*context };
            recipe.report(run, &best, device, &context)
        }
        None => recipe.report(run, &best, device, context),
    });
    let report = agreed(context.collective, report)?;
    first(context.collective, || {
        // Once more, as test data may have been named when the run was resumed.
        write_data_report(recipe, folder)?;
        for (name, svg) in report.pictures()? {
            folder.write_picture(name, &svg)?;
        }
        Ok::<_, RecipeError>(folder.write_card(&recipe.card(folder.path(), &report).to_string())?)
    })?;
    Ok(report)
}

/// The device that `auto` selects on this machine; any other choice unchanged.
fn meant(choice: DeviceChoice) -> DeviceChoice {
    if choice != DeviceChoice::Auto {
        return choice;
    }
    let others = [DeviceChoice::NdArray, DeviceChoice::Flex, DeviceChoice::Wgpu(None)];
    others.into_iter().find(|other| other.open() == choice.open()).unwrap_or(choice)
}

/// A path as one word of a command line, whatever is in it.
pub(crate) fn shell_word(path: &Path) -> String {
    let path = path.to_string_lossy();
    let is_plain = |character: char| character.is_alphanumeric() || "_./-+:=@%,".contains(character);
    if !path.is_empty() && path.chars().all(is_plain) {
        path.into_owned()
    } else {
        format!("'{}'", path.replace('\'', r"'\''"))
    }
}

/// The name of the model in `folder`.
pub(crate) fn name(folder: &Path) -> String {
    folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_of_a_command_line() {
        let word = |path: &str| shell_word(Path::new(path));
        assert_eq!(word("runs/a-1_b.c"), "runs/a-1_b.c");
        assert_eq!(word("läufe"), "läufe");
        assert_eq!(word("my runs"), "'my runs'");
        assert_eq!(word("$(rm -r ~)"), "'$(rm -r ~)'");
        assert_eq!(word("a'; b"), r"'a'\''; b'");
        assert_eq!(word(""), "''");
    }
}
