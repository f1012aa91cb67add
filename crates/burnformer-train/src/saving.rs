//! What a run writes to go on from, how it goes back to that, and the model it publishes.

use std::collections::BTreeMap;
use std::path::Path;

use burnformer_tasks::Task;

use crate::checkpoint::{self, Checkpoint, Source};
use crate::diagnosis::first_weight;
use crate::holdings::AllHoldings;
use crate::ranks::Ranks;
use crate::run::{Run, Writer};
use crate::{Diagnosis, Event, OnDivergence, RunFolder, TrainError, Trainer, retention, serving, space};

impl<T: Task> Trainer<'_, T> {
    /// Makes sure that there is room for a checkpoint.
    pub(crate) fn check_space(&self, run: &Run<'_, T>) -> Result<(), TrainError> {
        match run.writer {
            Some(_) => space::check(&run.model, self.config, &run.folder.checkpoints()),
            None => Ok(()),
        }
    }

    /// Writes a checkpoint, one of the schedule or not, and removes those that are not to be kept. Weights that are not finite
    /// are not written.
    pub(crate) fn checkpoint(
        &self,
        run: &mut Run<'_, T>,
        batches: &str,
        scheduled: bool,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), TrainError> {
        run.tick();
        let (ranks, step) = (run.ranks, run.state.step);
        let first = first_weight(&run.model).map_err(TrainError::from);
        if let Some(path) = ranks.agree(first)?.into_iter().flatten().next() {
            return Err(TrainError::Diverged {
                step,
                loss: run.loss,
                gradient_norm: run.state.interval.gradient_norm,
                skipped: run.state.health.skipped_in_a_row,
                learning_rate: run.learning_rate,
                diagnosis: Diagnosis::Weight { path },
            });
        }
        let starts = ranks.agree(Ok(run.optimizer.starts().clone()))?.into_iter().flatten().collect();
        let holdings = AllHoldings::gather(run)?;
        let written = match &run.writer {
            Some(writer) => {
                let written = self.write(run, writer, &holdings, starts, batches, scheduled);
                written.and(serving::dismiss(&*ranks.line).map_err(TrainError::from))
            }
            None => serving::serve(&*ranks.line, &mut |question| AllHoldings::find(run, question)),
        };
        ranks.together(written)?;
        if run.writer.is_some() {
            on_event(Event::Checkpoint { step });
        }
        run.written = Some((step, scheduled));
        run.timer.restart();
        Ok(())
    }

    /// Writes a checkpoint on the rank that writes, while the others serve what they keep.
    fn write(
        &self,
        run: &Run<'_, T>,
        writer: &Writer,
        holdings: &AllHoldings,
        starts: BTreeMap<String, u64>,
        batches: &str,
        scheduled: bool,
    ) -> Result<(), TrainError> {
        self.check_space(run)?;
        // Lines of metrics up to this step are not written again.
        writer.sync()?;
        let checkpoints = run.folder.checkpoints();
        Checkpoint::write(self.task, run, holdings, starts, batches, scheduled, &checkpoints)?;
        retention::prune(&checkpoints, self.config, &run.state)?;
        run.folder.draw(writer.entries())
    }

    /// The last checkpoint of `steps` that is whole, with batches of one of the names `batches`.
    pub(crate) fn latest_checkpoint(
        &self,
        ranks: &Ranks<'_>,
        batches: &[String],
        checkpoints: &Path,
        steps: &[u64],
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<Option<Checkpoint<T>>, TrainError> {
        let source = Source {
            task: self.task,
            config: self.config,
            parameter_rule: self.parameter_rule,
            batches,
            device: self.device.clone().autodiff(),
            ranks,
            stages: self.stages,
        };
        Checkpoint::latest(&source, checkpoints, steps, |error| on_event(Event::Damaged(error)))
    }

    /// Goes back to the last checkpoint of the schedule, and lowers the learning rate; the next batch stays the next one. If
    /// that is not to be done, or not any more, the run ends with `error`.
    pub(crate) fn roll_back(
        &self,
        run: &mut Run<'_, T>,
        error: TrainError,
        batches: &str,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), TrainError> {
        let (config, health) = (self.config, run.state.health);
        if config.on_divergence == OnDivergence::Stop || health.roll_backs >= config.max_roll_backs {
            return Err(error);
        }
        let checkpoints = run.folder.checkpoints();
        // When the others are written depends on the speed of the run: they are only better than none.
        let mut steps = run.ranks.of_writer(checkpoint::steps(&checkpoints))?;
        steps.sort_by_key(|&step| (checkpoint::is_scheduled(&checkpoints, step), step));
        let found = self.latest_checkpoint(run.ranks, &[batches.to_owned()], &checkpoints, &steps, on_event)?;
        let Some(Checkpoint { model, optimizer, shards, ema, mut state, scheduled }) = found else { return Err(error) };
        let from = run.state.step;
        state.position = run.state.position;
        state.health = state.health.rolled_back(health, config.roll_back_factor);
        let writer = run.ranks.is_writer().then(|| Writer::open_at(run.folder, state.step, config.tensorboard));
        run.writer = run.ranks.together(writer.transpose())?;
        let (step, learning_rate_factor) = (state.step, state.health.learning_rate_factor);
        (run.model, run.optimizer, run.shards, run.ema, run.state) = (model, optimizer, shards, ema, state);
        on_event(Event::RolledBack { from, to: step, learning_rate_factor, error });
        self.checkpoint(run, batches, scheduled, on_event)
    }

    /// Puts the best model at the top of the folder, and returns its step.
    pub(crate) fn publish(&self, run: &Run<'_, T>, on_event: &mut dyn FnMut(Event<'_>)) -> Result<u64, TrainError> {
        let step = run.state.step;
        let best = run.state.best.map_or(step, |best| best.step);
        let published = if run.writer.is_some() { publish(run.folder, best, step, on_event) } else { Ok(best) };
        run.ranks.of_writer(published)
    }
}

/// Publishes the model of the step `best`, or the latest one, of `step`, if that is damaged. Returns which.
fn publish(folder: &RunFolder, best: u64, step: u64, on_event: &mut dyn FnMut(Event<'_>)) -> Result<u64, TrainError> {
    match folder.publish(best) {
        // It was whole when it was written: the latest one takes its place.
        Err(error @ TrainError::Damaged { .. }) if best != step => {
            on_event(Event::Damaged(error));
            folder.publish(step)?;
            Ok(step)
        }
        result => result.map(|()| best),
    }
}
