//! A folder as OPUS-MT has it on the hub: translations and scores equal transformers', made by `fixtures/make_opus_mt.py`.

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use burnformer_models::GenerationConfig;
use burnformer_models::weights::WeightType;
use burnformer_ops::DeviceChoice;
use burnformer_tasks::{ExportLayout, Translation, TranslationOptions, Translator, export};
use serde::Deserialize;
use tempfile::TempDir;

#[derive(Deserialize)]
struct Case {
    source: String,
    greedy: String,
    /// Texts and scores by the settings of the folder.
    folder: (Vec<String>, Vec<f64>),
    /// By four beams of at most 12 tokens that end early, without a length penalty.
    other: (Vec<String>, Vec<f64>),
}

fn device() -> Device {
    DeviceChoice::Auto.open().unwrap()
}

/// The model with its tokenizers, which are fixtures of another crate.
fn folder() -> TempDir {
    let crates = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let from = |path: &str, names: &[&str]| {
        for name in names {
            fs::copy(crates.join(path).join(name), folder.path().join(name)).unwrap();
        }
    };
    from("tests/fixtures/opus_mt", &["config.json", "generation_config.json", "model.safetensors"]);
    let tokenizers = "../burnformer-data/tests/fixtures/foreign/opus";
    from(tokenizers, &["source.spm", "target.spm", "vocab.json", "tokenizer_config.json"]);
    folder
}

#[track_caller]
fn assert_equal(found: &[Translation], (texts, scores): &(Vec<String>, Vec<f64>)) {
    assert_eq!(found.iter().map(|it| it.text.as_str()).collect::<Vec<_>>(), *texts);
    for (found, expected) in found.iter().zip(scores) {
        assert!((found.score - expected).abs() <= 2e-4, "{}, expected {expected}", found.score);
    }
}

fn check(folder: &Path) {
    let cases = format!("{}/tests/fixtures/opus_mt/expected.json", env!("CARGO_MANIFEST_DIR"));
    let cases: Vec<Case> = serde_json::from_str(&fs::read_to_string(cases).unwrap()).unwrap();
    let translator = Translator::load(folder, &device()).unwrap();
    let settings = translator.generation_file().config(GenerationConfig::default()).unwrap();
    translator.generation_file().check(&settings).unwrap();
    assert_eq!((settings.n_beams, settings.max_total_length, settings.renormalize), (3, Some(20), true));
    let sources: Vec<&str> = cases.iter().map(|case| case.source.as_str()).collect();
    let run = |settings| translator.translate(&sources, &TranslationOptions::new(settings)).unwrap();
    let greedy = run(GenerationConfig { n_beams: 1, ..settings.clone() });
    let by_folder = run(GenerationConfig { n_best: 2, ..settings.clone() });
    let other = run(GenerationConfig {
        n_beams: 4,
        n_best: 3,
        length_penalty: 0.0,
        early_stopping: true,
        max_length: Some(12),
        ..settings
    });
    assert!(!cases.is_empty());
    for (index, case) in cases.iter().enumerate() {
        assert_eq!(greedy[index][0].text, case.greedy);
        assert_equal(&by_folder[index], &case.folder);
        assert_equal(&other[index], &case.other);
    }
}

#[test]
fn translations_are_those_of_transformers() {
    check(folder().path());
}

#[test]
fn an_exported_folder_translates_alike() {
    let (folder, out) = (folder(), tempfile::tempdir().unwrap());
    export(folder.path(), out.path(), ExportLayout::Transformers, WeightType::F32, &device()).unwrap();
    check(out.path());
}
