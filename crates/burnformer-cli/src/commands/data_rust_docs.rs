//! `burnformer data rust-docs`: the documentation of crates to text.

use anyhow::Result;
use burnformer::core::files::NewFolder;
use burnformer::data::rust_docs::{Collection, Crates, RustDocs};
use burnformer::recipes::RustDocsReport;

use super::Outcome;
use crate::args::RustDocsArgs;
use crate::context::Context;
use crate::terminal::Terminal;

pub(super) fn run(args: &RustDocsArgs, Context { terminal, interrupt, .. }: &Context) -> Result<Outcome> {
    let folder = NewFolder::create(&args.out)?;
    let crates = match args.source_tree.clone() {
        Some(folder) => Crates::SourceTree { folder },
        None => Crates::of_project(&args.project),
    };
    let docs = RustDocs { max_bytes_per_crate: args.max_bytes_per_crate, ..RustDocs::new(crates) };
    let collection = docs.collect(terminal)?;
    interrupt.check()?;
    let written = collection.write(folder.path(), &args.kinds)?;
    folder.commit()?;
    let report = RustDocsReport::new(&args.out, &collection, written);
    tell_left_out(&collection, &report, terminal);
    terminal.report(&report, args.report.format)?;
    Ok(Outcome::Done)
}

fn tell_left_out(collection: &Collection, report: &RustDocsReport, terminal: &Terminal) {
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
