//! Names of weights as wrappers of models have changed them, and what lies beside the weights of a model in its file.

use crate::ModelError;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The table of tokens of every architecture, by which the wrapper around a model is found; names with the prefix of a body
/// before the same without it.
const TABLES: [&str; 9] = [
    "bert.embeddings.word_embeddings.weight",
    "roberta.embeddings.word_embeddings.weight",
    "distilbert.embeddings.word_embeddings.weight",
    "embeddings.word_embeddings.weight",
    "transformer.wte.weight",
    "wte.weight",
    "model.shared.weight",
    "model.encoder.embed_tokens.weight",
    "model.decoder.embed_tokens.weight",
];

/// Parts of names that wrappers of modules insert wherever they stand: `torch.compile`, data parallelism, checkpointing.
const INSERTED: [&str; 4] = ["_orig_mod", "module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"];

/// First parts of the names of a model's weights, of all architectures and heads.
const OWN: [&str; 21] = [
    "bert",
    "roberta",
    "distilbert",
    "embeddings",
    "encoder",
    "transformer",
    "pooler",
    "cls",
    "lm_head",
    "classifier",
    "pre_classifier",
    "qa_outputs",
    "vocab_transform",
    "vocab_layer_norm",
    "vocab_projector",
    "model",
    "final_logits_bias",
    "wte",
    "wpe",
    "h",
    "ln_f",
];

/// First parts of the names of a run's state, which is no part of its model.
const STATE: [&str; 9] = [
    "optimizer",
    "optimizers",
    "optimizer_states",
    "optimizer_state_dict",
    "scheduler",
    "lr_schedulers",
    "callbacks",
    "loops",
    "scaler",
];

/// The names of the weights in a file without what wrappers have added.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// What stands before the names of the model's weights, with its dot; empty of a model without a wrapper.
    pub(super) prefix: String,
    /// Names in the file by the name without a wrapper, where they differ.
    stored: BTreeMap<String, String>,
    /// Names in the file that differ from those without a wrapper.
    changed: BTreeMap<String, String>,
}

impl Layout {
    /// The layout of a file with these names.
    ///
    /// # Errors
    /// If it has several models, or two weights get one name.
    pub(super) fn of(names: &[String], path: &Path) -> Result<Self, ModelError> {
        let inner: Vec<String> = names.iter().map(|name| without_inserted(name)).collect();
        let prefixes: BTreeSet<&str> = inner.iter().filter_map(|name| before_table(name)).collect();
        let prefix = match prefixes.len() {
            0 => "",
            _ if prefixes.contains("") => "",
            1 => prefixes.first().copied().unwrap_or_default(),
            _ => {
                let prefixes = prefixes.into_iter().map(str::to_owned).collect();
                return Err(ModelError::SeveralModels { path: path.to_owned(), prefixes });
            }
        };
        let mut layout = Self { prefix: prefix.to_owned(), ..Self::default() };
        let mut found = BTreeSet::new();
        for (stored, inner) in names.iter().zip(&inner) {
            let name = inner.strip_prefix(prefix).unwrap_or(inner);
            if !found.insert(name) {
                return Err(ModelError::NameTwice { path: path.to_owned(), name: name.to_owned() });
            }
            if name != stored {
                layout.stored.insert(name.to_owned(), stored.clone());
                layout.changed.insert(stored.clone(), name.to_owned());
            }
        }
        Ok(layout)
    }

    /// The name in the file of the weight `name`.
    pub(super) fn stored<'a>(&'a self, name: &'a str) -> &'a str {
        self.stored.get(name).map_or(name, String::as_str)
    }

    /// The name without a wrapper of what the file calls `stored`.
    pub(super) fn name(&self, stored: String) -> String {
        self.changed.get(&stored).cloned().unwrap_or(stored)
    }
}

/// `true` for what is no weight of a model, so that its answers do not depend on it: the state of a run, and vectors beside
/// the model such as the weights of classes in a loss. Buffers that are no floats are none whatever their name is.
pub(super) fn is_beside(name: &str, shape: &[usize]) -> bool {
    let first = name.split('.').next().unwrap_or(name);
    STATE.contains(&first) || (shape.len() <= 1 && !OWN.contains(&first) && !is_adapter(name))
}

