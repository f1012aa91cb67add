//! Settings of generation in model folders: texts and scores are those of transformers' `generate`, made by
//! `fixtures/make_generation_rules.py`; files are kept, and what is not supported is refused by name.

use crate::support::{assert_close, devices, fixture};
use burn::tensor::Device;
use burnformer_models::weights::WeightType;
use burnformer_models::{
    Convention, GenerationConfig, GenerationFile, GenerationInput, GptForCausalLM, Hypothesis, ModelError, Pretrained,
    Seq2Seq, export, generate,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::fs;
use std::path::Path;

#[derive(Deserialize)]
struct Case {
    name: String,
    model: String,
    settings: Map<String, Value>,
    inputs: Vec<Vec<u32>>,
    answers: Vec<Answer>,
}

#[derive(Deserialize)]
struct Answer {
    tokens: Vec<Vec<u32>>,
    scores: Option<Vec<f64>>,
}

/// Copies the model of a fixture into `folder`, with these settings of generation.
fn copy(model: &str, settings: &Value, folder: &Path) {
    for name in ["config.json", "model.safetensors"] {
        fs::copy(fixture(model).join(name), folder.join(name)).unwrap();
    }
    fs::write(folder.join("generation_config.json"), settings.to_string()).unwrap();
}

enum Model {
    Marian(Box<Seq2Seq>),
    Gpt(Box<GptForCausalLM>),
}

impl Model {
    fn load(name: &str, folder: &Path, device: &Device) -> Self {
        match name {
            "gpt2" => Self::Gpt(Box::new(GptForCausalLM::load(folder, device).unwrap())),
            _ => Self::Marian(Box::new(Seq2Seq::load(folder, device).unwrap())),
        }
    }

    fn file(&self) -> &GenerationFile {
        match self {
            Self::Marian(model) => model.generation_file(),
            Self::Gpt(model) => model.generation_file(),
        }
    }

    fn generate(&self, settings: &GenerationConfig, inputs: &[Vec<u32>]) -> Vec<Vec<Hypothesis>> {
        let inputs = GenerationInput::new(inputs);
        match self {
            Self::Marian(model) => generate(model.as_ref(), settings, inputs),
            Self::Gpt(model) => generate(model.as_ref(), settings, inputs),
        }
        .unwrap()
    }
}

#[test]
fn texts_and_scores_by_a_file_are_those_of_transformers() {
    let cases = fs::read_to_string(fixture("generation_rules.json")).unwrap();
    let cases: Vec<Case> = serde_json::from_str(&cases).unwrap();
    assert_eq!(cases.len(), 36);
    for device in devices() {
        for case in &cases {
            let folder = tempfile::tempdir().unwrap();
            copy(&case.model, &Value::from(case.settings.clone()), folder.path());
            let model = Model::load(&case.model, folder.path(), &device);
            let settings = model.file().config(GenerationConfig::default()).unwrap();
            model.file().check(&settings).unwrap();
            let settings = GenerationConfig { n_best: settings.n_beams, ..settings };
            let is_end = |token: &u32| settings.token_rules.eos_ids.contains(token);
            let found = model.generate(&settings, &case.inputs);
            for (index, (answer, found)) in case.answers.iter().zip(&found).enumerate() {
                let what = format!("{}, {}, input {index}", case.model, case.name);
                assert_eq!(answer.tokens.len(), found.len(), "{what}");
                for (place, (expected, found)) in answer.tokens.iter().zip(found).enumerate() {
                    // Which of several end tokens it was is not kept.
                    let (text, is_finished) = match expected.split_last() {
                        Some((last, text)) if is_end(last) => (text, true),
                        _ => (expected.as_slice(), false),
                    };
                    assert_eq!((&*found.tokens, found.is_finished), (text, is_finished), "{what}, {place}");
                    if let Some(scores) = &answer.scores {
                        assert_close(&what, &[found.score], &[scores[place]], 2e-4);
                    }
                }
            }
        }
    }
}

#[test]
fn a_start_token_is_found_in_either_file() {
    let device = &devices()[0];
    let folder = tempfile::tempdir().unwrap();
    let load = |change: fn(&mut Map<String, Value>), settings: Value| {
        copy("generation/marian", &settings, folder.path());
        let path = folder.path().join("config.json");
        let mut config: Map<String, Value> = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut config);
        fs::write(path, Value::from(config).to_string()).unwrap();
        Seq2Seq::load(folder.path(), device)
    };
    let without = |config: &mut Map<String, Value>| drop(config.remove("decoder_start_token_id"));
    let start = |settings| load(without, settings).map(|model| (model.start_id(), model.config().decoder_start_id));
    assert_eq!(start(json!({"decoder_start_token_id": 7})).unwrap(), (7, 7));
    assert_eq!(start(json!({"bos_token_id": 5})).unwrap(), (5, 5));
    let both = load(|_| {}, json!({"decoder_start_token_id": 7})).unwrap();
    assert_eq!((both.start_id(), both.config().decoder_start_id), (7, 2));
    let error = start(json!({})).unwrap_err().to_string();
    assert!(error.contains("config.json` is missing, and `58100` by default, expected less than"), "{error}");
    let error = load(|_| {}, json!({"decoder_start_token_id": 700})).unwrap_err().to_string();
    assert!(error.contains("generation_config.json` is `700`, expected less than 29"), "{error}");
}

