//! Collected documentation, as documents and as labelled items.

use std::hash::Hasher;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burnformer_core::progress::Interrupted;
use twox_hash::{XxHash3_64, XxHash3_128};

use super::error::{BadFile, RustDocsError};
use super::items::ItemKind;
use crate::DataError;
use crate::record::Record;
use crate::source::{BytesRead, Part, RecordReader, Source};
use crate::target::Target;

/// The documentation of many crates, without duplicates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collection {
    /// The crates that have any, or files that cannot be read, by name and version.
    pub crates: Vec<CrateDocs>,
}

/// The documentation of a crate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrateDocs {
    /// Its name.
    pub name: String,
    /// Its version, if it has one.
    pub version: Option<String>,
    /// The address of its repository, the same for all crates in it, or the crate's name if none is known.
    pub repository: String,
    /// Its files with text: the README, then source, then guides.
    pub files: Vec<FileDocs>,
    /// Files that cannot be read or parsed.
    pub bad_files: Vec<BadFile>,
    /// Files above 2 MiB, which are mostly generated. They are skipped without an error.
    pub too_large: Vec<PathBuf>,
}

/// The documentation in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileDocs {
    /// The file.
    pub path: Arc<Path>,
    /// Its text, in order.
    pub paragraphs: Vec<Paragraph>,
}

/// A paragraph, an item of a list, or a quote: plain text in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paragraph {
    /// The text.
    pub text: String,
    /// The line it begins in, counted from one.
    pub line: u64,
    /// What it documents if it is the first paragraph of a doc comment. `None` if the same text documents items of
    /// different kinds elsewhere.
    pub kind: Option<ItemKind>,
}

impl CrateDocs {
    pub(super) fn new(name: String, version: Option<String>, repository: String) -> Self {
        Self { name, version, repository, files: Vec::new(), bad_files: Vec::new(), too_large: Vec::new() }
    }

    /// Every paragraph, with the file it stands in.
    pub fn paragraphs(&self) -> impl Iterator<Item = (&FileDocs, &Paragraph)> {
        self.files.iter().flat_map(|file| file.paragraphs.iter().map(move |paragraph| (file, paragraph)))
    }

    fn part(&self) -> Part {
        let name = match &self.version {
            Some(version) => format!("{} {version}", self.name),
            None => self.name.clone(),
        };
        let bytes = self.paragraphs().map(|(_, paragraph)| paragraph.text.len() as u64).sum();
        Part { name, bytes }
    }

    /// Hash of everything that records hold.
    fn fingerprint(&self) -> u64 {
        let mut hasher = XxHash3_64::with_seed(0);
        hasher.write(self.repository.as_bytes());
        hasher.write(b"\n");
        self.write(&mut |text| hasher.write(text));
        hasher.finish()
    }

    /// Hands out everything that a hash depends on: texts, files and kinds, but not where the crate lies.
    fn write(&self, out: &mut dyn FnMut(&[u8])) {
        for file in &self.files {
            for paragraph in &file.paragraphs {
                out(paragraph.text.as_bytes());
                out(paragraph.kind.map_or("", ItemKind::label).as_bytes());
                out(b"\n");
            }
            out(b"\n");
        }
    }
}

impl Collection {
    /// Hash of the collection, in 32 hexadecimal digits: the same crates with the same text have the same hash on every
    /// machine.
    #[must_use]
    pub fn hash(&self) -> String {
        let mut hasher = XxHash3_128::with_seed(0);
        for docs in &self.crates {
            for text in [&docs.name, docs.version.as_deref().unwrap_or_default(), &docs.repository] {
                hasher.write(text.as_bytes());
                hasher.write(b"\n");
            }
            docs.write(&mut |text| hasher.write(text));
        }
        format!("{:032x}", hasher.finish_128())
    }

