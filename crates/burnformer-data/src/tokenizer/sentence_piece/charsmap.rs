//! The character map of a SentencePiece model: what replaces which characters.

/// Longest replacement, in bytes. The longest of Unicode's own, NFKC of `U+FDFA`, has 33.
const REPLACEMENT: usize = 48;

/// A map from sequences of characters to what replaces them, `precompiled_charsmap`: a double-array trie, and replacements
/// that end with a zero.
///
/// Source: `normalizer.cc` and `darts.h` of SentencePiece.
#[derive(Clone, Debug, Default)]
pub(in crate::tokenizer) struct CharsMap {
    trie: Vec<u32>,
    replacements: String,
}

impl CharsMap {
    /// Reads a map; `None` if it is none, or holds a replacement of more than [`REPLACEMENT`] bytes.
    pub(in crate::tokenizer) fn read(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() {
            return Some(Self::default());
        }
        let (size, rest) = bytes.split_first_chunk()?;
        let (trie, replacements) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*size)).ok()?)?;
        let (units, []) = trie.as_chunks() else { return None };
        let replacements = str::from_utf8(replacements).ok()?;
        if units.is_empty() || replacements.split('\0').any(|it| it.len() > REPLACEMENT) {
            return None;
        }
        let trie = units.iter().copied().map(u32::from_le_bytes).collect();
        Some(Self { trie, replacements: replacements.to_owned() })
    }

    /// What replaces the beginning of `text`, and the length of the latter in bytes: the longest that the map has, or the
    /// first character as it is. `text` is not empty.
    pub(super) fn prefix<'a>(&'a self, text: &'a str) -> (&'a str, usize) {
        let replaced = self.longest(text.as_bytes()).filter(|&(_, length)| text.is_char_boundary(length));
        let replacement = replaced.and_then(|(at, length)| Some((self.replacements.get(at..)?, length)));
        if let Some((rest, length)) = replacement {
            return (rest.split('\0').next().unwrap_or_default(), length);
        }
        let length = text.chars().next().map_or(0, char::len_utf8);
        (&text[..length], length)
    }

    /// Place of the replacement for the longest key that `text` begins with, and the length of the key.
    fn longest(&self, text: &[u8]) -> Option<(usize, usize)> {
        let offset = |unit: u32| (unit >> 10) << ((unit & (1 << 9)) >> 6);
        let mut node = offset(*self.trie.first()?);
        let mut longest = None;
        for (length, &byte) in (1..).zip(text) {
            node ^= u32::from(byte);
            let Some(&unit) = self.trie.get(node as usize) else { break };
            if unit & (1 << 31 | 0xff) != u32::from(byte) {
                break;
            }
            node ^= offset(unit);
            if unit >> 8 & 1 == 1 {
                let Some(leaf) = self.trie.get(node as usize) else { break };
                longest = Some(((leaf & !(1 << 31)) as usize, length));
            }
        }
        longest
    }
}
