//! The order of trials: which runs when, and what becomes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{Builder, Scope, available_parallelism};
use std::time::Duration;

use burnformer_core::files::remove_folder;
use burnformer_core::progress::{Interrupt, Stage, Unit};
use burnformer_reports::SearchReport;
use burnformer_search::{Failure, Next, Study, TrialState};
use rayon::ThreadPoolBuilder;

use super::budget::Budget;
use super::error::Fate;
use super::trial::{End, Message, TrialRun};
use super::{HOPELESS, Keep, Search, SearchRunError, TrialError, files, trial_folder};
use crate::{Context, Note, TrialNews, memory};

/// How often the search looks for a request to stop.
const PERIOD: Duration = Duration::from_millis(100);
/// Bytes of the stack of a thread that trains: those of a main thread.
const STACK: usize = 8 << 20;

impl Search<'_> {
    /// Runs what is left of the trials of `study`, in the folder `out`.
    pub(super) fn go_on(
        &self,
        out: &Path,
        study: Study,
        context: &Context<'_>,
    ) -> Result<SearchReport, SearchRunError> {
        let budget = Budget::new(self.memory_limit().or_else(|| memory::available(1)));
        let stage = context.observer.stage("search", Some(self.settings.trials as u64), Unit::Items("trials"));
        let metric = study.objective().metric.clone();
        let mut running = Running { search: self, out, context, study, busy: BTreeMap::new(), stage };
        stage_done(&running);
        let result = std::thread::scope(|scope| {
            let (sender, receiver) = channel();
            let shared = Shared { budget: &budget, metric: &metric, sender };
            let result = running.all(scope, &shared, &receiver);
            // The scope ends once all have stopped.
            running.busy.values().for_each(Interrupt::request);
            result
        });
        // What trials that stop for another's error have measured is read from their runs when the search goes on.
        running.write()?;
        if let Err(SearchRunError::Interrupted(_)) = result {
            context.observer.note(&Note::SearchInterrupted { folder: out });
        }
        result?;
        let report = files::report(out, &running.study);
        let first = report.trials.iter().find_map(|trial| trial.error.clone());
        match first.filter(|_| report.best.is_none() && report.trials.iter().all(|trial| trial.error.is_some())) {
            Some(message) => Err(SearchRunError::NoTrial { n: report.trials.len(), message }),
            None => Ok(report),
        }
    }
}

/// The trials that have ended before.
fn stage_done(running: &Running<'_>) {
    let ended = running.study.trials().iter().filter(|trial| trial.state != TrialState::Running).count();
    running.stage.skip(ended as u64);
}

/// What the trials that run at once have in common.
struct Shared<'a> {
    budget: &'a Budget,
    metric: &'a str,
    sender: Sender<Message>,
}

/// A search under way.
struct Running<'a> {
    search: &'a Search<'a>,
    out: &'a Path,
    context: &'a Context<'a>,
    study: Study,
    /// The trials that run, with the requests to stop them.
    busy: BTreeMap<usize, Interrupt>,
    stage: Box<dyn Stage>,
}