/// `true` for a weight of an adapter, which changes what the layers around it compute.
pub fn is_adapter(name: &str) -> bool {
    ["adapter", "lora_", "prefix_encoder", "prompt_encoder"].iter().any(|part| name.contains(part))
}

fn without_inserted(name: &str) -> String {
    name.split('.').filter(|part| !INSERTED.contains(part)).collect::<Vec<_>>().join(".")
}

/// What stands before the name of the table of tokens, if `name` is one.
fn before_table(name: &str) -> Option<&str> {
    let mut before = TABLES.iter().filter_map(|table| name.strip_suffix(table));
    // Not of `bert` in `distilbert`.
    before.find(|before| before.is_empty() || before.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Result<(String, Vec<String>), ModelError> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let layout = Layout::of(&names, Path::new("file"))?;
        let found: Vec<String> = names.iter().map(|name| layout.name(name.clone())).collect();
        for (name, stored) in found.iter().zip(&names) {
            assert_eq!(layout.stored(name), stored);
        }
        Ok((layout.prefix, found))
    }

    #[test]
    fn wrappers_around_a_model_are_taken_off() {
        let body = ["bert.embeddings.word_embeddings.weight", "bert.pooler.dense.weight", "classifier.weight"];
        for prefix in ["", "model.", "state_dict.", "state_dict.model.", "bert.", "0.auto_model."] {
            let wrapped = body.map(|name| format!("{prefix}{name}"));
            let wrapped: Vec<&str> = wrapped.iter().map(String::as_str).collect();
            assert_eq!(names(&wrapped).unwrap(), (prefix.to_owned(), body.map(str::to_owned).to_vec()), "{prefix}");
        }
        // What stands beside the body keeps its name.
        let (prefix, found) =
            names(&["net.embeddings.word_embeddings.weight", "net.pooler.dense.weight", "classifier.weight"]).unwrap();
        assert_eq!(prefix, "net.");
        assert_eq!(found, ["embeddings.word_embeddings.weight", "pooler.dense.weight", "classifier.weight"]);
        // The name of one architecture ends with that of another.
        assert_eq!(names(&["model.distilbert.embeddings.word_embeddings.weight"]).unwrap().0, "model.");
        // Those of Marian begin with `model.` by themselves.
        assert_eq!(names(&["model.shared.weight", "final_logits_bias"]).unwrap().0, "");
        assert_eq!(names(&["model.model.shared.weight", "model.final_logits_bias"]).unwrap().0, "model.");
    }

    #[test]
    fn parts_that_wrappers_insert_are_taken_out_wherever_they_stand() {
        let wrapped =
            ["module._orig_mod.transformer.wte.weight", "module._orig_mod.transformer.h.0._orig_mod.ln_1.bias"];
        let expected = ["transformer.wte.weight", "transformer.h.0.ln_1.bias"].map(str::to_owned).to_vec();
        assert_eq!(names(&wrapped).unwrap(), (String::new(), expected));
    }

    #[test]
    fn two_models_in_one_file_are_refused() {
        let two = names(&["query.embeddings.word_embeddings.weight", "text.embeddings.word_embeddings.weight"]);
        assert!(matches!(two, Err(ModelError::SeveralModels { prefixes, .. }) if prefixes == ["query.", "text."]));
        let twice = names(&["module.wte.weight", "wte.weight"]);
        assert!(matches!(twice, Err(ModelError::NameTwice { name, .. }) if name == "wte.weight"));
    }

    #[test]
    fn what_changes_no_answer_is_beside_the_model() {
        for (name, shape) in
            [("loss_fct.weight", &[3][..]), ("temperature", &[]), ("optimizer.state.0.exp_avg", &[3, 8])]
        {
            assert!(is_beside(name, shape), "{name}");
        }
        for (name, shape) in [
            ("classifier.bias", &[3][..]),
            ("bert.encoder.layer.0.scale", &[8]),
            ("extra.weight", &[3, 8]),
            ("lora_scale.default", &[1]),
        ] {
            assert!(!is_beside(name, shape), "{name}");
        }
    }
}
