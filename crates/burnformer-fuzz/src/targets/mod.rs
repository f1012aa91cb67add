//! The targets, by what they read.

mod corpus;
mod hub;
#[cfg(feature = "models")]
mod models;
mod readers;
#[cfg(feature = "models")]
mod runs;
mod search;
#[cfg(feature = "models")]
mod sentence_transformers;
mod settings;
mod tokenizers;
#[cfg(feature = "models")]
mod weights;

use crate::Target;

/// All targets.
pub const TARGETS: &[&[Target]] = &[
    readers::TARGETS,
    corpus::TARGETS,
    tokenizers::TARGETS,
    settings::TARGETS,
    hub::TARGETS,
    search::TARGETS,
    #[cfg(feature = "models")]
    models::TARGETS,
    #[cfg(feature = "models")]
    sentence_transformers::TARGETS,
    #[cfg(feature = "models")]
    weights::TARGETS,
    #[cfg(feature = "models")]
    runs::TARGETS,
];
