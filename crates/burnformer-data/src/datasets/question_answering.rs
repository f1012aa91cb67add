//! Samples for extractive question answering: windows over contexts, with the answer's first and last token.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;

use super::order::Order;
use super::{ContextWindow, ContextWindows, Dataset, EncodedContext, Sample, SamplesError};
use crate::DataError;
use crate::questions::{Question, QuestionTexts};

/// A window over the context of a question, with the place of the first of its answers.
///
/// Source: Devlin et al. 2019, section 4.2, and `run_qa.py` of transformers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuestionAnsweringSample {
    /// The question.
    pub question: Arc<Question>,
    /// Number of the question in its data set.
    pub number: u32,
    /// The window.
    pub window: ContextWindow,
    /// Position of the answer's first token; 0, that of `[CLS]`, if the window does not hold the answer.
    pub start: u32,
    /// Position of the answer's last token; 0 as well.
    pub end: u32,
}

impl Sample for QuestionAnsweringSample {
    fn length(&self) -> usize {
        self.window.ids.len()
    }
}

/// [`QuestionAnsweringSample`]s, shuffled in each epoch. Tokens are kept once for each context and each question; windows are
/// put together when they are needed.
#[derive(Clone, Debug)]
pub struct QuestionAnsweringDataset {
    windows: ContextWindows,
    contexts: Vec<Arc<EncodedContext>>,
    questions: Vec<EncodedQuestion>,
    /// Of each sample the number of its question, and the tokens of its context.
    samples: Vec<(u32, u32, u32)>,
    order: Order,
    n_lost: u64,
}

#[derive(Clone, Debug)]
struct EncodedQuestion {
    question: Arc<Question>,
    ids: Vec<u32>,
    /// Number of its context.
    context: u32,
}

impl QuestionAnsweringDataset {
    /// Tokenises `texts` on all cores, and cuts contexts into `windows`.
    ///
    /// # Errors
    /// If there are no questions, one leaves no room for its context, or the tokenizer refuses a text.
    pub fn new(texts: &QuestionTexts, windows: ContextWindows, seed: u64) -> Result<Self, DataError> {
        let (mut numbers, mut distinct): (HashMap<&str, u32>, Vec<&Arc<str>>) = Default::default();
        let mut of_question = Vec::with_capacity(texts.questions.len());
        for question in &texts.questions {
            of_question.push(*numbers.entry(&question.context).or_insert_with(|| {
                distinct.push(&question.context);
                distinct.len() as u32 - 1
            }));
        }
        let contexts: Vec<Arc<EncodedContext>> =
            distinct.par_iter().map(|text| windows.encode_context(text).map(Arc::new)).collect::<Result<_, _>>()?;
        let encode = |(question, &context): (&Arc<Question>, &u32)| {
            let failed = |source| SamplesError::Question { id: question.id.clone(), source };
            let ids = windows.encode_question(&question.text).map_err(failed)?;
            let ranges = windows.ranges(ids.len(), contexts[context as usize].ids.len()).map_err(failed)?;
            Ok((EncodedQuestion { question: question.clone(), ids, context }, ranges))
        };
        let encoded: Vec<_> =
            texts.questions.par_iter().zip(&of_question).map(encode).collect::<Result<_, SamplesError>>()?;
        let (mut questions, mut samples, mut n_lost) = (Vec::with_capacity(encoded.len()), Vec::new(), 0);
        for (question, ranges) in encoded {
            let context = &contexts[question.context as usize];
            let is_in = |answer, range: &Range<usize>| {
                windows.window(&question.ids, context, range.clone()).place.positions_of(answer) != (0, 0)
            };
            if let Some(answer) = question.question.answers.first()
                && !ranges.iter().any(|range| is_in(answer, range))
            {
                n_lost += 1;
            }
            let number = questions.len() as u32;
            samples.extend(ranges.iter().map(|range| (number, range.start as u32, range.end as u32)));
            questions.push(question);
        }
        if samples.is_empty() {
            return Err(SamplesError::None { n_documents: 0, reason: "a question" }.into());
        }
        let order = Order::new(seed, samples.len() as u64);
        Ok(Self { windows, contexts, questions, samples, order, n_lost })
    }

    /// Number of questions.
    #[must_use]
    pub fn n_questions(&self) -> usize {
        self.questions.len()
    }

    /// Number of contexts.
    #[must_use]
    pub fn n_contexts(&self) -> usize {
        self.contexts.len()
    }

    /// Number of questions whose first answer is wholly in no window, as one that is longer than the windows' overlap.
    #[must_use]
    pub fn n_lost_answers(&self) -> u64 {
        self.n_lost
    }
}

impl Dataset for QuestionAnsweringDataset {
    type Sample = QuestionAnsweringSample;

    fn per_epoch(&self) -> u64 {
        self.order.len()
    }

    fn sample(&self, number: u64) -> Result<QuestionAnsweringSample, DataError> {
        let (number, first, end) = self.samples[self.order.at(number) as usize];
        let EncodedQuestion { question, ids, context } = &self.questions[number as usize];
        let context = &self.contexts[*context as usize];
        let window = self.windows.window(ids, context, first as usize..end as usize);
        let (start, end) = question.answers.first().map_or((0, 0), |answer| window.place.positions_of(answer));
        Ok(QuestionAnsweringSample { question: question.clone(), number, window, start: start as u32, end: end as u32 })
    }

    fn length(&self, number: u64) -> Result<usize, DataError> {
        let (question, first, end) = self.samples[self.order.at(number) as usize];
        Ok(self.windows.length(self.questions[question as usize].ids.len(), (end - first) as usize))
    }
}
