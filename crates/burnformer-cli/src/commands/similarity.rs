//! `burnformer similarity`: which texts mean much the same as another one.

use anyhow::Result;

use super::{Outcome, lines};
use crate::args::{ReportFormat, SimilarityArgs};
use crate::context::Context;
use crate::errors::Advised;

pub(super) fn run(args: &SimilarityArgs, context: &Context) -> Result<Outcome> {
    let model = args.embedding.load()?;
    let texts = lines::texts(&args.texts).collect::<Result<Vec<_>>>()?;
    if texts.len() < 2 {
        let message = format!("expected at least two texts, found {}", texts.len());
        return Err(Advised::new(message, "give them on the command line, or one per line of standard input").into());
    }
    let asked: Vec<&str> = texts.iter().map(String::as_str).collect();
    for line in &model.most_similar(&asked)? {
        let line = match args.report.format {
            ReportFormat::Text => format!("{:.4}\t{}", line.similarity, line.text.replace(['\n', '\t'], " ")),
            ReportFormat::Json => serde_json::to_string(line)?,
        };
        context.terminal.print(&line)?;
    }
    Ok(Outcome::Done)
}
