//! A model folder: `config.json` and weights.

use crate::bert::variant;
use crate::seq2seq::{MARIAN, OWN, OWN_CLASS, PEGASUS};
use crate::weights::Weights;
use crate::{BertVariant, ModelError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The settings of a model.
pub(crate) const CONFIG: &str = "config.json";
/// How a model generates.
pub(crate) const GENERATION_CONFIG: &str = "generation_config.json";
/// The weights of a model, as they are written here.
pub(crate) const WEIGHTS: &str = "model.safetensors";
/// The weights of a model, as they are read, the best first.
pub(crate) const WEIGHTS_FILES: [&str; 4] =
    [WEIGHTS, "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"];

/// What a model folder holds, by `architectures` in its `config.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModelKind {
    /// A BERT with both heads of its pretraining, [`BertForPreTraining`](crate::BertForPreTraining).
    PreTraining,
    /// A masked language model, [`BertForMaskedLM`](crate::BertForMaskedLM).
    MaskedLm,
    /// A classifier of texts, [`BertForSequenceClassification`](crate::BertForSequenceClassification).
    SequenceClassification,
    /// A classifier of tokens.
    TokenClassification,
    /// A model that finds answers in texts.
    QuestionAnswering,
    /// A model that chooses among answers.
    MultipleChoice,
    /// A model that tells whether a text follows another.
    NextSentencePrediction,
    /// The body alone, [`Bert`](crate::Bert).
    Body,
    /// An encoder–decoder, [`Seq2Seq`](crate::Seq2Seq).
    Seq2Seq,
}

impl ModelKind {
    /// Every kind, and what the names of its classes end with.
    const ENDINGS: [(Self, &str); 8] = [
        (Self::PreTraining, "ForPreTraining"),
        (Self::MaskedLm, "ForMaskedLM"),
        (Self::SequenceClassification, "ForSequenceClassification"),
        (Self::TokenClassification, "ForTokenClassification"),
        (Self::QuestionAnswering, "ForQuestionAnswering"),
        (Self::MultipleChoice, "ForMultipleChoice"),
        (Self::NextSentencePrediction, "ForNextSentencePrediction"),
        (Self::Body, "Model"),
    ];

    /// The name of transformers' class of this kind of a BERT or one of its variants, as `architectures` has it.
    ///
    /// ```
    /// use burnformer_models::{BertVariant, ModelKind};
    ///
    /// assert_eq!(ModelKind::MaskedLm.class(BertVariant::Roberta).as_deref(), Some("RobertaForMaskedLM"));
    /// ```
    /// Nothing of an encoder–decoder, or of a variant that has no such class.
    #[must_use]
    pub fn class(self, variant: BertVariant) -> Option<String> {
        let (_, ending) = Self::ENDINGS.iter().find(|(kind, _)| *kind == self)?;
        // Only a BERT is pretrained on pairs of texts.
        let is_there = variant == BertVariant::Bert || self != Self::PreTraining;
        is_there.then(|| format!("{}{ending}", variant.class_prefix()))
    }

    /// The kind of the model in `folder`. A file without `architectures`, as of the first releases, is believed by its
    /// weights.
    ///
    /// # Errors
    /// If `folder` is no model folder, or its model is of none of these kinds.
    pub fn of(folder: &Path) -> Result<Self, ModelError> {
        let json = ConfigJson::read(folder)?;
        json.check_type()?;
        let Some(class) = json.class()? else { return Self::by_weights(&json) };
        let kind = Self::named(&class).map(|(kind, _)| kind);
        kind.ok_or_else(|| {
            let expected =
                "a class of BERT, RoBERTa or DistilBERT such as `BertForMaskedLM`, or `MarianMTModel`".to_owned();
            json.setting("architectures", Some(&Value::from(class)), expected)
        })
    }

    /// The kind of a class, and the `model_type` that its models have; nothing of a class that is not known here.
    fn named(class: &str) -> Option<(Self, &'static str)> {
        if let Some((_, model_type)) = SEQ2SEQ_CLASSES.into_iter().find(|(name, _)| *name == class) {
            return Some((Self::Seq2Seq, model_type));
        }
        BertVariant::ALL.into_iter().find_map(|variant| {
            let mut kinds = Self::ENDINGS.into_iter().map(|(kind, _)| kind);
            let kind = kinds.find(|kind| kind.class(variant).as_deref() == Some(class))?;
            Some((kind, variant.model_type()))
        })
    }

    fn by_weights(json: &ConfigJson) -> Result<Self, ModelError> {
        if json.model_type()?.is_some_and(|found| SEQ2SEQ_CLASSES.iter().any(|(_, known)| *known == found)) {
            return Ok(Self::Seq2Seq);
        }
        let variant = variant(json)?;
        let names = Weights::in_folder(&json.folder)?.names();
        let has = |part: &str| names.iter().any(|name| name.starts_with(part));
        let missing =
            || json.setting("architectures", None, "the name of its class, as the weights do not tell".to_owned());
        match () {
            () if has("cls.seq_relationship.") && variant == BertVariant::Bert => Ok(Self::PreTraining),
            () if has("cls.") || has("lm_head.") || has("vocab_projector.") => Ok(Self::MaskedLm),
            () if has("classifier.") || has("pre_classifier.") || has("qa_outputs.") => Err(missing()),
            () => Ok(Self::Body),
        }
    }

