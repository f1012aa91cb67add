//! Evaluation of models that answer questions, with their answers in files.

use std::path::{Path, PathBuf};

use burnformer_core::files::atomic_write_bytes;
use burnformer_data::DataError;
use burnformer_data::source::{OnBadRow, Source};
use burnformer_reports::QuestionAnsweringScores;
use serde::Serialize;

use crate::finetune::QuestionAnswering;
use crate::ranks::first;
use crate::{Context, RecipeError, evaluate_supervised};

/// Evaluates the model in `folder` on questions with answers, `batch_size` windows at a time, and writes its answers to
/// `predictions`: an object of JSON with the answer to each question by its identifier, which the official scripts of SQuAD read. Where
/// questions may have no answer, a second file has how likely it is that there is none; see [`no_answers_file`].
///
/// # Errors
/// As [`evaluate_supervised`]; [`RecipeError::RepeatedId`] if questions share an identifier; if a file cannot be written.
pub fn evaluate_questions(
    folder: &Path,
    source: &dyn Source,
    on_bad_row: OnBadRow,
    batch_size: usize,
    predictions: &Path,
    context: &Context<'_>,
) -> Result<QuestionAnsweringScores, RecipeError> {
    let scores = evaluate_supervised::<QuestionAnswering>(folder, source, on_bad_row, batch_size, context)?;
    if let Some(id) = scores.repeated_id() {
        return Err(RecipeError::RepeatedId { id: id.to_owned() });
    }
    first(context.collective, || {
        write(predictions, &scores.predictions())?;
        if scores.by_kind.is_some_and(|kinds| kinds.threshold.is_some()) {
            write(&no_answers_file(predictions), &scores.no_answer_differences())?;
        }
        Ok::<_, RecipeError>(())
    })?;
    Ok(scores)
}

/// The file with the score of "no answer" minus that of the best answer of each question: `answers.no_answer.json` beside
/// `answers.json`. It is the `--na-prob-file` of the script of SQuAD 2.0.
#[must_use]
pub fn no_answers_file(predictions: &Path) -> PathBuf {
    predictions.with_extension("no_answer.json")
}

fn write(path: &Path, answers: &impl Serialize) -> Result<(), RecipeError> {
    let mut json = serde_json::to_string_pretty(answers).expect("a map of texts and numbers");
    json.push('\n');
    Ok(atomic_write_bytes(path, json).map_err(DataError::from)?)
}
