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
    let text = hash(&record.text);
    record.pair.as_ref().map_or(text, |pair| hash_behind(text, pair))
}
