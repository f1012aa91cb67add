//! Answers to a question, as SQuAD's files have them: texts, and where they begin in the context.

use std::fmt::{self, Display};
use std::ops::Range;

use super::columns::Cell;
use super::{Place, ReadError};

/// Key of where an answer begins in the context, in Unicode characters from 0.
const START: &str = "answer_start";
/// Key of the text of an answer.
const TEXT: &str = "text";
/// Longest excerpt in a message, in characters.
const SHOWN: usize = 60;

/// A question whose answers are read, and where it stands.
pub(super) struct Asked<'a> {
    pub(super) at: &'a Place,
    pub(super) context: &'a str,
    /// What the file calls the question.
    pub(super) id: Option<&'a str>,
    /// What the file calls the answers.
    pub(super) field: &'a str,
}

/// Whether a value is a list of answers or the lists of their parts, as `{"text": ["…"], "answer_start": [7]}`.
pub(super) fn are_answers(cell: &Cell) -> bool {
    match cell {
        Cell::Fields(_, fields) => fields.iter().any(|(key, _)| key == START),
        Cell::List(cells) => cells.first().is_some_and(|cell| matches!(cell, Cell::Fields(..)) && are_answers(cell)),
        _ => false,
    }
}

impl Asked<'_> {
    /// The answers as byte ranges of the context; none if it does not answer the question. A blank answer at -1 is none.
    ///
    /// `cell` is a list of answers, or an object with a list of texts and one of beginnings.
    pub(super) fn answers(&self, cell: Cell) -> Result<Vec<Range<usize>>, ReadError> {
        let pairs = match cell {
            Cell::List(answers) => answers.into_iter().map(|answer| self.parts(answer)).collect::<Result<_, _>>()?,
            Cell::Fields(..) => match self.parts(cell)? {
                (Cell::List(texts), Cell::List(starts)) if texts.len() == starts.len() => {
                    texts.into_iter().zip(starts).collect()
                }
                (Cell::List(texts), Cell::List(starts)) => {
                    let (at, texts, starts) = (self.at.clone(), texts.len(), starts.len());
                    return Err(ReadError::AnswerCount { at, texts, starts });
                }
                (text @ Cell::Text(_), start) => vec![(text, start)],
                (other, _) => return Err(self.wrong(TEXT, &other, "a list of texts")),
            },
            Cell::Nothing => return Err(ReadError::MissingField { at: self.at.clone(), field: self.field.to_owned() }),
            other => {
                let (at, field, found) = (self.at.clone(), self.field.to_owned(), other.kind());
                return Err(ReadError::WrongType { at, field, found, expected: "a list of answers" });
            }
        };
        let found = pairs.into_iter().map(|(text, start): (Cell, Cell)| self.answer(&text, &start));
        found.filter_map(Result::transpose).collect()
    }

    /// Text and beginning of an answer, or the lists of both.
    fn parts(&self, answer: Cell) -> Result<(Cell, Cell), ReadError> {
        let Cell::Fields(_, fields) = answer else {
            let expected = "an answer such as `{\"text\": \"…\", \"answer_start\": 7}`";
            let (at, field, found) = (self.at.clone(), self.field.to_owned(), answer.kind());
            return Err(ReadError::WrongType { at, field, found, expected });
        };
        let (mut text, mut start) = (Cell::Nothing, Cell::Nothing);
        for (key, cell) in fields {
            match key.as_str() {
                TEXT => text = cell,
                START => start = cell,
                _ => {}
            }
        }
        Ok((text, start))
    }

    /// The answer, checked to stand where it is said to.
    fn answer(&self, text: &Cell, start: &Cell) -> Result<Option<Range<usize>>, ReadError> {
        let Cell::Text(text) = text else { return Err(self.wrong(TEXT, text, "text")) };
        let start = match start {
            Cell::Scalar(_, number) => number.parse::<i64>().ok(),
            _ => None,
        }
        .ok_or_else(|| self.wrong(START, start, "a whole number"))?;
        if text.trim().is_empty() {
            let field = format!("{}.{TEXT}", self.field);
            return if start == -1 { Ok(None) } else { Err(ReadError::BlankField { at: self.at.clone(), field }) };
        }
        let byte = usize::try_from(start).ok().and_then(|start| byte_of(self.context, start));
        match byte.filter(|&byte| self.context[byte..].starts_with(text.as_str())) {
            Some(byte) => Ok(Some(byte..byte + text.len())),
            None => Err(self.misplaced(text, start, byte)),
        }
    }

    fn misplaced(&self, answer: &str, start: i64, byte: Option<usize>) -> ReadError {
        let behind = byte.map_or("", |byte| &self.context[byte..]);
        let places: Vec<usize> = self.context.match_indices(answer).map(|(byte, _)| byte).collect();
        let problem = MisplacedAnswer {
            id: self.id.map(str::to_owned),
            answer: answer.chars().take(SHOWN).collect(),
            start,
            found: behind.chars().take(answer.chars().count().min(SHOWN)).collect(),
            n_places: places.len(),
            // Which one is meant cannot be known where there are several.
            place: <[usize; 1]>::try_from(places).ok().map(|[byte]| self.context[..byte].chars().count()),
        };
        ReadError::AnswerPlace { at: self.at.clone(), problem: Box::new(problem) }
    }

    fn wrong(&self, key: &str, found: &Cell, expected: &'static str) -> ReadError {
        let (at, field) = (self.at.clone(), format!("{}.{key}", self.field));
        match found {
            Cell::Nothing => ReadError::MissingField { at, field },
            found => ReadError::WrongType { at, field, found: found.kind(), expected },
        }
    }
}

