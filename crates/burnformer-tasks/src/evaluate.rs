//! Evaluation of a model, by one process or by several together.

use burn::tensor::Device;
use burnformer_core::collective::{Collective, Local, agree};
use burnformer_core::progress::{Interrupt, Interrupted, Progress, Unit, is_interrupted};
use burnformer_data::DataError;
use burnformer_data::batches::Dealt;
use burnformer_nn::DropoutRng;

use crate::{InStages, MetricState, Task};

/// How many batches each of several processes evaluates between two meetings.
pub(crate) const ROUND: usize = 8;

/// Where a model is evaluated, by whom, and who watches.
pub struct Evaluation<'a> {
    /// The model's device, without gradient tracking.
    pub device: &'a Device,
    /// The processes that evaluate together, each with the same model. All get the sums of all.
    pub collective: &'a dyn Collective,
    /// Receiver of progress.
    pub progress: &'a dyn Progress,
    /// The request to stop; one on any process stops all.
    pub interrupt: Interrupt,
    /// The stage that this process runs of the model; `None` if it has the whole model.
    pub stages: Option<&'a InStages<'a>>,
}

impl Evaluation<'_> {
    /// Sums the scores of `model` over `batches` with `n_samples` samples, without dropout. `model` should be without gradient
    /// tracking ([`Module::valid`](burn::module::Module::valid)).
    ///
    /// The sums of each batch are added up in the order of batches, so no bit depends on the number of processes.
    ///
    /// # Errors
    /// The first error among the batches, a failure of the device or of another process, or on request of the interrupt.
    pub fn run<T: Task>(
        &self,
        task: &T,
        model: &T::Model,
        batches: impl IntoIterator<Item = Result<Dealt<T::Batch>, DataError>>,
        n_samples: u64,
    ) -> Result<T::MetricState, T::Error> {
        self.sum(&|| task.metric_state(), task, model, batches, n_samples)
    }

    /// As [`Self::run`], of [`Task::detailed_metric_state`]s: for scores that are reported.
    ///
    /// # Errors
    /// As there.
    pub fn run_in_detail<T: Task>(
        &self,
        task: &T,
        model: &T::Model,
        batches: impl IntoIterator<Item = Result<Dealt<T::Batch>, DataError>>,
        n_samples: u64,
    ) -> Result<T::MetricState, T::Error> {
        self.sum(&|| task.detailed_metric_state(), task, model, batches, n_samples)
    }

    fn sum<T: Task>(
        &self,
        empty: &dyn Fn() -> T::MetricState,
        task: &T,
        model: &T::Model,
        batches: impl IntoIterator<Item = Result<Dealt<T::Batch>, DataError>>,
        n_samples: u64,
    ) -> Result<T::MetricState, T::Error> {
        let stage = self.progress.stage("evaluate", Some(n_samples), Unit::Items("samples"));
        if let Some(stages) = self.stages {
            return self.sum_in_stages(stages, empty, (task, model), batches, stage.as_ref());
        }
        let n_ranks = self.collective.size();
        let in_round = if n_ranks == 1 { 1 } else { ROUND * n_ranks };
        let (mut sum, mut batches) = (empty(), batches.into_iter());
        loop {
            let (mut owners, mut n_samples) = (Vec::new(), 0);
            let mut own = || {
                let mut states = Vec::new();
                for dealt in batches.by_ref().take(in_round) {
                    self.interrupt.check()?;
                    let Dealt { owner, n_samples: of_batch, batch } = dealt?;
                    owners.push(owner);
                    n_samples += of_batch as u64;
                    if let Some(batch) = batch {
                        states.push(self.scores(empty(), task, model, &batch)?);
                    }
                }
                Ok(Some(states))
            };
            let own = match own() {
                Err(error) if is_interrupted(&error) => Ok(None),
                result => result,
            };
            let of_ranks: Vec<Option<Vec<T::MetricState>>> = agree::<_, T::Error>(self.collective, own)?;
            let Some(of_ranks) = of_ranks.into_iter().collect::<Option<Vec<_>>>() else {
                return Err(Interrupted.into());
            };
            let mut of_ranks: Vec<_> = of_ranks.into_iter().map(Vec::into_iter).collect();
            owners.iter().filter_map(|&owner| of_ranks[owner].next()).for_each(|state| sum.merge(state));
            stage.advance(n_samples);
            if owners.len() < in_round {
                return Ok(sum);
            }
        }
    }

    /// The scores of one batch.
    fn scores<T: Task>(
        &self,
        mut state: T::MetricState,
        task: &T,
        model: &T::Model,
        batch: &T::Batch,
    ) -> Result<T::MetricState, T::Error> {
        let forward = task.forward(model, batch, &task.counts(batch), DropoutRng::off(), self.device);
        task.add_scores(&mut state, batch, &forward.scores.read()?)?;
        task.add_answers(&mut state, model, batch, &self.interrupt)?;
        Ok(state)
    }
}

/// [`Evaluation::run`] in this process alone.
///
/// # Errors
/// As there.
pub fn evaluate<T: Task>(
    task: &T,
    model: &T::Model,
    batches: impl IntoIterator<Item = Result<T::Batch, DataError>>,
    n_samples: u64,
    device: &Device,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<T::MetricState, T::Error> {
    let interrupt = interrupt.clone();
    let evaluation = Evaluation { device, collective: &Local, progress, interrupt, stages: None };
    evaluation.run(task, model, batches.into_iter().map(|batch| Ok(Dealt::alone(batch?))), n_samples)
}
