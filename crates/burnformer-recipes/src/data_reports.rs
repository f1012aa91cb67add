//! Reports on data (tokenizers, corpora, splits, documentation) and devices.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use burnformer_data::class_names::OddClasses;
use burnformer_data::conflicts::Conflicts;
use burnformer_data::corpus::{Hash, Outcome};
use burnformer_data::rust_docs::{Collection, WrittenDocs};
use burnformer_data::split::{FilesSplit, PartCounts, SplitBy};
use burnformer_data::statistics::Statistics;
use burnformer_data::tokenizer::{Coverage, Tokenizer, TokenizerKind};
use burnformer_ops::{DeviceChoice, HostProducts, host_products};
use indicatif::HumanCount;
use serde::Serialize;

use crate::Report;
use crate::text::{MOST_NAMED, fact};

/// Number of labels that the text of a split with more than [`MOST_NAMED`] shows: those with the fewest documents.
const FEWEST: usize = 20;

/// The report of a trained tokenizer.
#[derive(Clone, Debug, Serialize)]
pub struct TokenizerReport {
    /// Folder of the tokenizer.
    pub folder: PathBuf,
    /// Kind of the tokenizer.
    pub kind: TokenizerKind,
    /// Number of tokens.
    pub vocab_size: usize,
    /// Hash of all that its tokens depend on.
    pub fingerprint: Hash,
    /// Number of tokens of the text that it was trained on.
    pub text_tokens: u64,
    /// Number of these that are unknown tokens.
    pub unknown_tokens: u64,
    /// Bytes of that text.
    pub text_bytes: u64,
    /// Number of marks of that text that carry meaning in their script, and that are stripped with accents.
    pub stripped_marks: u64,
    /// Rows that were skipped.
    pub skipped_rows: u64,
}

/// The report of a corpus that was built.
#[derive(Clone, Debug, Serialize)]
pub struct CorpusReport {
    /// Folder of the corpus.
    pub folder: PathBuf,
    /// Number of documents.
    pub documents: u64,
    /// Number of documents that are pairs of texts.
    pub pairs: Option<u64>,
    /// Number of sentences.
    pub sentences: u64,
    /// Number of tokens.
    pub tokens: u64,
    /// Number of these that are unknown tokens.
    pub unknown_tokens: u64,
    /// Bytes of the text.
    pub text_bytes: u64,
    /// Number of marks of the text that carry meaning in their script, and that the tokenizer strips with accents.
    pub stripped_marks: u64,
    /// Size of the vocabulary.
    pub vocab_size: u64,
    /// Names of the labels.
    pub labels: Vec<String>,
    /// Number of shards.
    pub shards: usize,
    /// Number of records without tokens.
    pub empty_records: u64,
    /// Rows that were skipped.
    pub skipped_rows: u64,
    /// `true` if the corpus was there already, built from the same text.
    pub reused: bool,
    /// Tokens of an interrupted build that were not computed again.
    pub resumed_tokens: u64,
    /// Hash of all that the corpus depends on.
    pub build: Hash,
}

/// The report of texts that were split into files.
#[derive(Clone, Debug, Serialize)]
pub struct SplitReport {
    /// Folder of the files.
    pub folder: PathBuf,
    /// What was kept together, or balanced.
    pub by: SplitBy,
    /// Seed of the split.
    pub seed: u64,
    /// The part for training.
    pub train: PartCounts,
    /// The part for validation.
    pub validation: PartCounts,
    /// The part for testing.
    pub test: PartCounts,
    /// Number of documents left out as duplicates of an earlier one: the same text with the same label.
    pub duplicates: usize,
    /// Texts that occur with different labels.
    pub conflicts: Conflicts,
    /// What is odd about the labels.
    pub odd_classes: OddClasses,
    /// Rows that were skipped.
    pub skipped_rows: u64,
}

