//! `burnformer predict`: the class of each text.

use std::io::{self, IsTerminal};

use anyhow::Result;
use burnformer::data::DataError;
use burnformer::data::readers::{Format, TextLayout};
use burnformer::tasks::{Prediction, TextClassification};
use serde::Serialize;

use super::{Context, Outcome, lines};
use crate::args::{PredictArgs, ReportFormat};
use crate::{input, records};

/// How many texts are answered together: enough to put those of similar length together, few enough to answer soon.
const TOGETHER: usize = 256;

/// An answer.
#[derive(Serialize)]
struct Line<'a> {
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pair: Option<&'a str>,
    label: &'a str,
    probability: f64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    classes: Vec<Class<'a>>,
}

#[derive(Serialize)]
struct Class<'a> {
    label: &'a str,
    probability: f64,
}

pub(super) fn run(args: &PredictArgs, context: &Context) -> Result<Outcome> {
    let device = args.device.device.open()?;
    let classifier = TextClassification::load(&args.folder, &device)?;
    // Who types texts wants each one answered at once.
    let is_typed = args.texts.is_empty() && args.input.is_empty() && io::stdin().is_terminal();
    let together = if is_typed { 1 } else { TOGETHER };
    let mut waiting: Vec<(String, Option<String>)> = Vec::new();
    let mut take = |text: String, pair: Option<String>, is_last: bool| -> Result<()> {
        if !is_last {
            waiting.push((text, pair));
        }
        if waiting.len() == together || is_last {
            answer(&classifier, &waiting, args, context)?;
            waiting.clear();
        }
        Ok(())
    };
    if args.input.is_empty() {
        for text in lines::texts(&args.texts) {
            if context.interrupt.requested() {
                return Err(DataError::Interrupted.into());
            }
            take(text?, None, false)?;
        }
    } else {
        let input = input::resolve(&args.input, &args.format)?;
        // Documents are of no use here: who has questions in a file wants each of them answered.
        let is_lines = input.format == Format::Text { layout: TextLayout::Lines };
        let policy = args.format.on_bad_row;
        let skipped = records::read(&input.open()?, policy, "predict", context, |record| {
            if is_lines {
                return record.text.lines().try_for_each(|line| take(line.to_owned(), None, false));
            }
            take(record.text, record.pair, false)
        })?;
        records::warn_of_skipped(&context.terminal, &skipped);
    }
    take(String::new(), None, true)?;
    Ok(Outcome::Done)
}

fn answer(
    classifier: &TextClassification,
    texts: &[(String, Option<String>)],
    args: &PredictArgs,
    context: &Context,
) -> Result<()> {
    if texts.is_empty() {
        return Ok(());
    }
    let asked: Vec<_> = texts.iter().map(|(text, pair)| (text.as_str(), pair.as_deref())).collect();
    let predictions = classifier.classify(&asked)?;
    let mut out = Vec::with_capacity(texts.len());
    for ((text, pair), prediction) in asked.into_iter().zip(&predictions) {
        out.push(match args.report.format {
            ReportFormat::Text => {
                format!("{}\t{:.4}\t{}", prediction.label, prediction.probability, text.replace(['\n', '\t'], " "))
            }
            ReportFormat::Json => {
                let classes = classes(classifier.labels(), prediction, args.top_k as usize);
                let Prediction { label, probability, .. } = prediction;
                serde_json::to_string(&Line { text, pair, label, probability: *probability, classes })?
            }
        });
    }
    context.terminal.print(&out.join("\n"))
}

/// The most probable classes, the best first, if more than the best are asked for.
fn classes<'a>(labels: &'a [String], prediction: &Prediction, top_k: usize) -> Vec<Class<'a>> {
    if top_k < 2 {
        return Vec::new();
    }
    let mut classes: Vec<_> = labels
        .iter()
        .zip(&prediction.probabilities)
        .map(|(label, &probability)| Class { label, probability })
        .collect();
    classes.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    classes.truncate(top_k);
    classes
}
