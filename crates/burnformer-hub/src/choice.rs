//! Which files of a repository make a model folder.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::HubError;
use crate::name::shortened;

/// Files that are fetched if they exist, besides weights.
const FILES: [&str; 24] = [
    "config.json",
    "model_config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "target_tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "target_vocab.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "spiece.model",
    "tokenizer.model",
    MODULES,
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
    "config_sentence_transformers.json",
];
/// List of the modules of sentence-transformers, each in a folder, which may be the repository's own.
const MODULES: &str = "modules.json";
/// Files of weights; the first that exists is fetched. An index names more files.
const WEIGHTS: [&str; 4] =
    ["model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"];

/// Files of an adapter, which may stand in the place of `config.json` and weights; the weights in one format.
const ADAPTER: &str = "adapter_config.json";
const ADAPTER_WEIGHTS: [&str; 2] = ["adapter_model.safetensors", "adapter_model.bin"];

#[derive(Deserialize)]
struct Module {
    path: String,
}

#[derive(Deserialize)]
struct Index {
    /// The file of every weight.
    weight_map: BTreeMap<String, String>,
}

/// The files to take of a repository that holds `names`; `read` reads one of them.
///
/// # Errors
/// If there is no model, a part of it is missing, or a file that names others cannot be read.
pub(crate) fn choose(
    names: &BTreeSet<&str>,
    read: &mut dyn FnMut(&str) -> Result<String, HubError>,
) -> Result<BTreeSet<String>, HubError> {
    let modules: Vec<Module> = if names.contains(MODULES) { read_json(MODULES, read)? } else { Vec::new() };
    let folder = |module: &Module| if module.path.is_empty() { String::new() } else { format!("{}/", module.path) };
    // The Transformer comes first.
    let body = modules.first().map(folder).unwrap_or_default();
    let config = format!("{body}config.json");
    let of_adapter = ADAPTER_WEIGHTS.map(|name| format!("{body}{name}"));
    let adapter = [format!("{body}{ADAPTER}")].into_iter().filter(|name| names.contains(name.as_str()));
    let adapter: Vec<String> =
        adapter.chain(of_adapter.into_iter().find(|name| names.contains(name.as_str()))).collect();
    let is_adapter = adapter.len() == 2;
    if !names.contains(config.as_str()) && !is_adapter {
        return Err(no_model(format!("the repository has no `{}`", shortened(&config)), names));
    }
    let mut chosen = BTreeSet::new();
    // Each once, however often it is named.
    let folders: BTreeSet<String> = modules.iter().map(folder).chain([String::new()]).collect();
    for folder in folders {
        let here = |name: &str| format!("{folder}{name}");
        let is_here = |name: &String| names.contains(name.as_str());
        chosen.extend(FILES.map(here).into_iter().filter(is_here));
        let is_spm =
            |name: &str| name.strip_prefix(&folder).is_some_and(|name| name.ends_with(".spm") && !name.contains('/'));
        let within = names.range::<str, _>((Bound::Included(folder.as_str()), Bound::Unbounded));
        let within = within.take_while(|name| name.starts_with(&folder));
        chosen.extend(within.filter(|name| is_spm(name)).map(ToString::to_string));
        match WEIGHTS.map(here).into_iter().find(is_here) {
            Some(index) if index.ends_with(".index.json") => {
                let Index { weight_map } = read_json(&index, read)?;
                let shards: BTreeSet<String> = weight_map.values().map(|name| here(name)).collect();
                if let Some(missing) = shards.iter().find(|name| !is_here(name)) {
                    let missing = shortened(missing);
                    let message = format!("`{index}` names `{missing}`, which the repository does not have");
                    return Err(no_model(message, names));
                }
                chosen.extend(shards);
                chosen.insert(index);
            }
            Some(weights) => {
                chosen.insert(weights);
            }
            None if folder == body && is_adapter => chosen.extend(adapter.iter().cloned()),
            None if folder == body => {
                let expected = WEIGHTS.map(|name| format!("`{name}`")).join(", ");
                return Err(no_model(format!("the repository has no weights, expected one of {expected}"), names));
            }
            None => {}
        }
    }
    Ok(chosen)
}

fn read_json<T: DeserializeOwned>(
    name: &str,
    read: &mut dyn FnMut(&str) -> Result<String, HubError>,
) -> Result<T, HubError> {
    serde_json::from_str(&read(name)?).map_err(|source| HubError::Json { file: name.to_owned(), source })
}