/// The report of documentation that was collected.
#[derive(Clone, Debug, Serialize)]
pub struct RustDocsReport {
    /// Folder of the files.
    pub folder: PathBuf,
    /// Hash of all texts.
    pub hash: String,
    /// Number of crates with documentation.
    pub crates: u64,
    /// What was written.
    #[serde(flatten)]
    pub written: WrittenDocs,
    /// Files that could not be read.
    pub bad_files: usize,
    /// Files that were left out, since files of their size are generated.
    pub too_large: usize,
}

/// The devices of this machine that this program can use.
#[derive(Clone, Debug, Serialize)]
pub struct DevicesReport {
    /// The devices, the best GPU first.
    pub devices: Vec<DeviceRow>,
    /// Name of the device that was asked for.
    pub choice: String,
    /// The device that this name selects, if it is available.
    pub chosen: Option<String>,
    /// How the processor multiplies each type, on the devices `ndarray` and `flex`.
    pub products: Vec<HostProducts>,
    /// The backends that are compiled in.
    pub features: Vec<&'static str>,
}

/// A device.
#[derive(Clone, Debug, Serialize)]
pub struct DeviceRow {
    /// Name that selects it.
    pub device: String,
    /// Description of the device.
    pub description: String,
}

impl TokenizerReport {
    /// Of a tokenizer that was saved in `folder`.
    #[must_use]
    pub fn new(folder: &Path, tokenizer: &Tokenizer, coverage: Coverage, skipped_rows: u64) -> Self {
        Self {
            folder: folder.to_owned(),
            kind: tokenizer.kind(),
            vocab_size: tokenizer.vocab_size(),
            fingerprint: Hash(tokenizer.fingerprint()),
            text_tokens: coverage.tokens,
            unknown_tokens: coverage.unknown_tokens,
            text_bytes: coverage.text_bytes,
            stripped_marks: coverage.stripped_marks,
            skipped_rows,
        }
    }

    /// What may be wrong with the tokenizer, and what to do about it.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let remedy = match self.kind {
            TokenizerKind::WordLevel => {
                "raise `--vocab-size`, lower `min_frequency`, or train with `--kind byte-level-bpe`"
            }
            _ => "train with `--kind byte-level-bpe`, which knows every text",
        };
        let unknown = unknown_warning(self.unknown_tokens, self.text_tokens, remedy);
        let keep = "keep them with `--set strip_accents=false`";
        unknown.into_iter().chain(marks_warning(self.stripped_marks, self.text_bytes, keep)).collect()
    }
}

impl CorpusReport {
    /// Of a corpus that was built in `folder`.
    #[must_use]
    pub fn new(folder: &Path, built: &Outcome) -> Self {
        let manifest = built.corpus.manifest();
        let counts = manifest.counts();
        Self {
            folder: folder.to_owned(),
            documents: counts.documents,
            pairs: manifest.pairs,
            sentences: counts.sentences,
            tokens: counts.tokens,
            unknown_tokens: manifest.unknown_tokens,
            text_bytes: manifest.text_bytes,
            stripped_marks: manifest.stripped_marks,
            vocab_size: manifest.vocab_size,
            labels: manifest.labels.clone(),
            shards: manifest.shards.len(),
            empty_records: manifest.empty_records,
            skipped_rows: manifest.skipped_rows,
            reused: built.reused,
            resumed_tokens: built.resumed_tokens,
            build: manifest.build,
        }
    }
}

impl CorpusReport {
    /// What may be wrong with the corpus, and what to do about it.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let remedy = "train a tokenizer on this text with `burnformer tokenizer train --kind byte-level-bpe`";
        let unknown = unknown_warning(self.unknown_tokens, self.tokens, remedy);
        let keep = "train a tokenizer that keeps them with `burnformer tokenizer train --set strip_accents=false`";
        unknown.into_iter().chain(marks_warning(self.stripped_marks, self.text_bytes, keep)).collect()
    }
}

/// Share of unknown tokens from which on it is told: a tokenizer that fits its text has less than one in a hundred.
const HIGH_UNKNOWN: f64 = 0.05;
/// Share of stripped marks in the bytes of a text from which on they are told. A script with such marks has some in a hundred.
const HIGH_MARKS: f64 = 0.001;

