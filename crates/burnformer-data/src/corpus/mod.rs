//! A corpus on the disk: tokenised documents in shards, of which only the blocks in use are in memory.
//!
//! [`CorpusBuilder`] turns a [`Source`](crate::source::Source) into a folder of shards, and [`Corpus`] opens it. The
//! folder also holds the tokenizer, so that it can be moved as a whole. A file that is changed in place while the corpus is
//! open is an error at the next use of the changed part; a build never changes one in place.

mod blocks;
mod builder;
mod chunks;
mod error;
mod format;
mod helpers;
mod manifest;
mod messages;
mod shard;
mod tokenized;
mod writer;

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;

pub use builder::{CorpusBuilder, Outcome, unfinished_build};
pub use error::CorpusError;
pub use manifest::{Counts, Hash, Manifest, Position};
pub use tokenized::Tokenization;

use crate::DataError;
use crate::tokenizer::Tokenizer;
use blocks::Blocks;
use format::Entry;
use manifest::shard_path;
use shard::{Located, Shard};

/// Name of the folder in that of a corpus in which the tokenizer of second texts lies.
const PAIR_FOLDER: &str = "pair";

/// Tokenised documents on the disk, open for reading.
#[derive(Debug)]
pub struct Corpus {
    manifest: Manifest,
    tokenizer: Tokenizer,
    pair_tokenizer: Option<Tokenizer>,
    shards: Vec<Shard>,
    /// Number of the first document of each shard, and the number of documents.
    firsts: Vec<u64>,
    /// The documents that continue the previous one, in order; each is the first of its shard.
    continued: Vec<u32>,
}

impl Corpus {
    /// Opens the corpus in `folder`.
    ///
    /// Of the shards only headers and checksums are read; the rest is compared with its checksums when it is used, and its
    /// numbers with the tokenizer's vocabulary and the names of labels. [`Corpus::verify`] reads all of it.
    ///
    /// # Errors
    /// If there is no finished corpus, a shard is missing, damaged, cut off or foreign, or the tokenizer is not the one that
    /// the corpus was built with; the error names it.
    pub fn open(folder: &Path) -> Result<Self, DataError> {
        let manifest = Manifest::load_finished(folder)?;
        let tokenizer = load_tokenizer(folder, manifest.tokenizer)?;
        let pair = manifest.pair_tokenizer.map(|built| load_tokenizer(&folder.join(PAIR_FOLDER), built)).transpose()?;
        Self::open_with(folder, manifest, tokenizer, pair)
    }

    /// Opens the corpus in `folder`, which was built with these tokenizers.
    fn open_with(
        folder: &Path,
        manifest: Manifest,
        tokenizer: Tokenizer,
        pair: Option<Tokenizer>,
    ) -> Result<Self, DataError> {
        // Tables of all tokens are made by this number.
        let expected = tokenizer.vocab_size().max(pair.as_ref().map_or(0, Tokenizer::vocab_size)) as u64;
        if manifest.vocab_size != expected {
            let (folder, found) = (folder.to_owned(), manifest.vocab_size);
            return Err(CorpusError::Vocabulary { folder, found, expected }.into());
        }
        let shards = open_shards(folder, &manifest)?;
        let mut firsts = vec![0];
        for shard in &shards {
            firsts.push(firsts[firsts.len() - 1] + shard.header().n_documents);
        }
        let n_documents = firsts[firsts.len() - 1];
        if n_documents > u64::from(u32::MAX) {
            return Err(CorpusError::TooManyDocuments { n_documents }.into());
        }
        let continued = shards.iter().zip(&firsts).filter(|(shard, _)| shard.header().continues);
        let continued = continued.map(|(_, &first)| first as u32).collect();
        Ok(Self { manifest, tokenizer, pair_tokenizer: pair, shards, firsts, continued })
    }

