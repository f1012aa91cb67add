//! Burnformer: train, fine-tune, inspect and run Transformers in Rust, on [burn](https://docs.rs/burn).
//!
//! This crate re-exports the others under one name:
//!
//! | module | crate | what |
//! | --- | --- | --- |
//! | [`core`] | `burnformer-core` | random numbers by counter, layered settings, atomic files, locks, progress |
//! | `hub` | `burnformer-hub` | models of the Hugging Face hub, behind the feature `hub` |
//! | [`data`] | `burnformer-data` | readers, tokenizers, token shards, samples, batches, splits, statistics |
//! | [`ops`] | `burnformer-ops` | the operators, as an extension of burn's backend trait; the device by name |
//! | [`nn`] | `burnformer-nn` | attention, encoder, decoder, positions, losses, initialisation |
//! | [`models`] | `burnformer-models` | BERT with its heads, in Hugging Face's files |
//! | [`tasks`] | `burnformer-tasks` | losses, predictions and metrics of each task; pipelines for use in one call |
//! | [`train`] | `burnformer-train` | the training loop: optimisers, schedules, evaluation, checkpoints, run folders |
//! | [`recipes`] | `burnformer-recipes` | pretraining, fine-tuning and training of translators, from settings to a run folder and a report |
//! | [`search`] | `burnformer-search` | search for settings: spaces, samplers, successive halving, Optuna's journal |
//!
//! ```
//! use burn::tensor::Tensor;
//! use burnformer::nn::{EncoderConfig, LayerConfig, Mask, DropoutRng, init};
//! use burnformer::ops::DeviceChoice;
//!
//! let device = DeviceChoice::Auto.open()?;
//! let encoder = EncoderConfig::new(2, LayerConfig::new(12, 3, 20)).init(&device);
//! let encoder = init::by_name(encoder, 42, init::xavier_uniform);
//! let x = Tensor::<3>::ones([2, 5, 12], &device); // [batch_size, seq_length, d_model]
//! assert_eq!(encoder.forward(x, Mask::None, DropoutRng::off()).dims(), [2, 5, 12]);
//! # Ok::<(), burnformer::ops::DeviceError>(())
//! ```
//!
//! # Features
//! `ndarray` (default), `flex` and `wgpu` choose the backends; at least one is needed. `autotune` lets `wgpu` measure
//! variants of its own kernels, for real GPUs. `baseline` adds the simple methods that fine-tuned models are compared with.
//! `hub` adds the module of the same name.

pub use burnformer_core as core;
pub use burnformer_data as data;
#[cfg(feature = "hub")]
pub use burnformer_hub as hub;
pub use burnformer_models as models;
pub use burnformer_nn as nn;
pub use burnformer_ops as ops;
pub use burnformer_recipes as recipes;
pub use burnformer_search as search;
pub use burnformer_tasks as tasks;
pub use burnformer_train as train;

/// The README's example, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
