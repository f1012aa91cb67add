//! `burnformer data rust-docs`: the documentation of crates to text.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::path::PathBuf;

use anyhow::Result;
use burnformer::core::files::{FileError, NewFolder};
use burnformer::data::JsonLines;
use burnformer::data::rust_docs::{Collection, Crates, FileDocs, Paragraph, RustDocs};
use indicatif::HumanCount;
use serde::Serialize;

use super::{Context, Outcome};
use crate::args::RustDocsArgs;
use crate::output::fact;
use crate::terminal::Terminal;

/// What was collected.
#[derive(Serialize)]
struct Report {
    folder: PathBuf,
    hash: String,
    crates: u64,
    files: u64,
    paragraphs: u64,
    /// Rows of each kind of item.
    items: BTreeMap<&'static str, u64>,
    /// Files that could not be read.
    bad_files: usize,
    /// Files that were left out, since files of their size are generated.
    too_large: usize,
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

pub(super) fn run(args: &RustDocsArgs, Context { terminal, interrupt }: &Context) -> Result<Outcome> {
    let folder = NewFolder::create(&args.out)?;
    let docs = RustDocs { max_bytes_per_crate: args.max_bytes_per_crate, ..RustDocs::new(crates(args)) };
    let collection = docs.collect(terminal)?;
    interrupt.check()?;
    let mut report = Report {
        folder: args.out.clone(),
        hash: collection.hash(),
        crates: collection.crates.iter().filter(|docs| !docs.files.is_empty()).count() as u64,
        files: 0,
        paragraphs: 0,
        items: BTreeMap::new(),
        bad_files: collection.crates.iter().map(|docs| docs.bad_files.len()).sum(),
        too_large: collection.crates.iter().map(|docs| docs.too_large.len()).sum(),
    };
    write(&collection, &args.kinds, &folder, &mut report)?;
    folder.commit()?;
    tell_left_out(&collection, &report, terminal);
    terminal.report(&report, args.report.format)?;
    Ok(Outcome::Done)
}

fn crates(args: &RustDocsArgs) -> Crates {
    if let Some(folder) = &args.source_tree {
        return Crates::SourceTree { folder: folder.clone() };
    }
    let project = &args.project;
    let manifest = if project.is_dir() { project.join("Cargo.toml") } else { project.clone() };
    Crates::Dependencies { manifest }
}

/// Writes the two files, and counts what is in them.
fn write(collection: &Collection, kinds: &[String], folder: &NewFolder, report: &mut Report) -> Result<(), FileError> {
    let mut documents = JsonLines::create(&folder.path().join("documents.jsonl"))?;
    let mut items = JsonLines::create(&folder.path().join("items.jsonl"))?;
    for docs in &collection.crates {
        let group = docs.repository.as_str();
        for FileDocs { path, paragraphs } in &docs.files {
            let text = paragraphs.iter().map(|paragraph| paragraph.text.as_str()).collect::<Vec<_>>().join("\n");
            documents.write(&DocumentRow { text, group, path: path.display().to_string() })?;
            report.files += 1;
            report.paragraphs += paragraphs.len() as u64;
            for Paragraph { text, kind, .. } in paragraphs {
                let Some(label) = kind.map(burnformer::data::rust_docs::ItemKind::label) else { continue };
                if kinds.is_empty() || kinds.iter().any(|kind| kind == label) {
                    items.write(&ItemRow { text, label, group })?;
                    *report.items.entry(label).or_default() += 1;
                }
            }
        }
    }
    documents.finish()?;
    items.finish()
}

fn tell_left_out(collection: &Collection, report: &Report, terminal: &Terminal) {
    if report.bad_files > 0 {
        terminal.warn(format_args!("skipped files that cannot be read: {} (`--verbose` lists them)", report.bad_files));
    }
    for docs in &collection.crates {
        for file in &docs.bad_files {
            terminal.detail(file);
        }
        for path in &docs.too_large {
            terminal.detail(format_args!("`{}` is too large", path.display()));
        }
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        fact(f, "folder", self.folder.display())?;
        fact(f, "hash", &self.hash)?;
        fact(f, "crates", HumanCount(self.crates))?;
        fact(f, "files", HumanCount(self.files))?;
        fact(f, "paragraphs", HumanCount(self.paragraphs))?;
        fact(f, "items", HumanCount(self.items.values().sum()))?;
        for (kind, &count) in &self.items {
            fact(f, &format!("  {kind}"), HumanCount(count))?;
        }
        fact(f, "skipped files", HumanCount((self.bad_files + self.too_large) as u64))
    }
}
