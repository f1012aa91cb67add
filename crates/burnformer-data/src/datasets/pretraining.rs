//! Samples for BERT's pretraining: masked language model and next-sentence prediction.

use std::ops::Range;
use std::sync::Arc;

use burnformer_core::config::{ConfigError, Validate};
use burnformer_core::random::{Key, Purpose, Stream};
use serde::{Deserialize, Serialize};

use super::order::Order;
use super::sample_index::SampleIndex;
use super::{Dataset, Masked, Masking, MaskingConfig, Sample, SamplesError, check_max_seq_length};
use crate::DataError;
use crate::corpus::{Corpus, Document};
use crate::tokenizer::Tokenizer;

/// Settings of [`PretrainingDataset`], by default those of BERT with sequences of 128 tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PretrainingConfig {
    /// Longest sequence in tokens, special ones included.
    pub max_seq_length: usize,
    /// `true` builds pairs of texts for next-sentence prediction; `false` single texts.
    pub next_sentence: bool,
    /// Probability that a sequence is cut to a random length, so that the model meets short ones too, in `[0, 1]`.
    pub short_seq_probability: f64,
    /// Settings of masking.
    pub masking: MaskingConfig,
}

impl Default for PretrainingConfig {
    fn default() -> Self {
        let masking = MaskingConfig::default();
        Self { max_seq_length: 128, next_sentence: true, short_seq_probability: 0.1, masking }
    }
}

impl Validate for PretrainingConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        check_max_seq_length(self.max_seq_length, 5, "5 (two tokens and three special ones) to 1048576")?;
        let short = self.short_seq_probability;
        ConfigError::check("short_seq_probability", &short, (0.0..=1.0).contains(&short), "a value in [0, 1]")?;
        self.masking.validate().map_err(|error| error.within("masking"))
    }
}

/// One masked sequence: `[CLS] A [SEP] B [SEP]`, or `[CLS] A [SEP]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PretrainingSample {
    /// The tokens, after masking.
    pub ids: Vec<u32>,
    /// Number of tokens of the first segment, `[CLS]` and the first `[SEP]` included.
    pub first_length: usize,
    /// `true` if B is what follows A in its document, `false` if it comes from another one.
    pub is_next: Option<bool>,
    /// The masked tokens.
    pub masked: Masked,
}

impl Sample for PretrainingSample {
    fn length(&self) -> usize {
        self.ids.len()
    }
}

/// Draws [`PretrainingSample`]s from the documents of a corpus.
///
/// A document of `n` tokens gives `n / (max_seq_length - 3)` samples, rounded up. Each begins with the first sentence
/// in its share of the document and takes sentences until the sequence is full. They are divided between A and B at a
/// random sentence; with probability one half B is replaced by a text from another document. What is too long is
/// shortened token by token, at a random end of the longer text. Without next-sentence prediction a sample is just its
/// share of the document.
///
/// Source: Devlin et al. 2019, "BERT", section 3.1 and appendix A.2, and the code published with it. Differences, so
/// that a sample is a function of its number: where a B is replaced, the sentences it would have had are not moved to
/// the next sample but left out in this epoch; and documents of one sentence give no pairs (in that code all of theirs
/// are random ones, which gives the answer away).
#[derive(Debug)]
pub struct PretrainingDataset {
    corpus: Arc<Corpus>,
    config: PretrainingConfig,
    order: Order,
    places: SampleIndex,
    pair_key: Key,
    masking: Masking,
    cls_id: u32,
    sep_id: u32,
}

impl PretrainingDataset {
    /// Samples of the given documents of `corpus`.
    ///
    /// # Errors
    /// If the tokenizer is not the corpus's or lacks a special token, no document has enough sentences, or the corpus
    /// is damaged.
    ///
    /// # Panics
    /// If the settings are invalid: a value built in code is the caller's responsibility.
    pub fn new(
        corpus: Arc<Corpus>,
        documents: &[u32],
        tokenizer: &Tokenizer,
        config: &PretrainingConfig,
        seed: u64,
    ) -> Result<Self, DataError> {
        if let Err(error) = config.validate() {
            panic!("{error}");
        }
        corpus.check_tokenizer(tokenizer)?;
        let specials = tokenizer.specials();
        let cls_id = specials.bos_id.ok_or(SamplesError::NoToken { role: "first (`[CLS]`)" })?;
        let sep_id = specials.eos_id.ok_or(SamplesError::NoToken { role: "separating (`[SEP]`)" })?;
        let masking = Masking::new(&config.masking, tokenizer, seed)?;
        let text_length = text_length(config);
        let n_needed = 1 + usize::from(config.next_sentence);
        let places = SampleIndex::new(&corpus, documents, |document| {
            Ok(if document.n_sentences() < n_needed { 0 } else { document.n_tokens().div_ceil(text_length) })
        })?;
        let found = places.documents().len();
        if found == 0 {
            let reason = if config.next_sentence { "two sentences" } else { "a sentence" };
            return Err(SamplesError::None { n_documents: documents.len(), reason }.into());
        }
        let (first, last) = (places.documents()[0], places.documents()[found - 1]);
        if config.next_sentence && corpus.are_one(first, last) {
            return Err(SamplesError::OneDocument { found: 1 }.into());
        }
        let order = Order::new(seed, places.len());
        let pair_key = Key::new(seed, Purpose::Pair, "");
        Ok(Self { corpus, config: config.clone(), order, places, pair_key, masking, cls_id, sep_id })
    }

