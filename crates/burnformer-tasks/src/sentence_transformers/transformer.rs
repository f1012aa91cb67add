//! Settings of the Transformer: what is done to a text in front of the encoder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::file::{read_json, unsupported, write_json};
use crate::TaskError;
use crate::encode::Encode;

/// Names of the file, in the order in which sentence-transformers looks for them; the first is written.
const FILES: [&str; 7] = [
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
];

/// Settings that change what comes out, and are not supported.
const UNSUPPORTED: [&str; 5] =
    ["processing_kwargs", "query_length", "document_length", "query_expansion", "tokenizer_name_or_path"];

/// Arguments of the classes of model, settings and tokenizer, under all names that they have had.
const ARGUMENTS: [&str; 6] =
    ["model_args", "model_kwargs", "config_args", "config_kwargs", "tokenizer_args", "processor_kwargs"];

/// Arguments that change nothing here: where and how a model is loaded and computed.
const HARMLESS: [&str; 10] = [
    "add_pooling_layer",
    "attn_implementation",
    "clean_up_tokenization_spaces",
    "device_map",
    "dtype",
    "low_cpu_mem_usage",
    "torch_dtype",
    "trust_remote_code",
    "use_fast",
    "use_safetensors",
];

/// Arguments whose only supported value is this.
const SIDES: [(&str, &str); 2] = [("padding_side", "right"), ("truncation_side", "right")];

/// Longest text of the tokenizer, as an argument of its class.
const MAX_LENGTH: &str = "model_max_length";

/// The file in the folder of a Transformer.
pub(super) fn file_in(folder: &Path) -> Option<PathBuf> {
    FILES.map(|file| folder.join(file)).into_iter().find(|path| path.is_file())
}

/// `true` for keys that are read, or change no result.
pub(super) fn is_known(key: &str) -> bool {
    let read = ["do_lower_case", "max_seq_length", "modality_config", "module_output_name", "transformer_task"];
    read.contains(&key) || UNSUPPORTED.contains(&key) || ARGUMENTS.contains(&key) || key == "unpad_inputs"
}

/// What the Transformer is to make of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    Embedding,
    Score,
}

impl Task {
    /// `transformer_task`, `method_output_name` and `module_output_name`.
    pub(super) fn names(self) -> [&'static str; 3] {
        match self {
            Self::Embedding => ["feature-extraction", "last_hidden_state", "token_embeddings"],
            Self::Score => ["sequence-classification", "logits", "scores"],
        }
    }
}

/// What is done to a text before it is tokenised.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct TextSettings {
    /// Longest text in tokens; `None` is as the tokenizer and the encoder say.
    pub(crate) max_length: Option<usize>,
    /// `true` lower-cases texts, whatever the tokenizer does.
    pub(crate) lowercase: bool,
}

#[derive(Deserialize)]
struct TransformerFile {
    max_seq_length: Option<usize>,
    do_lower_case: Option<bool>,
    transformer_task: Option<String>,
    modality_config: Option<BTreeMap<String, Modality>>,
    module_output_name: Option<String>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

#[derive(Deserialize)]
struct Modality {
    method: Option<String>,
    method_output_name: Option<Value>,
}

impl TextSettings {
    /// The settings beside the Transformer in `folder`, the defaults if there are none.
    pub(super) fn read(folder: &Path, task: Task) -> Result<Self, TaskError> {
        let Some(path) = file_in(folder) else { return Ok(Self::default()) };
        let file: TransformerFile = read_json(&path)?;
        let [expected_task, output, module_output] = task.names();
        let expect = |key: &str, found: Option<&str>, expected: &str| match found {
            Some(found) if found != expected => {
                Err(unsupported(&path, format!("`{found}` in `{key}`"), format!("`{expected}`")))
            }
            _ => Ok(()),
        };
        expect("transformer_task", file.transformer_task.as_deref(), expected_task)?;
        expect("module_output_name", file.module_output_name.as_deref(), module_output)?;
        if let Some(modalities) = &file.modality_config {
            let Some(text) = modalities.get("text") else {
                let found =
                    format!("{} in `modality_config`", modalities.keys().cloned().collect::<Vec<_>>().join(", "));
                return Err(unsupported(&path, found, "`text`"));
            };
            expect("method", text.method.as_deref(), "forward")?;
            let found = text.method_output_name.as_ref().map(|name| name.as_str().unwrap_or("several names"));
            expect("method_output_name", found, output)?;
        }
        let mut max_length = file.max_seq_length;
        for (key, value) in &file.others {
            let is_set = !value.is_null() && value.as_object().is_none_or(|it| !it.is_empty());
            if is_set && UNSUPPORTED.contains(&key.as_str()) {
                return Err(unsupported(&path, format!("`{key}` = {value}"), "a file without it"));
            }
            if ARGUMENTS.contains(&key.as_str()) {
                max_length = length_in(key, value, &path)?.or(max_length);
            }
        }
        Ok(Self { max_length, lowercase: file.do_lower_case.unwrap_or(false) })
    }

    /// Prepares texts for an encoder whose longest sequence is `longest`.
    pub(crate) fn apply(&self, encode: &mut Encode, longest: usize) -> Result<(), TaskError> {
        if self.lowercase {
            encode.tokenizer = encode.tokenizer.clone().lowercased()?;
        }
        if let Some(length) = self.max_length {
            encode.max_length = length.min(longest);
        }
        Ok(())
    }

    pub(super) fn write(&self, task: Task, folder: &Path) -> Result<(), TaskError> {
        let mut json = json!({ "max_seq_length": self.max_length, "do_lower_case": self.lowercase });
        // Older versions, which know no other task, do not know the key.
        if task != Task::Embedding {
            json["transformer_task"] = task.names()[0].into();
        }
        Ok(write_json(&folder.join(FILES[0]), &json)?)
    }
}

/// The longest text among arguments, all of which must be known.
fn length_in(key: &str, arguments: &Value, path: &Path) -> Result<Option<usize>, TaskError> {
    let mut length = None;
    for (name, value) in arguments.as_object().into_iter().flatten() {
        if name == MAX_LENGTH {
            length = value.as_u64().and_then(|length| usize::try_from(length).ok());
        } else if !HARMLESS.contains(&name.as_str())
            && !value.is_null()
            && !SIDES.iter().any(|&(it, side)| it == name && value == side)
        {
            return Err(unsupported(path, format!("`{name}` = {value} in `{key}`"), "a file without it"));
        }
    }
    Ok(length)
}