    /// One record for each file, its paragraphs in lines of their own, grouped by repository.
    ///
    /// Each crate is a part, whose bytes are those of its text. Its last records are the errors of its bad files.
    #[must_use]
    pub fn documents(self) -> Documents {
        Documents { parts: self.parts(), crates: self.into_shared() }
    }

    /// One record for each item: the first paragraph of its documentation, labelled with [`ItemKind::label`], grouped
    /// by repository.
    ///
    /// A text occurs once. A text that documents items of different kinds is left out. Parts and errors are those of
    /// [`Self::documents`].
    #[must_use]
    pub fn items(self) -> Items {
        Items { parts: self.parts(), crates: self.into_shared() }
    }

    fn parts(&self) -> Vec<Part> {
        self.crates.iter().map(CrateDocs::part).collect()
    }

    fn into_shared(self) -> Vec<Arc<CrateDocs>> {
        self.crates.into_iter().map(Arc::new).collect()
    }
}

/// The source that [`Collection::documents`] makes.
#[derive(Clone, Debug)]
pub struct Documents {
    parts: Vec<Part>,
    crates: Vec<Arc<CrateDocs>>,
}

impl Source for Documents {
    fn parts(&self) -> &[Part] {
        &self.parts
    }

    fn fingerprint(&self, part: usize, tick: &mut dyn FnMut(u64) -> Result<(), Interrupted>) -> Result<u64, DataError> {
        tick(self.parts[part].bytes)?;
        Ok(self.crates[part].fingerprint())
    }

    fn layout(&self) -> String {
        "documents".to_owned()
    }

    fn read(&self, part: usize, _bytes: &BytesRead) -> RecordReader {
        let docs = Arc::clone(&self.crates[part]);
        let records = (0..docs.files.len()).map({
            let docs = Arc::clone(&docs);
            move |file| {
                let FileDocs { path, paragraphs } = &docs.files[file];
                let text = paragraphs.iter().map(|paragraph| paragraph.text.as_str()).collect::<Vec<_>>().join("\n");
                let line = paragraphs.first().map_or(1, |paragraph| paragraph.line);
                Record { group: Some(docs.repository.clone()), ..Record::new(text, Arc::clone(path), line) }
            }
        });
        reader(records, docs)
    }
}

/// The source that [`Collection::items`] makes.
#[derive(Clone, Debug)]
pub struct Items {
    parts: Vec<Part>,
    crates: Vec<Arc<CrateDocs>>,
}

impl Source for Items {
    fn parts(&self) -> &[Part] {
        &self.parts
    }

    fn fingerprint(&self, part: usize, tick: &mut dyn FnMut(u64) -> Result<(), Interrupted>) -> Result<u64, DataError> {
        tick(self.parts[part].bytes)?;
        Ok(self.crates[part].fingerprint())
    }

    fn layout(&self) -> String {
        "items".to_owned()
    }

    fn read(&self, part: usize, _bytes: &BytesRead) -> RecordReader {
        let docs = Arc::clone(&self.crates[part]);
        let records = (0..docs.files.len()).flat_map({
            let docs = Arc::clone(&docs);
            move |file| {
                let FileDocs { path, paragraphs } = &docs.files[file];
                let items = paragraphs.iter().filter_map(|paragraph| {
                    let label = paragraph.kind?.label().to_owned();
                    let record = Record::new(paragraph.text.clone(), Arc::clone(path), paragraph.line);
                    Some(Record { target: Some(Target::Class(label)), group: Some(docs.repository.clone()), ..record })
                });
                items.collect::<Vec<_>>()
            }
        });
        reader(records, docs)
    }
}

/// The records of a crate, then its bad files.
fn reader(records: impl Iterator<Item = Record> + Send + 'static, docs: Arc<CrateDocs>) -> RecordReader {
    let errors = (0..docs.bad_files.len()).map(move |file| docs.bad_files[file].clone());
    Box::new(records.map(Ok).chain(errors.map(|file| Err(RustDocsError::File(file).into()))))
}
