//! Files of run folders.

use std::path::Path;

use burnformer_core::settings;
use burnformer_data::readers::{Format, Input, TextLayout};
use burnformer_recipes::{CausalLmSettings, FinetuneSettings, PretrainSettings, SearchSettings, TrainSeq2SeqSettings};
use burnformer_tasks::{ClassificationMetricState, PretrainingMetricState};
use burnformer_train::{History, TrainState, learning_curves};

use crate::Target;
use crate::file::file;

pub(super) const TARGETS: &[Target] = &[
    Target { name: "run_toml", run: run_toml, seeds: run_tomls },
    Target { name: "state_json", run: state_json, seeds: || vec![STATE.to_vec()] },
    Target { name: "metrics_jsonl", run: metrics_jsonl, seeds: || vec![METRICS.to_vec()] },
];

const METRICS: &[u8] = br#"{"step":1,"split":"train","loss":2.5}
{"step":2,"split":"train","loss":null,"perplexity":1e3}
{"step":2,"split":"validation","loss":2.25,"accuracy":0.5}
{"st"#;
const STATE: &[u8] =
    br#"{"step":2,"position":{"window":0,"batch":1},"tokens":9,"seconds":0.5,"evaluated":1,"best":{"step":1,
"quality":0.5,"loss":1.5},"evaluations_without_improvement":0,"tally":{"confusion":[[1,0],[2,3]],"loss_sum":"0x1p3"}}"#;

fn run_toml(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = settings::reload_text::<PretrainSettings>("run.toml", text, &[]);
    let _ = settings::reload_text::<CausalLmSettings>("run.toml", text, &[]);
    let _ = settings::reload_text::<FinetuneSettings>("run.toml", text, &[]);
    let _ = settings::reload_text::<TrainSeq2SeqSettings>("run.toml", text, &[]);
    let _ = settings::load_text(&SearchSettings::default(), "space.toml", text, &[]);
}

fn run_tomls() -> Vec<Vec<u8>> {
    let input = Input::new(vec!["a.txt".to_owned()], Format::Text { layout: TextLayout::Lines });
    let finetune = FinetuneSettings::new(Path::new("model"), input);
    vec![settings::to_toml(&finetune).expect("settings").into_bytes()]
}

/// The metrics of a run, and their picture.
fn metrics_jsonl(bytes: &[u8]) {
    file("metrics.jsonl", bytes, |path| {
        if let Ok(entries) = History::read(path) {
            let _ = learning_curves(&entries, "a");
        }
        let _ = History::open_at(path, 1);
    });
}

/// The state in a checkpoint.
fn state_json(bytes: &[u8]) {
    let _ = serde_json::from_slice::<TrainState<ClassificationMetricState>>(bytes);
    let _ = serde_json::from_slice::<TrainState<PretrainingMetricState>>(bytes);
}