    /// Description of the corpus: contents and sources.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The tokenizer it was built with, from its folder.
    #[must_use]
    pub fn tokenizer(&self) -> Tokenizer {
        self.tokenizer.clone()
    }

    /// The tokenizer of second texts, if they have one of their own.
    #[must_use]
    pub fn pair_tokenizer(&self) -> Option<Tokenizer> {
        self.pair_tokenizer.clone()
    }

    /// Checks that `tokenizer` is the one that the corpus was built with.
    ///
    /// # Errors
    /// [`CorpusError::OtherTokenizer`] if it is not.
    pub fn check_tokenizer(&self, tokenizer: &Tokenizer) -> Result<(), CorpusError> {
        check_tokenizer(tokenizer, self.manifest.tokenizer)
    }

    /// Checks that `tokenizer` is the one that the second texts of the corpus were built with.
    ///
    /// # Errors
    /// [`CorpusError::OtherTokenizer`] if it is not.
    pub fn check_pair_tokenizer(&self, tokenizer: &Tokenizer) -> Result<(), CorpusError> {
        check_tokenizer(tokenizer, self.manifest.pair_tokenizer.unwrap_or(self.manifest.tokenizer))
    }

    /// Number of documents.
    #[must_use]
    pub fn n_documents(&self) -> u32 {
        self.firsts[self.firsts.len() - 1] as u32
    }

    /// Document number `index`, in the order of the source.
    ///
    /// # Errors
    /// If its part of the shard is damaged.
    ///
    /// # Panics
    /// If there is no such document.
    pub fn document(&self, index: u32) -> Result<Document<'_>, DataError> {
        let (shard, index) = self.locate(index);
        let shard = &self.shards[shard];
        Ok(Document { shard, located: shard.document(index)? })
    }

    /// `true` if the two are pieces of one document, which was longer than a shard, or the same.
    #[must_use]
    pub fn are_one(&self, a: u32, b: u32) -> bool {
        (a.min(b) + 1..=a.max(b)).all(|index| self.continued.binary_search(&index).is_ok())
    }

    /// Number of occurrences of each token in these documents, by id, counted on all cores.
    ///
    /// # Errors
    /// If a shard is damaged there.
    ///
    /// # Panics
    /// If there is no such document.
    pub fn token_counts(&self, documents: &[u32]) -> Result<Vec<u64>, DataError> {
        let none = || vec![0_u64; self.manifest.vocab_size as usize];
        let count = |mut counts: Vec<u64>, &index: &u32| {
            let document = self.document(index)?;
            for id in document.tokens(0..document.n_tokens())? {
                counts[id as usize] += 1;
            }
            Ok(counts)
        };
        let add = |mut counts: Vec<u64>, more: Vec<u64>| {
            counts.iter_mut().zip(more).for_each(|(count, more)| *count += more);
            Ok(counts)
        };
        documents.par_iter().try_fold(none, count).try_reduce(none, add)
    }

    /// Compares every byte with its checksums, on all cores.
    ///
    /// # Errors
    /// The first damage found.
    pub fn verify(&self) -> Result<(), DataError> {
        Ok(self.shards.par_iter().try_for_each(Shard::verify)?)
    }

    fn locate(&self, index: u32) -> (usize, usize) {
        let index = u64::from(index);
        assert!(index < u64::from(self.n_documents()), "document {index} of {}", self.n_documents());
        let shard = self.firsts.partition_point(|&first| first <= index) - 1;
        (shard, (index - self.firsts[shard]) as usize)
    }
}

fn open_shards(folder: &Path, manifest: &Manifest) -> Result<Vec<Shard>, CorpusError> {
    let blocks = Arc::new(Blocks::new());
    let open = |(number, counts): (usize, &Counts)| {
        let path = shard_path(folder, number);
        let shard = Shard::open(&path, number, manifest.labels.len(), &blocks)?;
        let header = shard.header();
        let found = Counts { documents: header.n_documents, sentences: header.n_sentences, tokens: header.n_tokens };
        let belongs = header.build == manifest.build.0
            && header.number == number as u64
            && header.vocab_size == manifest.vocab_size
            && found == *counts;
        if belongs { Ok(shard) } else { Err(CorpusError::Misplaced { path }) }
    };
    manifest.shards.iter().enumerate().map(open).collect()
}