/// The byte at which character number `character` begins; `None` behind the last one.
fn byte_of(text: &str, character: usize) -> Option<usize> {
    if text.is_ascii() {
        return Some(character).filter(|&byte| byte < text.len());
    }
    text.char_indices().nth(character).map(|(byte, _)| byte)
}

/// An answer that is not where the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MisplacedAnswer {
    /// What the file calls the question.
    pub id: Option<String>,
    /// Beginning of the answer.
    pub answer: String,
    /// Where it is said to begin, in characters from 0.
    pub start: i64,
    /// What the context has there; empty if it is shorter.
    pub found: String,
    /// How often the context has the answer.
    pub n_places: usize,
    /// The place of the answer in the context, in characters from 0, if it is there once.
    pub place: Option<usize>,
}

impl Display for MisplacedAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, answer, start, found, n_places, place } = self;
        let question = id.as_ref().map_or_else(String::new, |id| format!(" of question `{id}`"));
        let there = match start {
            ..0 => "begins at character 0".to_owned(),
            _ if found.is_empty() => "ends before".to_owned(),
            _ => format!("has `{found}` there"),
        };
        let remedy = match (place, n_places) {
            (Some(place), _) => format!("it is at {place}, set `answer_start` to that"),
            (None, 0) => "it is nowhere in it, correct the answer".to_owned(),
            (None, n) => format!("it is in it {n} times, set `answer_start` to the place that is meant"),
        };
        write!(f, "the answer `{answer}`{question} is not at character {start} of its context, which {there}: {remedy}")
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const CONTEXT: &str = "Zoë lives in Paris, and Paris is far.";

    fn text(text: &str) -> Cell {
        Cell::Text(text.to_owned())
    }

    fn number(number: i64) -> Cell {
        Cell::Scalar("a number", number.to_string())
    }

    fn fields(text: Cell, start: Cell) -> Cell {
        Cell::Fields("an object", vec![("text".to_owned(), text), ("answer_start".to_owned(), start)])
    }

    fn read(cell: Cell) -> Result<Vec<Range<usize>>, String> {
        let at = Place::new(&Path::new("a").into(), "line", 7);
        let asked = Asked { at: &at, context: CONTEXT, id: Some("q1"), field: "answers" };
        asked.answers(cell).map_err(|error| error.to_string())
    }

    #[test]
    fn both_forms_of_answers_are_byte_ranges() {
        let ranges = vec![14..19, 0..4];
        let one = |answer: &str, start| fields(text(answer), number(start));
        assert_eq!(read(Cell::List(vec![one("Paris", 13), one("Zoë", 0)])), Ok(ranges.clone()));
        let lists = fields(Cell::List(vec![text("Paris"), text("Zoë")]), Cell::List(vec![number(13), number(0)]));
        assert!(are_answers(&lists));
        assert_eq!(read(lists), Ok(ranges));
        assert_eq!(read(one("Paris", 13)), Ok(vec![14..19]));
        for none in [Cell::List(vec![]), fields(Cell::List(vec![]), Cell::List(vec![])), Cell::List(vec![one("", -1)])]
        {
            assert_eq!(read(none), Ok(vec![]));
        }
    }

    #[test]
    fn an_answer_that_stands_elsewhere_is_an_error_with_its_place() {
        let answer = |answer: &str, start| read(Cell::List(vec![fields(text(answer), number(start))])).unwrap_err();
        assert_eq!(
            answer("lives", 5),
            "line 7 of `a`: the answer `lives` of question `q1` is not at character 5 of its context, which has `ives ` \
             there: it is at 4, set `answer_start` to that"
        );
        assert_eq!(
            answer("Rome", 99),
            "line 7 of `a`: the answer `Rome` of question `q1` is not at character 99 of its context, which ends before: it \
             is nowhere in it, correct the answer"
        );
        assert!(answer("Zoë", -1).ends_with(
            "character -1 of its context, which begins at character 0: it is at 0, set `answer_start` to that"
        ));
    }

    #[test]
    fn which_of_several_places_an_answer_has_is_not_guessed() {
        for start in [-1, 12, 23, 99999] {
            let error = read(Cell::List(vec![fields(text("Paris"), number(start))])).unwrap_err();
            assert!(error.ends_with("it is in it 2 times, set `answer_start` to the place that is meant"), "{error}");
        }
    }

    #[test]
    fn what_is_no_answer_is_named() {
        let check = |cell, message: &str| assert_eq!(read(cell).unwrap_err(), message);
        check(text("Paris"), "`answers` in line 7 of `a` is text, expected a list of answers");
        check(
            Cell::List(vec![text("Paris")]),
            "`answers` in line 7 of `a` is text, expected an answer such as `{\"text\": \"…\", \"answer_start\": 7}`",
        );
        check(Cell::List(vec![fields(text("Paris"), Cell::Nothing)]), "line 7 of `a` has no `answers.answer_start`");
        check(
            Cell::List(vec![fields(text("Paris"), text("13"))]),
            "`answers.answer_start` in line 7 of `a` is text, expected a whole number",
        );
        check(Cell::List(vec![fields(text(" "), number(3))]), "line 7 of `a` has an empty `answers.text`");
        let lists = fields(Cell::List(vec![text("Paris")]), Cell::List(vec![]));
        check(lists, "line 7 of `a` has 1 answers and 0 beginnings, expected equal numbers");
    }
}
