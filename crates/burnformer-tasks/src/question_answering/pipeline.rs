//! The pipeline that answers questions about texts.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use burnformer_data::datasets::{ContextWindow, ContextWindows, EncodedContext, WindowPlace};
use burnformer_data::tokenizer::Encoded;
use burnformer_models::{BertForQuestionAnswering, Head, Pretrained};
use burnformer_ops::WeightFormat;
use serde::Serialize;

use super::{AnswerCandidate, AnswerSearch, WindowAnswers};
use crate::TaskError;
use crate::encode::{Encode, expect_head, finite};

/// Most tokens of windows in memory, of the texts that are answered together.
const MOST_TOKENS: usize = 1 << 20;

/// Answers questions with parts of the texts that they are about.
#[derive(Debug)]
pub struct QuestionAnswering {
    model: BertForQuestionAnswering,
    encode: Encode,
}

/// How questions are answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuestionAnsweringOptions {
    /// Search for answers in the windows over a text.
    pub search: AnswerSearch,
    /// Number of tokens that consecutive windows share; `None` for 128, or half a window if that is less.
    pub stride: Option<usize>,
    /// Difference between the scores of "no answer" and of the best answer above which no answer is given; `None` to always give
    /// one.
    pub threshold: Option<f64>,
    /// Number of best answers to list.
    pub top_k: usize,
}

impl Default for QuestionAnsweringOptions {
    fn default() -> Self {
        Self { search: AnswerSearch::default(), stride: None, threshold: None, top_k: 1 }
    }
}

/// The answer to a question.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct QuestionAnswer {
    /// The answer that is given; with an empty text, that there is none.
    #[serde(flatten)]
    pub best: FoundAnswer,
    /// Score of "no answer" minus that of the best answer: above the threshold no answer is given. `None` if there is always one,
    /// or if no part of the text can be an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_answer_difference: Option<f64>,
    /// The best answers, the most probable first, if more than one is asked for. The empty one stands for "no answer".
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<FoundAnswer>,
}

/// A part of a text that may be the answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FoundAnswer {
    /// The answer; empty for "no answer".
    pub answer: String,
    /// Its probability among the best answers.
    pub probability: f64,
    /// Its first character in the text, counted from 0 in Unicode characters; `None` for "no answer".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<usize>,
    /// The character behind its last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<usize>,
}

impl QuestionAnswering {
    /// Loads the model in `folder`.
    ///
    /// # Errors
    /// If it holds no model for question answering with its tokenizer.
    pub fn load(folder: &Path, device: &Device) -> Result<Self, TaskError> {
        expect_head(folder, &[Head::QuestionAnswering])?;
        let model = BertForQuestionAnswering::load(folder, device)?;
        let encode = Encode::load(folder, model.config(), device)?;
        Ok(Self { model, encode })
    }

    /// The same pipeline with the weights of its model laid out once, as `format`, for the products of this processor: see
    /// [`Pretrained::prepare`].
    ///
    /// # Errors
    /// If the processor or the device has no products of this type.
    pub fn prepared(self, format: WeightFormat) -> Result<Self, TaskError> {
        Ok(Self { model: self.model.prepare(format)?, ..self })
    }

    /// The same pipeline, which reads special tokens written in a text, such as `[SEP]`, as text or as special tokens.
    #[must_use]
    pub fn with_split_special_tokens(self, splits: bool) -> Self {
        Self { encode: self.encode.with_split_special_tokens(splits), ..self }
    }

    /// The answer to each question about its text, in their order. Texts of any length are read in windows.
    ///
    /// # Errors
    /// [`TaskError::Text`] if one of them cannot be tokenised, or a question leaves no room for its text; if the device fails.
    pub fn answer(
        &self,
        questions: &[(&str, &str)],
        options: &QuestionAnsweringOptions,
    ) -> Result<Vec<QuestionAnswer>, TaskError> {
        let Encode { tokenizer, max_length, .. } = &self.encode;
        let stride = options.stride.unwrap_or_else(|| ContextWindows::usual_stride(*max_length));
        let windows = ContextWindows::new(tokenizer.clone(), *max_length, stride)?;
        let mut last: Option<(&str, Arc<EncodedContext>)> = None;
        let mut answers = vec![WindowAnswers::default(); questions.len()];
        let (mut waiting, mut n_tokens): (Vec<(usize, ContextWindow)>, usize) = Default::default();
        let mut encoded = Vec::with_capacity(questions.len());
        for (index, &(question, text)) in questions.iter().enumerate() {
            let failed = |source| TaskError::Text { number: index + 1, source };
            // Several questions about one text often follow each other.
            let context = match &last {
                Some((known, context)) if *known == text => context.clone(),
                _ => Arc::new(windows.encode_context(&text.into()).map_err(failed)?),
            };
            last = Some((text, context.clone()));
            let ids = windows.encode_question(question).map_err(failed)?;
            for range in windows.ranges(ids.len(), context.ids.len()).map_err(failed)? {
                let window = windows.window(&ids, &context, range);
                n_tokens += window.ids.len();
                waiting.push((index, window));
                if n_tokens >= MOST_TOKENS {
                    self.add(&mut answers, std::mem::take(&mut waiting), &options.search)?;
                    n_tokens = 0;
                }
            }
            encoded.push(context);
        }
        self.add(&mut answers, waiting, &options.search)?;
        Ok(answers
            .iter()
            .zip(&encoded)
            .map(|(found, context)| QuestionAnswer::of(found, &context.text, options))
            .collect())
    }

