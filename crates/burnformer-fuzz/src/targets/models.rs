//! Settings of models.

use std::fs;
use std::sync::{LazyLock, OnceLock};

use burnformer_core::adapter::with_base;
use burnformer_models::{
    ADAPTER_WEIGHTS_FILE, Adapter, AdapterConfig, Architecture, BertConfig, BertForSequenceClassification,
    GenerationConfig, GenerationFile, GenerationInput, GptConfig, GptForCausalLM, GptTokens, Head, Pretrained, Seq2Seq,
    Seq2SeqConfig, Vocabularies, generate, registry, with_adapter,
};
use burnformer_ops::DeviceChoice;

use crate::Target;
use crate::file::{beside, file};

pub(super) const TARGETS: &[Target] = &[
    Target { name: "config_json", run: config_json, seeds: configs },
    Target { name: "adapter_config_json", run: adapter_config_json, seeds: adapter_configs },
    Target { name: "generation_config_json", run: generation_config_json, seeds: generation_configs },
];

/// Beside the weights of a model that it may describe.
fn config_json(bytes: &[u8]) {
    let device = DeviceChoice::Auto.open().expect("a device");
    for (_, weights) in models() {
        file("model.safetensors", weights, |_| {});
        beside("config.json", bytes, |folder| {
            let _ = BertConfig::load(folder);
            let _ = GptConfig::load(folder);
            let _ = Seq2SeqConfig::load(folder);
            let _ = registry::open_known(folder, &device);
        });
    }
}

/// Beside the weights of an adapter, whose base is a classifier.
fn adapter_config_json(bytes: &[u8]) {
    static FILES: OnceLock<(tempfile::TempDir, Vec<u8>)> = OnceLock::new();
    let device = DeviceChoice::Auto.open().expect("a device");
    let (base, weights) = FILES.get_or_init(|| {
        let base = tempfile::tempdir().expect("a folder");
        let (config, weights) = &models()[0];
        fs::write(base.path().join("config.json"), config).expect("a file of every model");
        fs::write(base.path().join("model.safetensors"), weights).expect("a file of every model");
        let model = BertForSequenceClassification::load(base.path(), &device).expect("a model");
        let config = AdapterConfig::new("base", Architecture::Bert, Head::SequenceClassification);
        let adapter = tempfile::tempdir().expect("a folder");
        let model = config.attach(model, 1).expect("an adapter");
        with_adapter(&config, || model.save(adapter.path())).expect("an adapter");
        let weights = fs::read(adapter.path().join(ADAPTER_WEIGHTS_FILE)).expect("a file of every adapter");
        (base, weights)
    });
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("adapter_config.json"), bytes).expect("a file for the target");
    fs::write(folder.path().join(ADAPTER_WEIGHTS_FILE), weights).expect("a file for the target");
    let _ = registry::unknown_keys(folder.path());
    with_base(Some(base.path()), || {
        let _ = registry::open_known(folder.path(), &device);
        let Ok(model) = BertForSequenceClassification::load(base.path(), &device) else { return };
        let _ = Adapter::open(folder.path()).and_then(|adapter| adapter.attach(model));
    });
}

