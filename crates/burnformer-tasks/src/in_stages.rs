//! Evaluation by processes that each run some layers of one model.

use std::sync::Arc;

use burnformer_core::collective::{Collective, CollectiveError, agree};
use burnformer_core::progress::{Interrupt, Interrupted, Stage};
use burnformer_data::DataError;
use burnformer_data::batches::Dealt;
use burnformer_nn::DropoutRng;
use burnformer_nn::pipeline::{StageLayers, with_stage};

use crate::evaluate::ROUND;
use crate::{Evaluation, MetricState, Task};

/// The stage of this process, which holds its part of the model alone.
pub struct InStages<'a> {
    /// The layers of this process.
    pub layers: StageLayers,
    /// The processes with the other layers of the same replica of the model, in the order of layers.
    pub pipeline: Arc<dyn Collective>,
    /// The processes of all replicas. Those that [evaluate together](Evaluation::collective) are the ones with the same layers.
    pub all: &'a dyn Collective,
}

impl InStages<'_> {
    /// Calls `body`, in which models on this thread run the layers of this process alone, without gradients; the other processes
    /// of the pipeline must do the same. Generated tokens are the same on all of them.
    ///
    /// # Errors
    /// If a process cannot be reached any more; what `body` has computed is worthless then.
    pub fn within<R>(&self, body: impl FnOnce() -> R) -> Result<R, CollectiveError> {
        with_stage(&self.pipeline, self.layers.clone(), body)
    }
}

impl Evaluation<'_> {
    /// The sums that one process gets, in all stages.
    pub(crate) fn sum_in_stages<T: Task>(
        &self,
        stages: &InStages<'_>,
        empty: &dyn Fn() -> T::MetricState,
        (task, model): (&T, &T::Model),
        batches: impl IntoIterator<Item = Result<Dealt<T::Batch>, DataError>>,
        progress: &dyn Stage,
    ) -> Result<T::MetricState, T::Error> {
        let in_round = ROUND * self.collective.size();
        let (mut sum, mut batches) = (empty(), batches.into_iter());
        loop {
            let read = batches.by_ref().take(in_round).collect::<Result<Vec<_>, DataError>>();
            // Whatever fails in one stage ends all of them: none waits for another.
            let (read, goes_on) = match read {
                Ok(read) => (read, Ok(!self.interrupt.requested())),
                Err(error) => (Vec::new(), Err(error.into())),
            };
            if agree::<_, T::Error>(stages.all, goes_on)?.contains(&false) {
                return Err(Interrupted.into());
            }
            let is_end = read.len() < in_round;
            let owners: Vec<usize> = read.iter().map(|dealt| dealt.owner).collect();
            let n_samples = read.iter().map(|dealt| dealt.n_samples as u64).sum();
            let own: Vec<T::Batch> = read.into_iter().filter_map(|dealt| dealt.batch).collect();
            let scored = stages.within(|| {
                // All batches, also behind an error: other stages wait for them.
                let states = own.iter().map(|batch| self.scores_here(stages, empty(), task, model, batch));
                states.collect::<Vec<_>>().into_iter().collect::<Result<Vec<_>, T::Error>>()
            });
            let scored = scored.map_err(T::Error::from).flatten();
            let of_ranks: Vec<Option<Vec<T::MetricState>>> =
                agree(stages.all, scored.map(|states| stages.layers.is_last().then_some(states)))?;
            let mut of_ranks: Vec<_> = of_ranks.into_iter().flatten().map(Vec::into_iter).collect();
            owners.iter().filter_map(|&owner| of_ranks[owner].next()).for_each(|state| sum.merge(state));
            progress.advance(n_samples);
            if is_end {
                return Ok(sum);
            }
        }
    }

    /// The scores of one batch, in the last stage; the others have none.
    fn scores_here<T: Task>(
        &self,
        stages: &InStages<'_>,
        mut state: T::MetricState,
        task: &T,
        model: &T::Model,
        batch: &T::Batch,
    ) -> Result<T::MetricState, T::Error> {
        let mut scored = Ok(());
        if stages.layers.is_last() {
            let forward = task.forward(model, batch, &task.counts(batch), DropoutRng::off(), self.device);
            let scores = forward.scores.read().map_err(T::Error::from);
            scored = scores.and_then(|scores| task.add_scores(&mut state, batch, &scores));
        } else {
            task.body(model, batch, DropoutRng::off(), self.device);
        }
        // An interruption ends all stages at once, between two rounds.
        let answered = task.add_answers(&mut state, model, batch, &Interrupt::new());
        scored.and(answered)?;
        Ok(state)
    }
}
