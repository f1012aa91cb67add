//! Training: a loop that counts steps, optimisers, schedules, clipping by global norm, evaluation, checkpoints, run folders.
//!
//! The loop knows a task only through [`Task`](burnformer_tasks::Task). Its losses do not depend on how a step is cut into
//! micro-batches, and a resumed run has the numbers of one that was never stopped.

mod attention_picture;
mod average;
mod axis;
mod card;
mod checkpoint;
mod collective;
mod config;
mod confusion_picture;
mod curves;
mod diagnosis;
mod ema;
mod error;
mod evaluation;
mod events;
mod exact;
mod gradients;
mod grid;
mod health;
mod history;
mod layers;
mod memory;
mod optimizer;
mod parameters;
mod reliability_picture;
mod retention;
mod rule;
mod run;
mod run_folder;
mod saving;
mod schedule;
mod seal;
mod space;
mod state;
mod step;
mod tensors;
mod timer;
mod trainer;

pub use attention_picture::{AttentionError, attention_picture, write_attention};
pub use average::average_checkpoints;
pub use burnformer_core::collective::{Collective, CollectiveError, Local};
pub use card::ModelCard;
pub use checkpoint::Checkpoint;
pub use config::{OnDivergence, TrainConfig};
pub use confusion_picture::confusion_picture;
pub use curves::{CurvesError, learning_curves, runs_picture};
pub use diagnosis::Diagnosis;
pub use error::TrainError;
pub use gradients::GradientSums;
pub use grid::PictureError;
pub use health::Health;
pub use history::{History, HistoryEntry, HistoryError};
pub use layers::Freeze;
pub use memory::MemoryEstimate;
pub use optimizer::{AdamConfig, Optimizer, OptimizerConfig, OptimizerStateError, SgdConfig};
pub use parameters::{AllParameters, ParameterRule};
pub use reliability_picture::{ReliabilityBar, reliability_picture};
pub use rule::{GradientRule, MicroBatch, Sum};
pub use run_folder::RunFolder;
pub use schedule::ScheduleConfig;
pub use state::{Best, Interval, RunProgress, TrainState};
pub use trainer::{Data, Event, Outcome, Stop, Trainer};
