//! `burnformer similarity`: which texts mean much the same as another one.

use anyhow::Result;
use burnformer::tasks::SimilarText;
use serde::Serialize;

use super::texts::{in_rows, one_line};
use super::{Outcome, lines};
use crate::args::{ReportFormat, SimilarityArgs};
use crate::context::Context;
use crate::errors::Advised;

/// An answer.
#[derive(Serialize)]
struct Line<'a> {
    /// Number of the text among all texts, from 1.
    row: usize,
    text: &'a str,
    similarity: f64,
}

pub(super) fn run(args: &SimilarityArgs, context: &Context) -> Result<Outcome> {
    let model = args.embedding.load(context)?;
    let texts = lines::texts(&args.texts, args.encoding.encoding).collect::<Result<Vec<_>>>()?;
    if texts.len() < 2 {
        let message = format!("expected at least two texts, found {}", texts.len());
        return Err(Advised::new(message, "give them on the command line, or one per line of standard input").into());
    }
    let asked: Vec<&str> = texts.iter().map(String::as_str).collect();
    let similar = model.most_similar(&asked).map_err(|error| in_rows(error.into(), |index| index as u64 + 1))?;
    for line in &similar {
        let line = match args.report.format {
            ReportFormat::Text => format!("{:.4}\t{}", line.similarity, one_line(line.text)),
            ReportFormat::Json => {
                let SimilarText { index, text, similarity } = *line;
                serde_json::to_string(&Line { row: index + 1, text, similarity })?
            }
        };
        context.terminal.print(&line)?;
    }
    context.terminal.cut(model.n_cut(), model.max_length());
    Ok(Outcome::Done)
}
