//! `burnformer predict`: the class of each text, or its entities.

use anyhow::Result;
use burnformer::models::{Head, ModelClass};
use burnformer::tasks::{Prediction, TextClassification};
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
    classes: Vec<Class<'a>>,
}

#[derive(Serialize)]
struct Class<'a> {
    label: &'a str,
    probability: f64,
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
