//! The order of trials: which runs when and in which process, and what becomes of it.
//!
//! Processes speak in rounds. The first one has the study: it says who runs what. All tell what their trials have come to, and
//! whether they were asked to stop.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use burnformer_core::CollectiveError;
use burnformer_core::collective::gather;
use burnformer_core::files::remove_folder;
use burnformer_core::progress::{Interrupted, Stage, Unit};
use burnformer_reports::SearchReport;
use burnformer_search::{Failure, Next, Study, TrialState};
use serde::{Deserialize, Serialize};

use super::budget::Budget;
use super::trial::{End, Exact, Message, News};
use super::worker::{Order, Shared, Worker};
use super::{HOPELESS, Keep, Search, SearchRunError, files, trial_folder};
use crate::ranks::{agreed, first};
use crate::{Context, Note, TrialNews, causes, memory};

/// How often processes speak, and look for a request to stop.
const PERIOD: Duration = Duration::from_millis(100);

/// What a process tells all others in a round.
#[derive(Serialize, Deserialize)]
struct Said {
    /// What is to run: from the first process.
    orders: Vec<Order>,
    /// Whether nothing is left to run: from the first process.
    is_done: bool,
    news: Vec<News>,
    /// Requests to stop, and for a checkpoint.
    requests: (bool, bool),
    /// Why the process cannot go on.
    failure: Option<String>,
}

impl Search<'_> {
    /// Runs what is left of the trials in the folder `out`: of `study`, which the first process has. They are compared by `metric`.
    pub(super) fn go_on(
        &self,
        out: &Path,
        study: Option<Study>,
        metric: &str,
        context: &Context<'_>,
    ) -> Result<SearchReport, SearchRunError> {
        let n_neighbours = memory::neighbours(context.collective)?;
        let budget = Budget::new(self.memory_limit().or_else(|| memory::available(n_neighbours)));
        let shared = Shared { search: self, out, context, budget: &budget, metric };
        let mut lead = study.map(|study| Lead::new(self, out, context, study));
        let result = std::thread::scope(|scope| {
            let (sender, messages) = channel();
            let mut worker = Worker { scope, shared: &shared, sender, busy: BTreeMap::new() };
            let result = rounds(lead.as_mut(), &mut worker, &messages);
            // The scope ends once all have stopped.
            worker.stop();
            result
        });
        // What trials that stop for another's error have measured is read from their runs when the search goes on.
        let written = lead.as_ref().map_or(Ok(()), Lead::write);
        if let Err(SearchRunError::Interrupted(_)) = result {
            context.observer.note(&Note::SearchInterrupted { folder: out });
        }
        // Who has been told of a failure, or stops as all do, has nobody left to agree with.
        match (written, result) {
            (written, Ok(())) => agreed(context.collective, written)?,
            (Err(error), Err(_)) | (Ok(()), Err(error)) => return Err(error),
        }
        first(context.collective, || {
            let lead = lead.as_ref().expect("rank 0 has the study");
            let report = files::report(out, &lead.study);
            let message = report.trials.iter().find_map(|trial| trial.error.clone());
            match message.filter(|_| report.best.is_none() && report.trials.iter().all(|trial| trial.error.is_some())) {
                Some(message) => Err(SearchRunError::NoTrial { n: report.trials.len(), message }),
                None => Ok(report),
            }
        })
    }
}

/// Runs trials until none is left.
fn rounds(
    mut lead: Option<&mut Lead<'_>>,
    worker: &mut Worker<'_, '_>,
    messages: &Receiver<Message>,
) -> Result<(), SearchRunError> {
    let context = worker.shared.context;
    let (rank, interrupt) = (context.collective.rank(), context.interrupt());
    let (mut news, mut failure, mut is_stopping) = (Vec::new(), None, false);
    loop {
        let mut said = Said {
            orders: Vec::new(),
            is_done: false,
            news: std::mem::take(&mut news),
            requests: (interrupt.requested(), interrupt.take_checkpoint_request()),
            failure: None,
        };
        if let Some(lead) = lead.as_mut().filter(|_| failure.is_none()) {
            match lead.orders(is_stopping || said.requests.0) {
                Ok((orders, is_done)) => (said.orders, said.is_done) = (orders, is_done),
                Err(error) => failure = Some(error),
            }
        }
        said.failure = failure.as_ref().map(|error| causes(error).join(": "));
        let all = gather(context.collective, said)?;

        let failed = all.iter().enumerate().find_map(|(rank, said)| Some((rank, said.failure.clone()?)));
        if let Some((rank, message)) = failed {
            return Err(failure.unwrap_or_else(|| CollectiveError::Failed { rank, message }.into()));
        }
        is_stopping |= all.iter().any(|said| said.requests.0);
        if all[0].is_done {
            return if is_stopping { Err(Interrupted.into()) } else { Ok(()) };
        }
        let wants_checkpoint = all.iter().any(|said| said.requests.1);
        let heard: Vec<News> = {
            let mut heard = Vec::new();
            for said in all {
                for order in said.orders.into_iter().filter(|order| order.rank == rank) {
                    failure = failure.or(worker.start(order).err());
                }
                heard.extend(said.news);
            }
            heard
        };
        if is_stopping {
            worker.stop();
        }
        if wants_checkpoint {
            worker.request_checkpoint();
        }
        let has_news = !heard.is_empty();
        if let Some(lead) = lead.as_mut() {
            failure = failure.or(lead.hear(heard).err());
        }
        // Whoever has just heard of an end has something to do.
        let waited = if has_news { messages.try_recv().ok() } else { messages.recv_timeout(PERIOD).ok() };
        for message in waited.into_iter().chain(messages.try_iter()) {
            match message {
                Message::News(told) => {
                    if let News::Ended { trial, .. } = &told {
                        worker.busy.remove(trial);
                    }
                    news.push(told);
                }
                Message::Broken { trial, error } => {
                    failure = failure.or(Some(SearchRunError::Trial { number: trial, source: error }));
                }
            }
        }
    }
}

