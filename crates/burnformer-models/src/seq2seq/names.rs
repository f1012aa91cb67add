//! The names of weights in the files of Hugging Face's Marian and Pegasus.

use super::Seq2SeqConfig;
use crate::hf::WeightNames;

/// The names of all parameters but the source's embeddings.
const NAMES: WeightNames = WeightNames {
    outside: &[
        ("output.", "lm_head."),
        ("output_bias", "lm_head.bias"),
        ("target.", "model.decoder.embed_tokens."),
        ("source_positions.", "model.encoder.embed_positions."),
        ("target_positions.", "model.decoder.embed_positions."),
        ("transformer.encoder.norm_final.", "model.encoder.layer_norm."),
        ("transformer.decoder.norm_final.", "model.decoder.layer_norm."),
    ],
    stacks: &[
        ("transformer.encoder.layers.", "model.encoder.layers."),
        ("transformer.decoder.layers.", "model.decoder.layers."),
    ],
    in_layer: &[
        ("attention.query.", "self_attn.q_proj."),
        ("attention.key.", "self_attn.k_proj."),
        ("attention.value.", "self_attn.v_proj."),
        ("attention.output.", "self_attn.out_proj."),
        ("norm_attn.", "self_attn_layer_norm."),
        ("cross_attention.query.", "encoder_attn.q_proj."),
        ("cross_attention.key.", "encoder_attn.k_proj."),
        ("cross_attention.value.", "encoder_attn.v_proj."),
        ("cross_attention.output.", "encoder_attn.out_proj."),
        ("norm_cross.", "encoder_attn_layer_norm."),
        ("feed_forward.linear_in.", "fc1."),
        ("feed_forward.linear_out.", "fc2."),
        ("norm_ff.", "final_layer_norm."),
    ],
    parts: &[],
    transposed: &[],
};

impl Seq2SeqConfig {
    /// The name that the parameter at `path` of a model has in Hugging Face's files. A path that no model has stays as
    /// it is. Source and target have names of their own where they have tables of their own.
    #[must_use]
    pub fn weight_name(&self, path: &str) -> String {
        match path.strip_prefix("source.") {
            Some(rest) if self.shared_embeddings => format!("model.shared.{rest}"),
            Some(rest) => format!("model.encoder.embed_tokens.{rest}"),
            None => NAMES.name(path),
        }
    }
}

/// The key of the initial values of the parameter at `path`: the path that it had when models were first initialised,
/// so that a seed gives the weights that it always gave. Decoder layers had names of their own for what encoder layers
/// have too.
pub(super) fn initial_key(path: &str) -> String {
    let former = |path: &str| {
        let (layer, rest) = path.strip_prefix("transformer.decoder.layers.")?.split_once('.')?;
        let (name, rest) = rest.split_once('.')?;
        let name = FORMER.iter().find_map(|(now, former)| (*now == name).then_some(former))?;
        Some(format!("transformer.decoder.layers.{layer}.{name}.{rest}"))
    };
    former(path).unwrap_or_else(|| path.to_owned())
}

/// Paths in a decoder layer, and the keys of their initial values.
const FORMER: [(&str, &str); 2] = [("attention", "self_attention"), ("norm_attn", "norm_self")];

/// The names of one table where both sides share it, the one that is written first.
pub(super) const SHARED: [&str; 3] =
    ["model.shared.weight", "model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight"];
/// The name of the output layer's table.
pub(super) const OUTPUT: &str = "lm_head.weight";
/// What is added to the logits, `[1, target_vocab_size]`.
pub(super) const LOGITS_BIAS: &str = "final_logits_bias";
/// Tables of sinusoids, which old files have and no model needs.
pub(super) const SINUSOIDS: [&str; 2] =
    ["model.encoder.embed_positions.weight", "model.decoder.embed_positions.weight"];
