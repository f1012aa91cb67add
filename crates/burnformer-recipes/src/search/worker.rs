//! The trials that run in this process.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::Sender;
use std::thread::{Builder, Scope};

use burnformer_core::progress::Interrupt;
use rayon::ThreadPoolBuilder;
use serde::{Deserialize, Serialize};

use super::budget::Budget;
use super::trial::{Message, TrialRun};
use super::{Search, SearchRunError, trial_folder};
use crate::Context;

/// Bytes of the stack of a thread that trains: those of a main thread.
const STACK: usize = 8 << 20;

/// A part of a trial that a process is to run.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Order {
    /// Number of the process.
    pub(super) rank: usize,
    pub(super) trial: usize,
    /// Settings of the trial.
    pub(super) sets: Vec<String>,
    /// Number of comparisons behind which it is.
    pub(super) promotions: usize,
}

/// What the trials that run at once have in common.
pub(super) struct Shared<'a> {
    pub(super) search: &'a Search<'a>,
    pub(super) out: &'a Path,
    pub(super) context: &'a Context<'a>,
    pub(super) budget: &'a Budget,
    pub(super) metric: &'a str,
}

/// The trials that run in this process, with the requests to stop them.
pub(super) struct Worker<'scope, 'env> {
    pub(super) scope: &'scope Scope<'scope, 'env>,
    pub(super) shared: &'scope Shared<'scope>,
    pub(super) sender: Sender<Message>,
    pub(super) busy: BTreeMap<usize, Interrupt>,
}

impl Worker<'_, '_> {
    /// Starts to run what `order` says.
    pub(super) fn start(&mut self, order: Order) -> Result<(), SearchRunError> {
        let Shared { search, out, context, budget, metric } = *self.shared;
        let settings = &search.settings;
        let (trial, interrupt) = (order.trial, Interrupt::new());
        let run = TrialRun {
            number: trial,
            folder: trial_folder(out, trial),
            sets: order.sets,
            promotions: order.promotions,
            asha: settings.asha,
            metric,
            trials: search.trials,
            budget,
            interrupt: interrupt.clone(),
            memory_limit: search.memory_limit(),
        };
        // Its own threads keep a trial within its share of the processors, and away from what other trials compute.
        let pool = (settings.jobs > 1 || settings.threads.is_some()).then(|| {
            let threads = settings.threads.unwrap_or_else(rayon::current_num_threads);
            ThreadPoolBuilder::new().num_threads((threads / settings.jobs).max(1)).stack_size(STACK).build()
        });
        let pool = pool.transpose().map_err(|error| SearchRunError::Threads(error.into()))?;
        let sender = self.sender.clone();
        let work = move || {
            let end = match pool {
                Some(pool) => pool.install(|| run.run(context, &sender)),
                None => run.run(context, &sender),
            };
            // Nobody listens any more once the search has ended with an error.
            let _ = sender.send(Message::ended(trial, end));
        };
        let started = Builder::new().name(format!("trial-{trial}")).stack_size(STACK).spawn_scoped(self.scope, work);
        started.map_err(|error| SearchRunError::Threads(error.into()))?;
        self.busy.insert(trial, interrupt);
        Ok(())
    }

    /// Asks all trials to stop.
    pub(super) fn stop(&self) {
        self.busy.values().for_each(Interrupt::request);
    }

    /// Asks all trials for a checkpoint.
    pub(super) fn request_checkpoint(&self) {
        self.busy.values().for_each(Interrupt::request_checkpoint);
    }
}
