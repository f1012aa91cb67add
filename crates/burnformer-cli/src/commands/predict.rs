//! `burnformer predict`: the class of each text, or its entities.

use anyhow::Result;
use burnformer::models::{Head, ModelClass, Outputs};
use burnformer::tasks::{Answer, AnswerOptions, TextClassification};
use serde::Serialize;

use super::texts::Row;
use super::{Outcome, entities, questions};
use crate::args::{PredictArgs, ReportFormat};
use crate::context::Context;
use crate::errors::Advised;

/// Most probabilities in memory, of all classes of the texts that are answered together: 32 MiB.
const MOST_PROBABILITIES: usize = 1 << 22;

/// An answer.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    row: &'a Row,
    #[serde(flatten)]
    answer: Answer<'a>,
}

pub(super) fn run(args: &PredictArgs, context: &Context) -> Result<Outcome> {
    let head = ModelClass::of(&args.folder).ok().map(ModelClass::head);
    if head == Some(Head::QuestionAnswering) {
        return questions::run(args, context);
    }
    let of_questions =
        [args.context.as_ref().map(|_| "--context"), args.max_answer_length.map(|_| "--max-answer-length")];
    if let Some(flag) = of_questions.into_iter().flatten().next() {
        let message = format!("`{flag}` cannot be used with a model that does not answer questions");
        return Err(Advised::new(message, format!("leave out `{flag}`")).into());
    }
    if head == Some(Head::TokenClassification) {
        return entities::run(args, context);
    }
    let device = args.device.device.open()?;
    let mut classifier = TextClassification::load(&args.folder, &device)?;
    if args.special_tokens.split_special_tokens {
        classifier = classifier.with_split_special_tokens(true);
    }
    check_threshold(args.threshold, classifier.outputs())?;
    let together = (MOST_PROBABILITIES / classifier.labels().len().max(1)).max(1);
    args.texts.in_groups("predict", context, |rows| {
        rows.chunks(together).try_for_each(|rows| answer(&classifier, rows, args, context))
    })?;
    context.terminal.cut(classifier.n_cut(), classifier.max_length());
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

fn answer(classifier: &TextClassification, rows: &[Row], args: &PredictArgs, context: &Context) -> Result<()> {
    let asked: Vec<_> = rows.iter().map(|row| (row.text.as_str(), row.pair.as_deref())).collect();
    let predictions = classifier.classify(&asked)?;
    let options = AnswerOptions { top_k: args.top_k as usize, threshold: args.threshold.unwrap_or(0.5) };
    let mut out = Vec::with_capacity(rows.len());
    for (row, prediction) in rows.iter().zip(&predictions) {
        let answer = classifier.answer(prediction, &options);
        out.push(match args.report.format {
            ReportFormat::Text => {
                let mut line = format!("{}{}\t", args.texts.id_field(row), answer.columns());
                line.reserve_exact(row.text.len());
                line.extend(row.text.chars().map(|c| if matches!(c, '\n' | '\t') { ' ' } else { c }));
                line
            }
            ReportFormat::Json => serde_json::to_string(&Line { row, answer })?,
        });
    }
    context.terminal.print_each(&out)
}