/// What the first process knows of the search.
struct Lead<'a> {
    search: &'a Search<'a>,
    out: &'a Path,
    context: &'a Context<'a>,
    study: Study,
    /// The trials that run, with the numbers of their processes.
    busy: BTreeMap<usize, usize>,
    stage: Box<dyn Stage>,
}

impl<'a> Lead<'a> {
    fn new(search: &'a Search<'a>, out: &'a Path, context: &'a Context<'a>, study: Study) -> Self {
        let stage = context.observer.stage("search", Some(search.settings.trials as u64), Unit::Items("trials"));
        let ended = study.trials().iter().filter(|trial| trial.state != TrialState::Running).count();
        stage.skip(ended as u64);
        Self { search, out, context, study, busy: BTreeMap::new(), stage }
    }

    /// What is to start now, nothing if all is `stopping`; and whether nothing is left to run.
    fn orders(&mut self, stopping: bool) -> Result<(Vec<Order>, bool), SearchRunError> {
        let mut orders = Vec::new();
        while let Some((rank, trial)) = if stopping { None } else { self.next_order()? } {
            let known = &self.study.trials()[trial];
            let (sets, promotions) = (self.search.space.sets(&known.values), known.promotions);
            orders.push(Order { rank, trial, sets, promotions });
            self.busy.insert(trial, rank);
        }
        let is_done = self.busy.is_empty();
        if is_done && !stopping {
            let waiting: Vec<usize> = self.numbers(|state| state == TrialState::Running).collect();
            for trial in waiting {
                self.study.prune(trial)?;
                self.stage.advance(1);
            }
        }
        Ok((orders, is_done))
    }

    /// The trial that runs next, and the process with the fewest; `None` if there is none now.
    fn next_order(&mut self) -> Result<Option<(usize, usize)>, SearchRunError> {
        let load = |rank: &usize| self.busy.values().filter(|busy| *busy == rank).count();
        let least = (0..self.context.collective.size()).min_by_key(load).unwrap_or(0);
        if load(&least) >= self.search.settings.jobs {
            return Ok(None);
        }
        Ok(self.next()?.map(|trial| (least, trial)))
    }

    /// Takes note of what trials have come to.
    fn hear(&mut self, news: Vec<News>) -> Result<(), SearchRunError> {
        for told in news {
            match told {
                News::Evaluated { trial, step, value } => self.study.evaluated(trial, step, value.0)?,
                News::Ended { trial, end } => {
                    self.busy.remove(&trial);
                    self.ended(trial, end)?;
                    self.write()?;
                }
            }
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

    /// Takes note of the end of a part of a trial.
    fn ended(&mut self, number: usize, end: End) -> Result<(), SearchRunError> {
        match end {
            End::Reached(values) => {
                if let Some(value) = self.note(number, &values)? {
                    self.study.reached(number, value)?;
                    let step = values.last().map_or(0, |(step, _)| *step);
                    self.tell(number, TrialNews::Waits { metric: &self.metric(), value, step });
                }
            }
            End::Complete(values) => {
                if let Some(value) = self.note(number, &values)? {
                    self.study.complete(number, value)?;
                    self.stage.advance(1);
                    self.tell(number, TrialNews::Complete { metric: &self.metric(), value });
                }
            }
            End::NoMetric(known) => return Err(SearchRunError::NoMetric { name: self.metric(), known }),
            End::Interrupted => {}
            End::Failed(failure) => self.fail(number, failure)?,
        }
        Ok(())
    }

    fn metric(&self) -> String {
        self.study.objective().metric.clone()
    }

    /// Takes note of the values of a trial by step, and returns the best of them. Without a finite one the trial has ended.
    fn note(&mut self, number: usize, values: &[(u64, Exact)]) -> Result<Option<f64>, SearchRunError> {
        let direction = self.study.objective().direction;
        let mut best: Option<f64> = None;
        for (step, Exact(value)) in values.iter().filter(|(_, value)| value.0.is_finite()) {
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
