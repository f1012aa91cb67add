//! Hashes of texts, by which corpora and splits detect duplicates. They are the same on every machine.

use twox_hash::XxHash3_64;

use crate::Record;

/// A hash of `text`.
pub(crate) fn hash(text: &str) -> u64 {
    XxHash3_64::oneshot(text.as_bytes())
}

/// A hash of `text` chained to the hash `before`.
pub(crate) fn hash_behind(before: u64, text: &str) -> u64 {
    XxHash3_64::oneshot_with_seed(before, text.as_bytes())
}

/// A hash of the text or the pair of texts of a record; target and group do not count.
pub(crate) fn content_hash(record: &Record) -> u64 {
    hash_of_texts(&record.text, record.pair.as_deref())
}

/// A hash of a text, or of a pair of texts.
pub(crate) fn hash_of_texts(text: &str, pair: Option<&str>) -> u64 {
    let text = hash(text);
    pair.map_or(text, |pair| hash_behind(text, pair))
}