fn adapter_configs() -> Vec<Vec<u8>> {
    [
        r#"{"peft_type":"LORA","task_type":"SEQ_CLS","base_model_name_or_path":"base","r":8,"lora_alpha":8,"target_modules":["query","value"],"modules_to_save":["classifier","score"]}"#,
        r#"{"peft_type":"LORA","r":8,"lora_alpha":4.5,"use_rslora":true,"bias":"all","target_modules":".*self\\.(query|value)","rank_pattern":{"value":8},"alpha_pattern":{"0\\..*":2}}"#,
        r#"{"peft_type":"LORA","r":8,"lora_alpha":8,"target_modules":["query"],"layers_to_transform":[0],"layers_pattern":"layer","exclude_modules":"x"}"#,
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// Beside a model of each kind that generates texts, which then does so.
fn generation_config_json(bytes: &[u8]) {
    let device = DeviceChoice::Auto.open().expect("a device");
    for (config, weights) in &models()[1..] {
        file("model.safetensors", weights, |_| {});
        file("config.json", config, |_| {});
        beside("generation_config.json", bytes, |folder| {
            let Ok(file) = GenerationFile::of(folder) else { return };
            let Ok(settings) = file.config(GenerationConfig::default()) else { return };
            let _ = (file.check(&settings), file.unknown_keys());
            let settings = GenerationConfig { n_beams: settings.n_beams.min(4), max_length: Some(3), ..settings };
            let input = GenerationInput::new(std::slice::from_ref(&*SOURCE));
            if let Ok(model) = GptForCausalLM::load(folder, &device) {
                let _ = generate(&model, &settings, input);
            } else if let Ok(model) = Seq2Seq::load(folder, &device) {
                let _ = generate(&model, &settings, input);
            }
        });
    }
}

static SOURCE: LazyLock<Vec<u32>> = LazyLock::new(|| vec![3, 4, 1]);

fn generation_configs() -> Vec<Vec<u8>> {
    [
        r#"{"decoder_start_token_id":0,"eos_token_id":[1,2],"bad_words_ids":[[0],[3,4]],"forced_bos_token_id":5}"#,
        r#"{"num_beams":3,"length_penalty":-0.5,"early_stopping":"never","max_length":7,"min_length":2,"renormalize_logits":true}"#,
        r#"{"do_sample":true,"temperature":0.7,"top_k":5,"top_p":0.9,"repetition_penalty":1.2,"no_repeat_ngram_size":2}"#,
        r#"{"suppress_tokens":[2],"begin_suppress_tokens":[3],"forced_eos_token_id":1,"max_new_tokens":4,"min_new_tokens":1}"#,
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

fn configs() -> Vec<Vec<u8>> {
    models().iter().map(|(config, _)| config.clone()).collect()
}

/// `config.json` and weights of a model of each kind.
fn models() -> &'static [(Vec<u8>, Vec<u8>)] {
    static MODELS: OnceLock<Vec<(Vec<u8>, Vec<u8>)>> = OnceLock::new();
    MODELS.get_or_init(|| {
        let device = DeviceChoice::Auto.open().expect("a device");
        let bert = BertConfig::preset("bert-tiny", 9, 0).expect("a preset");
        let bert = BertConfig { n_layers: 1, d_model: 4, n_heads: 2, d_ff: 4, max_seq_length: 8, ..bert };
        let gpt = GptConfig::preset("gpt-tiny", 9, GptTokens::default()).expect("a preset");
        let gpt = GptConfig { n_layers: 1, d_model: 4, n_heads: 2, d_ff: 8, max_seq_length: 8, ..gpt };
        let vocabularies =
            Vocabularies { source_size: 9, target_size: 9, shared: true, pad_id: 0, eos_id: 1, decoder_start_id: 0 };
        let pairs = Seq2SeqConfig::preset("transformer-tiny", vocabularies).expect("a preset");
        let pairs = Seq2SeqConfig {
            n_encoder_layers: 1,
            n_decoder_layers: 1,
            d_model: 4,
            n_heads: 2,
            d_ff: 8,
            max_seq_length: 8,
            ..pairs
        };
        let labels = ["a", "b"].map(str::to_owned);
        vec![
            files(&BertForSequenceClassification::init(&bert, &labels, 1, &device)),
            files(&GptForCausalLM::init(&gpt, 1, &device)),
            files(&Seq2Seq::init(&pairs, 1, &device)),
        ]
    })
}

fn files<M: Pretrained>(model: &M) -> (Vec<u8>, Vec<u8>) {
    let folder = tempfile::tempdir().expect("a folder");
    model.save(folder.path()).expect("a model folder");
    let read = |name: &str| fs::read(folder.path().join(name)).expect("a file of every model");
    (read("config.json"), read("model.safetensors"))
}
