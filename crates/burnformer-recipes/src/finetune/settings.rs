//! Settings of a fine-tuning run.

use std::path::Path;

use burnformer_core::config::{ConfigError, Validate};
use burnformer_data::readers::Input;
use burnformer_data::source::OnBadRow;
use burnformer_train::TrainConfig;
use serde::{Deserialize, Serialize};

use super::{
    ClassificationSettings, LoraSettings, MultiLabelSettings, QuestionAnsweringSettings, SentenceEmbeddingSettings,
    TokenClassificationSettings,
};
use crate::settings::train_config;
use crate::{Overrides, RecipeError, RunSettings, SEED};

/// Task of a fine-tuning run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FinetuneTask {
    /// Classes of texts.
    #[default]
    TextClassification,
    /// Any number of labels of texts.
    MultiLabelClassification,
    /// Scores of texts: any numbers.
    Regression,
    /// Scores of pairs of texts in `[0, 1]`, by which they are ranked.
    TextRanking,
    /// Embeddings of texts: vectors whose similarity is that of the texts.
    SentenceEmbedding,
    /// Tags of words: entities in texts.
    TokenClassification,
    /// Answers to questions, as parts of texts.
    QuestionAnswering,
}

impl FinetuneTask {
    /// The name, as in `run.toml`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TextClassification => "text-classification",
            Self::MultiLabelClassification => "multi-label-classification",
            Self::Regression => "regression",
            Self::TextRanking => "text-ranking",
            Self::SentenceEmbedding => "sentence-embedding",
            Self::TokenClassification => "token-classification",
            Self::QuestionAnswering => "question-answering",
        }
    }

    /// Maximum text length of a new run, in tokens, unless it is set.
    #[must_use]
    pub fn max_seq_length(self) -> usize {
        match self {
            Self::QuestionAnswering => 384,
            _ => 128,
        }
    }

    /// The task in words.
    #[must_use]
    pub fn noun(self) -> String {
        match self {
            Self::MultiLabelClassification => "multi-label classification".to_owned(),
            _ => self.name().replace('-', " "),
        }
    }
}

/// Settings of a fine-tuning run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FinetuneSettings {
    /// Task to train; absent for text classification.
    pub task: Option<FinetuneTask>,
    /// Seed of every random draw.
    pub seed: u64,
    /// Folder of the pretrained model.
    pub model: String,
    /// `true` uses its architecture and tokenizer only, and trains from random weights.
    pub from_scratch: bool,
    /// Maximum text length in tokens; longer texts are truncated.
    pub max_seq_length: usize,
    /// Training texts.
    pub data: Input,
    /// What to do with rows that cannot be used.
    pub on_bad_row: OnBadRow,
    /// Maximum number of training texts per class; absent for all.
    pub max_per_class: Option<usize>,
    /// Maximum number of training texts, chosen at random; absent for all.
    pub max_train_samples: Option<usize>,
    /// `true` reads special tokens written in a text, such as `[SEP]`, as text, also when the model is used; `false` as the
    /// tokenizer's files say.
    #[serde(default)]
    pub split_special_tokens: bool,
    /// Validation texts, to select the best model; absent for a share of `data`.
    pub validation: Option<Input>,
    /// Share of `data` for validation, in `[0, 1)`.
    pub validation_share: f64,
    /// `true` keeps all rows of a text in one part when validation texts are taken from `data`; `false`, as in runs of version
    /// 0.1.0, may put some of them into both.
    #[serde(default)]
    pub split_by_text: bool,
    /// Adapter that is trained in place of the whole model; absent to train all weights.
    pub lora: Option<LoraSettings>,
    /// Settings of token classification; absent for other tasks, and in runs of version 0.1.0, which read tags as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_classification: Option<TokenClassificationSettings>,
    /// Settings of question answering; absent for other tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question_answering: Option<QuestionAnsweringSettings>,
    /// Training settings.
    pub train: TrainConfig,
    /// Settings of text classification.
    #[serde(default)]
    pub classification: ClassificationSettings,
    /// Settings of multi-label classification.
    #[serde(default)]
    pub multi_label: MultiLabelSettings,
    /// Settings of sentence embeddings.
    #[serde(default)]
    pub sentence_embedding: SentenceEmbeddingSettings,
}

impl FinetuneSettings {
    /// Settings for the model in `folder` and these texts, a tenth of them to choose by. [`Finetune::begin`](super::Finetune::begin) decides on
    /// `train`.
    #[must_use]
    pub fn new(folder: &Path, data: Input) -> Self {
        Self {
            task: None,
            seed: SEED,
            model: folder.display().to_string(),
            from_scratch: false,
            max_seq_length: 128,
            data,
            on_bad_row: OnBadRow::default(),
            max_per_class: None,
            max_train_samples: None,
            split_special_tokens: false,
            validation: None,
            validation_share: 0.1,
            split_by_text: true,
            lora: None,
            token_classification: None,
            question_answering: None,
            train: TrainConfig::default(),
            classification: ClassificationSettings::default(),
            multi_label: MultiLabelSettings::default(),
            sentence_embedding: SentenceEmbeddingSettings::default(),
        }
    }

