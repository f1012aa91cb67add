//! The names of weights in Hugging Face's files.

/// Beginnings of paths outside the encoder's layers.
const BEGINNINGS: [(&str, &str); 10] = [
    ("bert.embeddings.token.", "bert.embeddings.word_embeddings."),
    ("bert.embeddings.position.", "bert.embeddings.position_embeddings."),
    ("bert.embeddings.segment.", "bert.embeddings.token_type_embeddings."),
    ("bert.embeddings.norm.", "bert.embeddings.LayerNorm."),
    ("pooler.", "bert.pooler."),
    ("mlm.dense.", "cls.predictions.transform.dense."),
    ("mlm.norm.", "cls.predictions.transform.LayerNorm."),
    ("mlm.bias", "cls.predictions.bias"),
    ("next_sentence.", "cls.seq_relationship."),
    ("classifier.", "classifier."),
];

/// Beginnings of paths inside a layer.
const IN_LAYER: [(&str, &str); 8] = [
    ("attention.query.", "attention.self.query."),
    ("attention.key.", "attention.self.key."),
    ("attention.value.", "attention.self.value."),
    ("attention.output.", "attention.output.dense."),
    ("norm_attn.", "attention.output.LayerNorm."),
    ("feed_forward.linear_in.", "intermediate.dense."),
    ("feed_forward.linear_out.", "output.dense."),
    ("norm_ff.", "output.LayerNorm."),
];

/// The name that the parameter at `path` of a BERT model has in Hugging Face's files. A path that no BERT model has stays
/// as it is.
///
/// ```
/// let name = burnformer_models::hugging_face_name("bert.encoder.layers.0.norm_ff.weight");
/// assert_eq!(name, "bert.encoder.layer.0.output.LayerNorm.weight");
/// ```
#[must_use]
pub fn hugging_face_name(path: &str) -> String {
    match path.strip_prefix("bert.encoder.layers.").and_then(|path| path.split_once('.')) {
        Some((layer, path)) => format!("bert.encoder.layer.{layer}.{}", replace_beginning(path, &IN_LAYER)),
        None => replace_beginning(path, &BEGINNINGS),
    }
}

fn replace_beginning(path: &str, table: &[(&str, &str)]) -> String {
    let replace = |(ours, theirs): &(&str, &str)| path.strip_prefix(ours).map(|rest| format!("{theirs}{rest}"));
    table.iter().find_map(replace).unwrap_or_else(|| path.to_owned())
}

/// Other names under which a weight has been saved: norms by the first releases, the body alone without the name of the
/// whole, a bias by the name of what it is tied to.
pub(super) fn other_names(name: &str) -> Vec<String> {
    let old = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
    let alone = [name, &old].into_iter().filter_map(|name| name.strip_prefix("bert.")).map(str::to_owned);
    let mut names: Vec<String> = alone.collect();
    if name == "cls.predictions.bias" {
        names.push("cls.predictions.decoder.bias".to_owned());
    }
    names.push(old);
    names
}

/// `true` for what old files have and no model needs.
pub(super) fn is_obsolete(name: &str) -> bool {
    name.ends_with("embeddings.position_ids")
}