fn unknown_warning(unknown: u64, tokens: u64, remedy: &str) -> Option<String> {
    let share = unknown as f64 / tokens.max(1) as f64;
    let n = HumanCount(unknown);
    (share >= HIGH_UNKNOWN).then(|| {
        format!(
            "{:.1} % of the tokens are unknown ({n}): a model learns nothing from these words; {remedy}",
            100.0 * share
        )
    })
}

fn marks_warning(marks: u64, text_bytes: u64, remedy: &str) -> Option<String> {
    let n = HumanCount(marks);
    (marks > 0 && marks as f64 >= HIGH_MARKS * text_bytes.max(1) as f64).then(|| {
        format!(
            "stripping accents removes {n} marks that carry meaning in their script, such as vowel signs, tone marks or voicing \
             marks: {remedy}"
        )
    })
}

impl SplitReport {
    /// Of files that were written to `folder`.
    #[must_use]
    pub fn new(folder: &Path, split: &FilesSplit) -> Self {
        let mut classes: BTreeMap<&str, u64> = BTreeMap::new();
        for (class, texts) in [&split.train, &split.validation, &split.test].into_iter().flat_map(|part| &part.labels) {
            *classes.entry(class).or_default() += texts;
        }
        Self {
            folder: folder.to_owned(),
            by: split.by,
            seed: split.seed,
            train: split.train.clone(),
            validation: split.validation.clone(),
            test: split.test.clone(),
            duplicates: split.duplicates,
            conflicts: split.conflicts.clone(),
            odd_classes: OddClasses::of(classes.iter().map(|(class, texts)| (*class, *texts))),
            skipped_rows: split.skipped.rows,
        }
    }
}

impl RustDocsReport {
    /// Of a collection that was written to `folder`.
    #[must_use]
    pub fn new(folder: &Path, collection: &Collection, written: WrittenDocs) -> Self {
        let crates = &collection.crates;
        Self {
            folder: folder.to_owned(),
            hash: collection.hash(),
            crates: crates.iter().filter(|docs| !docs.files.is_empty()).count() as u64,
            written,
            bad_files: crates.iter().map(|docs| docs.bad_files.len()).sum(),
            too_large: crates.iter().map(|docs| docs.too_large.len()).sum(),
        }
    }
}

impl DevicesReport {
    /// What this machine has, and what `choice` selects of it.
    #[must_use]
    pub fn new(choice: DeviceChoice) -> Self {
        let available = DeviceChoice::available();
        let chosen = choice.open().ok().and_then(|device| {
            let same = available.iter().find(|(other, _)| other.open().as_ref() == Ok(&device));
            same.map(|(name, _)| name.to_string())
        });
        let row = |(device, description): (DeviceChoice, String)| DeviceRow { device: device.to_string(), description };
        let devices = available.into_iter().map(row).collect();
        let features = DeviceChoice::compiled();
        Self { devices, choice: choice.to_string(), chosen, products: host_products(), features }
    }
}

/// A number, and its share of all.
fn of_all(n: u64, all: u64) -> String {
    format!("{} ({:.2} %)", HumanCount(n), 100.0 * n as f64 / all.max(1) as f64)
}

impl Report for TokenizerReport {
    fn text(&self) -> String {
        [
            fact("tokenizer", self.folder.display()),
            fact("tokens", HumanCount(self.vocab_size as u64)),
            fact("unknown tokens", of_all(self.unknown_tokens, self.text_tokens)),
            fact("fingerprint", self.fingerprint),
            fact("rows skipped", HumanCount(self.skipped_rows)),
        ]
        .concat()
    }
}

