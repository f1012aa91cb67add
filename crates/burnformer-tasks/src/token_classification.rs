//! Classification of tokens: the task, and the pipeline that marks entities in texts.

use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor};
use burnformer_data::batches::TokenClassificationBatch;
use burnformer_data::tag_scheme::TagScheme;
use burnformer_data::tokenizer::{Alignment, Encoded, Tokenizer, TokenizerError, TokenizerKind};
use burnformer_models::{BertConfig, BertForTokenClassification, Head, Pretrained, Staged};
use burnformer_nn::{CrossEntropyLoss, CrossEntropyLossConfig, DropoutRng};
use burnformer_ops::WeightFormat;
use serde::{Deserialize, Serialize};

use crate::encode::{Encode, bert_input, check_vocabulary, expect_head, probabilities, with_max_length};
use crate::metrics::{EntityCounts, EntityMode, entities, n_stray_tags};
use crate::{Forward, Metric, MetricState, ScoreValues, Scores, Task, TaskError, exact};

/// Classification of the words of sentences, by their first tokens.
#[derive(Debug)]
pub struct TokenClassificationTask {
    config: BertConfig,
    tokenizer: Tokenizer,
    labels: Vec<String>,
    scheme: TagScheme,
    loss: CrossEntropyLoss,
}

impl TokenClassificationTask {
    /// Classification into `labels` by models with these settings on tokens of `tokenizer`.
    ///
    /// # Errors
    /// If the tokenizer has more tokens than the model.
    pub fn new(config: BertConfig, tokenizer: Tokenizer, labels: Vec<String>) -> Result<Self, TaskError> {
        check_vocabulary(&tokenizer, config.vocab_size)?;
        let scheme = TagScheme::of_names(labels.iter().map(String::as_str));
        Ok(Self { config, tokenizer, labels, scheme, loss: CrossEntropyLossConfig::new().init() })
    }

    /// The same task with labels of this scheme, which decides on the metrics: those of entities, or with
    /// [`TagScheme::Words`] those of each tag. By default it is the one that the names of the labels tell.
    #[must_use]
    pub fn with_scheme(self, scheme: TagScheme) -> Self {
        Self { scheme, ..self }
    }

    /// Names of the labels.
    #[must_use]
    pub fn labels(&self) -> &[String] {
        &self.labels
    }
}

/// Entities, correct words and sum of losses.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TokenClassificationMetricState {
    /// True and predicted entities, as seqeval counts them by default; where tags are no entities, true and predicted tags.
    pub entities: EntityCounts,
    /// True and predicted entities, as seqeval counts them in its strict mode; none where the scheme has no such mode.
    #[serde(default)]
    pub strict: EntityCounts,
    /// `true` if tags are no entities, such as parts of speech.
    #[serde(default)]
    pub by_word: bool,
    /// Number of sentences.
    pub sentences: u64,
    /// Number of words with a label.
    pub words: u64,
    /// Number of words whose label was predicted.
    pub correct: u64,
    /// Number of predicted tags that continue no entity, which are counted as beginnings.
    pub stray_tags: u64,
    /// Number of further tokens of words that have a label too.
    #[serde(default)]
    pub further_tokens: u64,
    /// Sum of the negative log-likelihoods of the true labels, in nats.
    #[serde(with = "exact")]
    pub loss_sum: f64,
}

impl TokenClassificationMetricState {
    /// Mean negative log-likelihood of the true labels, in nats; 0 without words.
    #[must_use]
    pub fn loss(&self) -> f64 {
        self.loss_sum / (self.words + self.further_tokens).max(1) as f64
    }

    /// Share of words whose label was predicted; 0 without words.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.words.max(1) as f64
    }
}

impl MetricState for TokenClassificationMetricState {
    fn merge(&mut self, other: Self) {
        self.entities += other.entities;
        self.strict += other.strict;
        self.by_word |= other.by_word;
        self.further_tokens += other.further_tokens;
        self.sentences += other.sentences;
        self.words += other.words;
        self.correct += other.correct;
        self.stray_tags += other.stray_tags;
        self.loss_sum += other.loss_sum;
    }

