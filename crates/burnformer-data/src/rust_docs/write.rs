//! Collected documentation as files of JSON lines.

use std::collections::BTreeMap;
use std::path::Path;

use burnformer_core::files::FileError;
use serde::Serialize;

use super::{Collection, FileDocs, ItemKind, Paragraph};
use crate::JsonLines;

/// What [`Collection::write`] wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WrittenDocs {
    /// Number of documents, each a file.
    pub files: u64,
    /// Number of their paragraphs.
    pub paragraphs: u64,
    /// Number of items of each kind.
    pub items: BTreeMap<&'static str, u64>,
}

/// A file with its paragraphs in lines.
#[derive(Serialize)]
struct DocumentRow<'a> {
    text: String,
    group: &'a str,
    path: String,
}

/// The first paragraph of what is said about an item.
#[derive(Serialize)]
struct ItemRow<'a> {
    text: &'a str,
    label: &'static str,
    group: &'a str,
}

impl Collection {
    /// Writes `documents.jsonl` and `items.jsonl` into `folder`: the files with their paragraphs in lines, and the first
    /// paragraph on each item of these `kinds`, or of any if there are none.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(&self, folder: &Path, kinds: &[String]) -> Result<WrittenDocs, FileError> {
        let mut written = WrittenDocs::default();
        let mut documents = JsonLines::create(&folder.join("documents.jsonl"))?;
        let mut items = JsonLines::create(&folder.join("items.jsonl"))?;
        for docs in &self.crates {
            let group = docs.repository.as_str();
            for FileDocs { path, paragraphs } in &docs.files {
                let text = paragraphs.iter().map(|paragraph| paragraph.text.as_str()).collect::<Vec<_>>().join("\n");
                documents.write(&DocumentRow { text, group, path: path.display().to_string() })?;
                written.files += 1;
                written.paragraphs += paragraphs.len() as u64;
                for Paragraph { text, kind, .. } in paragraphs {
                    let Some(label) = kind.map(ItemKind::label) else { continue };
                    if kinds.is_empty() || kinds.iter().any(|kind| kind == label) {
                        items.write(&ItemRow { text, label, group })?;
                        *written.items.entry(label).or_default() += 1;
                    }
                }
            }
        }
        documents.finish()?;
        items.finish()?;
        Ok(written)
    }
}
