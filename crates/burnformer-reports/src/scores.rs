//! Scores of models.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Metrics;

/// Scores of a model folder on data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation<S> {
    /// Folder of the model.
    pub folder: PathBuf,
    /// Data of the evaluation.
    pub data: String,
    /// Scores.
    #[serde(flatten)]
    pub scores: S,
}

/// The first `most` of these names, and how many more there are.
#[must_use]
pub fn first_of(names: &[String], most: usize) -> String {
    let shown = names.iter().take(most).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(most) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Scores of predictions on tagged sentences: words by words, entities as seqeval counts them by default. Where tags are no
/// entities, such as parts of speech, scores are those of the tags of single words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenClassificationScores {
    /// Number of sentences.
    pub sentences: u64,
    /// Number of words that were tagged.
    pub words: u64,
    /// Number of words behind the maximum length, which were not tagged.
    pub words_cut_off: u64,
    /// Number of words of which the tokenizer leaves nothing, which were not tagged.
    pub words_without_tokens: u64,
    /// Number of true tags such as `I-PER` that continue no entity, and are counted as beginnings.
    pub invalid_tags: u64,
    /// Number of predicted tags that continue no entity, and are counted as beginnings.
    pub invalid_predicted_tags: u64,
    /// Mean cross-entropy of a word, in nats.
    pub loss: f64,
    /// Share of words with the right tag.
    pub accuracy: f64,
    /// Share of predicted entities that are right.
    pub precision: f64,
    /// Share of true entities that were found.
    pub recall: f64,
    /// Entity F1: harmonic mean of precision and recall.
    pub f1: f64,
    /// Mean F1 of the types of entities.
    pub macro_f1: f64,
    /// Mean F1 of the types of entities, weighted by their numbers of true entities.
    pub weighted_f1: f64,
    /// Scores of entities as seqeval counts them in its strict mode, without those that break the scheme of the tags; absent where
    /// the scheme has no such mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<StrictScores>,
    /// `true` if tags are no entities, such as parts of speech.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_word: bool,
    /// Scores of each type of entities, or of each tag.
    pub entities: Vec<EntityTypeScores>,
}

/// Scores of entities in seqeval's strict mode.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StrictScores {
    /// Share of predicted entities that are right.
    pub precision: f64,
    /// Share of true entities that were found.
    pub recall: f64,
    /// Harmonic mean of precision and recall.
    pub f1: f64,
}

/// Scores of one type of entities.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EntityTypeScores {
    /// The type, such as `PER`.
    pub label: String,
    /// Share of predicted entities of this type that are right.
    pub precision: f64,
    /// Share of true entities of this type that were found.
    pub recall: f64,
    /// Harmonic mean of precision and recall.
    pub f1: f64,
    /// Number of true entities of this type.
    pub support: u64,
}

impl TokenClassificationScores {
    /// Each number with its name; those of words and tags to beware of only if there are any.
    #[must_use]
    pub fn lines(&self) -> Vec<(String, String)> {
        let counts = [
            ("sentences", self.sentences, true),
            ("words", self.words, true),
            ("words cut off", self.words_cut_off, false),
            ("words without tokens", self.words_without_tokens, false),
            ("invalid tags", self.invalid_tags, false),
            ("invalid predictions", self.invalid_predicted_tags, false),
        ];
        let counts = counts.into_iter().filter(|(_, count, always)| *always || *count > 0);
        let scores = [
            ("loss", Some(self.loss)),
            ("accuracy", Some(self.accuracy)),
            ("entity precision", (!self.by_word).then_some(self.precision)),
            ("entity recall", (!self.by_word).then_some(self.recall)),
            ("entity F1", (!self.by_word).then_some(self.f1)),
            ("strict entity F1", self.strict.map(|strict| strict.f1)),
            ("macro F1", Some(self.macro_f1)),
            ("weighted F1", Some(self.weighted_f1)),
        ];
        let scores = scores.into_iter().filter_map(|(name, value)| Some((name.to_owned(), format!("{:.4}", value?))));
        counts.map(|(name, count, _)| (name.to_owned(), count.to_string())).chain(scores).collect()
    }
}

/// Scores of a pretrained model on masked tokens and pairs of sentences.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PretrainingScores {
    /// Number of samples.
    pub samples: u64,
    /// Number of masked tokens.
    pub masked_tokens: u64,
    /// Number of pairs for next-sentence prediction.
    pub pairs: u64,
    /// Losses and accuracies.
    pub metrics: Metrics,
    /// Unigram entropy of the masked tokens in nats: the loss of a model that knows the token frequencies only.
    pub unigram_entropy: f64,
    /// 95 % interval of the accuracy on pairs.
    pub nsp_accuracy_interval: Option<(f64, f64)>,
}

impl PretrainingScores {
    /// Each number with its name and what belongs to it.
    #[must_use]
    pub fn lines(&self) -> Vec<(String, String)> {
        let line = |(name, value): &(String, f64)| {
            let more = match (name.as_str(), self.nsp_accuracy_interval) {
                ("mlm_loss", _) => format!(" nats (unigram entropy {:.4})", self.unigram_entropy),
                ("mlm_accuracy", _) => format!(" ({} masked tokens)", self.masked_tokens),
                ("nsp_accuracy", Some((low, high))) => {
                    format!(" (95 % interval {low:.4} to {high:.4}, {} pairs)", self.pairs)
                }
                _ => String::new(),
            };
            (name.replace('_', " "), format!("{value:.4}{more}"))
        };
        self.metrics.0.iter().map(line).collect()
    }
}

/// Scores of a causal language model on windows of a corpus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CausalLmScores {
    /// Number of windows.
    pub samples: u64,
    /// Number of predicted tokens, the ends of documents included.
    pub tokens: u64,
    /// Loss in nats per token, perplexity and accuracy.
    pub metrics: Metrics,
    /// Bits per byte of text, comparable across tokenizers: the loss in bits, times the tokens per byte of the whole corpus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bits_per_byte: Option<f64>,
}

impl CausalLmScores {
    /// Each number with its name.
    #[must_use]
    pub fn lines(&self) -> Vec<(String, String)> {
        let line = |(name, value): &(String, f64)| {
            let more = match name.as_str() {
                "loss" => format!(" nats ({} tokens)", self.tokens),
                _ => String::new(),
            };
            (name.replace('_', " "), format!("{value:.4}{more}"))
        };
        let bits = self.bits_per_byte.map(|bits| ("bits per byte".to_owned(), format!("{bits:.4}")));
        self.metrics.0.iter().map(line).chain(bits).collect()
    }
}

/// Scores of a model on pairs of texts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairScores {
    /// Number of pairs.
    pub pairs: u64,
    /// Number of target tokens.
    pub target_tokens: u64,
    /// Loss, perplexity, accuracy, and BLEU if the model is chosen by it.
    pub metrics: Metrics,
}

impl PairScores {
    /// Each number with its name.
    #[must_use]
    pub fn lines(&self) -> Vec<(String, String)> {
        let line = |(name, value): &(String, f64)| (name.replace('_', " "), format!("{value:.4}"));
        self.metrics.0.iter().map(line).collect()
    }
}
