//! The layout of a shard, a file of tokenised documents.
//!
//! ```text
//! header      12 words                      see `Header`
//! tokens      2 or 4 bytes each             padded to a word
//! sentences   4 bytes each                  end of each sentence, in tokens of the shard; padded to a word
//! documents   3 words each                  see `Entry`
//! checksums   a word per block of 64 KiB of the three sections above
//! ```
//!
//! A word has eight bytes; all numbers are little-endian. The last word of the header is the checksum of the header and
//! the checksums, so that opening reads those only; a block is checked when it is first read.

use std::ops::Range;

use twox_hash::XxHash3_64;

#[cfg(target_endian = "big")]
compile_error!("shards are read as they lie on the disk, in little-endian order");

/// Bytes of a word.
pub(super) const WORD: usize = 8;
/// Bytes of the header.
pub(super) const HEADER: usize = 12 * WORD;
/// Bytes under one checksum.
pub(super) const BLOCK: usize = 64 * 1024;
/// Words of an [`Entry`].
pub(super) const ENTRY: usize = 3;

const MAGIC: u64 = u64::from_le_bytes(*b"BURNFSHD");
/// Grows when the layout changes.
pub(super) const VERSION: u64 = 1;

/// The first bytes of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Bytes of a token id: 2 or 4.
    pub(super) id_bytes: u64,
    /// Upper bound of the ids.
    pub(super) vocab_size: u64,
    /// Place of the shard in its corpus.
    pub(super) number: u64,
    /// `true` if the first document goes on with the last one of the shard before.
    pub(super) continues: bool,
    pub(super) n_documents: u64,
    pub(super) n_sentences: u64,
    pub(super) n_tokens: u64,
    /// Hash of the build, so that shards of two builds are not mixed.
    pub(super) build: u128,
}

/// Reason why bytes are not the header of a shard.
pub(super) enum BadHeader {
    /// They do not start with the magic number.
    Foreign,
    /// They were written by another version of this crate.
    Version(u64),
    /// They contradict themselves or their checksum.
    Damaged,
}

impl Header {
    /// The words of the header of a shard with these checksums.
    pub(super) fn to_words(self, checksums: &[u64]) -> [u64; HEADER / WORD] {
        let mut words = [
            MAGIC,
            VERSION,
            self.id_bytes,
            self.vocab_size,
            self.number,
            u64::from(self.continues),
            self.n_documents,
            self.n_sentences,
            self.n_tokens,
            self.build as u64,
            (self.build >> 64) as u64,
            0,
        ];
        words[11] = checksum_of(&words[..11], bytemuck::cast_slice(checksums));
        words
    }

    /// Reads a header. Its sizes are not used before [`Sections::of`] has compared them with the file's.
    pub(super) fn from_words(words: &[u64; HEADER / WORD]) -> Result<Self, BadHeader> {
        let &[
            magic,
            version,
            id_bytes,
            vocab_size,
            number,
            continues,
            n_documents,
            n_sentences,
            n_tokens,
            low,
            high,
            _,
        ] = words;
        if magic != MAGIC {
            return Err(BadHeader::Foreign);
        }
        if version != VERSION {
            return Err(BadHeader::Version(version));
        }
        if !matches!(id_bytes, 2 | 4) || vocab_size > 1 << 32 || continues > 1 {
            return Err(BadHeader::Damaged);
        }
        let build = u128::from(high) << 64 | u128::from(low);
        let continues = continues == 1;
        Ok(Self { id_bytes, vocab_size, number, continues, n_documents, n_sentences, n_tokens, build })
    }
}

/// The checksum that stands in the header.
pub(super) fn checksum_of(words: &[u64], checksums: &[u8]) -> u64 {
    XxHash3_64::oneshot(&[bytemuck::cast_slice(words), checksums].concat())
}

/// The checksum of one block.
pub(super) fn checksum(block: &[u8]) -> u64 {
    XxHash3_64::oneshot(block)
}

/// Where the sections of a shard lie, in bytes from its beginning.
#[derive(Clone, Debug)]
pub(super) struct Sections {
    pub(super) tokens: Range<usize>,
    pub(super) sentences: Range<usize>,
    pub(super) documents: Range<usize>,
    pub(super) checksums: Range<usize>,
}

impl Sections {
    /// The sections of a shard with this header; `None` if its sizes overflow.
    pub(super) fn of(header: &Header) -> Option<Self> {
        let section = |start: usize, n: u64, bytes: usize| {
            let end = start.checked_add(usize::try_from(n).ok()?.checked_mul(bytes)?)?;
            Some((start..end, end.checked_next_multiple_of(WORD)?))
        };
        let (tokens, next) = section(HEADER, header.n_tokens, usize::try_from(header.id_bytes).ok()?)?;
        let (sentences, next) = section(next, header.n_sentences, 4)?;
        let (documents, next) = section(next, header.n_documents, ENTRY * WORD)?;
        let n_blocks = (next - HEADER).div_ceil(BLOCK);
        let (checksums, _) = section(next, n_blocks as u64, WORD)?;
        Some(Self { tokens, sentences, documents, checksums })
    }
}

/// One document, as it lies in a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Hash of its text.
    pub(super) content: u64,
    /// Hash of the name of its group; 0 if it has none.
    pub(super) group: u64,
    /// Number of its label; [`Entry::UNLABELLED`] if it has none.
    pub(super) label: u32,
    /// End of its sentences, among those of the shard.
    pub(super) end: u32,
}

impl Entry {
    pub(super) const UNLABELLED: u32 = u32::MAX;

    pub(super) fn to_words(self) -> [u64; ENTRY] {
        [self.content, self.group, u64::from(self.label) << 32 | u64::from(self.end)]
    }

    pub(super) fn from_words(words: [u64; ENTRY]) -> Self {
        let [content, group, numbers] = words;
        Self { content, group, label: (numbers >> 32) as u32, end: numbers as u32 }
    }
}