    fn metrics(&self) -> Vec<Metric> {
        let all = self.entities.micro();
        if self.by_word {
            let (mean, weighted) = (self.entities.macro_average(), self.entities.weighted_average());
            let loss = ("loss", self.loss());
            return vec![loss, ("accuracy", self.accuracy()), ("macro_f1", mean.f1), ("weighted_f1", weighted.f1)];
        }
        vec![
            ("loss", self.loss()),
            ("accuracy", self.accuracy()),
            ("entity_precision", all.precision),
            ("entity_recall", all.recall),
            ("entity_f1", all.f1),
        ]
    }

    /// The F1 of entities, or the accuracy of other tags.
    fn quality(&self) -> f64 {
        if self.by_word { self.accuracy() } else { self.entities.micro().f1 }
    }
}

impl Task for TokenClassificationTask {
    type Model = BertForTokenClassification;
    type Batch = TokenClassificationBatch;
    type Counts = u64;
    type MetricState = TokenClassificationMetricState;
    type Error = TaskError;

    fn counts(&self, batch: &TokenClassificationBatch) -> u64 {
        (batch.labels.len() + batch.further_labels.len()) as u64
    }

    fn forward(
        &self,
        model: &BertForTokenClassification,
        batch: &TokenClassificationBatch,
        totals: &u64,
        rng: DropoutRng,
        device: &Device,
    ) -> Forward {
        if batch.labels.is_empty() {
            let none = || Tensor::<1>::zeros([0], device);
            let loss = Tensor::zeros([1], device);
            return Forward { scores: Scores::new().with("loss", loss.clone()).with("answers", none()), loss };
        }
        let tensors = batch.to_device(device);
        let input = bert_input(&batch.tokens, tensors.tokens, None, rng);
        let logits = model.forward(input, tensors.positions); // [n_words + n_further, n_labels]
        let n_words = batch.labels.len();
        let answers = logits.clone().inner().narrow(0, 0, n_words).argmax(1).reshape([n_words]).float();
        let loss = self.loss.forward(logits, tensors.labels).sum;
        let scores = Scores::new().with("loss", loss.clone()).with("answers", answers);
        Forward { loss: loss / (*totals).max(1) as f64, scores }
    }

    fn staged(&self) -> Option<Arc<dyn Staged>> {
        Some(Arc::new(self.config.clone()))
    }

    fn body(
        &self,
        model: &BertForTokenClassification,
        batch: &TokenClassificationBatch,
        rng: DropoutRng,
        device: &Device,
    ) {
        if !batch.labels.is_empty() {
            model.hidden(bert_input(&batch.tokens, batch.to_device(device).tokens, None, rng));
        }
    }

    fn metric_state(&self) -> TokenClassificationMetricState {
        let by_word = self.scheme == TagScheme::Words;
        TokenClassificationMetricState { by_word, ..TokenClassificationMetricState::default() }
    }

    fn add_scores(
        &self,
        metric_state: &mut TokenClassificationMetricState,
        batch: &TokenClassificationBatch,
        scores: &ScoreValues,
    ) -> Result<(), TaskError> {
        let answers = scores.many("answers", batch.labels.len())?;
        metric_state.loss_sum += scores.one("loss")?;
        metric_state.further_tokens += batch.further_labels.len() as u64;
        let mode = if metric_state.by_word { EntityMode::Words } else { EntityMode::Lenient };
        let strict = EntityMode::strict(self.scheme);
        for words in batch.sentences() {
            let truth: Vec<&str> =
                batch.labels[words.clone()].iter().map(|&label| self.labels[label as usize].as_str()).collect();
            let predicted: Vec<&str> =
                answers[words].iter().map(|&label| self.labels[label as usize].as_str()).collect();
            let correct = truth.iter().zip(&predicted).filter(|(truth, predicted)| truth == predicted);
            metric_state.correct += correct.count() as u64;
            metric_state.words += truth.len() as u64;
            metric_state.sentences += 1;
            metric_state.stray_tags += n_stray_tags(&predicted);
            metric_state.entities.add(&truth, &predicted, mode);
            if let Some(strict) = strict {
                metric_state.strict.add(&truth, &predicted, strict);
            }
        }
        Ok(())
    }

