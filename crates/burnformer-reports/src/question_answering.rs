//! Scores of models that answer questions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Scores of answers to questions, as the official scripts of SQuAD count them, in `[0, 1]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuestionAnsweringScores {
    /// Number of questions.
    pub questions: u64,
    /// Number of questions without an answer.
    pub unanswerable: u64,
    /// Number of windows over the contexts.
    pub windows: u64,
    /// Number of questions whose answer is wholly in no window.
    pub lost_answers: u64,
    /// Mean cross-entropy of the first and the last token of an answer, in nats per window.
    pub loss: f64,
    /// Share of answers that are one of the true ones, by their normal forms.
    pub exact_match: f64,
    /// Mean F1 of the words of answer and true answer.
    pub f1: f64,
    /// Mean F1 by the rules of MLQA for Chinese, where each Chinese character is a word, over the questions with Chinese answers;
    /// absent without any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chinese_f1: Option<f64>,
    /// Scores apart for questions with and without an answer, where there are both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_kind: Option<ScoresByKind>,
    /// The answers, by the identifiers of their questions; not written with the scores.
    #[serde(skip)]
    pub answers: Vec<AnsweredQuestion>,
}

/// Scores of questions with and without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoresByKind {
    /// Share of exact answers, where there is one.
    pub answerable_exact_match: f64,
    /// Mean F1, where there is an answer.
    pub answerable_f1: f64,
    /// Share of the other questions to which none is given.
    pub unanswerable_accuracy: f64,
    /// Difference between the scores of "no answer" and of the best answer above which no answer is given; absent if there is always
    /// one.
    pub threshold: Option<f64>,
    /// The threshold that would lead to the best F1 on these questions.
    pub best_threshold: f64,
    /// F1 with that threshold.
    pub best_f1: f64,
}

/// The answer to a question of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AnsweredQuestion {
    /// Identifier of the question.
    pub id: String,
    /// The answer that is given; empty for none.
    pub answer: String,
    /// Score of "no answer" minus that of the best answer.
    pub no_answer_difference: f64,
}

impl QuestionAnsweringScores {
    /// Each number with its name.
    #[must_use]
    pub fn lines(&self) -> Vec<(String, String)> {
        let counts = [
            ("questions", self.questions, true),
            ("without an answer", self.unanswerable, false),
            ("windows", self.windows, true),
            ("answers in no window", self.lost_answers, false),
        ];
        let mut lines: Vec<(String, String)> = counts
            .into_iter()
            .filter(|(_, count, always)| *always || *count > 0)
            .map(|(name, count, _)| (name.to_owned(), count.to_string()))
            .collect();
        let mut add = |name: &str, value: f64| lines.push((name.to_owned(), format!("{value:.4}")));
        add("loss", self.loss);
        add("exact match", self.exact_match);
        add("F1", self.f1);
        if let Some(f1) = self.chinese_f1 {
            add("F1 by characters", f1);
        }
        if let Some(kinds) = &self.by_kind {
            add("answerable, exact", kinds.answerable_exact_match);
            add("answerable, F1", kinds.answerable_f1);
            add("unanswerable", kinds.unanswerable_accuracy);
            lines.push(("best threshold".to_owned(), format!("{:.4} (F1 {:.4})", kinds.best_threshold, kinds.best_f1)));
        }
        lines
    }

    /// The answers by question, as the official scripts of SQuAD read them.
    #[must_use]
    pub fn predictions(&self) -> BTreeMap<&str, &str> {
        self.answers.iter().map(|it| (it.id.as_str(), it.answer.as_str())).collect()
    }

    /// How likely it is that each question has no answer, as the script of SQuAD 2.0 reads it: the greater, the likelier.
    #[must_use]
    pub fn no_answer_differences(&self) -> BTreeMap<&str, f64> {
        self.answers.iter().map(|it| (it.id.as_str(), it.no_answer_difference.clamp(f64::MIN, f64::MAX))).collect()
    }

    /// An identifier that several questions have.
    #[must_use]
    pub fn repeated_id(&self) -> Option<&str> {
        let mut ids: Vec<&str> = self.answers.iter().map(|it| it.id.as_str()).collect();
        ids.sort_unstable();
        ids.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_has_no_line() {
        let scores = QuestionAnsweringScores {
            questions: 3,
            unanswerable: 0,
            windows: 4,
            lost_answers: 0,
            loss: 1.5,
            exact_match: 0.5,
            f1: 0.75,
            chinese_f1: None,
            by_kind: None,
            answers: ["b", "a", "b"].map(|id| AnsweredQuestion { id: id.to_owned(), ..Default::default() }).to_vec(),
        };
        let names: Vec<String> = scores.lines().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["questions", "windows", "loss", "exact match", "F1"]);
        assert_eq!(scores.repeated_id(), Some("b"));
        let json = serde_json::to_value(&scores).unwrap();
        assert_eq!(json.as_object().unwrap().len(), 7);
        let kinds = ScoresByKind {
            answerable_exact_match: 0.5,
            answerable_f1: 0.6,
            unanswerable_accuracy: 0.7,
            threshold: Some(0.0),
            best_threshold: -1.5,
            best_f1: 0.8,
        };
        let scores = QuestionAnsweringScores { unanswerable: 1, by_kind: Some(kinds), ..scores };
        assert_eq!(scores.lines()[1], ("without an answer".to_owned(), "1".to_owned()));
        assert_eq!(scores.lines().last().unwrap().1, "-1.5000 (F1 0.8000)");
    }
}
