//! Heads on a body, one per file.

mod body;
mod kept;
mod labels;
mod masked_lm;
mod outputs;
mod pooler;
mod pretraining;
mod question_answering;
mod sequence_classification;
mod token_classification;

pub use body::BertModel;
pub use masked_lm::{BertForMaskedLM, MaskedTokenHead};
pub use outputs::Outputs;
pub use pooler::BertPooler;
pub use pretraining::{BertForPreTraining, PretrainingLogits};
pub use question_answering::BertForQuestionAnswering;
pub use sequence_classification::BertForSequenceClassification;
pub use token_classification::BertForTokenClassification;