    fn save(&self, model: &BertForTokenClassification, folder: &Path) -> Result<(), TaskError> {
        model.save(folder)?;
        Ok(with_max_length(&self.tokenizer, &self.config).save(folder)?)
    }

    fn load(&self, folder: &Path, device: &Device) -> Result<BertForTokenClassification, TaskError> {
        Ok(BertForTokenClassification::load(folder, device)?)
    }
}

/// Marks entities in texts.
///
/// The tokenizer cuts a text into words: at white space, and BERT's at punctuation too. A word has the most probable label of
/// its first token; consecutive words become entities as in [`entities`] in [`EntityMode::Lenient`], or if the labels are no
/// entities, such as parts of speech, each word has its label.
#[derive(Debug)]
pub struct TokenClassification {
    model: BertForTokenClassification,
    encode: Encode,
    mode: EntityMode,
}

/// A text with its entities.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MarkedText {
    /// The entities, in order.
    pub entities: Vec<TextEntity>,
    /// Number of words at the end that were not looked at, since the text is longer than the model can take. Behind the first
    /// 256 KiB of a text, what stands between white space is a word.
    #[serde(default)]
    pub words_cut_off: usize,
}

/// An entity of a text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextEntity {
    /// Type of the entity, such as `PER`.
    pub label: String,
    /// Mean probability of its words' labels, in `[0, 1]`.
    pub score: f64,
    /// Its first character, counted from 0 in Unicode characters.
    pub start: usize,
    /// The character behind its last one.
    pub end: usize,
    /// Its text.
    pub text: String,
}

/// A word of a text: its first token, and its characters.
#[derive(Debug)]
struct Word {
    token: usize,
    characters: Range<usize>,
}

/// The words that a model sees, and how many it does not.
#[derive(Debug)]
struct Words {
    words: Vec<Word>,
    n_cut_off: usize,
}

impl TokenClassification {
    /// Loads the model in `folder`.
    ///
    /// # Errors
    /// If it holds no model for token classification with its tokenizer.
    pub fn load(folder: &Path, device: &Device) -> Result<Self, TaskError> {
        expect_head(folder, &[Head::TokenClassification])?;
        let model = BertForTokenClassification::load(folder, device)?;
        let encode = Encode::load(folder, model.config(), device)?;
        let mode = match TagScheme::of_names(model.labels().iter().map(String::as_str)) {
            TagScheme::Words => EntityMode::Words,
            _ => EntityMode::Lenient,
        };
        Ok(Self { model, encode, mode })
    }

    /// The same pipeline with the weights of its model laid out once, as `format`, for the products of this processor: see
    /// [`Pretrained::prepare`].
    ///
    /// # Errors
    /// If the processor or the device has no products of this type.
    pub fn prepared(self, format: WeightFormat) -> Result<Self, TaskError> {
        Ok(Self { model: self.model.prepare(format)?, ..self })
    }

    /// The names of the labels.
    #[must_use]
    pub fn labels(&self) -> &[String] {
        self.model.labels()
    }

    /// The entities of each text, in the order of the texts. They are put together in batches of similar length.
    ///
    /// # Errors
    /// [`TaskError::Text`] if a text cannot be tokenised; if the device fails.
    pub fn mark(&self, texts: &[&str]) -> Result<Vec<MarkedText>, TaskError> {
        let cut = self.encode.each(texts, |text| self.words(text), |(encoded, _)| encoded.is_cut)?;
        let has_tokens: Vec<bool> = cut.iter().map(|(encoded, _)| !encoded.ids.is_empty()).collect();
        // A text without tokens has no words.
        let (encoded, words): (Vec<Encoded>, Vec<Words>) = cut.into_iter().filter(|(it, _)| !it.ids.is_empty()).unzip();
        let answers = self.encode.in_batches(&encoded, |texts, input| {
            let [batch_size, seq_length] = input.ids.dims();
            let positions = Tensor::<1, Int>::arange(0..(batch_size * seq_length) as i64, &input.ids.device());
            let rows = probabilities(self.model.forward(input, positions))?;
            Ok(rows.chunks(seq_length).take(texts.len()).map(<[_]>::to_vec).collect())
        })?;
        let mut marked = words.into_iter().zip(answers);
        let mut mark = |(text, has_tokens): (&&str, bool)| match has_tokens {
            true => marked.next().map(|(words, rows)| self.marked(text, words, &rows)),
            false => None,
        };
        Ok(texts.iter().zip(has_tokens).map(|text| mark(text).unwrap_or_default()).collect())
    }

