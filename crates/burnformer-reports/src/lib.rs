//! What the recipes report, as plain types: JSON is written from them, and read into them by programs that compare runs.
//!
//! No other crate of the workspace is needed for that, nor burn.

mod metrics;
mod plan;
mod run;
mod scores;

pub use metrics::Metrics;
pub use plan::{Memory, Plan};
pub use run::{Baseline, FinetuneReport, PretrainReport, RunSummary, Stopped, TrainSeq2SeqReport};
pub use scores::{ClassificationScores, Evaluation, PairScores, PretrainingScores};
