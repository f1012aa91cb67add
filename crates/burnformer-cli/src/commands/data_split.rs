//! `burnformer data split`: text to training, validation and test.

use std::collections::BTreeSet;
use std::fmt::{self, Display, Formatter};
use std::path::PathBuf;

use anyhow::Result;
use burnformer::core::config::Validate;
use burnformer::core::files::NewFolder;
use burnformer::data::split::{FilesSplit, PartCounts, SplitBy, SplitConfig, split_files};
use indicatif::HumanCount;
use serde::Serialize;

use super::{Context, Outcome};
use crate::args::SplitArgs;
use crate::errors::Advised;
use crate::output::fact;
use crate::{input, records};

/// The parts, in the order in which they are shown.
const PARTS: [&str; 3] = ["train", "validation", "test"];

/// What was divided.
#[derive(Serialize)]
struct Report {
    folder: PathBuf,
    by: SplitBy,
    seed: u64,
    train: PartCounts,
    validation: PartCounts,
    test: PartCounts,
    /// Documents that were left out, since another one has the same text.
    duplicates: usize,
    skipped_rows: u64,
}

pub(super) fn run(args: &SplitArgs, context: &Context) -> Result<Outcome> {
    let config = SplitConfig { by: args.by, validation: args.validation, test: args.test };
    config.validate()?;
    check_column(args)?;
    let source = input::open(&args.input, &args.format)?;
    let folder = NewFolder::create(&args.out)?;

    let FilesSplit { train, validation, test, duplicates, skipped, .. } = split_files(
        &source,
        &config,
        args.seed.seed,
        args.format.on_bad_row,
        folder.path(),
        &context.terminal,
        &context.interrupt,
    )?;
    folder.commit()?;

    records::warn_of_skipped(&context.terminal, &skipped);
    let (seed, skipped_rows) = (args.seed.seed, skipped.rows);
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
