//! `burnformer predict`: the class of each text, or its entities.

use std::path::{Path, PathBuf};

use anyhow::Result;
use burnformer::models::{Head, ModelClass, Outputs, SharedBase};
use burnformer::ops::WeightFormat;
use burnformer::recipes::finetune::MultiLabelSettings;
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
    /// Folder of the model, if there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a Path>,
    #[serde(flatten)]
    answer: Answer<'a>,
}

pub(super) fn run(args: &PredictArgs, context: &Context) -> Result<Outcome> {
    let head = ModelClass::of(&args.folder).ok().map(ModelClass::head);
    if let Some(head) = head.filter(|head| *head != Head::SequenceClassification && !args.adapter.is_empty()) {
        let message = format!("`--adapter` cannot be used with a model for {}", head.task());
        return Err(Advised::new(message, "leave out `--adapter`, and predict with one model at a time").into());
    }
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
    let device = context.open(&args.device)?;
    let load = |folder| -> Result<TextClassification> {
        let classifier = TextClassification::load(folder, &device)?;
        Ok(match args.special_tokens.split_special_tokens {
            true => classifier.with_split_special_tokens(true),
            false => classifier,
        })
    };
    let weights = context.weights(&args.weights);
    let classifiers = if args.adapter.is_empty() {
        vec![Classifier::new(None, load(&args.folder)?.prepared(weights)?, &args.folder, args.threshold)?]
    } else {
        let folders = std::iter::once(&args.folder).chain(&args.adapter);
        // In single precision they share the weights of their base.
        let prepared = |model: TextClassification| match weights {
            WeightFormat::F32 => Ok(model),
            other => model.prepared(other),
        };
        let load = |folder| Classifier::new(Some(folder), prepared(load(folder)?)?, folder, args.threshold);
        SharedBase::new().load(|| folders.map(load).collect::<Result<_>>())?
    };
    let n_labels = classifiers.iter().map(|classifier| classifier.model.labels().len()).max().unwrap_or(0);
    let together = (MOST_PROBABILITIES / n_labels.max(1)).max(1);
    let answer = |rows: &[Row]| {
        let lines = classifiers.iter().map(|classifier| answer(classifier, rows, args));
        Ok(lines.collect::<Result<Vec<_>>>()?.concat())
    };
    let print = |_: &[Row], lines: Vec<String>| context.terminal.print_each(&lines);
    args.texts.in_groups("predict", together, context, answer, print)?;
    for Classifier { model, .. } in &classifiers {
        context.tell_cut(model.n_cut(), model.max_length())?;
    }
    Ok(Outcome::Done)
}

/// A model that answers.
struct Classifier<'a> {
    /// Its folder, if there are several.
    folder: Option<&'a PathBuf>,
    model: TextClassification,
    /// Least probability of a label that counts as predicted.
    threshold: f64,
}

impl<'a> Classifier<'a> {
    /// `model` of the folder `place`, with `threshold` if it is given, else with that of its run.
    fn new(
        folder: Option<&'a PathBuf>,
        model: TextClassification,
        place: &Path,
        threshold: Option<f64>,
    ) -> Result<Self> {
        check_threshold(threshold, model.outputs())?;
        let threshold = match threshold {
            Some(threshold) => threshold,
            None if model.outputs() == Outputs::Labels => MultiLabelSettings::of_run(place)?.threshold,
            None => MultiLabelSettings::default().threshold,
        };
        Ok(Self { folder, model, threshold })
    }
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

fn answer(classifier: &Classifier, rows: &[Row], args: &PredictArgs) -> Result<Vec<String>> {
    let Classifier { folder, model: classifier, threshold } = classifier;
    let name = folder.map_or_else(String::new, |folder| format!("{}\t", folder.display()));
    let asked: Vec<_> = rows.iter().map(|row| (row.text.as_str(), row.pair.as_deref())).collect();
    let predictions = classifier.classify(&asked)?;
    let options = AnswerOptions { top_k: args.top_k as usize, threshold: *threshold };
    let mut out = Vec::with_capacity(rows.len());
    for (row, prediction) in rows.iter().zip(&predictions) {
        let answer = classifier.answer(prediction, &options);
        out.push(match args.report.format {
            ReportFormat::Text => {
                let mut line = format!("{name}{}{}\t", args.texts.id_field(row), answer.columns());
                line.reserve_exact(row.text.len());
                line.extend(row.text.chars().map(|c| if matches!(c, '\n' | '\t') { ' ' } else { c }));
                line
            }
            ReportFormat::Json => serde_json::to_string(&Line { row, model: folder.map(PathBuf::as_path), answer })?,
        });
    }
    Ok(out)
}