impl<'a> Running<'a> {
    /// Runs trials until none is left.
    fn all<'scope>(
        &mut self,
        scope: &'scope Scope<'scope, '_>,
        shared: &Shared<'scope>,
        messages: &Receiver<Message>,
    ) -> Result<(), SearchRunError>
    where
        'a: 'scope,
    {
        let interrupt = self.context.interrupt();
        loop {
            while self.busy.len() < self.search.settings.jobs && !interrupt.requested() {
                let Some(trial) = self.next()? else { break };
                self.spawn(trial, scope, shared)?;
            }
            if self.busy.is_empty() {
                break;
            }
            match messages.recv_timeout(PERIOD) {
                Ok(Message::Evaluated { trial, step, value }) => self.study.evaluated(trial, step, value)?,
                Ok(Message::Ended { trial, end }) => {
                    self.busy.remove(&trial);
                    self.ended(trial, end)?;
                    self.write()?;
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            if interrupt.requested() {
                self.busy.values().for_each(Interrupt::request);
            }
            if interrupt.take_checkpoint_request() {
                self.busy.values().for_each(Interrupt::request_checkpoint);
            }
        }
        interrupt.check()?;
        let waiting: Vec<usize> = self.numbers(|state| state == TrialState::Running).collect();
        for trial in waiting {
            self.study.prune(trial)?;
            self.stage.advance(1);
        }
        Ok(())
    }

    /// Writes what there is besides the journal, and removes the runs that are not to stay.
    fn write(&self) -> Result<(), SearchRunError> {
        files::write(self.out, &self.study)?;
        if self.search.settings.keep == Keep::Best {
            let best = self.study.best();
            let ended = self.numbers(|state| state != TrialState::Running).filter(|number| Some(*number) != best);
            for folder in ended.map(|number| trial_folder(self.out, number)).filter(|folder| folder.is_dir()) {
                remove_folder(&folder)?;
            }
        }
        Ok(())
    }

    fn numbers(&self, wanted: impl Fn(TrialState) -> bool) -> impl Iterator<Item = usize> {
        let trials = self.study.trials().iter().enumerate();
        trials.filter(move |(_, trial)| wanted(trial.state)).map(|(number, _)| number)
    }

    /// The trial that runs next; `None` if there is none now.
    fn next(&mut self) -> Result<Option<usize>, SearchRunError> {
        let settings = &self.search.settings;
        let busy: BTreeSet<usize> = self.busy.keys().copied().collect();
        match self.study.next(settings.asha.as_ref(), settings.trials, &busy) {
            Next::Start => {
                let number = self.study.trials().len();
                let known = self.study.observations();
                let values = settings.sampler.propose(&self.search.space, settings.seed, number as u64, &known);
                let sets = self.search.space.sets(&values);
                self.study.start(values)?;
                self.tell(number, TrialNews::Starts(&sets));
                Ok(Some(number))
            }
            Next::Continue(number) => Ok(Some(number)),
            Next::Promote(number) => {
                self.study.promote(number)?;
                self.tell(number, TrialNews::GoesOn);
                Ok(Some(number))
            }
            Next::Wait | Next::Done => Ok(None),
        }
    }

    fn spawn<'scope>(
        &mut self,
        number: usize,
        scope: &'scope Scope<'scope, '_>,
        shared: &Shared<'scope>,
    ) -> Result<(), SearchRunError>
    where
        'a: 'scope,
    {
        let settings = &self.search.settings;
        let known = &self.study.trials()[number];
        let interrupt = Interrupt::new();
        let run = TrialRun {
            number,
            folder: trial_folder(self.out, number),
            sets: self.search.space.sets(&known.values),
            promotions: known.promotions,
            asha: settings.asha,
            metric: shared.metric,
            trials: self.search.trials,
            budget: shared.budget,
            interrupt: interrupt.clone(),
            memory_limit: self.search.memory_limit(),
        };
        // Its own threads keep a trial within its share of the processors, and away from what other trials compute.
        let pool = (settings.jobs > 1 || settings.threads.is_some()).then(|| {
            let threads = settings.threads.or_else(|| available_parallelism().ok().map(usize::from)).unwrap_or(1);
            ThreadPoolBuilder::new().num_threads((threads / settings.jobs).max(1)).stack_size(STACK).build()
        });
        let pool = pool.transpose().map_err(|error| SearchRunError::Threads(error.into()))?;
        let (context, sender) = (*self.context, shared.sender.clone());
        let work = move || {
            let end = match pool {
                Some(pool) => pool.install(|| run.run(&context, &sender)),
                None => run.run(&context, &sender),
            };
            // Nobody listens any more once the search has ended with an error.
            let _ = sender.send(Message::Ended { trial: number, end });
        };
        let started = Builder::new().name(format!("trial-{number}")).stack_size(STACK).spawn_scoped(scope, work);
        started.map_err(|error| SearchRunError::Threads(error.into()))?;
        self.busy.insert(number, interrupt);
        Ok(())
    }

    /// Takes note of the end of a part of a trial.
    fn ended(&mut self, number: usize, end: Result<End, TrialError>) -> Result<(), SearchRunError> {
        match end {
            Ok(End::Reached(values)) => {
                if let Some(value) = self.note(number, &values)? {
                    self.study.reached(number, value)?;
                    let step = values.last().map_or(0, |(step, _)| *step);
                    self.tell(number, TrialNews::Waits { metric: &self.metric(), value, step });
                }
            }
            Ok(End::Complete(values)) => {
                if let Some(value) = self.note(number, &values)? {
                    self.study.complete(number, value)?;
                    self.stage.advance(1);
                    self.tell(number, TrialNews::Complete { metric: &self.metric(), value });
                }
            }
            Ok(End::NoMetric(known)) => return Err(SearchRunError::NoMetric { name: self.metric(), known }),
            Err(error) => match Fate::of(error.as_ref()) {
                Fate::Interrupted => {}
                Fate::Ended(failure) => self.fail(number, failure)?,
                Fate::Broken => return Err(SearchRunError::Trial { number, source: error }),
            },
        }
        Ok(())
    }

    fn metric(&self) -> String {
        self.study.objective().metric.clone()
    }

    /// Takes note of the values of a trial by step, and returns the best of them. Without a finite one the trial has ended.
    fn note(&mut self, number: usize, values: &[(u64, f64)]) -> Result<Option<f64>, SearchRunError> {
        let direction = self.study.objective().direction;
        let mut best: Option<f64> = None;
        for (step, value) in values.iter().filter(|(_, value)| value.is_finite()) {
            self.study.evaluated(number, *step, *value)?;
            best = Some(best.filter(|best| !direction.is_better(*value, *best)).unwrap_or(*value));
        }
        if best.is_none() {
            if values.is_empty() {
                return Err(SearchRunError::NoMetric { name: self.metric(), known: Vec::new() });
            }
            self.fail(number, Failure::Diverged(format!("`{}` is not finite", self.metric())))?;
        }
        Ok(best)
    }

    fn fail(&mut self, number: usize, failure: Failure) -> Result<(), SearchRunError> {
        self.tell(number, TrialNews::Failed(&failure));
        self.study.fail(number, failure)?;
        self.stage.advance(1);
        let n = self.numbers(|state| state == TrialState::Failed).count();
        if n >= HOPELESS && n == self.study.trials().len() {
            let trials = files::report(self.out, &self.study).trials;
            let message = trials.into_iter().find_map(|trial| trial.error).unwrap_or_default();
            return Err(SearchRunError::NoTrial { n, message });
        }
        Ok(())
    }

    fn tell(&self, number: usize, news: TrialNews<'_>) {
        self.context.observer.note(&Note::Trial { number, news });
    }
}