    /// Adds the answers in windows to those of their questions.
    fn add(
        &self,
        answers: &mut [WindowAnswers],
        windows: Vec<(usize, ContextWindow)>,
        search: &AnswerSearch,
    ) -> Result<(), TaskError> {
        let (encoded, places): (Vec<Encoded>, Vec<(usize, WindowPlace)>) = windows
            .into_iter()
            .map(|(index, ContextWindow { ids, first_length, place })| {
                let type_ids = (0..ids.len()).map(|position| u32::from(position >= first_length)).collect();
                (Encoded { ids, type_ids, is_added: Vec::new(), is_cut: false }, (index, place))
            })
            .unzip();
        let logits = self.encode.in_batches(&encoded, |rows, input| {
            let [_, length] = input.ids.dims();
            let [starts, ends] = self.model.forward(input).map(|logits: Tensor<2>| finite(logits));
            let (starts, ends) = (starts?, ends?);
            let of_row = |logits: &[f32], row: usize| -> Vec<f64> {
                logits[row * length..][..rows[row].ids.len()].iter().copied().map(f64::from).collect()
            };
            Ok((0..rows.len()).map(|row| (of_row(&starts, row), of_row(&ends, row))).collect())
        })?;
        for ((index, place), (starts, ends)) in places.iter().zip(logits) {
            answers[*index].add(place, &starts, &ends, search);
        }
        Ok(())
    }
}

impl QuestionAnswer {
    /// The answer among those that were found in `text`.
    #[must_use]
    pub fn of(found: &WindowAnswers, text: &str, options: &QuestionAnsweringOptions) -> Self {
        let mut scored: Vec<(Option<&AnswerCandidate>, f64)> =
            found.candidates.iter().map(|candidate| (Some(candidate), candidate.score)).collect();
        if options.threshold.is_some() || scored.is_empty() {
            // Kept among the best, whatever its score.
            let place = scored.partition_point(|(_, score)| *score >= found.no_answer);
            scored.insert(place, (None, found.no_answer));
            scored.truncate(options.search.n_best.max(place + 1));
        }
        let greatest = scored.first().map_or(0.0, |(_, score)| *score);
        let sum: f64 = scored.iter().map(|(_, score)| (score - greatest).exp()).sum();
        let answer = |&(candidate, score): &(_, f64)| FoundAnswer::of(candidate, text, (score - greatest).exp() / sum);
        let answers: Vec<FoundAnswer> = scored.iter().map(answer).collect();
        let difference = found.difference();
        let is_given = options.threshold.is_none_or(|threshold| difference <= threshold);
        let is_it = |answer: &&FoundAnswer| answer.start.is_some() == is_given;
        let best = answers.iter().find(is_it).or(answers.first()).cloned().unwrap_or_default();
        Self {
            best,
            no_answer_difference: options.threshold.map(|_| difference).filter(|difference| difference.is_finite()),
            answers: if options.top_k > 1 { answers.into_iter().take(options.top_k).collect() } else { Vec::new() },
        }
    }
}

impl FoundAnswer {
    fn of(candidate: Option<&AnswerCandidate>, text: &str, probability: f64) -> Self {
        let Some(AnswerCandidate { bytes, .. }) = candidate else {
            return Self { probability, ..Self::default() };
        };
        // Some tokenizers count the blank in front of a word to it.
        let whole = &text[bytes.clone()];
        let answer = whole.trim();
        let start = text[..bytes.start].chars().count() + whole.chars().take_while(|c| c.is_whitespace()).count();
        Self { answer: answer.to_owned(), probability, start: Some(start), end: Some(start + answer.chars().count()) }
    }
}
