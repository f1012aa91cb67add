//! The class of a tokenizer in transformers, which says how its files are read.

use std::fmt;

/// Which tokenizer files belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Named nowhere, or a general one: the files alone say what the tokenizer does.
    General,
    /// One whose files are known.
    Known(Family),
    /// Any other, by its name.
    Other(String),
}

/// Tokenizers that are made of the same files in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// `vocab.txt`: WordPiece.
    Bert,
    /// `vocab.json` and `merges.txt`: byte-level BPE with `<s>` and `</s>` around texts.
    Roberta,
    /// `vocab.json` and `merges.txt`: byte-level BPE.
    Gpt2,
    /// `sentencepiece.bpe.model` with fairseq's ids.
    XlmRoberta,
    /// `sentencepiece.bpe.model` with fairseq's ids and those of another dictionary.
    Camembert,
    /// `spiece.model`.
    T5,
    /// `source.spm`, `target.spm` and `vocab.json`.
    Marian,
}

/// Classes of transformers by family, without `Fast` at their ends.
const CLASSES: [(Family, &[&str]); 7] = [
    (Family::Roberta, &["BartTokenizer", "LEDTokenizer", "LongformerTokenizer", "MvpTokenizer", "RobertaTokenizer"]),
    (Family::Gpt2, &["GPT2Tokenizer"]),
    (Family::XlmRoberta, &["XLMRobertaTokenizer"]),
    (Family::Camembert, &["CamembertTokenizer"]),
    (Family::T5, &["MT5Tokenizer", "T5Tokenizer"]),
    (Family::Marian, &["MarianTokenizer"]),
    (
        Family::Bert,
        &[
            "ConvBertTokenizer",
            "DPRContextEncoderTokenizer",
            "DPRQuestionEncoderTokenizer",
            "DPRReaderTokenizer",
            "DistilBertTokenizer",
            "ElectraTokenizer",
            "LayoutLMTokenizer",
            "LxmertTokenizer",
            "MobileBertTokenizer",
            "RealmTokenizer",
            "RetriBertTokenizer",
            "SqueezeBertTokenizer",
            "BertTokenizer",
        ],
    ),
];

/// Classes that say nothing about the tokenizer.
const GENERAL: [&str; 3] = ["PreTrainedTokenizer", "PreTrainedTokenizerFast", "TokenizersBackend"];

/// Kinds of model, `model_type` in `config.json`, by the family of their tokenizers.
const MODELS: [(Family, &[&str]); 7] = [
    (
        Family::Bert,
        &[
            "bert",
            "convbert",
            "distilbert",
            "electra",
            "ernie",
            "layoutlm",
            "lxmert",
            "megatron-bert",
            "mobilebert",
            "nezha",
            "nomic_bert",
            "qdqbert",
            "squeezebert",
            "visual_bert",
        ],
    ),
    (
        Family::Roberta,
        &["bart", "data2vec-text", "ibert", "led", "lilt", "longformer", "mvp", "roberta", "roberta-prelayernorm"],
    ),
    (Family::Gpt2, &["codegen", "gpt2", "gpt_neo", "gptj", "opt"]),
    (Family::XlmRoberta, &["xlm-roberta", "xmod"]),
    (Family::Camembert, &["camembert"]),
    (Family::T5, &["mt5", "switch_transformers", "t5"]),
    (Family::Marian, &["marian"]),
];

/// Classes that transformers runs as Python alone: what a `tokenizer.json` beside them says is not what they do.
const PYTHON: [&str; 36] = [
    "BartphoTokenizer",
    "BertGenerationTokenizer",
    "BertJapaneseTokenizer",
    "BertweetTokenizer",
    "BioGptTokenizer",
    "BlenderbotSmallTokenizer",
    "ByT5Tokenizer",
    "CTRLTokenizer",
    "CanineTokenizer",
    "ClvpTokenizer",
    "CpmAntTokenizer",
    "CpmTokenizer",
    "DiaTokenizer",
    "EsmTokenizer",
    "FSMTTokenizer",
    "FastSpeech2ConformerTokenizer",
    "FlaubertTokenizer",
    "GPTNeoXJapaneseTokenizer",
    "GPTSw3Tokenizer",
    "M2M100Tokenizer",
    "MgpstrTokenizer",
    "MyT5Tokenizer",
    "PLBartTokenizer",
    "PerceiverTokenizer",
    "PhobertTokenizer",
    "Pop2PianoTokenizer",
    "ProphetNetTokenizer",
    "RoCBertTokenizer",
    "SiglipTokenizer",
    "Speech2TextTokenizer",
    "SpeechT5Tokenizer",
    "TapasTokenizer",
    "VitsTokenizer",
    "Wav2Vec2CTCTokenizer",
    "Wav2Vec2PhonemeCTCTokenizer",
    "XLMTokenizer",
];

/// The name of the class, or of one of the family.
impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of_family = |family| CLASSES.iter().find(|(it, _)| *it == family).and_then(|(_, names)| names.last());
        f.write_str(match self {
            Self::General => GENERAL[1],
            Self::Known(family) => of_family(*family).copied().unwrap_or_default(),
            Self::Other(name) => name,
        })
    }
}

impl Class {
    /// The class with the name that files give, `tokenizer_class`.
    pub(super) fn named(name: &str) -> Self {
        let base = name.strip_suffix("Fast").unwrap_or(name);
        if GENERAL.iter().any(|general| [name, base].contains(general)) {
            return Self::General;
        }
        find(&CLASSES, base).map_or_else(|| Self::Other(name.to_owned()), Self::Known)
    }

    /// The class of the tokenizers of a kind of model, `model_type`.
    pub(super) fn of_model(model_type: &str) -> Self {
        find(&MODELS, model_type).map_or_else(|| Self::Other(format!("{model_type} model")), Self::Known)
    }

    /// The name of the class if a `tokenizer.json` does not say what it does.
    pub(super) fn ignores_json(&self) -> Option<&str> {
        match self {
            Self::Other(name) if PYTHON.contains(&name.as_str()) => Some(name),
            _ => None,
        }
    }
}

fn find(table: &[(Family, &[&str])], name: &str) -> Option<Family> {
    table.iter().find(|(_, names)| names.contains(&name)).map(|(family, _)| *family)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_known_by_name_and_by_model() {
        assert_eq!(Class::named("BertTokenizerFast"), Class::Known(Family::Bert));
        assert_eq!(Class::named("PreTrainedTokenizerFast"), Class::General);
        assert_eq!(Class::of_model("distilbert"), Class::Known(Family::Bert));
        assert_eq!(Class::of_model("mpnet"), Class::Other("mpnet model".to_owned()));
        assert_eq!(Class::of_model("xlm-roberta").to_string(), "XLMRobertaTokenizer");
        assert_eq!(Class::named("BertJapaneseTokenizer").ignores_json(), Some("BertJapaneseTokenizer"));
        assert_eq!(Class::named("LlamaTokenizerFast").ignores_json(), None);
    }
}
