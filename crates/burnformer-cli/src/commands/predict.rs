//! `burnformer predict`: the class of each text, or its entities.

use anyhow::Result;
use burnformer::models::{Head, ModelClass, Outputs};
use burnformer::tasks::{Answer, AnswerOptions, TextClassification};
use serde::Serialize;

use super::texts::Text;
use super::{Outcome, entities};
use crate::args::{PredictArgs, ReportFormat};
use crate::context::Context;
use crate::errors::Advised;

/// An answer.
#[derive(Serialize)]
struct Line<'a> {
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pair: Option<&'a str>,
    #[serde(flatten)]
    answer: Answer<'a>,
}

pub(super) fn run(args: &PredictArgs, context: &Context) -> Result<Outcome> {
    if ModelClass::of(&args.folder).is_ok_and(|class| class.head() == Head::TokenClassification) {
        return entities::run(args, context);
    }
    let device = args.device.device.open()?;
    let classifier = TextClassification::load(&args.folder, &device)?;
    check_threshold(args.threshold, classifier.outputs())?;
    args.texts.in_groups("predict", context, |texts| answer(&classifier, texts, args, context))?;
    Ok(Outcome::Done)
}

fn check_threshold(threshold: Option<f64>, outputs: Outputs) -> Result<()> {
    match threshold {
        Some(_) if outputs != Outputs::Labels => {
            let message = format!("`--threshold` cannot be used with a model that gives a text {}", outputs.noun());
            Err(Advised::new(message, "leave out `--threshold`").into())
        }
        Some(threshold) if !(0.0..=1.0).contains(&threshold) => {
            Err(Advised::new(format!("`--threshold` is {threshold}"), "set it to a probability, in [0, 1]").into())
        }
        _ => Ok(()),
    }
}

fn answer(classifier: &TextClassification, texts: &[Text], args: &PredictArgs, context: &Context) -> Result<()> {
    let asked: Vec<_> = texts.iter().map(|(text, pair)| (text.as_str(), pair.as_deref())).collect();
    let predictions = classifier.classify(&asked)?;
    let options = AnswerOptions { top_k: args.top_k as usize, threshold: args.threshold.unwrap_or(0.5) };
    let mut out = Vec::with_capacity(texts.len());
    for ((text, pair), prediction) in asked.into_iter().zip(&predictions) {
        let answer = classifier.answer(prediction, &options);
        out.push(match args.report.format {
            ReportFormat::Text => {
                let mut line = answer.columns() + "\t";
                line.reserve_exact(text.len());
                line.extend(text.chars().map(|c| if matches!(c, '\n' | '\t') { ' ' } else { c }));
                line
            }
            ReportFormat::Json => serde_json::to_string(&Line { text, pair, answer })?,
        });
    }
    context.terminal.print_each(&out)
}
