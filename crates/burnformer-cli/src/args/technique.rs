//! Flags of what is trained, and how.

use clap::Args;

use super::numbers::whole;

/// Layers, averages and the end of training. Each is a setting below `train`, so that `--set` can change it too.
#[derive(Args, Debug)]
#[command(next_help_heading = "Technique")]
pub(crate) struct TechniqueArgs {
    /// Multiply the learning rate by this factor from each layer to the one below, as in ELECTRA; such as 0.8
    #[arg(long, value_name = "FACTOR", conflicts_with = "resume")]
    pub(crate) layer_decay: Option<f64>,

    /// Freeze the bottom of the model: `embeddings`, a number of layers (and the embeddings), or `body`, all but the head
    #[arg(long, value_name = "PART", conflicts_with = "resume")]
    pub(crate) freeze: Option<String>,

    /// Unfreeze one more layer after every N steps, from the top down, the embeddings last; starts with the body frozen unless `--freeze` names less
    #[arg(long, value_name = "N", conflicts_with = "resume", value_parser = whole::<u64>(1..))]
    pub(crate) unfreeze_every: Option<u64>,

    /// Evaluate and publish the exponential moving average of the weights, with this decay; such as 0.999
    #[arg(long, value_name = "DECAY", conflicts_with = "resume")]
    pub(crate) ema_decay: Option<f64>,

    /// Stop early after N evaluations without improvement
    #[arg(long, value_name = "N", value_parser = whole::<u64>(1..))]
    pub(crate) patience: Option<u64>,
}
