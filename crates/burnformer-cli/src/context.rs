//! What every command is given beside its arguments.

use anyhow::Result;
use burnformer::core::collective::gather;
use burnformer::core::progress::Interrupt;
use burnformer::core::{Collective, CollectiveError};
use burnformer::recipes;

use crate::args::DeviceArgs;
use crate::terminal::Terminal;

/// What every command is given beside its arguments.
pub(crate) struct Context {
    /// Where it reports results and progress.
    pub(crate) terminal: Terminal,
    /// Whether it should stop at the next safe point, with [`burnformer::core::Interrupted`].
    pub(crate) interrupt: Interrupt,
    /// The processes that work together.
    pub(crate) collective: Box<dyn Collective>,
    /// The number of this process among those of its machine.
    pub(crate) host_rank: usize,
}

impl Context {
    /// The own `result`, if no other process has failed.
    pub(crate) fn agreed<T>(&self, result: Result<T>) -> Result<T> {
        let failure = result.as_ref().err().map(|error| recipes::causes(error.as_ref()).join(": "));
        let failures = gather(self.collective.as_ref(), failure)?.into_iter().enumerate();
        let value = result?;
        let failed = failures.filter_map(|(rank, failure)| Some(CollectiveError::Failed { rank, message: failure? }));
        failed.map(|failed| Err(failed.into())).next().unwrap_or(Ok(value))
    }

    /// What a recipe is given that works on this device.
    pub(crate) fn watched(&self, device: &DeviceArgs) -> recipes::Context<'_> {
        recipes::Context {
            device: device.device.for_process(self.host_rank),
            observer: &self.terminal,
            interrupt: Some(&self.interrupt),
            collective: self.collective.as_ref(),
            ..recipes::Context::default()
        }
    }
}