    /// Refuses a model of another kind.
    pub(crate) fn expect(kinds: &[Self], folder: &Path) -> Result<(), ModelError> {
        let found = Self::of(folder)?;
        if kinds.contains(&found) {
            return Ok(());
        }
        let json = ConfigJson::read(folder)?;
        let class = json.class()?.map(Value::from);
        let variant = variant(&json)?;
        let class_of = |kind: &Self| kind.class(variant).or_else(|| kind.class(BertVariant::Bert));
        let expected: Vec<String> = kinds.iter().filter_map(|kind| Some(format!("`{}`", class_of(kind)?))).collect();
        Err(json.setting("architectures", class.as_ref(), expected.join(" or ")))
    }
}

/// The classes of encoder–decoders, and the `model_type` of each.
const SEQ2SEQ_CLASSES: [(&str, &str); 3] =
    [("MarianMTModel", MARIAN), ("PegasusForConditionalGeneration", PEGASUS), (OWN_CLASS, OWN)];

/// A `config.json`.
pub(crate) struct ConfigJson {
    folder: PathBuf,
    pub(crate) settings: Map<String, Value>,
}

impl ConfigJson {
    pub(crate) fn read(folder: &Path) -> Result<Self, ModelError> {
        let path = folder.join(CONFIG);
        let text = fs::read_to_string(&path).map_err(|source| read_error(path.clone(), source))?;
        let settings = serde_json::from_str(&text).map_err(|source| ModelError::Json { path, source })?;
        Ok(Self { folder: folder.to_owned(), settings })
    }

    /// The value at `key`, if there is one that is not null.
    pub(crate) fn get<T: DeserializeOwned>(&self, key: &'static str) -> Result<Option<T>, ModelError> {
        let value = self.settings.get(key).filter(|value| !value.is_null());
        value.map(|value| T::deserialize(value)).transpose().map_err(|source| ModelError::SettingType {
            path: self.folder.join(CONFIG),
            key,
            source,
        })
    }

    /// The name of the model's class.
    pub(crate) fn class(&self) -> Result<Option<String>, ModelError> {
        Ok(self.get::<Vec<String>>("architectures")?.and_then(|all| all.into_iter().next()))
    }

    /// The type of the model.
    pub(crate) fn model_type(&self) -> Result<Option<String>, ModelError> {
        self.get("model_type")
    }

    /// The `model_type` of the class in `architectures`, if that is one that is known here.
    pub(crate) fn type_of_class(&self) -> Result<Option<&'static str>, ModelError> {
        Ok(self.class()?.and_then(|class| ModelKind::named(&class)).map(|(_, model_type)| model_type))
    }

    /// Refuses a class and a type of which both are known here and that contradict each other.
    pub(crate) fn check_type(&self) -> Result<(), ModelError> {
        let (Some(class), Some(expected), Some(model_type)) =
            (self.class()?, self.type_of_class()?, self.model_type()?)
        else {
            return Ok(());
        };
        let types = BertVariant::ALL.map(BertVariant::model_type).into_iter();
        let is_known = types.chain(SEQ2SEQ_CLASSES.map(|(_, model_type)| model_type)).any(|known| known == model_type);
        if expected == model_type || !is_known {
            return Ok(());
        }
        Err(ModelError::ClassMismatch { path: self.folder.join(CONFIG), class, expected, model_type })
    }

    /// The error of a setting that is not as expected.
    pub(crate) fn setting(&self, key: &'static str, found: Option<&Value>, expected: String) -> ModelError {
        let found = found.map_or_else(|| "missing".to_owned(), |value| format!("`{}`", shown(value)));
        ModelError::Setting { path: self.folder.join(CONFIG), key, found, expected }
    }
}

/// A value as it is said in messages: text without quotes.
pub(crate) fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The content of a file that people may want to read.
pub(crate) fn pretty(json: &impl Serialize) -> String {
    serde_json::to_string_pretty(json).expect("keys are text") + "\n"
}

/// The error of a file that cannot be read. If it is one that makes a model folder and not there, the folder is none.
pub(crate) fn read_error(path: PathBuf, source: io::Error) -> ModelError {
    let file = [CONFIG, WEIGHTS].into_iter().find(|&file| path.file_name().is_some_and(|name| name == file));
    match (source.kind(), file, path.parent()) {
        (io::ErrorKind::NotFound | io::ErrorKind::NotADirectory, Some(file), Some(folder)) => {
            ModelError::NotAModelFolder { folder: folder.to_owned(), file }
        }
        _ => ModelError::Read { path, source },
    }
}