    /// The same pipeline, which reads special tokens written in a text, such as `[SEP]`, as text or as special tokens.
    #[must_use]
    pub fn with_split_special_tokens(self, splits: bool) -> Self {
        Self { encode: self.encode.with_split_special_tokens(splits), ..self }
    }

    /// Number of texts so far that were longer than the model can take, and were truncated.
    #[must_use]
    pub fn n_cut(&self) -> u64 {
        self.encode.n_cut()
    }

    /// Longest text that the model can take, in tokens, special tokens included.
    #[must_use]
    pub fn max_length(&self) -> usize {
        self.encode.max_length
    }

    /// The tokens of a text as far as the model can take them, and its words.
    fn words(&self, text: &str) -> Result<(Encoded, Words), TokenizerError> {
        let Encode { tokenizer, max_length, .. } = &self.encode;
        // Byte-level BPE knows words by the blank in front of them, in training too.
        let is_spaced = tokenizer.kind() == TokenizerKind::ByteLevelBpe && !text.starts_with(char::is_whitespace);
        let spaced = if is_spaced { Cow::Owned(format!(" {text}")) } else { Cow::Borrowed(text) };
        let (encoded, alignment) = tokenizer.encode_with_offsets(&spaced, None, Some(*max_length))?;
        let mut words = words_of(&alignment, &spaced);
        if is_spaced {
            for word in &mut words {
                let Range { start, end } = word.characters;
                word.characters = start.saturating_sub(1)..end.saturating_sub(1);
            }
        }
        Ok((encoded, Words { words, n_cut_off: alignment.n_words_cut_off }))
    }

    fn marked(&self, text: &str, words: Words, probabilities: &[Vec<f64>]) -> MarkedText {
        let best = |word: &Word| {
            let row = &probabilities[word.token];
            (0..row.len()).fold(0, |best, other| if row[other] > row[best] { other } else { best })
        };
        let labels: Vec<usize> = words.words.iter().map(best).collect();
        let tags: Vec<&str> = labels.iter().map(|&label| self.labels()[label].as_str()).collect();
        let entity = |label: &str, range: Range<usize>| {
            let scores = range.clone().map(|word| probabilities[words.words[word].token][labels[word]]);
            let score = scores.sum::<f64>() / range.len() as f64;
            let start = words.words[range.start].characters.start;
            let end = words.words[range.end - 1].characters.end;
            let text = text.chars().skip(start).take(end - start).collect();
            TextEntity { label: label.to_owned(), score, start, end, text }
        };
        let found = entities(&tags, self.mode);
        MarkedText {
            entities: found.into_iter().map(|it| entity(it.label, it.words)).collect(),
            words_cut_off: words.n_cut_off,
        }
    }
}

/// The words of a text, without the white space that some tokenizers count to them.
fn words_of(alignment: &Alignment, text: &str) -> Vec<Word> {
    let (mut words, mut last): (Vec<Word>, _) = (Vec::new(), None);
    for (token, (word, offsets)) in alignment.word_ids.iter().zip(&alignment.offsets).enumerate() {
        let (Some(word), Some(Range { start, end })) = (word, offsets.clone()) else { continue };
        match words.last_mut() {
            Some(current) if last == Some(word) => current.characters.end = end.max(current.characters.end),
            _ => words.push(Word { token, characters: start..end }),
        }
        last = Some(word);
    }
    let n_characters = words.iter().map(|word| word.characters.end).max().unwrap_or(0);
    let text: Vec<char> = text.chars().take(n_characters).collect();
    for Word { characters, .. } in &mut words {
        while characters.len() > 1 && text[characters.start].is_whitespace() {
            characters.start += 1;
        }
    }
    words
}
