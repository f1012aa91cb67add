//! How tensor parallelism cuts a model into parts.

use crate::parts::{Part, Parts};

/// How the ranks of a [tensor-parallel](crate::with_tensor_parallel) model share a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// All ranks have the whole parameter, with the same bits.
    Whole,
    /// Each rank has some rows of this axis, as [`share`](burnformer_core::collective::share) deals them.
    Along(usize),
    /// Rank 0 has the whole parameter, the others have nothing of it.
    First,
}

impl Cut {
    /// What the rank `rank` of `size` holds of a model.
    #[must_use]
    pub fn parts(rank: usize, size: usize) -> Parts {
        Parts::new(move |path| Self::of(path).part(rank, size))
    }

    /// What the rank `rank` of `size` holds.
    #[must_use]
    pub fn part(self, rank: usize, size: usize) -> Part {
        match self {
            Self::Along(axis) if size > 1 => Part::Share { axis, rank, size },
            Self::First if rank > 0 => Part::None,
            Self::Whole | Self::Along(_) | Self::First => Part::All,
        }
    }

    /// The cut of the parameter at `path` (`bert.encoder.layers.0.attention.query.weight`): queries, keys and values by heads,
    /// a feed-forward sub-layer by its hidden activations, what follows them by its inputs, and tables by tokens.
    #[must_use]
    pub fn of(path: &str) -> Self {
        let mut names = path.rsplit('.');
        let kind = names.next().unwrap_or_default();
        let (map, block) = (names.next().unwrap_or_default(), names.next().unwrap_or_default());
        match (block, map) {
            ("attention" | "cross_attention", "query" | "key" | "value")
            | ("feed_forward", "linear_in" | "linear_gate") => Self::Along(0),
            ("attention" | "cross_attention", "output") | ("feed_forward", "linear_out") => match kind {
                "weight" => Self::Along(1),
                // It is added once.
                _ => Self::First,
            },
            _ if is_of_tokens(path) => Self::Along(0),
            _ => Self::Whole,
        }
    }
}

/// `true` for tables with a row for each token, and biases of logits.
fn is_of_tokens(path: &str) -> bool {
    // As a body is in a model with a head; then of an encoder-decoder.
    let ends = ["bert.embeddings.token.weight", "mlm.bias", "mlm.decoder.weight", "gpt.token.weight"];
    let whole = ["source.weight", "target.weight", "output.weight", "output_bias"];
    ends.iter().any(|end| path.ends_with(end)) || whole.contains(&path)
}
