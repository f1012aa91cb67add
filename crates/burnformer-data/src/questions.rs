//! Questions about contexts in memory, for training and evaluation of extractive question answering.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use burnformer_core::progress::{Interrupt, Progress};
use burnformer_core::random::{Key, Permutation, Purpose};

use crate::conflicts::{Conflicts, equal, excerpt, n_repeated, n_shared};
use crate::content::{hash, hash_of_texts};
use crate::labelled::LabelError;
use crate::source::{OnBadRow, Records, Skipped, Source};
use crate::{DataError, Target};

/// A question about a context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What the file calls the question; its number among all of them, from 1, where it has no name.
    pub id: String,
    /// The question.
    pub text: String,
    /// The context.
    pub context: Arc<str>,
    /// The answers, as byte ranges of the context; none if it does not answer the question. The first one is learnt, and
    /// an answer is right if it is any of them.
    pub answers: Vec<Range<usize>>,
}

impl Question {
    /// The texts of the answers.
    pub fn answer_texts(&self) -> impl Iterator<Item = &str> {
        self.answers.iter().map(|answer| &self.context[answer.clone()])
    }
}

/// Questions with their answers. Those about one context share it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuestionTexts {
    /// The questions, in the order of the source.
    pub questions: Vec<Arc<Question>>,
}

impl QuestionTexts {
    /// Reads questions with their answers: the text of a record is the context, its pair the question, its group the
    /// identifier.
    ///
    /// # Errors
    /// The first bad row, unless `policy` skips those, which are counted; [`LabelError`] if a question has no answers, not
    /// even none; on request of `interrupt`.
    pub fn read(
        source: &dyn Source,
        policy: OnBadRow,
        progress: &dyn Progress,
        interrupt: &Interrupt,
    ) -> Result<(Self, Skipped), DataError> {
        let mut reader = Records::new(source, policy, "read questions", progress, interrupt);
        // By a hash, so that no context is kept twice; the few that share one are compared.
        let mut contexts: HashMap<u64, Vec<Arc<str>>> = HashMap::new();
        let mut questions = Vec::new();
        for record in reader.by_ref() {
            let record = record?;
            let answers = match record.target {
                Some(Target::Answers(answers)) => Some(answers),
                // An empty list in a row tells not what it is a list of.
                Some(Target::Labels { labels, columns }) if labels.is_empty() && columns.is_empty() => Some(Vec::new()),
                _ => None,
            };
            let (Some(text), Some(answers)) = (record.pair, answers) else {
                return Err(LabelError::NoAnswers { path: record.path.to_path_buf(), line: record.line }.into());
            };
            let known = contexts.entry(hash(&record.text)).or_default();
            let context = known.iter().find(|known| ***known == *record.text).cloned().unwrap_or_else(|| {
                known.push(record.text.into());
                known[known.len() - 1].clone()
            });
            let id = record.group.unwrap_or_else(|| (questions.len() + 1).to_string());
            questions.push(Arc::new(Question { id, text, context, answers }));
        }
        match questions.is_empty() {
            true => Err(LabelError::NoQuestion.into()),
            false => Ok((Self { questions }, reader.into_skipped())),
        }
    }

    /// Number of questions without an answer.
    #[must_use]
    pub fn n_unanswerable(&self) -> usize {
        self.questions.iter().filter(|question| question.answers.is_empty()).count()
    }

    /// Refuses questions from which no answer can be learned.
    ///
    /// # Errors
    /// [`LabelError::NoneAnswered`].
    pub fn check_answers(&self) -> Result<(), LabelError> {
        let questions = self.questions.len();
        if self.n_unanswerable() == questions { Err(LabelError::NoneAnswered { questions }) } else { Ok(()) }
    }

    /// Splits off a random share of the contexts with all of their questions, at least one of two.
    #[must_use]
    pub fn split(self, share: f64, seed: u64) -> (Self, Self) {
        let mut numbers: HashMap<&str, u64> = HashMap::new();
        let of_context: Vec<u64> = self
            .questions
            .iter()
            .map(|question| {
                let next = numbers.len() as u64;
                *numbers.entry(&question.context).or_insert(next)
            })
            .collect();
        let n = numbers.len();
        let wanted = ((share * n as f64).round() as usize).clamp(usize::from(n > 1), n) as u64;
        let order = Permutation::new(Key::new(seed, Purpose::Order, "validation examples"), 0, n as u64);
        let mut of_context = of_context.into_iter();
        let is_taken = |_: &Arc<Question>| of_context.next().is_some_and(|context| order.at(context) < wanted);
        let (taken, left) = self.questions.into_iter().partition(is_taken);
        (Self { questions: left }, Self { questions: taken })
    }

    /// At most `n` questions, chosen at random, in the original order.
    #[must_use]
    pub fn at_most(self, n: usize, seed: u64) -> Self {
        let key = Key::new(seed, Purpose::Order, "questions");
        let order = Permutation::new(key, 0, self.questions.len() as u64);
        let kept = self.questions.into_iter().zip(0..).filter(|(_, number)| order.at(*number) < n as u64);
        Self { questions: kept.map(|(question, _)| question).collect() }
    }

