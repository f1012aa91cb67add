//! What every command is given beside its arguments.

use burnformer::core::Collective;
use burnformer::core::progress::Interrupt;
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
}

impl Context {
    /// What a recipe is given that works on this device.
    pub(crate) fn watched(&self, device: &DeviceArgs) -> recipes::Context<'_> {
        recipes::Context {
            device: device.device,
            observer: &self.terminal,
            interrupt: Some(&self.interrupt),
            collective: self.collective.as_ref(),
        }
    }
}
