//! The names and layouts of weights in the files of Hugging Face's GPT-2.

use crate::hf::WeightNames;
use crate::weights::Part;

/// The names of all parameters. Queries, keys and values are one weight, and `Conv1D` keeps matrices as `[d_in, d_out]`.
pub(super) const NAMES: WeightNames = WeightNames {
    outside: &[
        ("gpt.token.", "transformer.wte."),
        ("gpt.positions.", "transformer.wpe."),
        ("gpt.stack.norm_final.", "transformer.ln_f."),
        ("output.", "lm_head."),
    ],
    stacks: &[("gpt.stack.layers.", "transformer.h.")],
    in_layer: &[
        ("norm_attn.", "ln_1."),
        ("attention.query.", "attn.c_attn."),
        ("attention.key.", "attn.c_attn."),
        ("attention.value.", "attn.c_attn."),
        ("attention.output.", "attn.c_proj."),
        ("norm_ff.", "ln_2."),
        ("feed_forward.linear_in.", "mlp.c_fc."),
        ("feed_forward.linear_out.", "mlp.c_proj."),
    ],
    parts: &[
        ("attention.query.", Part { index: 0, of: 3 }),
        ("attention.key.", Part { index: 1, of: 3 }),
        ("attention.value.", Part { index: 2, of: 3 }),
    ],
    transposed: &["attention.", "feed_forward."],
};

/// What stands in front of the body's names, but not in the files of the first release.
pub(super) const PREFIX: &str = "transformer.";
/// The name of the token embeddings' table.
pub(super) const TOKEN: &str = "transformer.wte.weight";
/// The name of the output layer's table.
pub(super) const OUTPUT: &str = "lm_head.weight";

/// `true` for the causal masks that old files have as weights.
pub(super) fn is_mask(name: &str) -> bool {
    name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias")
}
