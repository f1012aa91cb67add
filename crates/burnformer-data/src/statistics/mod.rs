//! Statistics of a corpus, as text and as JSON.

mod histogram;
mod padding;
mod report;

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use burnformer_core::progress::{Interrupt, Progress, Unit};
use rayon::prelude::*;
use serde::Serialize;

pub use histogram::{Bucket, Histogram};

use crate::DataError;
use crate::batches::{Batch, PaddingStats};
use crate::corpus::Corpus;

/// Number of documents between two checks of the interrupt.
const STRIDE: u32 = 4096;

/// Statistics of all documents of a corpus. [`Display`](std::fmt::Display) formats them as text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Statistics {
    /// Number of documents.
    pub documents: u64,
    /// Number of sentences.
    pub sentences: u64,
    /// Number of tokens.
    pub tokens: u64,
    /// Bytes of the text, in UTF-8.
    pub text_bytes: u64,
    /// Histogram of tokens per sentence.
    pub sentence_lengths: Histogram,
    /// Histogram of tokens per document.
    pub document_lengths: Histogram,
    /// Size of the vocabulary.
    pub vocab_size: u64,
    /// Number of vocabulary entries that occur.
    pub vocab_used: u64,
    /// Number of unknown tokens.
    pub unknown_tokens: u64,
    /// Number of documents that duplicate an earlier one.
    pub duplicates: u64,
    /// Number of documents of each label, in order of first appearance.
    pub labels: Vec<LabelCount>,
    /// Number of groups.
    pub groups: u64,
    /// Number of records without tokens.
    pub empty_records: u64,
    /// Number of rows that could not be read.
    pub skipped_rows: u64,
    /// Share of padding in batches, in `[0, 1]`; `None` if not measured.
    pub padding_share: Option<f64>,
}

/// Number of documents of a label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LabelCount {
    /// The label.
    pub label: String,
    /// Number of documents.
    pub documents: u64,
}

impl Statistics {
    /// Computes the statistics of `corpus` on all cores. Reads every token, and so detects damage anywhere.
    ///
    /// # Errors
    /// If the corpus is damaged, or on request of `interrupt`.
    pub fn of(corpus: &Corpus, progress: &dyn Progress, interrupt: &Interrupt) -> Result<Self, DataError> {
        let n_documents = corpus.n_documents();
        let stage = progress.stage("count", Some(u64::from(n_documents)), Unit::Items("documents"));
        let manifest = corpus.manifest();
        let counts = (0..n_documents.div_ceil(STRIDE))
            .into_par_iter()
            .map(|stride| {
                interrupt.check()?;
                let documents = stride * STRIDE..((stride + 1).saturating_mul(STRIDE)).min(n_documents);
                stage.advance(documents.len() as u64);
                Partial::of(corpus, documents)
            })
            .try_reduce(Partial::default, |a, b| Ok(a.join(b)))?;

        let mut contents = HashSet::new();
        let duplicates = counts.contents.iter().filter(|content| !contents.insert(**content)).count();
        let labels = manifest.labels.iter().enumerate().map(|(number, label)| LabelCount {
            label: label.clone(),
            documents: counts.labels.get(number).copied().unwrap_or(0),
        });
        Ok(Self {
            documents: u64::from(n_documents),
            sentences: counts.sentence_lengths.count(),
            tokens: counts.document_lengths.sum(),
            text_bytes: manifest.text_bytes,
            sentence_lengths: counts.sentence_lengths,
            document_lengths: counts.document_lengths,
            vocab_size: manifest.vocab_size,
            vocab_used: counts.used.iter().filter(|used| **used).count() as u64,
            unknown_tokens: manifest.unknown_tokens,
            duplicates: duplicates as u64,
            labels: labels.collect(),
            groups: counts.groups.len() as u64,
            empty_records: manifest.empty_records,
            skipped_rows: manifest.skipped_rows,
            padding_share: None,
        })
    }

    /// Measures the share of padding in `batches`, which must be finite.
    ///
    /// # Errors
    /// The first error among the batches.
    pub fn measure_padding<B: Batch>(
        &mut self,
        batches: impl IntoIterator<Item = Result<B, DataError>>,
    ) -> Result<(), DataError> {
        let mut padding = PaddingStats::default();
        for batch in batches {
            padding += batch?.padding_stats();
        }
        self.padding_share = Some(padding.padding_share());
        Ok(())
    }

    /// Share of the vocabulary that occurs, in `[0, 1]`.
    #[must_use]
    pub fn vocabulary_coverage(&self) -> f64 {
        share(self.vocab_used, self.vocab_size)
    }

    /// Share of unknown tokens, in `[0, 1]`.
    #[must_use]
    pub fn unknown_share(&self) -> f64 {
        share(self.unknown_tokens, self.tokens)
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Counts over some documents.
#[derive(Default)]
struct Partial {
    sentence_lengths: Histogram,
    document_lengths: Histogram,
    used: Vec<bool>,
    contents: Vec<u64>,
    groups: HashSet<u64>,
    labels: Vec<u64>,
}

impl Partial {
    fn of(corpus: &Corpus, documents: std::ops::Range<u32>) -> Result<Self, DataError> {
        let mut counts = Self { used: vec![false; corpus.manifest().vocab_size as usize], ..Self::default() };
        for index in documents {
            let document = corpus.document(index)?;
            counts.document_lengths.add(document.n_tokens() as u64);
            let mut start = 0;
            for n in 1..=document.n_sentences() {
                let end = document.sentence_end(n)?;
                counts.sentence_lengths.add(end.saturating_sub(start) as u64);
                start = end;
            }
            for id in document.tokens(0..document.n_tokens())? {
                counts.used[id as usize] = true;
            }
            counts.contents.push(document.content());
            counts.groups.extend(document.group());
            if let Some(label) = document.label() {
                let label = label as usize;
                counts.labels.resize(counts.labels.len().max(label + 1), 0);
                counts.labels[label] += 1;
            }
        }
        Ok(counts)
    }

    fn join(mut self, mut other: Self) -> Self {
        self.sentence_lengths.join(&other.sentence_lengths);
        self.document_lengths.join(&other.document_lengths);
        self.used.resize(self.used.len().max(other.used.len()), false);
        self.used.iter_mut().zip(&other.used).for_each(|(used, &also)| *used |= also);
        self.contents.append(&mut other.contents);
        self.groups.extend(other.groups);
        self.labels.resize(self.labels.len().max(other.labels.len()), 0);
        self.labels.iter_mut().zip(&other.labels).for_each(|(count, more)| *count += more);
        self
    }
}
