//! How large a demonstration is.

/// How large a demonstration is.
pub(super) struct Plan {
    pub(super) preset: String,
    pub(super) vocab_size: u64,
    pub(super) pretrain_steps: u64,
    pub(super) pretrain_sets: &'static [&'static str],
    /// Shares of the items.
    pub(super) validation: &'static str,
    pub(super) test: &'static str,
    pub(super) finetune_sets: &'static [&'static str],
    pub(super) sizes: Vec<Size>,
    /// With masks to be filled.
    pub(super) sentences: &'static [&'static str],
}

/// How many labels a model learns from.
pub(super) struct Size {
    pub(super) name: &'static str,
    pub(super) per_class: Option<u64>,
    pub(super) epochs: u64,
}

const SENTENCES: &[&str] = &[
    "Returns the [MASK] of elements in the list.",
    "If the file does not exist, an [MASK] is returned.",
    "This method blocks the current [MASK] until the lock is free.",
    "The caller must make [MASK] that the pointer is valid.",
];

impl Plan {
    pub(super) fn new(quick: bool, steps: Option<u64>, preset: Option<&str>) -> Self {
        let size = |name, per_class, epochs| Size { name, per_class, epochs };
        let preset = preset.unwrap_or("bert-tiny").to_owned();
        if quick {
            return Self {
                preset,
                vocab_size: 400,
                pretrain_steps: 100,
                pretrain_sets: &[
                    "model.d_model=32",
                    "model.d_ff=64",
                    "model.dropout=0",
                    "model.attention_dropout=0",
                    "model.init_std=0.1",
                    "train.optimizer.learning_rate=5e-3",
                    "model.max_seq_length=64",
                    "data.samples.max_seq_length=32",
                    "train.micro_batch_size=8",
                    "data.split.validation=0.15",
                ],
                validation: "0.2",
                test: "0.3",
                finetune_sets: &["train.micro_batch_size=8", "train.optimizer.learning_rate=5e-3"],
                sizes: vec![size("5-labels", Some(5), 20), size("all-labels", None, 5)],
                sentences: &SENTENCES[..2],
            };
        }
        Self {
            preset,
            vocab_size: 4096,
            pretrain_steps: steps.unwrap_or(2500),
            // A short run has no time for dropout, small first weights, or a long memory of gradients, and learns more from a
            // step that hides more.
            pretrain_sets: &[
                "model.dropout=0",
                "model.attention_dropout=0",
                "model.init_std=0.05",
                "train.optimizer.beta_2=0.98",
                "train.optimizer.learning_rate=2e-3",
                "data.samples.masking.mlm_probability=0.3",
                "data.samples.max_seq_length=64",
                "train.validation_samples=2600",
                "train.evaluate_every=500",
            ],
            validation: "0.05",
            test: "0.15",
            finetune_sets: &["train.validation_samples=1500", "train.evaluate_every=200"],
            sizes: vec![size("100-labels", Some(100), 15), size("all-labels", None, 1)],
            sentences: SENTENCES,
        }
    }
}