/// Before its settings of generation had a file of their own, transformers kept them in `config.json`.
#[test]
fn settings_in_an_old_config_are_obeyed_and_exported() {
    let device = &devices()[0];
    let [folder, out] = [0; 2].map(|_| tempfile::tempdir().unwrap());
    copy("generation/marian", &json!({}), folder.path());
    fs::remove_file(folder.path().join("generation_config.json")).unwrap();
    let path = folder.path().join("config.json");
    let mut config: Map<String, Value> = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config.extend([("num_beams".to_owned(), json!(3)), ("bad_words_ids".to_owned(), json!([[22]]))]);
    fs::write(path, Value::from(config).to_string()).unwrap();
    let settings = |folder: &Path| {
        let model = Seq2Seq::load(folder, device).unwrap();
        model.generation_file().config(GenerationConfig::default()).unwrap()
    };
    let found = settings(folder.path());
    assert_eq!((found.convention, found.n_beams), (Convention::Transformers, 3));
    assert_eq!(found.token_rules.bad_words, [[22]]);
    export(folder.path(), out.path(), WeightType::F32, device).unwrap();
    assert_eq!(settings(out.path()), found);
}

#[test]
fn several_end_tokens_in_a_config_are_obeyed() {
    let device = &devices()[0];
    let folder = tempfile::tempdir().unwrap();
    for model in ["generation/marian", "gpt2"] {
        copy(model, &json!({}), folder.path());
        fs::remove_file(folder.path().join("generation_config.json")).unwrap();
        let path = folder.path().join("config.json");
        let mut config: Map<String, Value> = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        config.insert("eos_token_id".to_owned(), json!([22, 1]));
        fs::write(path, Value::from(config).to_string()).unwrap();
        let settings = Model::load(model, folder.path(), device).file().config(GenerationConfig::default()).unwrap();
        assert_eq!(settings.token_rules.eos_ids, [22, 1], "{model}");
    }
    assert_eq!(GptForCausalLM::load(folder.path(), device).unwrap().config().tokens.eos_id, Some(22));
}

#[test]
fn a_file_is_kept_as_it_is() {
    let device = &devices()[0];
    for model in ["generation/marian", "gpt2"] {
        let [folder, out] = [0; 2].map(|_| tempfile::tempdir().unwrap());
        let settings = json!({"num_beams": 3, "my_key": [1, "x"], "eos_token_id": 1, "num_return_sequences": 2});
        let mut with_metadata = settings.clone();
        with_metadata["transformers_version"] = "5.24.0".into();
        copy(model, &with_metadata, folder.path());
        export(folder.path(), out.path(), WeightType::F32, device).unwrap();
        let written = fs::read(out.path().join("generation_config.json")).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&written).unwrap(), settings);
        assert_eq!(Model::load(model, out.path(), device).file().unknown_keys(), ["my_key"]);
    }
}

/// What this project writes for other programs does not change its own defaults.
#[test]
fn files_of_this_project_leave_the_defaults_as_they_are() {
    let device = &devices()[0];
    let folder = tempfile::tempdir().unwrap();
    let saved = Seq2Seq::load(&fixture("generation/marian"), device).unwrap();
    Seq2Seq::new(saved.config(), device).save(folder.path()).unwrap();
    let model = Seq2Seq::load(folder.path(), device).unwrap();
    let config = |file: &GenerationFile| file.config(GenerationConfig::default()).unwrap();
    assert_eq!(config(model.generation_file()), GenerationConfig::default());
    // Whoever changes the file means what it means to transformers.
    let path = folder.path().join("generation_config.json");
    let mut settings: Map<String, Value> = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    settings.insert("num_beams".to_owned(), json!(2));
    fs::write(path, Value::from(settings).to_string()).unwrap();
    let found = config(Seq2Seq::load(folder.path(), device).unwrap().generation_file());
    assert_eq!((found.convention, found.n_beams, found.max_total_length), (Convention::Transformers, 2, Some(14)));
}

#[test]
fn tokens_that_a_model_does_not_have_are_refused() {
    let device = &devices()[0];
    let folder = tempfile::tempdir().unwrap();
    let run = |settings: Value| {
        copy("generation/marian", &settings, folder.path());
        let model = Seq2Seq::load(folder.path(), device)?;
        let settings = model.generation_file().config(GenerationConfig::default())?;
        model.generate(&settings, GenerationInput::new(&[vec![4, 1]]))
    };
    for key in ["forced_bos_token_id", "forced_eos_token_id"] {
        let error = run(json!({key: 29})).unwrap_err();
        assert!(matches!(error, ModelError::RuleToken { token: 29, vocab_size: 29 }), "{error}");
    }
    assert!(matches!(run(json!({"bad_words_ids": [[3, 99]]})), Err(ModelError::RuleToken { token: 99, .. })));
    // An end token that no text can have ends none.
    let found = run(json!({"eos_token_id": 50_256, "max_new_tokens": 3})).unwrap();
    assert_eq!((found[0][0].tokens.len(), found[0][0].is_finished), (3, false));
}

#[test]
fn a_prompt_that_fills_the_longest_text_is_refused() {
    let device = &devices()[0];
    let folder = tempfile::tempdir().unwrap();
    copy("gpt2", &json!({"max_length": 4}), folder.path());
    let model = GptForCausalLM::load(folder.path(), device).unwrap();
    let settings = model.generation_file().config(GenerationConfig::greedy()).unwrap();
    let prompts = [vec![1, 2], vec![1, 2, 3, 4]];
    let error = generate(&model, &settings, GenerationInput::new(&prompts)).unwrap_err();
    assert!(matches!(error, ModelError::PromptFillsLength { index: 1, found: 4, max: 4 }), "{error}");
    let settings = GenerationConfig { max_length: Some(3), ..settings };
    assert_eq!(generate(&model, &settings, GenerationInput::new(&prompts)).unwrap()[1][0].tokens.len(), 3);
}
