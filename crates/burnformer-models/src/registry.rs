//! The registry of implemented classes, one line each: the only place that lists all models.

use crate::class::listed;
use crate::hf::{self, ConfigJson};
use crate::{
    Architecture, BertForMaskedLM, BertForPreTraining, BertForQuestionAnswering, BertForSequenceClassification,
    BertForTokenClassification, BertInput, BertModel, BertVariant, GptForCausalLM, Head, ModelClass, ModelConfig,
    ModelError, ModelSize, Outputs, Pretrained, Seq2Seq, adapter, gpt, seq2seq, stats,
};
use burn::tensor::{Device, Tensor};
use burnformer_core::ConfigError;
use burnformer_core::adapter::is_adapter;
use serde_json::Value;
use std::fmt::Debug;
use std::path::Path;

/// All rows, in the order in which messages name them.
const ENTRIES: &[Entry] = &[
    Entry::of::<BertForPreTraining>(),
    Entry::of::<BertForMaskedLM>(),
    Entry::of::<BertForSequenceClassification>(),
    Entry::of::<BertForTokenClassification>(),
    Entry::of::<BertForQuestionAnswering>(),
    Entry::of::<BertModel>(),
    Entry::of::<GptForCausalLM>(),
    Entry::of::<Seq2Seq>(),
];

/// A model type, and the classes that it implements.
struct Entry {
    architectures: &'static [Architecture],
    head: Head,
    load: fn(&Path, &Device) -> Result<AnyModel, ModelError>,
}

impl Entry {
    const fn of<M: Pretrained + 'static>() -> Self {
        Self { architectures: M::ARCHITECTURES, head: M::HEAD, load: AnyModel::load::<M> }
    }

    fn find(architecture: Architecture, head: Head) -> Option<&'static Self> {
        ENTRIES.iter().find(|entry| entry.head == head && entry.architectures.contains(&architecture))
    }
}

/// All implemented classes.
pub fn classes() -> impl Iterator<Item = ModelClass> {
    let of_entry = |entry: &Entry| {
        let head = entry.head;
        entry.architectures.iter().filter_map(move |&architecture| ModelClass::new(architecture, head))
    };
    ENTRIES.iter().flat_map(of_entry)
}

/// Loads the model in `folder`, of any implemented class.
///
/// # Errors
/// If the folder holds no model, one of a class that is not implemented, or files that contradict each other.
pub fn open(folder: &Path, device: &Device) -> Result<AnyModel, ModelError> {
    let found = ModelClass::of(folder)?;
    if let Some(entry) = Entry::find(found.architecture(), found.head()) {
        return (entry.load)(folder, device);
    }
    let classes = classes().filter(|class| class.architecture() == found.architecture());
    let expected: Vec<String> = classes.map(|class| format!("`{class}`")).collect();
    let class = Value::from(found.to_string());
    Err(ConfigJson::read(folder)?.setting("architectures", Some(&class), expected.join(" or ")))
}

/// Loads the body of the model in `folder`, without its head.
///
/// # Errors
/// If the folder holds no model, no class exists for the body of its architecture, or its files contradict each other.
pub fn open_body(folder: &Path, device: &Device) -> Result<AnyModel, ModelError> {
    let found = Architecture::of(folder)?;
    if let Some(entry) = Entry::find(found, Head::Body) {
        return (entry.load)(folder, device);
    }
    let with_body: Vec<Architecture> =
        classes().filter(|class| class.head() == Head::Body).map(ModelClass::architecture).collect();
    let model_type = Value::from(found.model_type());
    Err(ConfigJson::read(folder)?.setting("model_type", Some(&model_type), listed(&with_body)))
}

/// Loads the model in `folder`, or only its body if the head is not implemented.
///
/// # Errors
/// As [`open`] and [`open_body`].
pub fn open_known(folder: &Path, device: &Device) -> Result<AnyModel, ModelError> {
    let found = ModelClass::of(folder)?;
    match Entry::find(found.architecture(), found.head()) {
        Some(entry) => (entry.load)(folder, device),
        None => open_body(folder, device),
    }
}

