//! Who watches a run.

use std::path::Path;

use burnformer_core::progress::{Interrupt, Progress, Silent};
use burnformer_data::datasets::LostWords;
use burnformer_data::source::Skipped;
use burnformer_ops::DeviceChoice;
use burnformer_train::Event;

/// What a recipe is given beside its settings: none of it changes a result, but for the rounding of devices.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Device that models live on.
    pub device: DeviceChoice,
    /// Receiver of progress, events and notes.
    pub observer: &'a dyn Observer,
    /// Request to stop at the next safe point, which ends work with an interruption; absent if nobody will ask.
    pub interrupt: Option<&'a Interrupt>,
}

impl Default for Context<'_> {
    /// The best device there is; nobody watches, nobody interrupts.
    fn default() -> Self {
        Self { device: DeviceChoice::Auto, observer: &Silent, interrupt: None }
    }
}

impl Context<'_> {
    /// The request to stop, or one that nobody makes.
    pub(crate) fn interrupt(&self) -> Interrupt {
        self.interrupt.cloned().unwrap_or_default()
    }
}

/// A watcher of runs: of progress, by [`Progress`], of what happens, and of what is good to know.
pub trait Observer: Progress {
    /// Something has happened in the loop.
    fn event(&self, event: &Event<'_>) {
        let _ = event;
    }

    /// Something is good to know.
    fn note(&self, note: &Note<'_>) {
        let _ = note;
    }
}

impl Observer for Silent {}

/// Something that is good to know of a run.
#[derive(Debug)]
#[non_exhaustive]
pub enum Note<'a> {
    /// Rows that could not be used were left out.
    SkippedRows(&'a Skipped),
    /// Entropy of the hidden tokens of the validation samples, in nats: the loss to beat.
    UnigramEntropy(f64),
    /// Number of pairs of texts that the settings do not take.
    PairsLeftOut(usize),
    /// Words and tags of the training sentences that are not as they should be.
    TrainingWords {
        /// Words without a label in any sample.
        lost: LostWords,
        /// Number of tags such as `I-PER` that continue no entity.
        invalid_tags: u64,
    },
    /// Names of weights that were initialised at random, as the pretrained model has none.
    FreshWeights(&'a [String]),
    /// Names of weights of the pretrained model that the new one has no use for.
    LeftOverWeights(&'a [String]),
    /// The run was interrupted behind this step, and can be resumed.
    Interrupted {
        /// Name of the recipe.
        recipe: &'static str,
        /// Folder of the run.
        folder: &'a Path,
        /// Last step that was done.
        step: u64,
    },
}
