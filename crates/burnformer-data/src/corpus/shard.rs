//! A shard, read block by block, each checked as it is read.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use burnformer_core::files::open_regular;

use super::CorpusError;
use super::blocks::{Block, Blocks};
use super::format::{self, BLOCK, BadHeader, ENTRY, Entry, HEADER, Header, Sections, WORD};

/// Number of shards of a corpus whose files stay open, so that a build that replaces the corpus does not disturb those who
/// read it. A process may have 1,024 files open by default; the other shards are opened anew for every block.
const STAY_OPEN: usize = 512;
/// Largest number of sentences of a document whose ends are read together.
const FEW: u32 = 256;

/// A file of tokenised documents.
///
/// Opening it reads the header and the checksums. Each block of 64 KiB is compared with its checksum when it is first read;
/// later only the bytes that are needed are read. No number in the file is used before its range is checked. The file is not
/// mapped into memory: a map of a file that becomes shorter kills the process.
#[derive(Debug)]
pub(super) struct Shard {
    path: PathBuf,
    number: usize,
    /// `None` if it is opened for every block.
    file: Option<Mutex<File>>,
    header: Header,
    sections: Sections,
    checksums: Vec<u64>,
    /// One bit per block, set when its checksum has been verified.
    checked: Vec<AtomicU64>,
    n_labels: usize,
    blocks: Arc<Blocks>,
}

/// One document of a shard, in numbers of the shard's sentences and tokens.
#[derive(Clone, Debug)]
pub(super) struct Located {
    pub(super) entry: Entry,
    pub(super) sentences: Range<u32>,
    pub(super) tokens: Range<u32>,
    /// Where its sentences end, if they are few.
    ends: Vec<u32>,
}

