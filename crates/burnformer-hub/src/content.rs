//! The hash of a file's content, which is its name in the cache.

use std::fmt::Write as _;
use std::io::{self, Read};

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// Bytes that are read or written at once.
pub(crate) const PIECE: usize = 128 << 10;

/// The hash of a file's content: that of git, or that of its extension for large files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ContentId {
    /// SHA-1 of the header `blob SIZE\0` and the content.
    Git(String),
    /// SHA-256 of the content.
    Large(String),
}

/// A hash of what has been seen of a file.
#[derive(Clone)]
pub(crate) enum Hasher {
    Git(Sha1),
    Large(Sha256),
}

impl ContentId {
    /// The hash of a blob of git, if `text` can be one.
    pub(crate) fn git(text: &str) -> Option<Self> {
        is_hash(text, &[40]).then(|| Self::Git(text.to_ascii_lowercase()))
    }

    /// The SHA-256 of a large file, if `text` can be one.
    pub(crate) fn large(text: &str) -> Option<Self> {
        is_hash(text, &[64]).then(|| Self::Large(text.to_ascii_lowercase()))
    }

    /// Lower-case hexadecimal digits.
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Git(text) | Self::Large(text) => text,
        }
    }

    /// The hash of a file of `size` bytes, of which none has been seen yet.
    pub(crate) fn hasher(&self, size: u64) -> Hasher {
        match self {
            Self::Git(_) => Hasher::Git(Sha1::new_with_prefix(format!("blob {size}\0"))),
            Self::Large(_) => Hasher::Large(Sha256::new()),
        }
    }
}

impl Hasher {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Git(hasher) => hasher.update(bytes),
            Self::Large(hasher) => hasher.update(bytes),
        }
    }

    /// Hashes the next piece of `file`, and returns its length.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn read(&mut self, file: &mut impl Read) -> io::Result<u64> {
        let mut piece = vec![0; PIECE];
        let count = file.read(&mut piece)?;
        self.update(&piece[..count]);
        Ok(count as u64)
    }

    /// The hash in lower-case hexadecimal digits.
    pub(crate) fn finish(self) -> String {
        let bytes = match self {
            Self::Git(hasher) => hasher.finalize().to_vec(),
            Self::Large(hasher) => hasher.finalize().to_vec(),
        };
        bytes.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}"); // A text takes everything.
            text
        })
    }
}

/// `true` for hexadecimal digits of one of these lengths, so that the text leads nowhere as a part of a path.
pub(crate) fn is_hash(text: &str, lengths: &[usize]) -> bool {
    lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_git_and_of_its_large_files() {
        let of = |id: &ContentId, content: &str| {
            let mut hasher = id.hasher(content.len() as u64);
            content.as_bytes().chunks(3).for_each(|piece| hasher.update(piece));
            hasher.finish()
        };
        // `printf hello | git hash-object --stdin`, `printf hello | sha256sum`
        let git = ContentId::git("B6FC4C620B67D95F953A5C1C1230AAAB5DB5A1B0").unwrap();
        assert_eq!(of(&git, "hello"), git.as_str());
        let sum = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        assert_eq!(of(&ContentId::large(sum).unwrap(), "hello"), sum);
    }

    #[test]
    fn what_is_no_hash_names_no_file() {
        let digits = "0123456789abcdef".repeat(4);
        for wrong in ["", "..", "/a", "0a1b", &format!("/{}", &digits[1..]), &format!("{digits}0"), &"ä".repeat(32)] {
            assert_eq!((ContentId::git(wrong), ContentId::large(wrong)), (None, None), "{wrong}");
        }
        assert!(ContentId::git(&digits).is_none() && ContentId::git(&digits[..40]).is_some());
    }
}
