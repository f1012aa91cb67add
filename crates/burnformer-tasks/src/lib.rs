//! Tasks (a batch's loss and scores), pipelines (predictions on text) and metrics.
//!
//! A [`Task`] turns a batch into a loss that can be differentiated and into numbers that add up to metrics. A
//! [`Pipeline`] turns a model folder into a function on text:
//!
//! ```no_run
//! use burnformer_tasks::Pipeline;
//!
//! # fn main() -> Result<(), burnformer_tasks::TaskError> {
//! if let Pipeline::FillMask(pipeline) = Pipeline::from_folder("runs/base")? {
//!     for fill in &pipeline.fill(&["The cat sat on the [MASK]."], 3)?[0][0].fills {
//!         println!("{} {:.3}", fill.token, fill.probability);
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod answer;
mod attention_map;
mod causal_lm;
mod classification;
mod embedding_evaluation;
mod encode;
mod error;
mod evaluate;
mod exact;
mod export;
mod fill_mask;
mod in_stages;
pub mod metrics;
mod multi_label;
mod npy;
mod pipeline;
mod pretraining;
mod question_answering;
mod scores;
mod scoring;
mod sentence_embedding;
mod sentence_transformers;
mod similarity;
mod task;
mod text_classification;
mod text_embedding;
mod text_generation;
mod text_ranking;
mod token_classification;
mod translation;

pub use answer::{Answer, AnswerOptions};
pub use attention_map::AttentionMap;
pub use burnformer_nn::EmbeddingLoss;
pub use causal_lm::{CausalLmMetricState, CausalLmTask};
pub use classification::{ClassificationCounts, ClassificationLoss, ClassificationMetricState, ClassificationTask};
pub use embedding_evaluation::{EmbeddingEvaluation, EmbeddingQuality, RETRIEVED, RetrievalQuality, SimilarityQuality};
pub use error::TaskError;
pub use evaluate::{Evaluation, evaluate};
pub use export::{ExportLayout, export};
pub use fill_mask::{Fill, FillMask, FilledMask, FilledText};
pub use in_stages::InStages;
pub use multi_label::{MultiLabelMetricState, MultiLabelTask};
pub use npy::write_npy;
pub use pipeline::Pipeline;
pub use pretraining::{PretrainingCounts, PretrainingMetricState, PretrainingTask};
pub use question_answering::{
    AnswerCandidate, AnswerSearch, BestAnswer, FoundAnswer, QuestionAnswer, QuestionAnswering,
    QuestionAnsweringMetricState, QuestionAnsweringOptions, QuestionAnsweringTask, WindowAnswers,
};
pub use scores::{ScoreValues, Scores, ScoresError};
pub use scoring::{ScoreLoss, ScoreMetricState, ScoreTask, ScoredAnswer};
pub use sentence_embedding::{EmbeddingMetricState, EmbeddingTask};
pub use sentence_transformers::{
    EmbeddingModel, Modules as EmbeddingModules, Prompts, makes_embeddings, unknown_settings,
};
pub use similarity::{Similarity, cosine_similarity};
pub use task::{Forward, Metric, MetricState, Task};
pub use text_classification::{ClassProbability, Prediction, TextClassification};
pub use text_embedding::{SimilarText, TextEmbedding};
pub use text_generation::{Continuation, TextGeneration, TextGenerationOptions};
pub use text_ranking::{RankedText, RankingQuery, TextRanking};
pub use token_classification::{
    MarkedText, TextEntity, TokenClassification, TokenClassificationMetricState, TokenClassificationTask,
};
pub use translation::{
    Translation, TranslationAttention, TranslationMetricState, TranslationOptions, TranslationTask,
    TranslationTokenizers, Translator,
};