    /// Questions about one context that one row answers and another does not. Different answers may all be right, as those
    /// of several annotators.
    #[must_use]
    pub fn conflicts(&self) -> Conflicts {
        let groups = equal(&self.keys());
        let is_answered = |question: u32| u64::from(!self.questions[question as usize].answers.is_empty());
        let (mut conflicts, firsts) = Conflicts::among(&groups, is_answered, &[]);
        for (example, question) in conflicts.examples.iter_mut().zip(firsts) {
            example.text = excerpt(&self.questions[question as usize].text);
        }
        conflicts
    }

    /// Number of rows with the question and the context of an earlier one.
    #[must_use]
    pub fn n_repeated(&self) -> usize {
        n_repeated(&self.keys())
    }

    /// Number of questions whose context is one of `others` too.
    #[must_use]
    pub fn n_shared(&self, others: &Self) -> usize {
        n_shared(&self.contexts(), &others.contexts())
    }

    fn contexts(&self) -> Vec<(u64, &str)> {
        self.questions.iter().map(|question| (hash(&question.context), &*question.context)).collect()
    }

    /// Context and question of each row, behind their hash, by which most comparisons are decided.
    fn keys(&self) -> Vec<(u64, &str, &str)> {
        let key = |it: &Arc<Question>| hash_of_texts(&it.context, Some(&it.text));
        self.questions.iter().map(|question| (key(question), &*question.context, question.text.as_str())).collect()
    }
}

#[cfg(test)]
mod tests {
    use burnformer_core::progress::Silent;

    use super::*;
    use crate::Record;
    use crate::testing::{Memory, record};

    fn question(context: &str, question: &str, answers: &[Range<usize>]) -> Record {
        let (pair, target) = (Some(question.to_owned()), Some(Target::Answers(answers.to_vec())));
        Record { pair, target, ..record(&[context]) }
    }

    fn read(records: Vec<Record>) -> Result<QuestionTexts, DataError> {
        QuestionTexts::read(&Memory::of(records), OnBadRow::Error, &Silent, &Interrupt::new()).map(|(texts, _)| texts)
    }

    #[test]
    fn questions_about_one_context_share_it() {
        let named = Record { group: Some("q".to_owned()), ..question("a b", "x?", &[2..3, 0..1]) };
        let texts = read(vec![named, question("a b", "y?", &[]), question("c", "y?", &[0..1])]).unwrap();
        let questions = &texts.questions;
        assert!(Arc::ptr_eq(&questions[0].context, &questions[1].context));
        assert_eq!(questions.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), ["q", "2", "3"]);
        assert_eq!(questions[0].answer_texts().collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!((texts.n_unanswerable(), texts.n_repeated()), (1, 0));
    }

    #[test]
    fn what_is_no_question_is_refused() {
        let message = |records| read(records).unwrap_err().to_string();
        assert_eq!(message(vec![]), "there is no question with a context");
        let expected = "line 1 of `memory` has no question with answers, expected the JSON of SQuAD, or columns of contexts, \
                        questions and answers";
        assert_eq!(message(vec![record(&["text"])]), expected);
        let without = Record { target: None, ..question("a", "b", &[]) };
        assert_eq!(message(vec![without]), expected);
    }

    #[test]
    fn no_context_is_in_both_parts() {
        let all: Vec<Record> =
            (0..60).map(|i: usize| question(&format!("c{}", i % 12), &format!("q{i}"), &[0..1])).collect();
        let all = read(all).unwrap();
        for seed in 0..20 {
            let (left, taken) = all.clone().split(0.25, seed);
            assert_eq!((taken.n_shared(&left), left.questions.len(), taken.questions.len()), (0, 45, 15));
        }
        assert_ne!(all.clone().split(0.25, 1), all.clone().split(0.25, 2));
        assert_eq!(all.clone().at_most(7, 1).questions.len(), 7);
    }

    #[test]
    fn a_question_with_and_without_an_answer_is_a_conflict() {
        let texts = read(vec![
            question("a b a", "x?", &[0..1]),
            question("a b a", "x?", &[]),
            question("a b a", "y?", &[4..5]),
            question("a b a", "y?", &[2..3]),
            question("a b", "x?", &[2..3]),
        ]);
        let texts = texts.unwrap();
        assert_eq!((texts.conflicts().texts, texts.n_repeated()), (1, 2));
        assert_eq!(texts.conflicts().examples[0].text, "x?");
    }

    #[test]
    fn questions_without_any_answer_teach_nothing() {
        let texts = read(vec![question("a b", "x?", &[]), question("a b", "y?", &[])]).unwrap();
        assert!(matches!(texts.check_answers(), Err(LabelError::NoneAnswered { questions: 2 })));
        assert!(
            read(vec![question("a b", "x?", &[]), question("a b", "y?", &[0..1])]).unwrap().check_answers().is_ok()
        );
    }
}