fn load_tokenizer(folder: &Path, fingerprint: Hash) -> Result<Tokenizer, DataError> {
    let tokenizer = Tokenizer::load(folder)?;
    check_tokenizer(&tokenizer, fingerprint)?;
    Ok(tokenizer)
}

fn check_tokenizer(tokenizer: &Tokenizer, fingerprint: Hash) -> Result<(), CorpusError> {
    let given = Hash(tokenizer.fingerprint());
    if given == fingerprint {
        return Ok(());
    }
    Err(CorpusError::OtherTokenizer { built: fingerprint.to_string(), given: given.to_string() })
}

/// One document of a [`Corpus`]. What it returns is read from the disk, so each of its methods may find damage.
#[derive(Clone, Debug)]
pub struct Document<'a> {
    shard: &'a Shard,
    located: Located,
}

impl Document<'_> {
    /// Number of sentences, at least one.
    #[must_use]
    pub fn n_sentences(&self) -> usize {
        self.located.sentences.len()
    }

    /// Number of tokens.
    #[must_use]
    pub fn n_tokens(&self) -> usize {
        self.located.tokens.len()
    }

    /// Where the first `n` sentences end, in tokens.
    ///
    /// # Errors
    /// If the shard is damaged there.
    ///
    /// # Panics
    /// If it has fewer sentences.
    pub fn sentence_end(&self, n: usize) -> Result<usize, DataError> {
        Ok(self.shard.sentence_end(&self.located, n)?)
    }

    /// The number of the first sentence that begins at token `offset` or behind it; the number of sentences if none
    /// does.
    ///
    /// # Errors
    /// If the shard is damaged there.
    pub fn sentence_from(&self, offset: usize) -> Result<usize, DataError> {
        let (mut low, mut high) = (0, self.n_sentences());
        while low < high {
            let middle = usize::midpoint(low, high);
            if self.sentence_end(middle)? < offset { low = middle + 1 } else { high = middle }
        }
        Ok(low)
    }

    /// The tokens of `range`, counted from the beginning of the document.
    ///
    /// # Errors
    /// If the shard is damaged there.
    ///
    /// # Panics
    /// If the range reaches past the end of the document.
    pub fn tokens(&self, range: Range<usize>) -> Result<Vec<u32>, DataError> {
        assert!(range.end <= self.n_tokens(), "tokens {range:?} of a document with {}", self.n_tokens());
        let at = |offset: usize| self.located.tokens.start + offset as u32;
        let mut ids = Vec::new();
        self.shard.tokens(at(range.start)..at(range.end), &mut ids)?;
        Ok(ids)
    }

    /// The tokens of sentence number `index`.
    ///
    /// # Errors
    /// If the shard is damaged there.
    ///
    /// # Panics
    /// If there is no such sentence.
    pub fn sentence(&self, index: usize) -> Result<Vec<u32>, DataError> {
        self.tokens(self.sentence_end(index)?..self.sentence_end(index + 1)?)
    }

    /// The number of its label in [`Manifest::labels`].
    #[must_use]
    pub fn label(&self) -> Option<u32> {
        (self.located.entry.label != Entry::UNLABELLED).then_some(self.located.entry.label)
    }

    /// A hash of its group's name, if it has a group.
    #[must_use]
    pub fn group(&self) -> Option<u64> {
        (self.located.entry.group != 0).then_some(self.located.entry.group)
    }

    /// A hash of its text: equal texts have equal hashes.
    #[must_use]
    pub fn content(&self) -> u64 {
        self.located.entry.content
    }
}
