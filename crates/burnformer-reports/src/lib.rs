//! Reports of the recipes as plain types, written to and read from JSON.
//!
//! Depends on no other crate of the workspace, nor on burn.

mod classification;
mod data;
mod embedding;
mod labels;
mod metrics;
mod plan;
mod question_answering;
mod regression;
mod run;
mod runs;
mod scores;
mod search;
mod seeds;

pub use classification::{
    ClassReport, ClassificationIntervals, ClassificationScores, OutOfScopeScores, ReliabilityBin,
};
pub use data::{Contradiction, DataPart, DataReport, LabelCount, Lengths, ScoreRange};
pub use embedding::{RetrievalScores, SentenceEmbeddingScores};
pub use labels::{AverageScores, MultiLabelScores};
pub use metrics::Metrics;
pub use plan::{Memory, Plan};
pub use question_answering::{AnsweredQuestion, QuestionAnsweringScores, ScoresByKind};
pub use regression::{RankingScores, RegressionScores};
pub use run::{
    Baseline, CausalLmReport, FinetuneReport, PretrainReport, RepeatedTexts, RunSummary, Stopped, TrainSeq2SeqReport,
};
pub use runs::{BestEvaluation, DamagedRun, RunComparison, RunCurve, RunEntry, RunState, RunsReport, SettingRow};
pub use scores::{
    CausalLmScores, EntityTypeScores, Evaluation, PairScores, PretrainingScores, StrictScores,
    TokenClassificationScores, first_of,
};
pub use search::{SearchReport, SettingValue, TrialReport};
pub use seeds::{SeedRun, SeedScore, SeedsReport};
