//! Recipes: pretraining, fine-tuning and the training of translators, from settings to a run folder and a report.
//!
//! A [`Recipe`] is made from settings, which are the schema of `run.toml`, and asked in this order: for its
//! [plan](Recipe::plan), for a [run](Recipe::run) or the [rest of one](Recipe::resume), whose report is a plain type of
//! [`reports`] that serde writes and reads. The same settings give the same bytes in the run folder, whoever asks.
//!
//! ```no_run
//! use burnformer_recipes::{Context, Overrides, Pretrain, PretrainSettings, PretrainStart, Recipe};
//!
//! # fn main() -> Result<(), burnformer_recipes::RecipeError> {
//! let sets = ["train.steps=500".to_owned()];
//! let settings = PretrainSettings::begin(&PretrainStart::new("corpus"), &Overrides { file: None, sets: &sets })?;
//! let recipe = Pretrain::new(settings)?;
//! let context = Context::default();
//! println!("{} parameters", recipe.plan(&context)?.parameters);
//! let report = recipe.run("runs/mini".as_ref(), &context)?;
//! println!("best step {}", report.run.best_step);
//! # Ok(())
//! # }
//! ```

mod advice;
mod apart;
#[cfg(feature = "baseline")]
mod baseline;
mod causal_lm;
mod changes;
mod class_scores;
mod corpus_samples;
mod data_reports;
mod error;
mod evaluate;
mod evaluate_questions;
mod evaluate_translation;
pub mod finetune;
mod heat_map;
mod inspect;
mod memory;
mod notes;
mod objective;
mod observer;
mod pretrain;
mod ranks;
mod recipe;
mod recipe_name;
mod runs;
mod runs_text;
mod score;
mod scores;
mod search;
mod seeds;
mod settings;
mod stages;
mod tensor_parallel;
mod text;
mod train_seq2seq;

pub use burnformer_reports as reports;

pub use advice::{causes, hint};
#[cfg(feature = "baseline")]
pub use baseline::BaselineError;
pub use causal_lm::{CausalLmData, CausalLmSettings, PretrainCausalLm, evaluate_causal_lm};
pub use changes::Change;
pub use data_reports::{CorpusReport, DeviceRow, DevicesReport, RustDocsReport, SplitReport, TokenizerReport};
pub use error::RecipeError;
pub use evaluate::{CorpusScores, evaluate_labelled, evaluate_on_corpus, evaluate_pretraining, evaluate_supervised};
pub use evaluate_questions::{evaluate_questions, no_answers_file};
pub use evaluate_translation::{TranslatorEvaluation, TranslatorScores};
pub use finetune::{
    Finetune, FinetuneSettings, FinetuneStart, FinetuneTask, TokenClassificationSettings, begin_finetune,
    reload_finetune,
};
pub use inspect::{AdapterFacts, Block, Inspection, Point};
pub use memory::{Remedy, TooLittleMemory};
pub use notes::history_line;
pub use objective::Objective;
pub use observer::{Context, Note, Observer, TrialNews};
pub use pretrain::{Pretrain, PretrainData, PretrainSettings, PretrainStart};
pub use ranks::OtherSettings;
pub use recipe::{AnyRecipe, Recipe, Size};
pub use runs::Runs;
pub use score::{Comparison, ScoreReport, TranslationFiles, TranslationMetrics, TranslationScores};
pub use search::{Keep, Search, SearchRunError, SearchSettings, TrialError, Trials};
pub use seeds::Seeds;
pub use settings::{Overrides, RunSettings, SEED, reload};
pub use stages::in_stages;
pub use text::{AnyReport, Picture, Report, TaskScores, write_pictures};
pub use train_seq2seq::{ChooseBy, TextPairsData, TrainSeq2Seq, TrainSeq2SeqSettings, TrainSeq2SeqStart};
