//! Files of sentence-transformers.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use burnformer_models::{BertConfig, BertForSequenceClassification, Pretrained};
use burnformer_ops::DeviceChoice;
use burnformer_tasks::{TextEmbedding, TextRanking};
use tempfile::TempDir;

use crate::Target;

pub(super) const TARGETS: &[Target] = &[Target { name: "sentence_transformers", run, seeds }];

const DENSE: &str = "2_Dense/config.json";

/// The files, each with a content in which what is fuzzed is read.
const FILES: [(&str, &str); 5] = [
    (
        "modules.json",
        r#"[{"path": "", "type": "sentence_transformers.models.Transformer"}, {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}, {"path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}]"#,
    ),
    (
        "sentence_bert_config.json",
        r#"{"max_seq_length": 6, "do_lower_case": true, "tokenizer_args": {"model_max_length": 7}}"#,
    ),
    (
        "config_sentence_transformers.json",
        r#"{"prompts": {"query": "the "}, "default_prompt_name": "query", "similarity_fn_name": "dot", "truncate_dim": 3}"#,
    ),
    ("1_Pooling/config.json", r#"{"pooling_mode": ["weightedmean", "cls"], "include_prompt": false}"#),
    (DENSE, r#"{"in_features": 8, "out_features": 3, "activation_function": "torch.nn.modules.linear.Identity"}"#),
];

fn seeds() -> Vec<Vec<u8>> {
    let cross_encoder = r#"{"model_type": "CrossEncoder", "activation_fn": "torch.nn.modules.activation.Tanh"}"#;
    let old = r#"{"word_embedding_dimension": 4, "pooling_mode_mean_tokens": true, "pooling_mode_lasttoken": true}"#;
    FILES.iter().map(|(_, content)| *content).chain([cross_encoder, old]).map(|it| it.as_bytes().to_vec()).collect()
}

/// As each of the files, beside an encoder and the other files.
fn run(bytes: &[u8]) {
    let device = DeviceChoice::Auto.open().expect("a device");
    for (name, _) in FILES {
        let folder = folder();
        if name == DENSE {
            let modules = FILES[0].1.replace("Normalize", "Dense");
            fs::write(folder.path().join("modules.json"), modules).expect("a file for the target");
        }
        fs::write(folder.path().join(name), bytes).expect("a file for the target");
        if let Ok(model) = TextEmbedding::load(folder.path(), &device) {
            let _ = model.embed(&["the re", ""]);
        }
        if let Ok(model) = TextRanking::load(folder.path(), &device) {
            let _ = model.rank("the", &["the re", ""]);
        }
    }
}

/// A folder with all files.
fn folder() -> TempDir {
    static ENCODER: OnceLock<TempDir> = OnceLock::new();
    let encoder = ENCODER.get_or_init(|| {
        let device = DeviceChoice::Auto.open().expect("a device");
        let config = BertConfig::preset("bert-tiny", 7, 0).expect("a preset");
        let config = BertConfig { n_layers: 1, d_model: 4, n_heads: 2, d_ff: 4, max_seq_length: 8, ..config };
        let folder = tempfile::tempdir().expect("a folder");
        let labels = ["a", "b"].map(str::to_owned);
        BertForSequenceClassification::init(&config, &labels, 1, &device).save(folder.path()).expect("a model folder");
        fs::write(folder.path().join("vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\n##re\n").expect("a file");
        folder
    });
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["config.json", "model.safetensors", "vocab.txt"] {
        fs::copy(encoder.path().join(name), folder.path().join(name)).expect("a file of the encoder");
    }
    for (name, content) in FILES {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap_or(Path::new(""))).expect("a folder");
        fs::write(path, content).expect("a file for the target");
    }
    folder
}
