//! Settings in TOML, and overrides of them.

use burnformer_core::{ConfigError, Validate, settings};
use burnformer_data::batches::BatchConfig;
use serde::{Deserialize, Serialize};

use crate::Target;

pub(super) const TARGETS: &[Target] = &[Target {
    name: "settings",
    run,
    seeds: || vec![b"name = \"a\"\n[batches]\nbatch_size = 4\n".to_vec(), b"ratio=0.5".to_vec()],
}];

/// Settings of every kind that there is.
#[derive(Serialize, Deserialize)]
struct Sample {
    name: String,
    ratio: f64,
    flag: bool,
    limit: Option<u64>,
    paths: Vec<String>,
    batches: BatchConfig,
}

impl Validate for Sample {
    fn validate(&self) -> Result<(), ConfigError> {
        self.batches.validate().map_err(|error| error.within("batches"))
    }
}

/// As a file over a preset, as a file alone, and as an override.
fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let preset = Sample {
        name: String::new(),
        ratio: 0.5,
        flag: false,
        limit: None,
        paths: Vec::new(),
        batches: BatchConfig::default(),
    };
    let _ = settings::load_text(&preset, "a.toml", text, &[]);
    let _ = settings::reload_text::<Sample>("run.toml", text, &[]);
    let _ = settings::load_text(&preset, "a.toml", "", &[text.to_owned()]);
}
