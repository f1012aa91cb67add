//! Batches for extractive question answering.

use std::ops::Range;
use std::sync::Arc;

use super::{Batch, Collator, Padded, Padding, PaddingStats};
use crate::datasets::{QuestionAnsweringSample, WindowPlace};
use crate::questions::Question;

/// Windows over contexts, each behind its question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuestionAnsweringBatch {
    /// Numbers of the samples.
    pub numbers: Vec<u64>,
    /// The windows.
    pub tokens: Padded,
    /// Number of tokens of each window that belong to its first segment.
    pub first_lengths: Vec<usize>,
    /// Column of the first token of each answer; 0 if the window does not hold it.
    pub starts: Vec<u32>,
    /// Column of the last token of each answer.
    pub ends: Vec<u32>,
    /// What each window is a window of.
    pub questions: Vec<WindowQuestion>,
}

/// The question of a window, and the part of its context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowQuestion {
    /// Number of the question in its data set.
    pub number: u32,
    /// The question.
    pub question: Arc<Question>,
    /// The part of its context.
    pub place: WindowPlace,
}

/// Makes [`QuestionAnsweringBatch`]es.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuestionAnsweringCollator {
    /// Padding of windows.
    pub padding: Padding,
}

impl Collator for QuestionAnsweringCollator {
    type Sample = QuestionAnsweringSample;
    type Batch = QuestionAnsweringBatch;

    fn collate(&self, numbers: Vec<u64>, samples: Vec<QuestionAnsweringSample>) -> QuestionAnsweringBatch {
        let tokens = Padded::new(samples.iter().map(|sample| sample.window.ids.as_slice()), &self.padding);
        let mut batch = QuestionAnsweringBatch { numbers, tokens, ..QuestionAnsweringBatch::default() };
        for QuestionAnsweringSample { question, number, window, start, end } in samples {
            batch.first_lengths.push(window.first_length);
            batch.starts.push(start);
            batch.ends.push(end);
            batch.questions.push(WindowQuestion { number, question, place: window.place });
        }
        batch
    }

    fn row_length(&self, length: usize) -> usize {
        self.padding.row_length(length)
    }
}

impl Batch for QuestionAnsweringBatch {
    fn rows(&self, rows: Range<usize>) -> Self {
        Self {
            numbers: self.numbers[rows.clone()].to_vec(),
            tokens: self.tokens.rows(rows.clone()),
            first_lengths: self.first_lengths[rows.clone()].to_vec(),
            starts: self.starts[rows.clone()].to_vec(),
            ends: self.ends[rows.clone()].to_vec(),
            questions: self.questions[rows].to_vec(),
        }
    }

    fn numbers(&self) -> &[u64] {
        &self.numbers
    }

    fn padding_stats(&self) -> PaddingStats {
        self.tokens.padding_stats()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batches::{BatchConfig, Batches};
    use crate::datasets::{ContextWindows, Dataset, QuestionAnsweringDataset, Sample};
    use crate::questions::QuestionTexts;
    use crate::testing::tokenizer;

    fn dataset() -> QuestionAnsweringDataset {
        let question = |text: &str, context: &str, answer: Option<Range<usize>>| {
            let (id, text) = (text.to_owned(), text.to_owned());
            Arc::new(Question { id, text, context: context.into(), answers: answer.into_iter().collect() })
        };
        let long = "t0 t1 t2 t3 t4 t5 t6";
        let questions = vec![
            question("t8", long, Some(15..20)), // `t5 t6`
            question("t7 t7", "t0 t1", None),
            question("t6", long, Some(0..20)),
        ];
        let windows = ContextWindows::new(tokenizer(9), 8, 2).unwrap();
        QuestionAnsweringDataset::new(&QuestionTexts { questions }, windows, 1).unwrap()
    }

    fn samples() -> Vec<QuestionAnsweringSample> {
        let dataset = dataset();
        let mut samples: Vec<_> = (0..dataset.per_epoch()).map(|number| dataset.sample(number).unwrap()).collect();
        samples.sort_by_key(|sample| (sample.number, sample.window.place.tokens.start));
        samples
    }

    #[test]
    fn every_window_is_a_sample_and_holds_the_answer_or_none() {
        let dataset = dataset();
        assert_eq!((dataset.n_questions(), dataset.per_epoch(), dataset.n_lost_answers()), (3, 7, 1));
        for number in 0..14 {
            assert_eq!(dataset.length(number).unwrap(), dataset.sample(number).unwrap().length());
        }
        let shown = |it: &QuestionAnsweringSample| (it.number, it.window.place.tokens.clone(), it.start, it.end);
        let found: Vec<_> = samples().iter().map(shown).collect();
        let windows =
            |number, start, end| [(number, 0..4, 0, 0), (number, 2..6, 0, 0), (number, 4..7, start, end)].to_vec();
        assert_eq!(found, [windows(0, 4, 5), vec![(1, 0..2, 0, 0)], windows(2, 0, 0)].concat());
    }

    #[test]
    fn rows_keep_their_questions_without_padding_that_others_needed() {
        let samples = samples();
        let collator = QuestionAnsweringCollator { padding: Padding { pad_id: 0, multiple_of: 1 } };
        let batch = collator.collate((0..samples.len() as u64).collect(), samples.clone());
        assert_eq!(batch.tokens.seq_length, 8);
        let short = batch.questions.iter().position(|it| it.question.id == "t7 t7").unwrap();
        let row = batch.rows(short..short + 1);
        assert_eq!((row.tokens.ids.as_slice(), row.first_lengths[0]), (&[2, 12, 12, 3, 5, 6, 3][..], 4));
        assert_eq!((row.questions[0].number, row.starts[0], row.ends[0]), (1, 0, 0));
        assert_eq!(batch.split(2).len(), 4);
    }

    #[test]
    fn an_epoch_has_every_window_once() {
        let collator = QuestionAnsweringCollator { padding: Padding { pad_id: 0, multiple_of: 1 } };
        let batches = Batches::epoch(Arc::new(dataset()), &collator, &BatchConfig::default(), 1).unwrap();
        let rows = batches.flat_map(|batch| batch.unwrap().questions).map(|it| (it.number, it.place.tokens.start));
        let mut rows: Vec<_> = rows.collect();
        rows.sort_unstable();
        let expected: Vec<_> = samples().iter().map(|it| (it.number, it.window.place.tokens.start)).collect();
        assert_eq!(rows, expected);
    }
}
