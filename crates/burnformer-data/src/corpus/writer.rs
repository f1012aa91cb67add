//! A shard being built.

use std::path::Path;

use burnformer_core::files::{FileError, atomic_write};

use super::Counts;
use super::format::{BLOCK, ENTRY, Entry, Header, WORD, checksum};
use super::tokenized::Tokenized;

/// The documents of one shard, kept in memory until they are written as a whole.
#[derive(Debug)]
pub(super) struct ShardWriter {
    ids: OwnedIds,
    sentences: Vec<u32>,
    documents: Vec<[u64; ENTRY]>,
    header: Header,
}

#[derive(Debug)]
enum OwnedIds {
    Narrow(Vec<u16>),
    Wide(Vec<u32>),
}

impl ShardWriter {
    /// An empty shard of the build `build`, at place `number`.
    pub(super) fn new(build: u128, number: u64, vocab_size: u64) -> Self {
        let narrow = vocab_size <= 1 << 16;
        let ids = if narrow { OwnedIds::Narrow(Vec::new()) } else { OwnedIds::Wide(Vec::new()) };
        let header = Header {
            id_bytes: if narrow { 2 } else { 4 },
            vocab_size,
            number,
            continues: false,
            n_documents: 0,
            n_sentences: 0,
            n_tokens: 0,
            build,
        };
        Self { ids, sentences: Vec::new(), documents: Vec::new(), header }
    }

    pub(super) fn n_tokens(&self) -> usize {
        match &self.ids {
            OwnedIds::Narrow(ids) => ids.len(),
            OwnedIds::Wide(ids) => ids.len(),
        }
    }

    /// Appends documents; `labels` holds the number of each one's label.
    pub(super) fn append(&mut self, chunk: &Tokenized, labels: &[u32]) {
        let first_token = self.n_tokens() as u32;
        match &mut self.ids {
            OwnedIds::Narrow(ids) => ids.extend(chunk.ids.iter().map(|&id| id as u16)),
            OwnedIds::Wide(ids) => ids.extend_from_slice(&chunk.ids),
        }
        let first_sentence = self.sentences.len() as u32;
        self.sentences.extend(chunk.sentence_ends.iter().map(|end| first_token + end));
        for (document, &label) in chunk.documents.iter().zip(labels) {
            let end = first_sentence + document.end;
            let entry = Entry { content: document.content, group: document.group, label, end };
            match self.documents.last_mut() {
                // A document that goes on keeps its entry; its hash covers all its pieces, in order.
                Some(last) if document.continues => {
                    let begun = Entry::from_words(*last);
                    let content = begun.content.rotate_left(1) ^ entry.content;
                    *last = Entry { content, end, ..begun }.to_words();
                }
                _ => {
                    self.header.continues |= document.continues;
                    self.documents.push(entry.to_words());
                }
            }
        }
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            documents: self.documents.len() as u64,
            sentences: self.sentences.len() as u64,
            tokens: self.n_tokens() as u64,
        }
    }

    /// Writes the shard atomically as `path`.
    pub(super) fn write(&self, path: &Path) -> Result<(), FileError> {
        let Counts { documents: n_documents, sentences: n_sentences, tokens: n_tokens } = self.counts();
        let header = Header { n_documents, n_sentences, n_tokens, ..self.header };
        let ids: &[u8] = match &self.ids {
            OwnedIds::Narrow(ids) => bytemuck::cast_slice(ids),
            OwnedIds::Wide(ids) => bytemuck::cast_slice(ids),
        };
        let mut body =
            Vec::with_capacity(ids.len() + 4 * self.sentences.len() + ENTRY * WORD * self.documents.len() + 2 * WORD);
        for section in [ids, bytemuck::cast_slice(&self.sentences), bytemuck::cast_slice(&self.documents)] {
            body.extend_from_slice(section);
            body.resize(body.len().next_multiple_of(WORD), 0);
        }
        let checksums: Vec<u64> = body.chunks(BLOCK).map(checksum).collect();
        atomic_write(path, |file| {
            file.write_all(bytemuck::cast_slice(&header.to_words(&checksums)))?;
            file.write_all(&body)?;
            file.write_all(bytemuck::cast_slice(&checksums))
        })
    }
}