/// An error that says what is missing, and what there is instead.
fn no_model(missing: String, names: &BTreeSet<&str>) -> HubError {
    const SHOWN: usize = 8;
    let shown = names.iter().take(SHOWN).map(|name| format!("`{}`", shortened(name))).collect::<Vec<_>>().join(", ");
    let more = if names.len() > SHOWN { format!(" and {} more files", names.len() - SHOWN) } else { String::new() };
    let holds = if names.is_empty() { "no file".to_owned() } else { format!("{shown}{more}") };
    HubError::NoModel { missing, holds }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is chosen of `names`, of which JSON files are as in `files`.
    fn chosen(names: &[&str], files: &[(&str, &str)]) -> Result<Vec<String>, HubError> {
        let mut read = |name: &str| Ok(files.iter().find(|(other, _)| *other == name).unwrap().1.to_owned());
        choose(&names.iter().copied().collect(), &mut read).map(|names| names.into_iter().collect())
    }

    #[test]
    fn weights_are_taken_in_one_format() {
        let all = ["README.md", "config.json", "onnx/model.onnx", "rust_model.ot", "tokenizer.json", "source.spm"];
        let index = "{\"weight_map\": {\"a\": \"model-1.bin\", \"b\": \"model-2.bin\", \"c\": \"model-1.bin\"}}";
        for (weights, expected) in [
            (
                &["model.safetensors", "pytorch_model.bin", "model.safetensors.index.json"][..],
                &["model.safetensors"][..],
            ),
            (
                &["model.safetensors.index.json", "model-1.bin", "model-2.bin", "pytorch_model.bin"],
                &["model-1.bin", "model-2.bin", "model.safetensors.index.json"],
            ),
            (&["pytorch_model.bin", "pytorch_model.bin.index.json", "model-1.bin"], &["pytorch_model.bin"]),
        ] {
            let found = chosen(&[&all, weights].concat(), &[("model.safetensors.index.json", index)]).unwrap();
            let mut expected = [&["config.json", "source.spm", "tokenizer.json"], expected].concat();
            expected.sort_unstable();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn an_adapter_needs_no_model() {
        let adapter = ["adapter_config.json", "adapter_model.safetensors"];
        let more = ["README.md", "adapter_model.bin", "training_args.bin"];
        assert_eq!(chosen(&[&adapter[..], &more].concat(), &[]).unwrap(), adapter);
        let with_config = [&adapter[..], &["config.json", "tokenizer.json"]].concat();
        assert_eq!(chosen(&with_config, &[]).unwrap(), with_config);
        // A whole model beside it is the model.
        let whole = ["config.json", "model.safetensors"];
        assert_eq!(chosen(&[&adapter[..], &whole].concat(), &[]).unwrap(), whole);
        assert!(chosen(&["adapter_config.json"], &[]).is_err());
    }

    #[test]
    fn every_file_of_a_tokenizer_is_taken() {
        let mut names =
            vec!["added_tokens.json", "config.json", "merges.txt", "model.safetensors", "sentencepiece.bpe.model"];
        names.extend(["source.spm", "special_tokens_map.json", "spiece.model", "target.spm", "target_vocab.json"]);
        names.extend(["tokenizer.model", "tokenizer_config.json", "vocab.json", "vocab.txt"]);
        assert_eq!(chosen(&[&names[..], &["tf_model.h5"]].concat(), &[]).unwrap(), names);
    }

    #[test]
    fn modules_come_with_their_folders() {
        let names =
            ["config.json", "model.safetensors", "modules.json", "1_Pooling/config.json", "2_Dense/config.json"];
        let more = ["2_Dense/pytorch_model.bin", "3_Else/config.json", "onnx/config.json"];
        let settings =
            ["config_sentence_transformers.json", "sentence_bert_config.json", "sentence_xlm-roberta_config.json"];
        let modules = r#"[{"path": ""}, {"path": "1_Pooling"}, {"path": "2_Dense"}, {"path": "3_Normalize"}]"#;
        let found = chosen(&[&names[..], &more, &settings].concat(), &[(MODULES, modules)]).unwrap();
        let mut expected = [&names[..], &more[..1], &settings].concat();
        expected.sort_unstable();
        assert_eq!(found, expected);
        let apart = ["0_Transformer/config.json", "0_Transformer/model.safetensors", "modules.json"];
        assert_eq!(chosen(&apart, &[(MODULES, r#"[{"path": "0_Transformer"}]"#)]).unwrap(), apart);
    }

    #[test]
    fn what_is_missing_is_named_beside_what_is_there() {
        let check = |names: &[&str], files: &[(&str, &str)], said: &str, advised: &str| {
            let error = chosen(names, files).unwrap_err();
            assert_eq!(error.to_string(), said);
            assert!(error.hint().unwrap().ends_with(advised));
        };
        check(&["model.gguf"], &[], "the repository has no `config.json`", "this one holds `model.gguf`");
        check(&[], &[], "the repository has no `config.json`", "this one holds no file");
        let names = ["a", "b", "c", "config.json", "d", "e", "f", "g", "h", "i"];
        let expected = "the repository has no weights, expected one of `model.safetensors`, `model.safetensors.index.json`, \
                        `pytorch_model.bin`, `pytorch_model.bin.index.json`";
        check(&names, &[], expected, "`f`, `g` and 2 more files");
        let index = "pytorch_model.bin.index.json";
        check(
            &["config.json", index],
            &[(index, r#"{"weight_map": {"a": "../b.bin"}}"#)],
            "`pytorch_model.bin.index.json` names `../b.bin`, which the repository does not have",
            "",
        );
    }
}
