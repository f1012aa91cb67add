//! `burnformer data split`: text to training, validation and test.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::{self, Display, Formatter};
use std::path::PathBuf;

use anyhow::Result;
use burnformer::core::config::Validate;
use burnformer::core::files::NewFolder;
use burnformer::core::random::{Key, Purpose};
use burnformer::data::Record;
use burnformer::data::split::{Item, Split, SplitBy, SplitConfig};
use indicatif::HumanCount;
use serde::Serialize;

use super::{Context, Outcome};
use crate::args::SplitArgs;
use crate::errors::Advised;
use crate::output::{JsonLines, fact};
use crate::{input, records};

/// The parts, in the order in which they are shown.
const PARTS: [&str; 3] = ["train", "validation", "test"];

/// What was divided.
#[derive(Serialize)]
struct Report {
    folder: PathBuf,
    by: SplitBy,
    seed: u64,
    train: Counts,
    validation: Counts,
    test: Counts,
    /// Documents that were left out, since another one has the same text.
    duplicates: usize,
    skipped_rows: u64,
}

/// What is in a part.
#[derive(Default, Serialize)]
struct Counts {
    documents: u64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, u64>,
}

/// A line of a part.
#[derive(Serialize)]
struct Row<'a> {
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pair: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a str>,
}

pub(super) fn run(args: &SplitArgs, context: &Context) -> Result<Outcome> {
    let config = SplitConfig { by: args.by, validation: args.validation, test: args.test };
    config.validate()?;
    check_column(args)?;
    let source = input::open(&args.input, &args.format)?;
    let folder = NewFolder::create(&args.out)?;

    // The text is read twice, so that memory holds a few bytes of each document and none of its text.
    let mut items = Items::default();
    let skipped = records::read(&source, args.format.on_bad_row, "read text", context, |record| {
        items.add(&record);
        Ok(())
    })?;
    let n_documents = items.items.len();
    let split = Split::of_items(items.items, &config, args.seed.seed)?;
    let mut parts = Parts::create(&folder, &split, n_documents)?;
    records::read(&source, args.format.on_bad_row, "write parts", context, |record| parts.write(&record))?;
    let [train, validation, test] = parts.finish()?;
    folder.commit()?;

    records::warn_of_skipped(&context.terminal, &skipped);
    let (seed, skipped_rows) = (args.seed.seed, skipped.rows);
    let duplicates = split.duplicates.len();
    let report =
        Report { folder: args.out.clone(), by: args.by, seed, train, validation, test, duplicates, skipped_rows };
    context.terminal.report(&report, args.report.format)?;
    Ok(Outcome::Done)
}

/// Refuses a split by something that is not read.
fn check_column(args: &SplitArgs) -> Result<()> {
    let (by, flag, column) = match args.by {
        SplitBy::Group => ("group", "--group-column", &args.format.group_column),
        SplitBy::Label => ("label", "--label-column", &args.format.label_column),
        _ => return Ok(()),
    };
    if column.is_some() {
        return Ok(());
    }
    let hint = format!("name the column that holds it: `{flag} {by}`");
    Err(Advised::new(format!("`--by {by}` needs the {by} of each row"), hint).into())
}

/// What a split knows of each document.
#[derive(Default)]
struct Items {
    items: Vec<Item>,
    labels: HashMap<String, u32>,
}

impl Items {
    fn add(&mut self, record: &Record) {
        if record.continues
            && let Some(document) = self.items.last_mut()
        {
            document.content = hash(document.content, &record.text);
            return;
        }
        let text = hash(0, &record.text);
        let content = record.pair.as_ref().map_or(text, |pair| hash(text, pair));
        let group = record.group.as_ref().map(|group| hash(0, group));
        let label = record.class().map(|label| {
            let next = self.labels.len() as u32;
            *self.labels.entry(label.to_owned()).or_insert(next)
        });
        self.items.push(Item { content, group, label });
    }
}

/// A hash of `text`, and of what `before` is a hash of. It is the same on every machine.
fn hash(before: u64, text: &str) -> u64 {
    let [low, high] = Key::new(before, Purpose::Order, text).words();
    u64::from(high) << 32 | u64::from(low)
}

/// The parts as they are written.
struct Parts {
    /// The part of each document; `None` for a duplicate.
    places: Vec<Option<usize>>,
    /// The files; `None` for a part that gets nothing.
    files: [Option<JsonLines>; 3],
    counts: [Counts; 3],
    /// How many documents have begun.
    begun: usize,
}

impl Parts {
    fn create(folder: &NewFolder, split: &Split, n_documents: usize) -> Result<Self> {
        let mut places = vec![None; n_documents];
        let mut files = [None, None, None];
        for (part, documents) in [&split.train, &split.validation, &split.test].into_iter().enumerate() {
            for &document in documents {
                places[document as usize] = Some(part);
            }
            if !documents.is_empty() {
                files[part] = Some(JsonLines::create(folder, &format!("{}.jsonl", PARTS[part]))?);
            }
        }
        Ok(Self { places, files, counts: Default::default(), begun: 0 })
    }

    fn write(&mut self, record: &Record) -> Result<()> {
        let begins = !record.continues || self.begun == 0;
        self.begun += usize::from(begins);
        let Some(&place) = self.places.get(self.begun - 1) else { return Err(changed()) };
        let Some(part) = place else { return Ok(()) };
        let counts = &mut self.counts[part];
        if begins {
            counts.documents += 1;
            if let Some(label) = record.class() {
                *counts.labels.entry(label.to_owned()).or_default() += 1;
            }
        }
        let Record { text, pair, group, .. } = record;
        let row = Row { text, pair: pair.as_deref(), label: record.class(), group: group.as_deref() };
        Ok(self.files[part].as_mut().map_or(Ok(()), |file| file.write(&row))?)
    }

    fn finish(self) -> Result<[Counts; 3]> {
        if self.begun != self.places.len() {
            return Err(changed());
        }
        self.files.into_iter().flatten().try_for_each(JsonLines::finish)?;
        Ok(self.counts)
    }
}

/// The text is not what it was when it was divided.
fn changed() -> anyhow::Error {
    let hint = "run the command again on files that do not change and can be read twice";
    Advised::new("the input changed while it was read", hint).into()
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let parts = [&self.train, &self.validation, &self.test];
        let mut row = |name: &str, cells: [String; 3]| {
            writeln!(f, "{name:<20} {:>12} {:>12} {:>12}", cells[0], cells[1], cells[2])
        };
        row("", PARTS.map(str::to_owned))?;
        let labels: BTreeSet<_> = parts.iter().flat_map(|part| part.labels.keys()).collect();
        for label in labels {
            row(label, parts.map(|part| count(part.labels.get(label).copied().unwrap_or(0))))?;
        }
        row("documents", parts.map(|part| count(part.documents)))?;
        fact(f, "duplicates removed", format_args!("{:>12}", count(self.duplicates as u64)))?;
        fact(f, "rows skipped", format_args!("{:>12}", count(self.skipped_rows)))
    }
}

fn count(number: u64) -> String {
    HumanCount(number).to_string()
}
