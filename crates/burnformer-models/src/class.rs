//! Architectures and heads of models, and the names of their classes in Hugging Face's `config.json`.

use crate::ModelError;
use crate::hf::ConfigJson;
use crate::weights::Weights;
use serde_json::Value;
use std::fmt::{self, Display, Formatter};
use std::path::Path;

/// The architecture of a model's body: `model_type` in a `config.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Architecture {
    /// BERT: Devlin et al. 2019.
    Bert,
    /// RoBERTa: Liu et al. 2019.
    Roberta,
    /// DistilBERT: Sanh et al. 2019.
    DistilBert,
    /// XLM-RoBERTa: Conneau et al. 2020.
    XlmRoberta,
    /// `CamemBERT`: Martin et al. 2020.
    Camembert,
    /// GPT-2: Radford et al. 2019.
    Gpt2,
    /// Marian: a post-norm encoder–decoder.
    Marian,
    /// Pegasus: a pre-norm encoder–decoder.
    Pegasus,
    /// An encoder–decoder of this project, for which Hugging Face has no class.
    Burnformer,
}

/// The head on a model's body, which determines the model's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Head {
    /// Both heads of BERT's pretraining: masked tokens and next sentences.
    PreTraining,
    /// Masked language model.
    MaskedLm,
    /// Classification of texts.
    SequenceClassification,
    /// Classification of tokens.
    TokenClassification,
    /// Extractive question answering.
    QuestionAnswering,
    /// Choice among answers.
    MultipleChoice,
    /// Next-sentence prediction alone.
    NextSentencePrediction,
    /// No head: hidden states.
    Body,
    /// Causal language model: the next token.
    CausalLm,
    /// The output layer of an encoder–decoder.
    Seq2Seq,
}

impl Head {
    /// The task of a model with this head, as messages name it.
    #[must_use]
    pub fn task(self) -> &'static str {
        match self {
            Self::PreTraining | Self::MaskedLm => "masked language modelling",
            Self::SequenceClassification => "text classification",
            Self::TokenClassification => "token classification",
            Self::QuestionAnswering => "question answering",
            Self::MultipleChoice => "multiple choice",
            Self::NextSentencePrediction => "next-sentence prediction",
            Self::Body => "text embedding",
            Self::CausalLm => "text generation",
            Self::Seq2Seq => "translation",
        }
    }
}

