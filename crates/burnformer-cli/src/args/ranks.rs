//! Flags for the processors of a process, and for processes that work together.

use std::time::Duration;

use burnformer::ops::WeightFormat;
use clap::Args;

use super::numbers::whole;
use crate::errors::Advised;

/// How a process shares its machine with others, and waits for them.
#[derive(Args, Debug)]
pub(crate) struct RanksArgs {
    /// Number of threads to compute with [default: one for each processor, divided among the processes of `mpirun` on this machine]
    #[arg(long, value_name = "N", global = true, display_order = 1000, value_parser = whole::<usize>(1..=4096))]
    pub(crate) threads: Option<usize>,

    /// Minutes that a process of `mpirun` waits for another one before it gives up
    #[arg(long, value_name = "MINUTES", global = true, display_order = 1000, hide_short_help = true, default_value_t = 30,
          value_parser = whole::<u64>(1..=100_000))]
    pub(crate) rank_timeout: u64,
}

/// How processes share a model.
#[derive(Args, Debug)]
pub(crate) struct StagesArgs {
    /// Number of processes of `mpirun` that share the layers of one model, each a stage of a pipeline
    #[arg(long, value_name = "P", default_value_t = 1, hide_default_value = true, value_parser = whole::<usize>(1..=1000))]
    pub(crate) pipeline_stages: usize,
}

impl StagesArgs {
    /// # Errors
    /// If the weights of stages are asked for in a type that only whole models have.
    pub(crate) fn check_weights(&self, dtype: WeightFormat) -> Result<(), Advised> {
        if self.pipeline_stages > 1 && dtype != WeightFormat::F32 {
            let message = format!("a model in stages has weights in `f32`, not in `{dtype}`");
            return Err(Advised::new(message, "leave out `--dtype` or `--pipeline-stages`"));
        }
        Ok(())
    }
}

impl RanksArgs {
    /// How long to wait for another process.
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(60 * self.rank_timeout)
    }
}