impl Report for CorpusReport {
    fn text(&self) -> String {
        let was_there = if self.reused { " (existing, unchanged)" } else { "" };
        let mut text = fact("corpus", format_args!("{}{was_there}", self.folder.display()));
        text += &fact("documents", HumanCount(self.documents));
        if let Some(pairs @ 1..) = self.pairs {
            text += &fact("pairs", HumanCount(pairs));
        }
        text += &fact("sentences", HumanCount(self.sentences));
        text += &fact("tokens", HumanCount(self.tokens));
        text += &fact("unknown tokens", of_all(self.unknown_tokens, self.tokens));
        text += &fact("bytes of text", HumanCount(self.text_bytes));
        if !self.labels.is_empty() {
            text += &fact("labels", HumanCount(self.labels.len() as u64));
        }
        text += &fact("shards", HumanCount(self.shards as u64));
        text += &fact("empty records", HumanCount(self.empty_records));
        text += &fact("rows skipped", HumanCount(self.skipped_rows));
        if self.resumed_tokens > 0 {
            text += &fact("tokens resumed", HumanCount(self.resumed_tokens));
        }
        text
    }
}

impl Report for SplitReport {
    fn text(&self) -> String {
        let parts = [&self.train, &self.validation, &self.test];
        let count = |number: u64| HumanCount(number).to_string();
        let row = |name: &str, [a, b, c]: [String; 3]| fact(name, format_args!("{a:>12} {b:>12} {c:>12}"));
        let mut text = row("", ["train", "validation", "test"].map(str::to_owned));
        let labels: BTreeSet<_> = parts.iter().flat_map(|part| part.labels.keys()).collect();
        let of = |label: &String| parts.map(|part| part.labels.get(label).copied().unwrap_or(0));
        let mut shown: Vec<&String> = labels.into_iter().collect();
        let n_labels = shown.len();
        if n_labels > MOST_NAMED {
            // Those that a part may lack.
            shown.sort_by_key(|label| of(label).iter().sum::<u64>());
            shown.truncate(FEWEST);
        }
        for label in &shown {
            text += &row(label, of(label).map(count));
        }
        if n_labels > shown.len() {
            let more = HumanCount((n_labels - shown.len()) as u64);
            text += &fact("", format_args!("and {more} labels with as many documents or more"));
        }
        text += &row("documents", parts.map(|part| count(part.documents)));
        text += &fact("duplicates removed", format_args!("{:>12}", count(self.duplicates as u64)));
        if self.conflicts.texts > 0 {
            text += &fact("conflicting texts", format_args!("{:>12}", count(self.conflicts.texts)));
        }
        if self.conflicts.rows_left_out > 0 {
            text += &fact("conflicts left out", format_args!("{:>12}", count(self.conflicts.rows_left_out)));
        }
        text + &fact("rows skipped", format_args!("{:>12}", count(self.skipped_rows)))
    }
}

impl Report for RustDocsReport {
    fn text(&self) -> String {
        let WrittenDocs { files, paragraphs, items } = &self.written;
        let kinds: &BTreeMap<_, _> = items;
        let mut text = [
            fact("folder", self.folder.display()),
            fact("hash", &self.hash),
            fact("crates", HumanCount(self.crates)),
            fact("files", HumanCount(*files)),
            fact("paragraphs", HumanCount(*paragraphs)),
            fact("items", HumanCount(kinds.values().sum())),
        ]
        .concat();
        text.extend(kinds.iter().map(|(kind, &count)| fact(&format!("  {kind}"), HumanCount(count))));
        text + &fact("skipped files", HumanCount((self.bad_files + self.too_large) as u64))
    }
}

impl Report for DevicesReport {
    fn text(&self) -> String {
        let row = |row: &DeviceRow| {
            let mark = if self.chosen.as_ref() == Some(&row.device) { '*' } else { ' ' };
            format!("{mark} {:<10} {}\n", row.device, row.description)
        };
        let selected = match &self.chosen {
            Some(chosen) => format!("selects `{chosen}`"),
            None => "is not available".to_owned(),
        };
        let devices: String = self.devices.iter().map(row).collect();
        let products = self.products.iter().map(|HostProducts { dtype, by }| format!("  {dtype:<10} {by}\n"));
        let products: String = products.collect();
        format!(
            "{devices}\nproducts on the CPU\n{products}\n`--device {}` {selected}\nbuilt with {}\n",
            self.choice,
            self.features.join(", ")
        )
    }
}

impl Report for Statistics {
    fn text(&self) -> String {
        self.to_string()
    }
}
