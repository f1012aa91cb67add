//! The names of weights in Hugging Face's files.

use super::BertVariant;
use crate::hf::WeightNames;

/// Prefix of a path before the number of a layer.
const LAYERS: &str = "bert.encoder.layers.";

pub(super) const BERT: WeightNames = WeightNames {
    outside: &[
        ("bert.embeddings.token.", "bert.embeddings.word_embeddings."),
        ("bert.embeddings.position.", "bert.embeddings.position_embeddings."),
        ("bert.embeddings.segment.", "bert.embeddings.token_type_embeddings."),
        ("bert.embeddings.norm.", "bert.embeddings.LayerNorm."),
        ("pooler.", "bert.pooler."),
        ("body_pooler.", "bert.pooler."),
        ("mlm.dense.", "cls.predictions.transform.dense."),
        ("mlm.norm.", "cls.predictions.transform.LayerNorm."),
        ("mlm.decoder.", "cls.predictions.decoder."),
        ("mlm.bias", "cls.predictions.bias"),
        ("next_sentence.", "cls.seq_relationship."),
        ("token_classifier.", "classifier."),
    ],
    stacks: &[(LAYERS, "bert.encoder.layer.")],
    in_layer: &[
        ("attention.query.", "attention.self.query."),
        ("attention.key.", "attention.self.key."),
        ("attention.value.", "attention.self.value."),
        ("attention.output.", "attention.output.dense."),
        ("norm_attn.", "attention.output.LayerNorm."),
        ("feed_forward.linear_in.", "intermediate.dense."),
        ("feed_forward.linear_out.", "output.dense."),
        ("norm_ff.", "output.LayerNorm."),
    ],
    parts: &[],
    transposed: &[],
};

pub(super) const ROBERTA: WeightNames = WeightNames {
    outside: &[
        ("bert.embeddings.token.", "roberta.embeddings.word_embeddings."),
        ("bert.embeddings.position.", "roberta.embeddings.position_embeddings."),
        ("bert.embeddings.segment.", "roberta.embeddings.token_type_embeddings."),
        ("bert.embeddings.norm.", "roberta.embeddings.LayerNorm."),
        ("pooler.", "classifier."),
        ("body_pooler.", "roberta.pooler."),
        ("mlm.dense.", "lm_head.dense."),
        ("mlm.norm.", "lm_head.layer_norm."),
        ("mlm.decoder.", "lm_head.decoder."),
        ("mlm.bias", "lm_head.bias"),
        ("classifier.", "classifier.out_proj."),
        ("token_classifier.", "classifier."),
    ],
    stacks: &[(LAYERS, "roberta.encoder.layer.")],
    in_layer: BERT.in_layer,
    parts: &[],
    transposed: &[],
};

pub(super) const DISTIL_BERT: WeightNames = WeightNames {
    outside: &[
        ("bert.embeddings.token.", "distilbert.embeddings.word_embeddings."),
        ("bert.embeddings.position.", "distilbert.embeddings.position_embeddings."),
        ("bert.embeddings.norm.", "distilbert.embeddings.LayerNorm."),
        ("pooler.dense.", "pre_classifier."),
        ("mlm.dense.", "vocab_transform."),
        ("mlm.norm.", "vocab_layer_norm."),
        ("mlm.decoder.", "vocab_projector."),
        ("mlm.bias", "vocab_projector.bias"),
        ("token_classifier.", "classifier."),
    ],
    stacks: &[(LAYERS, "distilbert.transformer.layer.")],
    in_layer: &[
        ("attention.query.", "attention.q_lin."),
        ("attention.key.", "attention.k_lin."),
        ("attention.value.", "attention.v_lin."),
        ("attention.output.", "attention.out_lin."),
        ("norm_attn.", "sa_layer_norm."),
        ("feed_forward.linear_in.", "ffn.lin1."),
        ("feed_forward.linear_out.", "ffn.lin2."),
        ("norm_ff.", "output_layer_norm."),
    ],
    parts: &[],
    transposed: &[],
};

impl BertVariant {
    /// The name that the parameter at `path` of a model has in Hugging Face's files. A path that no model has stays as
    /// it is.
    ///
    /// ```
    /// use burnformer_models::BertVariant;
    ///
    /// let name = |variant: BertVariant| variant.weight_name("bert.encoder.layers.0.norm_ff.weight");
    /// assert_eq!(name(BertVariant::Bert), "bert.encoder.layer.0.output.LayerNorm.weight");
    /// assert_eq!(name(BertVariant::DistilBert), "distilbert.transformer.layer.0.output_layer_norm.weight");
    /// ```
    #[must_use]
    pub fn weight_name(self, path: &str) -> String {
        self.details().names.name(path)
    }

    /// Prefix of the body's weights in the file of a model with a head.
    pub(super) fn body_prefix(self) -> String {
        format!("{}.", self.details().body)
    }

    /// Other names under which the weight `name` has been saved: norms by the first releases, the body alone without
    /// the name of the whole, a bias by the name of what it is tied to.
    pub(super) fn other_names(self, name: &str) -> Vec<String> {
        let prefix = self.body_prefix();
        let old = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
        let alone = [name, &old].into_iter().filter_map(|name| name.strip_prefix(&prefix)).map(str::to_owned);
        let mut names: Vec<String> = alone.collect();
        names.extend(self.decoder_bias().filter(|_| name == self.weight_name("mlm.bias")));
        names.push(old);
        names
    }

    /// The second name of the masked token head's bias, if it has one: the bias of the output layer.
    pub(crate) fn decoder_bias(self) -> Option<String> {
        Some(self.weight_name("mlm.decoder.bias")).filter(|name| *name != self.weight_name("mlm.bias"))
    }
}
