//! A shard, mapped into memory and checked as it is read.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::Mmap;

use super::format::{self, BLOCK, BadHeader, ENTRY, Entry, HEADER, Header, Sections, WORD};
use super::{CorpusError, Ids};

/// A file of tokenised documents.
///
/// Opening it reads the header and the checksums; each block of 64 KiB is compared with its checksum when it is first
/// read. No number in the file is used before it is checked.
#[derive(Debug)]
pub(super) struct Shard {
    path: PathBuf,
    map: Mmap,
    header: Header,
    sections: Sections,
    /// One bit per block, set when its checksum has been verified.
    checked: Box<[AtomicU64]>,
}

/// One document of a shard: its entry, and the sentences in it as ends within the tokens of the shard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Located<'a> {
    pub(super) entry: Entry,
    /// First token of the first sentence.
    pub(super) start: u32,
    pub(super) ends: &'a [u32],
}

impl Shard {
    pub(super) fn open(path: &Path) -> Result<Self, CorpusError> {
        let read = |source| CorpusError::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(read)?;
        let map = map(&file).map_err(read)?;
        let damaged = |problem| CorpusError::Damaged { path: path.to_owned(), problem };
        let Some(bytes) = map.get(..HEADER) else { return Err(CorpusError::Foreign { path: path.to_owned() }) };
        let words: &[u64] = bytemuck::cast_slice(bytes);
        let words: &[u64; HEADER / WORD] = words.try_into().map_err(|_| damaged("its header is cut off"))?;
        let header = Header::from_words(words).map_err(|bad| match bad {
            BadHeader::Foreign => CorpusError::Foreign { path: path.to_owned() },
            BadHeader::Version(version) => CorpusError::Version { path: path.to_owned(), version },
            BadHeader::Damaged => damaged("its header contradicts itself"),
        })?;
        let sections =
            Sections::of(&header).ok_or_else(|| damaged("its header asks for more than any file can hold"))?;
        if sections.checksums.end != map.len() {
            return Err(damaged("its length is not what its header says"));
        }
        if format::checksum_of(&words[..words.len() - 1], &map[sections.checksums.clone()]) != words[words.len() - 1] {
            return Err(damaged("the checksum of its header is wrong"));
        }
        let n_blocks = sections.checksums.len() / WORD;
        let checked = (0..n_blocks.div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        Ok(Self { path: path.to_owned(), map, header, sections, checked })
    }

    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    fn damaged(&self, problem: &'static str) -> CorpusError {
        CorpusError::Damaged { path: self.path.clone(), problem }
    }

    /// The bytes of `range`, after verification of the checksums of its blocks.
    fn bytes(&self, range: Range<usize>) -> Result<&[u8], CorpusError> {
        if !range.is_empty() {
            for block in (range.start - HEADER) / BLOCK..=(range.end - 1 - HEADER) / BLOCK {
                self.check(block)?;
            }
        }
        Ok(&self.map[range])
    }

    /// Verifies a block once: its checksum, its ids against the size of the vocabulary, and the order of its ends.
    fn check(&self, block: usize) -> Result<(), CorpusError> {
        let (word, bit) = (&self.checked[block / 64], 1 << (block % 64));
        if word.load(Ordering::Relaxed) & bit != 0 {
            return Ok(());
        }
        let start = HEADER + block * BLOCK;
        let end = (start + BLOCK).min(self.sections.checksums.start);
        let checksums: &[u64] = bytemuck::cast_slice(&self.map[self.sections.checksums.clone()]);
        if format::checksum(&self.map[start..end]) != checksums[block] {
            return Err(self.damaged("the checksum of a block is wrong"));
        }
        let ids = start..end.min(self.sections.tokens.end).max(start);
        if self.ids(ids).max().is_some_and(|id| u64::from(id) >= self.header.vocab_size) {
            return Err(self.damaged("a token lies outside the vocabulary"));
        }
        let Range { start: first, end: last } = self.sections.sentences;
        // The last end of the block before belongs to the order too.
        let ends: &[u32] =
            bytemuck::cast_slice(&self.map[start.saturating_sub(4).max(first).min(last)..end.clamp(first, last)]);
        if !ends.is_sorted() {
            return Err(self.damaged("its sentences are not in order"));
        }
        word.fetch_or(bit, Ordering::Relaxed);
        Ok(())
    }

    /// The bytes of `range`, which lies in the section of tokens, as ids.
    fn ids(&self, range: Range<usize>) -> Ids<'_> {
        let bytes = &self.map[range];
        match self.header.id_bytes {
            2 => Ids::Narrow(bytemuck::cast_slice(bytes)),
            _ => Ids::Wide(bytemuck::cast_slice(bytes)),
        }
    }

    /// The tokens of `range`.
    pub(super) fn tokens(&self, range: Range<u32>) -> Result<Ids<'_>, CorpusError> {
        if range.start > range.end || u64::from(range.end) > self.header.n_tokens {
            return Err(self.damaged("a sentence lies outside its tokens"));
        }
        let at = |token: u32| self.sections.tokens.start + token as usize * self.header.id_bytes as usize;
        let range = at(range.start)..at(range.end);
        self.bytes(range.clone())?;
        Ok(self.ids(range))
    }

    /// Document number `index`.
    ///
    /// # Panics
    /// If there is no such document.
    pub(super) fn document(&self, index: usize) -> Result<Located<'_>, CorpusError> {
        let entry = self.entry(index)?;
        let first = if index == 0 { 0 } else { self.entry(index - 1)?.end };
        if first >= entry.end || u64::from(entry.end) > self.header.n_sentences {
            return Err(self.damaged("a document lies outside its sentences"));
        }
        let at = |sentence: u32| self.sections.sentences.start + 4 * sentence as usize;
        let before = first.saturating_sub(1);
        let ends: &[u32] = bytemuck::cast_slice(self.bytes(at(before)..at(entry.end))?);
        let (start, ends) = match first {
            0 => (0, ends),
            _ => ends.split_first().map_or((0, ends), |(&start, ends)| (start, ends)),
        };
        let end = ends.last().copied().unwrap_or(start);
        if start > end || u64::from(end) > self.header.n_tokens {
            return Err(self.damaged("a sentence lies outside its tokens"));
        }
        Ok(Located { entry, start, ends })
    }

    /// The entry of document number `index`.
    ///
    /// # Panics
    /// If there is no such document.
    pub(super) fn entry(&self, index: usize) -> Result<Entry, CorpusError> {
        let start = self.sections.documents.start + index * ENTRY * WORD;
        assert!(start < self.sections.documents.end, "document {index} of {}", self.header.n_documents);
        let mut words = [0; ENTRY];
        words.copy_from_slice(bytemuck::cast_slice(self.bytes(start..start + ENTRY * WORD)?));
        Ok(Entry::from_words(words))
    }

    /// Reads everything and compares it with its checksums.
    pub(super) fn verify(&self) -> Result<(), CorpusError> {
        self.bytes(HEADER..self.sections.checksums.start)?;
        for index in 0..self.header.n_documents as usize {
            let located = self.document(index)?;
            let mut start = located.start;
            for &end in located.ends {
                self.tokens(start..end)?;
                start = end;
            }
        }
        Ok(())
    }
}

/// Maps a file into memory.
#[allow(unsafe_code)]
fn map(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: the map is read only as plain numbers, for which every bit pattern is valid, and nothing read from it is
    // trusted without a check of its range. What remains is that another process changes or shortens the file meanwhile;
    // shards are written under another name and renamed, never in place, and the documentation says so.
    unsafe { Mmap::map(file) }
}
