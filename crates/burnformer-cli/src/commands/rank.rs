//! `burnformer rank`: texts by how well they go with a query.

use anyhow::Result;
use burnformer::tasks::TextRanking;

use super::Outcome;
use crate::args::{RankArgs, ReportFormat};
use crate::context::Context;

pub(super) fn run(args: &RankArgs, context: &Context) -> Result<Outcome> {
    let model = TextRanking::load(&args.folder, &args.device.device.open()?)?;
    let mut texts = Vec::new();
    args.texts.in_groups("rank", context, |some| {
        texts.extend(some.iter().map(|(text, _)| text.clone()));
        Ok(())
    })?;
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let mut ranked = model.rank(&args.query, &texts)?;
    ranked.truncate(args.top_k.map_or(usize::MAX, |n| n as usize));
    for line in &ranked {
        let line = match args.report.format {
            ReportFormat::Text => format!("{:.4}\t{}", line.score, line.text.replace(['\n', '\t'], " ")),
            ReportFormat::Json => serde_json::to_string(line)?,
        };
        context.terminal.print(&line)?;
    }
    Ok(Outcome::Done)
}
