//! What remains of crates when duplicates are removed and giants are cut.

use std::collections::HashMap;

use twox_hash::XxHash3_64;

use super::collection::CrateDocs;
use super::items::ItemKind;

/// Takes crates one after the other and keeps of each what none before it says.
pub(super) struct Reducer {
    max_bytes_per_crate: usize,
    /// By the hash of its text what a paragraph documents, wherever it was seen.
    seen: HashMap<u64, Seen>,
    crates: Vec<CrateDocs>,
}

/// What the occurrences of a text document.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    NoItem,
    Items(ItemKind),
    DifferentItems,
}

impl Seen {
    fn add(&mut self, kind: ItemKind) {
        *self = match *self {
            Self::NoItem => Self::Items(kind),
            Self::Items(known) if known == kind => return,
            _ => Self::DifferentItems,
        };
    }
}

impl Reducer {
    pub(super) fn new(max_bytes_per_crate: usize) -> Self {
        Self { max_bytes_per_crate, seen: HashMap::new(), crates: Vec::new() }
    }

    /// Adds a crate up to the first new paragraph that does not fit.
    pub(super) fn add(&mut self, mut docs: CrateDocs) {
        let (mut room, mut full) = (self.max_bytes_per_crate, false);
        for file in &mut docs.files {
            file.paragraphs.retain(|paragraph| {
                let hash = hash(&paragraph.text);
                let is_new = !self.seen.contains_key(&hash);
                full |= is_new && paragraph.text.len() > room;
                if full {
                    return false;
                }
                let seen = self.seen.entry(hash).or_insert(Seen::NoItem);
                paragraph.kind.into_iter().for_each(|kind| seen.add(kind));
                room -= if is_new { paragraph.text.len() } else { 0 };
                is_new
            });
            file.paragraphs.shrink_to_fit();
        }
        docs.files.retain(|file| !file.paragraphs.is_empty());
        docs.files.shrink_to_fit();
        if !(docs.files.is_empty() && docs.bad_files.is_empty() && docs.too_large.is_empty()) {
            self.crates.push(docs);
        }
    }

    /// The crates, their paragraphs with the kind of all occurrences of the text.
    ///
    /// So the README's first sentence is a `mod` if the crate's doc comment repeats it.
    pub(super) fn finish(mut self) -> Vec<CrateDocs> {
        for docs in &mut self.crates {
            for paragraph in docs.files.iter_mut().flat_map(|file| &mut file.paragraphs) {
                paragraph.kind = match self.seen.get(&hash(&paragraph.text)) {
                    Some(Seen::Items(kind)) => Some(*kind),
                    _ => None,
                };
            }
        }
        self.crates
    }
}

/// The same for texts that differ in nothing but case. White space was collapsed before.
fn hash(text: &str) -> u64 {
    XxHash3_64::oneshot(text.to_lowercase().as_bytes())
}
