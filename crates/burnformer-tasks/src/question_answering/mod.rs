//! Extractive question answering: the task, the search for answers, and the pipeline that answers questions.

mod pipeline;
mod search;
mod task;

pub use pipeline::{FoundAnswer, QuestionAnswer, QuestionAnswering, QuestionAnsweringOptions};
pub use search::{AnswerCandidate, AnswerSearch, WindowAnswers};
pub use task::{BestAnswer, QuestionAnsweringMetricState, QuestionAnsweringTask};
