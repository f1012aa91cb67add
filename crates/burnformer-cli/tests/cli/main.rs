//! The program itself, run as a user runs it: what it prints, where, with which exit status, and what it leaves behind.

mod apply;
mod bad_rows;
mod build;
mod causal_lm;
mod data_report;
mod embedding;
mod errors;
mod escapes;
mod export;
#[cfg(feature = "fetch")]
mod fetch;
mod help;
#[cfg(feature = "fetch")]
mod hub;
mod inputs;
#[cfg(unix)]
mod interrupted;
mod killed;
mod labels;
mod library;
mod limits;
mod lora;
#[cfg(all(target_os = "linux", any(feature = "flex", feature = "ndarray")))]
mod memory;
mod old_runs;
#[cfg(unix)]
mod outputs;
mod questions;
mod ranking;
mod ranks;
mod ranks_answer;
mod resume;
mod runs;
mod rust_docs;
mod search;
mod seeds;
#[cfg(unix)]
mod signals;
mod split;
mod streams;
mod support;
mod technique;
mod tokenizer;
mod tokens;
mod train;
mod translate;
mod trouble;
