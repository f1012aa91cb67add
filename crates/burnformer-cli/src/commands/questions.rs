//! `burnformer predict` with a model for question answering: the answer to each question.

use anyhow::Result;
use burnformer::recipes::finetune::QuestionAnsweringSettings;
use burnformer::tasks::{AnswerSearch, QuestionAnswer, QuestionAnswering, QuestionAnsweringOptions};
use serde::Serialize;

use super::Outcome;
use super::texts::{Row, TOGETHER, one_line};
use crate::args::{PredictArgs, ReportFormat};
use crate::context::Context;
use crate::errors::Advised;
use crate::input;

/// An answer.
#[derive(Serialize)]
struct Line<'a> {
    row: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    question: &'a str,
    #[serde(flatten)]
    answer: &'a QuestionAnswer,
}

pub(super) fn run(args: &PredictArgs, context: &Context) -> Result<Outcome> {
    let format = &args.texts.format;
    let is_alone = args.context.is_none();
    if let Some(flag) = format.label_column.as_ref().map(|_| "--label-column") {
        return Err(Advised::new(
            format!("`{flag}` cannot be used with a model for question answering"),
            format!("leave out `{flag}`"),
        )
        .into());
    }
    if is_alone && args.texts.input.is_empty() {
        let hint = "name the text with `--context`, or files of questions with their contexts with `--input`";
        return Err(Advised::new("a model for question answering needs a text to find the answer in", hint).into());
    }
    let own = QuestionAnsweringSettings::of_run(&args.folder)?;
    let options = QuestionAnsweringOptions {
        search: AnswerSearch {
            max_answer_length: args.max_answer_length.unwrap_or(own.max_answer_length),
            ..own.search()
        },
        stride: own.stride,
        threshold: args.threshold.or(own.threshold(false)),
        top_k: args.top_k as usize,
    };
    let mut model = QuestionAnswering::load(&args.folder, &context.open(&args.device)?)?
        .prepared(context.weights(&args.weights))?;
    if args.special_tokens.split_special_tokens {
        model = model.with_split_special_tokens(true);
    }
    let open = if is_alone { input::open_questions } else { input::open_rows };
    let answer = |rows: &[Row]| {
        let asked = |row| asked(row, args.context.as_deref());
        let answers = model.answer(&rows.iter().map(asked).collect::<Vec<_>>(), &options)?;
        let lines = rows.iter().zip(&answers).map(|(row, answer)| {
            let (question, _) = asked(row);
            Ok(match args.report.format {
                ReportFormat::Text => {
                    let text = if answer.best.answer.is_empty() { "(no answer)" } else { &answer.best.answer };
                    // The files of SQuAD have identifiers that nobody needs to ask for.
                    let id = row.id.as_deref().map_or_else(|| args.texts.id_field(row), |id| one_line(id) + "\t");
                    format!("{id}{}\t{:.4}\t{}", one_line(text), answer.best.probability, one_line(question))
                }
                ReportFormat::Json => {
                    serde_json::to_string(&Line { row: row.row, id: row.id.as_deref(), question, answer })?
                }
            })
        });
        lines.collect::<Result<Vec<_>>>()
    };
    let print = |_: &[Row], lines: Vec<String>| context.terminal.print_each(&lines);
    args.texts.in_groups_of("predict", TOGETHER, open, context, answer, print)?;
    Ok(Outcome::Done)
}

/// The question of a row and its context: of all rows the same if it is on the command line.
fn asked<'a>(row: &'a Row, context: Option<&'a str>) -> (&'a str, &'a str) {
    match context {
        Some(context) => (&row.text, context),
        None => (row.pair.as_deref().unwrap_or_default(), &row.text),
    }
}