/// The keys in the `config.json` of `folder`, or of the base of an adapter, that are unknown here, so that nobody knows what they would change.
///
/// # Errors
/// If the folder holds no model of an implemented architecture.
pub fn unknown_keys(folder: &Path) -> Result<Vec<String>, ModelError> {
    let settings = ConfigJson::read(folder)?.settings;
    Ok(match Architecture::of(folder)? {
        Architecture::Gpt2 => hf::unknown(&settings, &gpt::config_file::KEYS, &gpt::config_file::OTHER_KEYS),
        Architecture::Marian | Architecture::Pegasus | Architecture::Burnformer => {
            hf::unknown(&settings, &seq2seq::config_file::KEYS, &seq2seq::config_file::OTHER_KEYS)
        }
        architecture => {
            let variant = BertVariant::ALL.into_iter().find(|variant| variant.architecture() == architecture);
            let details = variant.unwrap_or_default().details();
            hf::unknown(&settings, &details.keys, details.other_keys)
        }
    })
}

/// The keys in the `adapter_config.json` of `folder` that are unknown here; none of a folder without an adapter.
///
/// # Errors
/// If the file cannot be read.
pub fn unknown_adapter_keys(folder: &Path) -> Result<Vec<String>, ModelError> {
    if is_adapter(folder) { adapter::unknown_keys(folder) } else { Ok(Vec::new()) }
}

/// A loaded model of any class.
#[derive(Debug)]
pub struct AnyModel {
    class: ModelClass,
    model: Box<dyn Object>,
}

impl AnyModel {
    fn load<M: Pretrained + 'static>(folder: &Path, device: &Device) -> Result<Self, ModelError> {
        let model = M::load(folder, device)?;
        let class = model.class();
        Ok(Self { class, model: Box::new(model) })
    }

    /// Class that the model is saved as.
    #[must_use]
    pub fn class(&self) -> ModelClass {
        self.class
    }

    /// Settings of the model, by field name.
    #[must_use]
    pub fn config(&self) -> Value {
        self.model.config()
    }

    /// Number and sizes of the layers.
    #[must_use]
    pub fn size(&self) -> ModelSize {
        self.model.size()
    }

    /// Names of the classes; empty for a model that is no classifier.
    #[must_use]
    pub fn labels(&self) -> &[String] {
        self.model.labels()
    }

    /// What the logits of a classifier of texts mean; `None` for any other model.
    #[must_use]
    pub fn outputs(&self) -> Option<Outputs> {
        self.model.outputs()
    }

    /// Path and shape of every parameter.
    #[must_use]
    pub fn parameters(&self) -> Vec<(String, Vec<usize>)> {
        self.model.parameters()
    }

    /// Attention weights over a text, see [`Pretrained::attn_weights`].
    #[must_use]
    pub fn attn_weights(&self, input: BertInput) -> Option<Vec<Tensor<4>>> {
        self.model.attn_weights(input)
    }

    /// Refuses a model for which Hugging Face has no class.
    ///
    /// # Errors
    /// [`ConfigError`] of the setting that no class has.
    pub fn check_hugging_face(&self) -> Result<(), ConfigError> {
        self.model.check_hugging_face()
    }

    /// Writes the model into an existing folder.
    ///
    /// # Errors
    /// If the files cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), ModelError> {
        self.model.save(folder)
    }
}

/// [`Pretrained`] without its types.
trait Object: Debug + Send {
    fn config(&self) -> Value;
    fn size(&self) -> ModelSize;
    fn labels(&self) -> &[String];
    fn outputs(&self) -> Option<Outputs>;
    fn parameters(&self) -> Vec<(String, Vec<usize>)>;
    fn attn_weights(&self, input: BertInput) -> Option<Vec<Tensor<4>>>;
    fn check_hugging_face(&self) -> Result<(), ConfigError>;
    fn save(&self, folder: &Path) -> Result<(), ModelError>;
}

impl<M: Pretrained> Object for M {
    fn config(&self) -> Value {
        serde_json::to_value(Pretrained::config(self)).expect("settings are a struct of numbers, names and flags")
    }

    fn size(&self) -> ModelSize {
        Pretrained::config(self).size()
    }

    fn labels(&self) -> &[String] {
        Pretrained::labels(self)
    }

    fn outputs(&self) -> Option<Outputs> {
        Pretrained::outputs(self)
    }

    fn parameters(&self) -> Vec<(String, Vec<usize>)> {
        stats::parameters(self)
    }

    fn attn_weights(&self, input: BertInput) -> Option<Vec<Tensor<4>>> {
        Pretrained::attn_weights(self, input)
    }

    fn check_hugging_face(&self) -> Result<(), ConfigError> {
        Pretrained::config(self).check_hugging_face()
    }

    fn save(&self, folder: &Path) -> Result<(), ModelError> {
        Pretrained::save(self, folder)
    }
}
