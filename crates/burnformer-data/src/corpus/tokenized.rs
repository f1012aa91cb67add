//! Records turned into token ids.

use serde::{Deserialize, Serialize};

use crate::content::{content_hash, hash};
use crate::sentences::SentenceSplitter;
use crate::tokenizer::marks::Marks;
use crate::tokenizer::{Encoder, Tokenizer, TokenizerError};
use crate::{DataError, Record};

/// Tokenisation of records: tokenizers and sentence splitting.
#[derive(Clone, Debug)]
pub struct Tokenization {
    /// Tokenizer of the text, and of the second text of a pair unless `pair_tokenizer` is given.
    pub tokenizer: Tokenizer,
    /// Tokenizer of the second text of a pair, if it has its own vocabulary.
    pub pair_tokenizer: Option<Tokenizer>,
    /// Sentence splitting. A record with a pair always has two sentences, its two texts.
    pub sentences: SentenceSplitter,
}

impl Tokenization {
    /// The size of the larger vocabulary.
    #[must_use]
    pub fn vocab_size(&self) -> usize {
        let pair = self.pair_tokenizer.as_ref().map_or(0, Tokenizer::vocab_size);
        self.tokenizer.vocab_size().max(pair)
    }
}

/// Documents as token ids, with sentence and document ends.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Tokenized {
    #[serde(skip)] // Messages between processes hold long lists in a shorter form.
    pub(super) ids: Vec<u32>,
    /// End of each sentence in `ids`.
    #[serde(skip)]
    pub(super) sentence_ends: Vec<u32>,
    pub(super) documents: Vec<Piece>,
    /// Records that were pairs of texts.
    pub(super) pairs: u64,
    /// Bytes of the text.
    pub(super) text_bytes: u64,
    /// Number of unknown tokens.
    pub(super) unknown_tokens: u64,
    /// Number of marks that a tokenizer strips, though they carry meaning in their script.
    pub(super) stripped_marks: u64,
    /// Number of records without tokens.
    pub(super) empty: u64,
}

/// A document, or the next piece of one.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Piece {
    pub(super) content: u64,
    pub(super) group: u64,
    pub(super) label: Option<String>,
    pub(super) continues: bool,
    /// End of its sentences in [`Tokenized::sentence_ends`].
    pub(super) end: u32,
}

/// Turns records into token ids on one thread.
pub(super) struct Worker {
    encoder: Encoder,
    pair_encoder: Encoder,
    sentences: SentenceSplitter,
    unk_id: Option<u32>,
    pair_unk_id: Option<u32>,
    /// The tokenizers, if they strip such marks.
    stripping: Option<Tokenizer>,
    pair_stripping: Option<Tokenizer>,
}

impl Worker {
    pub(super) fn new(tokenization: &Tokenization) -> Self {
        let Tokenization { tokenizer, pair_tokenizer, sentences } = tokenization;
        let pair = pair_tokenizer.as_ref().unwrap_or(tokenizer);
        Self {
            encoder: tokenizer.encoder(),
            pair_encoder: pair.encoder(),
            sentences: sentences.clone(),
            unk_id: tokenizer.specials().unk_id,
            pair_unk_id: pair.specials().unk_id,
            stripping: Some(tokenizer.clone()).filter(Tokenizer::strips_marks),
            pair_stripping: Some(pair.clone()).filter(Tokenizer::strips_marks),
        }
    }

    pub(super) fn tokenize(&mut self, records: Vec<Record>) -> Result<Tokenized, DataError> {
        let (mut chunk, mut marks, mut pair_marks) = (Tokenized::default(), Marks::default(), Marks::default());
        for record in records {
            self.add(&record, &mut chunk)?;
            if self.stripping.is_some() {
                marks.add(&record.text);
            }
            if let Some(pair) = record.pair.filter(|_| self.pair_stripping.is_some()) {
                pair_marks.add(&pair);
            }
        }
        let count = |marks: &Marks, tokenizer: &Option<Tokenizer>| tokenizer.as_ref().map_or(0, |it| marks.count(it));
        let stripped_marks = count(&marks, &self.stripping) + count(&pair_marks, &self.pair_stripping);
        Ok(Tokenized { stripped_marks, ..chunk })
    }

    fn add(&mut self, record: &Record, chunk: &mut Tokenized) -> Result<(), TokenizerError> {
        let (n_ids, n_sentences) = (chunk.ids.len(), chunk.sentence_ends.len());
        if let Some(pair) = &record.pair {
            let start = chunk.ids.len();
            self.encoder.encode_source_into(&record.text, &mut chunk.ids)?;
            let complete = end_sentence(start, self.unk_id, chunk)
                && sentence(&mut self.pair_encoder, pair, self.pair_unk_id, chunk)?;
            if !complete {
                chunk.ids.truncate(n_ids);
                chunk.sentence_ends.truncate(n_sentences);
            }
        } else {
            for paragraph in record.text.split('\n') {
                for text in self.sentences.sentences(paragraph) {
                    sentence(&mut self.encoder, text, self.unk_id, chunk)?;
                }
            }
        }
        if chunk.sentence_ends.len() == n_sentences {
            chunk.empty += 1;
            return Ok(());
        }
        chunk.pairs += u64::from(record.pair.is_some());
        chunk.text_bytes += (record.text.len() + record.pair.as_ref().map_or(0, String::len)) as u64;
        chunk.documents.push(Piece {
            content: content_hash(record),
            group: record.group.as_ref().map_or(0, |group| hash(group).max(1)),
            label: record.class().map(str::to_owned),
            continues: record.continues,
            end: chunk.sentence_ends.len() as u32,
        });
        Ok(())
    }
}

/// Appends one sentence, if it has tokens.
fn sentence(
    encoder: &mut Encoder,
    text: &str,
    unk_id: Option<u32>,
    chunk: &mut Tokenized,
) -> Result<bool, TokenizerError> {
    let start = chunk.ids.len();
    encoder.encode_into(text, &mut chunk.ids)?;
    Ok(end_sentence(start, unk_id, chunk))
}

/// Ends a sentence that begins at `start`, if it has tokens.
fn end_sentence(start: usize, unk_id: Option<u32>, chunk: &mut Tokenized) -> bool {
    if chunk.ids.len() == start {
        return false;
    }
    if let Some(unk_id) = unk_id {
        chunk.unknown_tokens += chunk.ids[start..].iter().filter(|&&id| id == unk_id).count() as u64;
    }
    chunk.sentence_ends.push(chunk.ids.len() as u32);
    true
}
