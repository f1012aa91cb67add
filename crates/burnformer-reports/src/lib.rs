//! Reports of the recipes as plain types, written to and read from JSON.
//!
//! Depends on no other crate of the workspace, nor on burn.

mod metrics;
mod plan;
mod run;
mod runs;
mod scores;
mod seeds;

pub use metrics::Metrics;
pub use plan::{Memory, Plan};
pub use run::{
    Baseline, CausalLmReport, FinetuneReport, PretrainReport, RepeatedTexts, RunSummary, Stopped, TrainSeq2SeqReport,
};
pub use runs::{BestEvaluation, DamagedRun, RunComparison, RunCurve, RunEntry, RunState, RunsReport, SettingRow};
pub use scores::{
    CausalLmScores, ClassificationScores, EntityTypeScores, Evaluation, PairScores, PretrainingScores,
    TokenClassificationScores, first_of,
};
pub use seeds::{SeedRun, SeedScore, SeedsReport};