/// The names of one architecture: a class is called by the prefix and the ending of its head.
struct Names {
    architecture: Architecture,
    model_type: &'static str,
    prefix: &'static str,
    endings: &'static [&'static [(Head, &'static str)]],
}

/// Heads of encoders, those with several tasks first.
const ENCODER: &[(Head, &str)] = &[
    (Head::MaskedLm, "ForMaskedLM"),
    (Head::SequenceClassification, "ForSequenceClassification"),
    (Head::TokenClassification, "ForTokenClassification"),
    (Head::QuestionAnswering, "ForQuestionAnswering"),
    (Head::MultipleChoice, "ForMultipleChoice"),
    (Head::Body, "Model"),
];

/// Heads that only BERT has.
const PAIRS: &[(Head, &str)] =
    &[(Head::PreTraining, "ForPreTraining"), (Head::NextSentencePrediction, "ForNextSentencePrediction")];

const NAMES: [Names; 9] = [
    Names { architecture: Architecture::Bert, model_type: "bert", prefix: "Bert", endings: &[PAIRS, ENCODER] },
    Names { architecture: Architecture::Roberta, model_type: "roberta", prefix: "Roberta", endings: &[ENCODER] },
    Names {
        architecture: Architecture::DistilBert,
        model_type: "distilbert",
        prefix: "DistilBert",
        endings: &[ENCODER],
    },
    Names {
        architecture: Architecture::XlmRoberta,
        model_type: "xlm-roberta",
        prefix: "XLMRoberta",
        endings: &[ENCODER],
    },
    Names { architecture: Architecture::Camembert, model_type: "camembert", prefix: "Camembert", endings: &[ENCODER] },
    Names {
        architecture: Architecture::Gpt2,
        model_type: "gpt2",
        prefix: "GPT2",
        endings: &[&[(Head::CausalLm, "LMHeadModel")]],
    },
    Names {
        architecture: Architecture::Marian,
        model_type: "marian",
        prefix: "Marian",
        endings: &[&[(Head::Seq2Seq, "MTModel")]],
    },
    Names {
        architecture: Architecture::Pegasus,
        model_type: "pegasus",
        prefix: "Pegasus",
        endings: &[&[(Head::Seq2Seq, "ForConditionalGeneration")]],
    },
    Names {
        architecture: Architecture::Burnformer,
        model_type: "burnformer",
        prefix: "Burnformer",
        endings: &[&[(Head::Seq2Seq, "Seq2Seq")]],
    },
];

/// Prefixes of weight names that identify the head of a file without `architectures`: the first match counts, without
/// a match the file is a body. `None` for prefixes that several heads share.
const BY_WEIGHTS: [(&str, Option<Head>); 9] = [
    ("cls.seq_relationship.", Some(Head::PreTraining)),
    ("cls.", Some(Head::MaskedLm)),
    ("lm_head.", Some(Head::MaskedLm)),
    ("vocab_projector.", Some(Head::MaskedLm)),
    ("vocab_transform.", Some(Head::MaskedLm)),
    ("vocab_layer_norm.", Some(Head::MaskedLm)),
    ("classifier.", None),
    ("pre_classifier.", None),
    ("qa_outputs.", None),
];

/// `true` if the weight `name` is one of a head.
pub(crate) fn is_of_head(name: &str) -> bool {
    BY_WEIGHTS.iter().any(|(start, _)| name.starts_with(start))
}

impl Architecture {
    fn names(self) -> &'static Names {
        NAMES.iter().find(|names| names.architecture == self).expect("every architecture has a row")
    }

    fn heads(self) -> impl Iterator<Item = (Head, &'static str)> {
        self.names().endings.iter().flat_map(|endings| endings.iter().copied())
    }

    /// `model_type` in a `config.json`.
    #[must_use]
    pub fn model_type(self) -> &'static str {
        self.names().model_type
    }

    /// The architecture of the model in `folder`: by `model_type`, or by the class in `architectures` where that is
    /// missing. A file without both is of the first releases, which had BERT alone.
    ///
    /// # Errors
    /// If `folder` is no model folder, its model is of no known architecture, or both keys contradict each other.
    pub fn of(folder: &Path) -> Result<Self, ModelError> {
        let all = NAMES.map(|names| names.architecture);
        Self::among(&all, &ConfigJson::read(folder)?, &listed(&all))
    }

    /// The architecture in a `config.json`, which must be one of `known`; `expected` says which these are.
    pub(crate) fn among(known: &[Self], json: &ConfigJson, expected: &str) -> Result<Self, ModelError> {
        let class = json.class()?.and_then(|class| ModelClass::named(&class));
        let model_type: Option<String> = json.get("model_type")?;
        let Some(model_type) = model_type else {
            let found = class.map_or(Self::Bert, |class| class.architecture);
            let missing = || json.setting("model_type", None, expected.to_owned());
            return known.contains(&found).then_some(found).ok_or_else(missing);
        };
        let found = NAMES.iter().find(|names| names.model_type == model_type).map(|names| names.architecture);
        match (class, found) {
            (Some(class), Some(found)) if class.architecture != found => Err(ModelError::ClassMismatch {
                path: json.path().to_owned(),
                class: class.to_string(),
                expected: class.architecture.model_type(),
                model_type,
            }),
            (_, Some(found)) if known.contains(&found) => Ok(found),
            _ => Err(json.setting("model_type", Some(&Value::from(model_type)), expected.to_owned())),
        }
    }
}

/// Model types, as a list for messages.
pub(crate) fn listed(architectures: &[Architecture]) -> String {
    let names: Vec<String> = architectures.iter().map(|it| format!("`{}`", it.model_type())).collect();
    names.join(" or ")
}

/// A class of models: an architecture with a head.
///
/// ```
/// use burnformer_models::{Architecture, Head, ModelClass};
///
/// let class = ModelClass::new(Architecture::Roberta, Head::MaskedLm);
/// assert_eq!(class.map(|class| class.to_string()).as_deref(), Some("RobertaForMaskedLM"));
/// assert_eq!(ModelClass::new(Architecture::Roberta, Head::PreTraining), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ModelClass {
    architecture: Architecture,
    head: Head,
}

