//! `burnformer rank`: texts by relevance to a query.

use anyhow::Result;
use burnformer::tasks::TextRanking;
use serde::Serialize;

use super::Outcome;
use super::texts::{Row, TOGETHER, one_line};
use crate::args::{RankArgs, ReportFormat, TextsArgs};
use crate::context::Context;

/// An answer.
#[derive(Serialize)]
struct Line {
    #[serde(flatten)]
    row: Row,
    index: usize,
    score: f64,
}

impl Line {
    fn text(&self, texts: &TextsArgs) -> String {
        format!("{}{:.4}\t{}", texts.id_field(&self.row), self.score, one_line(&self.row.text))
    }
}

pub(super) fn run(args: &RankArgs, context: &Context) -> Result<Outcome> {
    let mut model =
        TextRanking::load(&args.folder, &context.open(&args.device)?)?.prepared(context.weights(&args.weights))?;
    if args.special_tokens.split_special_tokens {
        model = model.with_split_special_tokens(true);
    }
    let query = model.query(&args.query)?;
    let (mut best, mut n_rows): (Vec<Line>, usize) = (Vec::new(), 0);
    let answer = |rows: &[Row]| {
        let texts: Vec<&str> = rows.iter().map(|row| row.text.as_str()).collect();
        // As bits, which the first process reads as they are.
        Ok(model.scores(&query, &texts)?.into_iter().map(f64::to_bits).collect::<Vec<_>>())
    };
    args.texts.in_groups("rank", TOGETHER, context, answer, |rows, scores| {
        let scores = scores.into_iter().map(f64::from_bits);
        let line = |((index, row), score): ((usize, &Row), f64)| Line { row: row.clone(), index, score };
        best.extend((n_rows..).zip(rows).zip(scores).map(line));
        n_rows += rows.len();
        if args.top_k.is_some() {
            keep_best(&mut best, args.top_k);
        }
        Ok(())
    })?;
    keep_best(&mut best, args.top_k);
    let line = |line: &Line| match args.report.format {
        ReportFormat::Text => Ok(line.text(&args.texts)),
        ReportFormat::Json => serde_json::to_string(line),
    };
    context.terminal.print_each(&best.iter().map(line).collect::<Result<Vec<_>, _>>()?)?;
    context.tell_cut(model.n_cut(), model.max_length())?;
    Ok(Outcome::Done)
}

/// Puts lines in order, and drops all but the best `top_k`.
fn keep_best(lines: &mut Vec<Line>, top_k: Option<u32>) {
    lines.sort_by(|a, b| b.score.total_cmp(&a.score));
    lines.truncate(top_k.map_or(usize::MAX, |n| n as usize));
}