    /// Task to train.
    #[must_use]
    pub fn task(&self) -> FinetuneTask {
        self.task.unwrap_or_default()
    }

    /// The files at `paths` in the format of the training rows; nothing without paths.
    pub(super) fn input_like(&self, paths: &[String]) -> Option<Input> {
        (!paths.is_empty()).then(|| Input { paths: paths.to_vec(), ..self.data.clone() })
    }

    /// Refuses settings of another task.
    pub(super) fn expect_task(&self, expected: FinetuneTask) -> Result<(), ConfigError> {
        let found = self.task();
        ConfigError::check("task", &found.name(), found == expected, expected.name())
    }

    /// `self` for `epochs` of `n_samples`, with `overrides` over it.
    pub(super) fn trained_for(
        &self,
        epochs: f64,
        n_samples: usize,
        d_model: usize,
        overrides: &Overrides<'_>,
    ) -> Result<Self, RecipeError> {
        // 5e-5 for the base model. An adapter begins at zero, and takes larger steps (Hu et al. 2022, appendix D).
        let learning_rate = if self.lora.is_some() { 0.384 } else { 0.0384 } / d_model as f64;
        let preset = |steps: u64| Self {
            train: TrainConfig { validation_samples: None, ..train_config(steps, learning_rate) },
            ..self.clone()
        };
        let asked = overrides.over(&preset(1000))?;
        let steps = (epochs * n_samples as f64 / asked.train.samples_per_step(self.max_seq_length as f64))
            .ceil()
            .max(1.0) as u64;
        let asked = overrides.over(&preset(steps))?;
        overrides.over(&preset(asked.train.steps))
    }
}

impl RunSettings for FinetuneSettings {
    const RECIPE: &'static str = "finetune";

    fn seed(&self) -> u64 {
        self.seed
    }

    fn train(&self) -> &TrainConfig {
        &self.train
    }
}

impl Validate for FinetuneSettings {
    fn validate(&self) -> Result<(), ConfigError> {
        let within = |section: &'static str| move |error: ConfigError| error.within(section);
        self.data.validate().map_err(within("data"))?;
        if let Some(validation) = &self.validation {
            validation.validate().map_err(within("validation"))?;
        }
        ConfigError::check_probability("validation_share", self.validation_share)?;
        ConfigError::check_positive("max_seq_length", self.max_seq_length)?;
        if let Some(n) = self.max_per_class {
            let has_classes = self.task() == FinetuneTask::TextClassification;
            let range = "no such setting: only texts of text classification have one class";
            ConfigError::check("max_per_class", &n, has_classes, range)?;
            ConfigError::check_positive("max_per_class", n)?;
        }
        if let Some(n) = self.max_train_samples {
            ConfigError::check_positive("max_train_samples", n)?;
        }
        let has_classes = self.task() == FinetuneTask::TextClassification;
        let is_of_use = has_classes || self.classification == ClassificationSettings::default();
        let range = "no such settings: they are for text classification";
        ConfigError::check("classification", &"set", is_of_use, range)?;
        self.classification.validate().map_err(within("classification"))?;
        let has_labels = self.task() == FinetuneTask::MultiLabelClassification;
        let is_of_use = has_labels || self.multi_label == MultiLabelSettings::default();
        let range = "no such settings: they are for multi-label classification";
        ConfigError::check("multi_label", &"set", is_of_use, range)?;
        self.multi_label.validate().map_err(within("multi_label"))?;
        if let Some(own) = &self.question_answering {
            own.validate().map_err(within("question_answering"))?;
            let is_own = self.task() == FinetuneTask::QuestionAnswering;
            ConfigError::check("question_answering", &"set", is_own, "no such settings: the task is another")?;
        }
        if let Some(lora) = &self.lora {
            lora.validate().map_err(within("lora"))?;
            // Without unfreezing, adapters of frozen layers would stay as they began.
            let freezes = self.train.freeze.filter(|_| self.train.unfreeze_every.is_none());
            let range = "absent: an adapter freezes the base anyway (`lora` is set), and `lora.layers_to_transform` names the \
                         layers with adapters";
            ConfigError::check(
                "train.freeze",
                &freezes.map_or_else(String::new, |it| it.to_string()),
                freezes.is_none(),
                range,
            )?;
            let range = "`false`: an adapter of random weights learns nothing (`lora` is set)";
            ConfigError::check("from_scratch", &self.from_scratch, !self.from_scratch, range)?;
        }
        let makes_embeddings = self.task() == FinetuneTask::SentenceEmbedding;
        let is_of_use = makes_embeddings || self.sentence_embedding == SentenceEmbeddingSettings::default();
        let range = "no such settings: they are for sentence embeddings";
        ConfigError::check("sentence_embedding", &"set", is_of_use, range)?;
        self.sentence_embedding.validate().map_err(within("sentence_embedding"))?;
        self.train.validate().map_err(within("train"))?;
        let tokens = self.train.micro_batch_tokens;
        let range = "no such setting: `micro_batch_size` counts the texts of a pass here";
        ConfigError::check("train.micro_batch_tokens", &tokens.unwrap_or(0), tokens.is_none(), range)
    }
}