    /// Number of documents that give samples.
    #[must_use]
    pub fn n_documents(&self) -> usize {
        self.places.documents().len()
    }

    /// The texts of a sample, without reading their tokens.
    fn texts(&self, number: u64) -> Result<Texts<'_>, DataError> {
        let (place, part) = self.places.find(self.order.at(number));
        let document = self.corpus.document(self.places.documents()[place])?;
        let mut stream = Stream::new(self.pair_key, number);
        let length = self.target_length(&mut stream);
        if !self.config.next_sentence {
            let start = part * text_length(&self.config);
            let text = start..document.n_tokens().min(start + length);
            return Ok(Texts { first: (document, text), second: None });
        }

        let first = document.sentence_from(part * text_length(&self.config))?.min(document.n_sentences() - 2);
        let start = document.sentence_end(first)?;
        let end = document.sentence_from(start + length)?.max(first + 2);
        let middle = first + 1 + stream.below((end - first - 1) as u64) as usize;
        let mut a = start..document.sentence_end(middle)?;

        let is_next = stream.bits() & 1 == 1;
        let (other, mut b) = if is_next {
            (document.clone(), a.end..document.sentence_end(end)?)
        } else {
            let other = self.corpus.document(self.other_document(place, &mut stream))?;
            let text = random_text(&other, length.saturating_sub(a.len()), &mut stream)?;
            (other, text)
        };
        shorten(&mut a, &mut b, text_length(&self.config), &mut stream);
        Ok(Texts { first: (document, a), second: Some((other, b, is_next)) })
    }

    /// Target number of text tokens of the sample: usually as many as fit.
    fn target_length(&self, stream: &mut Stream) -> usize {
        let longest = text_length(&self.config);
        if stream.uniform() < self.config.short_seq_probability {
            2 + stream.below(longest as u64 - 1) as usize
        } else {
            longest
        }
    }

    /// A random document other than the one at `place`, uniformly distributed.
    fn other_document(&self, place: usize, stream: &mut Stream) -> u32 {
        let documents = self.places.documents();
        loop {
            let drawn = stream.below(documents.len() as u64 - 1) as usize;
            let other = documents[drawn + usize::from(drawn >= place)];
            if !self.corpus.are_one(documents[place], other) {
                return other;
            }
        }
    }
}

impl Dataset for PretrainingDataset {
    type Sample = PretrainingSample;

    fn per_epoch(&self) -> u64 {
        self.order.len()
    }

    fn sample(&self, number: u64) -> Result<PretrainingSample, DataError> {
        let texts = self.texts(number)?;
        let mut ids = Vec::with_capacity(texts.length());
        ids.push(self.cls_id);
        let (document, text) = texts.first;
        ids.extend(document.tokens(text)?);
        ids.push(self.sep_id);
        let first_length = ids.len();
        let mut is_next = None;
        if let Some((document, text, follows)) = texts.second {
            ids.extend(document.tokens(text)?);
            ids.push(self.sep_id);
            is_next = Some(follows);
        }
        let masked = self.masking.mask(number, &mut ids);
        Ok(PretrainingSample { ids, first_length, is_next, masked })
    }

    fn length(&self, number: u64) -> Result<usize, DataError> {
        Ok(self.texts(number)?.length())
    }
}

/// The documents of a sample's texts, and the tokens of them that it takes.
struct Texts<'a> {
    first: (Document<'a>, Range<usize>),
    /// With `true` if it follows the first.
    second: Option<(Document<'a>, Range<usize>, bool)>,
}

impl Texts<'_> {
    /// Length of the sample: each text has a token behind it, the first one in front too.
    fn length(&self) -> usize {
        self.first.1.len() + 2 + self.second.as_ref().map_or(0, |(_, text, _)| text.len() + 1)
    }
}

/// Number of text tokens that fit beside the special tokens.
fn text_length(config: &PretrainingConfig) -> usize {
    config.max_seq_length - if config.next_sentence { 3 } else { 2 }
}

/// Sentences from a random one on, until there are `length` tokens, at least one sentence.
fn random_text(document: &Document<'_>, length: usize, stream: &mut Stream) -> Result<Range<usize>, DataError> {
    let first = stream.below(document.n_sentences() as u64) as usize;
    let start = document.sentence_end(first)?;
    let end = document.sentence_from(start + length)?.max(first + 1);
    Ok(start..document.sentence_end(end)?)
}

/// Shortens the longer text at a random end, token by token, until both have `length` tokens together.
fn shorten(a: &mut Range<usize>, b: &mut Range<usize>, length: usize, stream: &mut Stream) {
    while a.len() + b.len() > length {
        let longer = if a.len() > b.len() { &mut *a } else { &mut *b };
        if stream.bits() & 1 == 0 {
            longer.start += 1;
        } else {
            longer.end -= 1;
        }
    }
}