impl ModelClass {
    /// The class of an architecture with a head; `None` if Hugging Face has none. Whether it is implemented here says
    /// [`registry::classes`](crate::registry::classes).
    #[must_use]
    pub fn new(architecture: Architecture, head: Head) -> Option<Self> {
        architecture.heads().any(|(known, _)| known == head).then_some(Self { architecture, head })
    }

    /// The class of a model that is implemented here.
    pub(crate) fn of_model(architecture: Architecture, head: Head) -> Self {
        Self { architecture, head }
    }

    /// The class with this name, as `architectures` has it; `None` for an unknown name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        NAMES.iter().find_map(|names| {
            let ending = name.strip_prefix(names.prefix)?;
            let (head, _) = names.architecture.heads().find(|(_, known)| *known == ending)?;
            Some(Self { architecture: names.architecture, head })
        })
    }

    /// Architecture of the body.
    #[must_use]
    pub fn architecture(self) -> Architecture {
        self.architecture
    }

    /// Head on the body.
    #[must_use]
    pub fn head(self) -> Head {
        self.head
    }

    /// The class of the model in `folder`, by `architectures` in its `config.json`. A file without that, as of the
    /// first releases, is classified by its weight names.
    ///
    /// # Errors
    /// If `folder` is no model folder, its class is unknown, or it contradicts `model_type`.
    pub fn of(folder: &Path) -> Result<Self, ModelError> {
        let json = ConfigJson::read(folder)?;
        let Some(name) = json.class()? else { return Self::by_weights(&json, folder) };
        let class = Self::named(&name).ok_or_else(|| {
            let expected =
                "a class of BERT, RoBERTa, DistilBERT, XLM-RoBERTa or CamemBERT such as `BertForMaskedLM`, or `GPT2LMHeadModel`, or `MarianMTModel`"
                    .to_owned();
            json.setting("architectures", Some(&Value::from(name)), expected)
        })?;
        Architecture::among(&[class.architecture], &json, &listed(&[class.architecture]))?;
        Ok(class)
    }

    fn by_weights(json: &ConfigJson, folder: &Path) -> Result<Self, ModelError> {
        let architecture = Architecture::of(folder)?;
        let mut heads = architecture.heads();
        if let (Some((head, _)), None) = (heads.next(), heads.next()) {
            return Ok(Self { architecture, head });
        }
        let names = Weights::in_folder(folder)?.names();
        let has = |start: &str| names.iter().any(|name| name.starts_with(start));
        let is_possible = |head: Option<Head>| head.is_none_or(|head| Self::new(architecture, head).is_some());
        let row = BY_WEIGHTS.into_iter().find(|&(start, head)| is_possible(head) && has(start));
        match row.map_or(Some(Head::Body), |(_, head)| head) {
            Some(head) => Ok(Self { architecture, head }),
            None => {
                let expected = "the name of its class, as the weights do not tell".to_owned();
                Err(json.setting("architectures", None, expected))
            }
        }
    }

    /// Refuses a folder whose model has none of these heads.
    pub(crate) fn expect(heads: &[Head], architectures: &[Architecture], folder: &Path) -> Result<Self, ModelError> {
        let found = Self::of(folder)?;
        if heads.contains(&found.head) && architectures.contains(&found.architecture) {
            return Ok(found);
        }
        let json = ConfigJson::read(folder)?;
        let class = json.class()?.map(Value::from);
        // The classes of this architecture, or, if it has none of these heads, those of all that have.
        let named = |of: &[Architecture]| -> Vec<String> {
            let classes = heads.iter().flat_map(|&head| of.iter().filter_map(move |&it| Self::new(it, head)));
            classes.map(|class| format!("`{class}`")).collect()
        };
        let own = if architectures.contains(&found.architecture) { named(&[found.architecture]) } else { Vec::new() };
        let expected = if own.is_empty() { named(architectures) } else { own };
        Err(json.setting("architectures", class.as_ref(), expected.join(" or ")))
    }
}

impl Display for ModelClass {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let ending = self.architecture.heads().find(|(head, _)| *head == self.head).map_or("", |(_, ending)| ending);
        write!(f, "{}{ending}", self.architecture.names().prefix)
    }
}