impl Shard {
    /// Opens shard `number` of a corpus with `n_labels` names of labels.
    pub(super) fn open(path: &Path, number: usize, n_labels: usize, blocks: &Arc<Blocks>) -> Result<Self, CorpusError> {
        let foreign = || CorpusError::Foreign { path: path.to_owned() };
        let damaged = |problem| CorpusError::Damaged { path: path.to_owned(), problem };
        let mut file = open(path)?;
        let length = file.metadata().map_err(|source| CorpusError::Read { path: path.to_owned(), source })?.len();
        if length < HEADER as u64 {
            return Err(foreign());
        }
        let mut words = [0; HEADER / WORD];
        fill(&mut file, path, 0, &mut words)?;
        let header = Header::from_words(&words).map_err(|bad| match bad {
            BadHeader::Foreign => foreign(),
            BadHeader::Version(version) => CorpusError::Version { path: path.to_owned(), version },
            BadHeader::Damaged => damaged("its header contradicts itself"),
        })?;
        let sections =
            Sections::of(&header).ok_or_else(|| damaged("its header asks for more than any file can hold"))?;
        if sections.checksums.end as u64 != length {
            return Err(damaged("its length is not what its header says"));
        }
        let mut checksums = vec![0; sections.checksums.len() / WORD];
        fill(&mut file, path, sections.checksums.start, &mut checksums)?;
        let (last, others) = (words[words.len() - 1], &words[..words.len() - 1]);
        if format::checksum_of(others, bytemuck::cast_slice(&checksums)) != last {
            return Err(damaged("the checksum of its header is wrong"));
        }
        let file = (number < STAY_OPEN).then(|| Mutex::new(file));
        let checked = (0..checksums.len().div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        let (path, blocks) = (path.to_owned(), Arc::clone(blocks));
        Ok(Self { path, number, file, header, sections, checksums, checked, n_labels, blocks })
    }

    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    fn damaged(&self, problem: &'static str) -> CorpusError {
        CorpusError::Damaged { path: self.path.clone(), problem }
    }

    /// Reads `words` from byte `start` on.
    fn fill(&self, start: usize, words: &mut [u64]) -> Result<(), CorpusError> {
        match &self.file {
            Some(file) => fill(&mut file.lock().unwrap_or_else(PoisonError::into_inner), &self.path, start, words),
            None => fill(&mut open(&self.path)?, &self.path, start, words),
        }
    }

    /// Reads block `number` and checks it: its checksum, its ids against the size of the vocabulary, and the order of its
    /// ends.
    fn block(&self, number: usize) -> Result<Block, CorpusError> {
        let start = HEADER + number * BLOCK;
        let end = (start + BLOCK).min(self.sections.checksums.start);
        let mut words = vec![0; (end - start) / WORD];
        self.fill(start, &mut words)?;
        let bytes: &[u8] = bytemuck::cast_slice(&words);
        if format::checksum(bytes) != self.checksums[number] {
            return Err(self.damaged("the checksum of a block is wrong"));
        }
        let within = |section: &Range<usize>| {
            &bytes[section.start.clamp(start, end) - start..section.end.clamp(start, end) - start]
        };
        if self.greatest(within(&self.sections.tokens)).is_some_and(|id| u64::from(id) >= self.header.vocab_size) {
            return Err(self.damaged("a token lies outside the vocabulary"));
        }
        let ends: &[u32] = bytemuck::cast_slice(within(&self.sections.sentences));
        if !ends.is_sorted() {
            return Err(self.damaged("its sentences are not in order"));
        }
        let block = Arc::new(words);
        self.blocks.put((self.number, number), &block);
        self.checked[number / 64].fetch_or(1 << (number % 64), Ordering::Relaxed);
        Ok(block)
    }

    /// The greatest of some ids.
    fn greatest(&self, bytes: &[u8]) -> Option<u32> {
        match self.header.id_bytes {
            2 => bytemuck::cast_slice(bytes).iter().max().map(|&id: &u16| u32::from(id)),
            _ => bytemuck::cast_slice(bytes).iter().max().copied(),
        }
    }

    /// Shows `visit` the bytes of `range`, block by block, those of a block at an address that is a multiple of their size.
    fn each(&self, range: Range<usize>, mut visit: impl FnMut(&[u8])) -> Result<(), CorpusError> {
        let mut at = range.start;
        while at < range.end {
            let (number, offset) = ((at - HEADER) / BLOCK, (at - HEADER) % BLOCK);
            let n_bytes = (BLOCK - offset).min(range.end - at);
            if let Some(block) = self.blocks.get((self.number, number)) {
                visit(&bytemuck::cast_slice(&block)[offset..offset + n_bytes]);
            } else if self.checked[number / 64].load(Ordering::Relaxed) & 1 << (number % 64) == 0 {
                visit(&bytemuck::cast_slice(&self.block(number)?)[offset..offset + n_bytes]);
            } else {
                let before = at % WORD;
                let mut words = vec![0; (before + n_bytes).div_ceil(WORD)];
                self.fill(at - before, &mut words)?;
                visit(&bytemuck::cast_slice(&words)[before..before + n_bytes]);
            }
            at += n_bytes;
        }
        Ok(())
    }

    /// Appends the tokens of `range` to `ids`.
    pub(super) fn tokens(&self, range: Range<u32>, ids: &mut Vec<u32>) -> Result<(), CorpusError> {
        if range.start > range.end || u64::from(range.end) > self.header.n_tokens {
            return Err(self.damaged("a sentence lies outside its tokens"));
        }
        let known = ids.len();
        ids.reserve(range.len());
        let at = |token: u32| self.sections.tokens.start + token as usize * self.header.id_bytes as usize;
        self.each(at(range.start)..at(range.end), |bytes| match self.header.id_bytes {
            2 => ids.extend(bytemuck::cast_slice(bytes).iter().map(|&id: &u16| u32::from(id))),
            _ => ids.extend_from_slice(bytemuck::cast_slice(bytes)),
        })?;
        match ids[known..].iter().max() {
            Some(&id) if u64::from(id) >= self.header.vocab_size => {
                Err(self.damaged("a token lies outside the vocabulary"))
            }
            _ => Ok(()),
        }
    }

    /// Where the sentences of `range` end, in tokens of the shard.
    fn ends(&self, range: Range<u32>) -> Result<Vec<u32>, CorpusError> {
        let at = |sentence: u32| self.sections.sentences.start + 4 * sentence as usize;
        let mut ends = Vec::with_capacity(range.len());
        self.each(at(range.start)..at(range.end), |bytes| ends.extend_from_slice(bytemuck::cast_slice(bytes)))?;
        Ok(ends)
    }

    /// Where the first `n` sentences of a document end, in its tokens.
    ///
    /// # Panics
    /// If it has fewer.
    pub(super) fn sentence_end(&self, document: &Located, n: usize) -> Result<usize, CorpusError> {
        let Located { sentences, tokens, ends, .. } = document;
        assert!(n <= sentences.len(), "{n} sentences of a document with {}", sentences.len());
        let end = match (n.checked_sub(1), ends.is_empty()) {
            (None, _) => tokens.start,
            (Some(last), false) => ends[last],
            (Some(last), true) => {
                let number = sentences.start + last as u32;
                self.ends(number..number + 1)?[0]
            }
        };
        if !(tokens.start..=tokens.end).contains(&end) {
            return Err(self.damaged("its sentences are not in order"));
        }
        Ok((end - tokens.start) as usize)
    }

    /// Document number `index`.
    ///
    /// # Panics
    /// If there is no such document.
    pub(super) fn document(&self, index: usize) -> Result<Located, CorpusError> {
        let (first, entry) = self.entry(index)?;
        if first >= entry.end || u64::from(entry.end) > self.header.n_sentences {
            return Err(self.damaged("a document lies outside its sentences"));
        }
        let last = |sentences: Range<u32>| Ok(self.ends(sentences.end - 1..sentences.end)?[0]);
        let start = if first == 0 { 0 } else { last(0..first)? };
        let few = entry.end - first <= FEW;
        let ends = if few { self.ends(first..entry.end)? } else { Vec::new() };
        let end = if few { ends[ends.len() - 1] } else { last(first..entry.end)? };
        if start > end || u64::from(end) > self.header.n_tokens {
            return Err(self.damaged("a sentence lies outside its tokens"));
        }
        Ok(Located { entry, sentences: first..entry.end, tokens: start..end, ends })
    }

    /// The entry of document number `index`, and where its sentences begin.
    ///
    /// # Panics
    /// If there is no such document.
    fn entry(&self, index: usize) -> Result<(u32, Entry), CorpusError> {
        assert!((index as u64) < self.header.n_documents, "document {index} of {}", self.header.n_documents);
        let at = |index: usize| self.sections.documents.start + index * ENTRY * WORD;
        let (mut words, mut n) = ([0; 2 * ENTRY], if index == 0 { ENTRY } else { 0 });
        self.each(at(index.saturating_sub(1))..at(index + 1), |bytes| {
            let part: &[u64] = bytemuck::cast_slice(bytes);
            words[n..n + part.len()].copy_from_slice(part);
            n += part.len();
        })?;
        let [a, b, c, d, e, f] = words;
        let (before, entry) = (Entry::from_words([a, b, c]), Entry::from_words([d, e, f]));
        if entry.label != Entry::UNLABELLED && entry.label as usize >= self.n_labels {
            return Err(self.damaged("the number of a label is greater than there are labels"));
        }
        Ok((if index == 0 { 0 } else { before.end }, entry))
    }

    /// Reads everything and compares it with its checksums.
    pub(super) fn verify(&self) -> Result<(), CorpusError> {
        for number in 0..self.checksums.len() {
            self.block(number)?;
        }
        for index in 0..self.header.n_documents as usize {
            let document = self.document(index)?;
            let mut start = 0;
            for n in 1..=document.sentences.len() {
                let end = self.sentence_end(&document, n)?;
                if start > end {
                    return Err(self.damaged("its sentences are not in order"));
                }
                start = end;
            }
        }
        Ok(())
    }
}

fn open(path: &Path) -> Result<File, CorpusError> {
    open_regular(path).map_err(|source| CorpusError::Read { path: path.to_owned(), source })
}

/// Reads `words` from byte `start` on.
fn fill(file: &mut File, path: &Path, start: usize, words: &mut [u64]) -> Result<(), CorpusError> {
    let read = file.seek(SeekFrom::Start(start as u64)).and_then(|_| file.read_exact(bytemuck::cast_slice_mut(words)));
    read.map_err(|source| match source.kind() {
        io::ErrorKind::UnexpectedEof => {
            CorpusError::Damaged { path: path.to_owned(), problem: "it became shorter while it was in use" }
        }
        _ => CorpusError::Read { path: path.to_owned(), source },
    })
}
