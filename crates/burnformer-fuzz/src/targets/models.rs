//! Settings of models.

use std::fs;
use std::sync::OnceLock;

use burnformer_models::{
    BertConfig, BertForSequenceClassification, GptConfig, GptForCausalLM, GptTokens, Pretrained, Seq2Seq,
    Seq2SeqConfig, Vocabularies, registry,
};
use burnformer_ops::DeviceChoice;

use crate::Target;
use crate::file::{beside, file};

pub(super) const TARGETS: &[Target] = &[Target { name: "config_json", run: config_json, seeds: configs }];

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
