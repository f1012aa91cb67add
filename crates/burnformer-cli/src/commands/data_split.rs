//! `burnformer data split`: text to training, validation and test.

use anyhow::Result;
use burnformer::core::config::Validate;
use burnformer::core::files::NewFolder;
use burnformer::data::split::{SplitBy, SplitConfig, split_files};
use burnformer::recipes::{Note, SplitReport};

use super::Outcome;
use crate::args::SplitArgs;
use crate::context::Context;
use crate::errors::Advised;
use crate::input;

pub(super) fn run(args: &SplitArgs, context: &Context) -> Result<Outcome> {
    let config = SplitConfig { by: args.by, validation: args.validation, test: args.test };
    config.validate()?;
    check_column(args)?;
    let source = input::open(&args.input, &args.format)?;
    let folder = NewFolder::create(&args.out)?;

    let split = split_files(
        &source,
        &config,
        args.seed.seed,
        args.format.on_bad_row,
        folder.path(),
        &context.terminal,
        &context.interrupt,
    )?;
    folder.commit()?;
    context.terminal.skipped(&split.skipped);
    let of = if split.conflicts.labels.is_empty() { "taggings or scores" } else { "labels" };
    context.terminal.warn_of(&Note::Conflicts { conflicts: &split.conflicts, of });
    let report = SplitReport::new(&args.out, &split);
    context.terminal.warn_of(&Note::OddClasses(&report.odd_classes));
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
