//! Flags of `burnformer finetune` for low-rank adapters.

use burnformer::models::Targets;
use burnformer::recipes::finetune::LoraSettings;
use clap::Args;

use super::super::numbers::whole;

/// What stands for all linear maps.
const ALL_LINEAR: &str = "all-linear";

/// Low-rank adapters.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Low-rank adapters (LoRA)")]
pub(crate) struct LoraArgs {
    /// Train a low-rank adapter and the head instead of all weights, and write them in peft's files
    #[arg(long, conflicts_with_all = ["resume", "from_scratch"])]
    pub(crate) lora: bool,

    /// Rank of the adapter [default: 8]
    #[arg(long, value_name = "N", requires = "lora", conflicts_with = "resume", value_parser = whole::<usize>(1..))]
    pub(crate) lora_rank: Option<usize>,

    /// Factor of the adapter, divided by its rank [default: 8]
    #[arg(long, value_name = "FACTOR", requires = "lora", conflicts_with = "resume")]
    pub(crate) lora_alpha: Option<f64>,

    /// Dropout of the input of the adapter [default: 0]
    #[arg(long, value_name = "PROBABILITY", requires = "lora", conflicts_with = "resume")]
    pub(crate) lora_dropout: Option<f64>,

    /// Modules with an adapter: ends of their names in transformers, or `all-linear` [default: queries and values]
    #[arg(long, value_name = "NAME", requires = "lora", conflicts_with = "resume", num_args = 1..)]
    pub(crate) lora_targets: Vec<String>,
}

impl LoraArgs {
    /// The settings, if an adapter is to be trained.
    pub(crate) fn settings(&self) -> Option<LoraSettings> {
        let targets = match self.lora_targets.as_slice() {
            [] => None,
            [all] if all == ALL_LINEAR => Some(Targets::Pattern(all.clone())),
            names => Some(Targets::Names(names.to_vec())),
        };
        let default = LoraSettings::default();
        self.lora.then(|| LoraSettings {
            rank: self.lora_rank.unwrap_or(default.rank),
            alpha: self.lora_alpha.unwrap_or(default.alpha),
            dropout: self.lora_dropout.unwrap_or(default.dropout),
            targets,
            ..default
        })
    }
}
