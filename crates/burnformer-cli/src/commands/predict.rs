//! `burnformer predict`: the class of each text, or its entities.

use anyhow::Result;
use burnformer::models::{Head, ModelClass};
use burnformer::tasks::{ClassProbability, Prediction, TextClassification};
use serde::Serialize;

use super::texts::Text;
use super::{Outcome, entities};
use crate::args::{PredictArgs, ReportFormat};
use crate::context::Context;

/// An answer.
#[derive(Serialize)]
struct Line<'a> {
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pair: Option<&'a str>,
    label: &'a str,
    probability: f64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    classes: Vec<ClassProbability<'a>>,
}

pub(super) fn run(args: &PredictArgs, context: &Context) -> Result<Outcome> {
    if ModelClass::of(&args.folder)?.head() == Head::TokenClassification {
        return entities::run(args, context);
    }
    let device = args.device.device.open()?;
    let classifier = TextClassification::load(&args.folder, &device)?;
    args.texts.in_groups("predict", context, |texts| answer(&classifier, texts, args, context))?;
    Ok(Outcome::Done)
}

fn answer(classifier: &TextClassification, texts: &[Text], args: &PredictArgs, context: &Context) -> Result<()> {
    let asked: Vec<_> = texts.iter().map(|(text, pair)| (text.as_str(), pair.as_deref())).collect();
    let predictions = classifier.classify(&asked)?;
    // The best class alone is in the answer anyway.
    let n = if args.top_k > 1 { args.top_k as usize } else { 0 };
    let mut out = Vec::with_capacity(texts.len());
    for ((text, pair), prediction) in asked.into_iter().zip(&predictions) {
        out.push(match args.report.format {
            ReportFormat::Text => {
                let mut line = format!("{}\t{:.4}\t", prediction.label, prediction.probability);
                line.reserve_exact(text.len());
                line.extend(text.chars().map(|c| if matches!(c, '\n' | '\t') { ' ' } else { c }));
                line
            }
            ReportFormat::Json => {
                let classes = prediction.top(classifier.labels(), n);
                let Prediction { label, probability, .. } = prediction;
                serde_json::to_string(&Line { text, pair, label, probability: *probability, classes })?
            }
        });
    }
    context.terminal.print_each(&out)
}
