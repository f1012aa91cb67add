//! Questions about contexts, with their answers: the JSON of SQuAD, and rows of the same fields.

use std::sync::Arc;
use std::vec;

use serde_json::{Map, Value};

use super::answers::Asked;
use super::columns::Cell;
use super::json_values::{Failed, Stream};
use super::jsonl::{cell, object};
use super::lines::{Checks, Lines};
use super::{Place, ReadError};
use crate::{Record, Target};

/// Members whose lists are looked into.
const LISTS: [&str; 2] = ["data", "paragraphs"];
/// Members that are kept of an object.
const KEPT: [&str; 6] = [CONTEXT, QUESTIONS, QUESTION, ID, ANSWERS, IMPOSSIBLE];
const CONTEXT: &str = "context";
const QUESTIONS: &str = "qas";
const QUESTION: &str = "question";
const ID: &str = "id";
const ANSWERS: &str = "answers";
const IMPOSSIBLE: &str = "is_impossible";
/// Longest paragraph with its questions, in bytes: each question is a record with the context in it.
const LONGEST: usize = 8 << 20;
/// Most objects and lists within each other, above a paragraph.
const DEEPEST: usize = 16;

/// The questions of a file as records: the context is the text, the question the pair, and its identifier the group.
///
/// Objects are looked for in lists called `data` and `paragraphs` at any depth. One with `qas` is a paragraph; one with a
/// `question` is itself a row, as `datasets` writes them. One object in each line is read line by line, so that a bad one is
/// left alone. A question with `is_impossible` has no answer, whatever else it has; one without `answers` has no target.
pub(super) struct Questions {
    paragraphs: Paragraphs,
    open: Option<Paragraph>,
}

/// Where paragraphs come from.
enum Paragraphs {
    /// The beginning was not looked at.
    Unknown(Lines),
    Lines(Lines),
    Nested(Walk, Arc<Checks>),
}

/// A context, and the questions that are left of it.
struct Paragraph {
    context: String,
    questions: vec::IntoIter<Value>,
    mark: Option<char>,
    at: Place,
}

impl Questions {
    /// The questions in `lines`.
    pub(super) fn new(lines: Lines) -> Self {
        Self { paragraphs: Paragraphs::Unknown(lines), open: None }
    }

    /// The next paragraph, in which there may be no question; the outer `None` at the end.
    fn paragraph(&mut self) -> Option<Result<Option<Paragraph>, ReadError>> {
        match &mut self.paragraphs {
            Paragraphs::Unknown(lines) => {
                let is_by_lines = match is_by_lines(lines) {
                    Ok(is_by_lines) => is_by_lines,
                    Err(error) => return Some(Err(error)),
                };
                let lines = lines.take();
                self.paragraphs = if is_by_lines {
                    Paragraphs::Lines(lines)
                } else {
                    let path = lines.path().clone();
                    let (bytes, checks, number) = lines.into_bytes();
                    let walk = Walk::new(Stream::new(bytes, number, LONGEST), Place::new(&path, "line", number));
                    Paragraphs::Nested(walk, checks)
                };
                Some(Ok(None))
            }
            Paragraphs::Lines(lines) => {
                let path = lines.path().clone();
                Some(match lines.read()? {
                    Ok((_, line)) if line.trim().is_empty() => Ok(None),
                    Ok((number, line)) => Paragraph::parse(line, Place::new(&path, "line", number)).map(Some),
                    Err(error) => Err(error),
                })
            }
            Paragraphs::Nested(walk, checks) => Some(walk.next()?.and_then(|(at, json)| {
                // A paragraph that cannot be read takes its questions with it.
                let rows = json.windows(QUESTION.len() + 2).filter(|it| *it == b"\"question\"").count().max(1) as u64;
                let at = Place { rows, ..at };
                Paragraph::parse(checks.check(&json, || at.clone())?, at).map(Some)
            })),
        }
    }
}

impl Iterator for Questions {
    type Item = Result<Record, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(paragraph) = &mut self.open {
                if let Some(question) = paragraph.questions.next() {
                    return Some(paragraph.record(&question));
                }
                self.open = None;
            }
            match self.paragraph()? {
                Ok(paragraph) => self.open = paragraph,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// Whether the first line that is not blank is an object of its own without lists to look into.
fn is_by_lines(lines: &mut Lines) -> Result<bool, ReadError> {
    if lines.peek()? != Some(b'{') {
        return Ok(false);
    }
    let head = lines.head(LONGEST)?;
    let at = Place::new(lines.path(), "line", 1);
    let object = str::from_utf8(&head).ok().and_then(|line| object(line, 0, &at).ok());
    Ok(object.is_some_and(|(fields, _)| LISTS.iter().all(|list| !fields.contains_key(*list))))
}

impl Paragraph {
    /// The paragraph, or the row, in the object `json`.
    fn parse(json: &str, at: Place) -> Result<Self, ReadError> {
        let (mut fields, mark) = object(json, 0, &at)?;
        let missing = |missing, fields: &Map<String, Value>| {
            let found = fields.keys().cloned().collect();
            ReadError::NotSquad { at: at.clone(), missing, found }
        };
        let context = match fields.get(CONTEXT) {
            None => return Err(missing(CONTEXT, &fields)),
            Some(Value::String(context)) if context.trim().is_empty() => {
                return Err(ReadError::BlankField { at, field: CONTEXT.to_owned() });
            }
            Some(Value::String(context)) => context.clone(),
            other => return Err(wrong(&at, CONTEXT, &cell(other, mark))),
        };
        let questions = match fields.remove(QUESTIONS) {
            Some(Value::Array(questions)) => questions,
            Some(other) => return Err(wrong(&at, QUESTIONS, &cell(Some(&other), mark))),
            None if fields.contains_key(QUESTION) => vec![Value::Object(fields)],
            None => return Err(missing(QUESTIONS, &fields)),
        };
        Ok(Self { context, questions: questions.into_iter(), mark, at: Place { rows: 1, ..at } })
    }

    fn record(&self, question: &Value) -> Result<Record, ReadError> {
        let (at, field) = (&self.at, |key: &str| cell(question.get(key), self.mark));
        let text = match field(QUESTION) {
            Cell::Text(text) if !text.trim().is_empty() => text,
            Cell::Text(_) => {
                return Err(ReadError::BlankField { at: at.clone(), field: QUESTION.to_owned() });
            }
            other => return Err(wrong(at, QUESTION, &other)),
        };
        let id = match field(ID) {
            Cell::Text(id) | Cell::Scalar(_, id) => Some(id),
            Cell::Nothing => None,
            other => return Err(wrong(at, ID, &other)),
        };
        let asked = Asked { at, context: &self.context, id: id.as_deref(), field: ANSWERS };
        let answers = match field(ANSWERS) {
            _ if question.get(IMPOSSIBLE) == Some(&Value::Bool(true)) => Some(Vec::new()),
            Cell::Nothing => None,
            answers => Some(asked.answers(answers)?),
        };
        let record = Record::new(self.context.clone(), at.path.clone(), at.number);
        Ok(Record { pair: Some(text), target: answers.map(Target::Answers), group: id, ..record })
    }
}

fn wrong(at: &Place, field: &str, found: &Cell) -> ReadError {
    let (at, field, expected) = (at.clone(), field.to_owned(), if field == QUESTIONS { "a list" } else { "text" });
    match found {
        Cell::Nothing => ReadError::MissingField { at, field },
        found => ReadError::WrongType { at, field, found: found.kind(), expected },
    }
}

/// The objects of a stream that are paragraphs or rows, one after another, whatever they lie in.
struct Walk {
    stream: Stream,
    levels: Vec<Level>,
    /// `true` behind a value, where a comma or an end follows.
    is_behind: bool,
    /// The file.
    file: Place,
}

/// What the stream is in.
enum Level {
    List,
    Object {
        line: u64,
        /// The members that are kept, as JSON.
        kept: Vec<u8>,
        /// `true` if it is no paragraph: it had a list that was looked into.
        is_list: bool,
        is_too_long: bool,
    },
}

impl Walk {
    fn new(stream: Stream, file: Place) -> Self {
        Self { stream, levels: Vec::new(), is_behind: false, file }
    }

    /// Where the next paragraph begins, and its object.
    fn read(&mut self) -> Result<Option<(u64, Vec<u8>)>, Failed> {
        loop {
            let next = self.stream.peek()?;
            let is_behind = self.is_behind;
            match (self.levels.last_mut(), next) {
                (None, None) => return Ok(None),
                (Some(Level::List), None) => return Err(Failed::Broken("the file ends within a list")),
                (Some(Level::Object { .. }), None) => return Err(Failed::Broken("the file ends within an object")),
                (Some(_), Some(b',')) if is_behind => {
                    self.stream.step();
                    self.is_behind = false;
                }
                (Some(Level::List), Some(b']')) => self.leave(),
                (Some(Level::Object { .. }), Some(b'}')) => {
                    let paragraph = self.finish()?;
                    if paragraph.is_some() {
                        return Ok(paragraph);
                    }
                }
                (Some(_), Some(_)) if is_behind => return Err(Failed::Broken("a comma is missing")),
                (Some(Level::Object { .. }), Some(b'"')) => self.member()?,
                (Some(Level::Object { .. }), Some(_)) => return Err(Failed::Broken("the name of a member is missing")),
                (None | Some(Level::List), Some(b'{')) => {
                    let line = self.stream.line;
                    let object = Level::Object { line, kept: Vec::new(), is_list: false, is_too_long: false };
                    self.enter(object)?;
                }
                (None, Some(b'[')) => self.enter(Level::List)?,
                (None | Some(Level::List), Some(_)) => {
                    return Err(Failed::Broken("there is a value that is no object"));
                }
            }
        }
    }

    fn enter(&mut self, level: Level) -> Result<(), Failed> {
        if self.levels.len() == DEEPEST {
            return Err(Failed::Broken("lists are within each other too often"));
        }
        self.stream.step();
        self.is_behind = false;
        self.levels.push(level);
        Ok(())
    }

    fn leave(&mut self) {
        self.stream.step();
        self.levels.pop();
        self.is_behind = !self.levels.is_empty();
    }

    /// Reads a member of an object, or enters its list.
    fn member(&mut self) -> Result<(), Failed> {
        let name = self.stream.cut()?.bytes;
        if self.stream.peek()? != Some(b':') {
            return Err(Failed::Broken("a member has no value"));
        }
        self.stream.step();
        let first = self.stream.peek()?;
        let known = |names: &[&str]| names.iter().any(|known| name == format!("\"{known}\"").as_bytes());
        let Some(Level::Object { kept, is_list, is_too_long, .. }) = self.levels.last_mut() else { return Ok(()) };
        if known(&LISTS) && first == Some(b'[') {
            *is_list = true;
            return self.enter(Level::List);
        }
        match self.stream.cut() {
            Ok(value) if value.bytes.is_empty() => return Err(Failed::Broken("a member has no value")),
            Ok(value) => {
                // Of the other members the names are enough.
                let value: &[u8] = if known(&KEPT) { &value.bytes } else { b"null" };
                *is_too_long |= kept.len() + name.len() + value.len() > LONGEST;
                if *is_too_long {
                    *kept = Vec::new();
                } else {
                    kept.push(if kept.is_empty() { b'{' } else { b',' });
                    kept.extend_from_slice(&name);
                    kept.push(b':');
                    kept.extend_from_slice(value);
                }
            }
            Err(Failed::TooLong { .. }) => *is_too_long |= known(&KEPT),
            Err(error) => return Err(error),
        }
        self.is_behind = true;
        Ok(())
    }

    /// Leaves an object; returns it if it is a paragraph.
    fn finish(&mut self) -> Result<Option<(u64, Vec<u8>)>, Failed> {
        let level = self.levels.pop();
        self.stream.step();
        self.is_behind = !self.levels.is_empty();
        let Some(Level::Object { line, mut kept, is_list, is_too_long }) = level else { return Ok(None) };
        if is_too_long {
            return Err(Failed::TooLong { line, limit: LONGEST });
        }
        if kept.is_empty() {
            kept.push(b'{');
        }
        kept.push(b'}');
        Ok((!is_list).then_some((line, kept)))
    }
}

impl Iterator for Walk {
    type Item = Result<(Place, Vec<u8>), ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let failed = match self.read() {
            Ok(found) => return found.map(|(number, json)| Ok((Place { number, ..self.file.clone() }, json))),
            Err(failed) => failed,
        };
        Some(Err(failed.at(Place { number: self.stream.line, ..self.file.clone() })))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{lines, shown};
    use super::*;

    fn read(content: &str) -> Vec<String> {
        shown(Questions::new(lines(content, 1 << 20)))
    }

    const PARAGRAPH: &str = r#"{"context": "Ann is in Rome.", "qas": [
        {"id": "q1", "question": "Who?", "answers": [{"text": "Ann", "answer_start": 0}, {"text": "Ann", "answer_start": 0}]},
        {"id": 2, "question": "When?", "answers": [], "is_impossible": true},
        {"question": "Where?"}]}"#;
    const ROWS: [&str; 3] = [
        r#" "Ann is in Rome." pair="Who?" group="q1" answers=0..3,0..3"#,
        r#" "Ann is in Rome." pair="When?" group="2" answers="#,
        r#" "Ann is in Rome." pair="Where?""#,
    ];

    fn at(line: u64) -> Vec<String> {
        ROWS.iter().map(|row| format!("{line}{row}")).collect()
    }

    #[test]
    fn paragraphs_are_found_wherever_they_lie() {
        let article = format!("{{\"title\": \"a\", \"id\": 7, \"paragraphs\": [{PARAGRAPH}, {PARAGRAPH}]}}");
        let twice = |first, second| [at(first), at(second)].concat();
        assert_eq!(read(&format!("{{\"version\": \"1.1\", \"data\": [{article}]}}")), twice(1, 4));
        assert_eq!(read(&format!("\n{{\"data\":\n[{article}], \"version\": {{\"a\": [1]}}}}\n")), twice(3, 6));
        assert_eq!(read(&format!("[{article}]")), twice(1, 4));
        assert_eq!(read(&format!("{{\"data\": [{PARAGRAPH}, {PARAGRAPH}]}}")), twice(1, 4));
        assert_eq!(read(&format!("{PARAGRAPH}\n{PARAGRAPH}")), twice(1, 5));
        assert_eq!(read(&PARAGRAPH.replace('\n', " ").repeat(2).replace("}{", "}\n{")), twice(1, 2));
        assert!(read("{\"data\": []}").is_empty() && read("").is_empty());
    }

    #[test]
    fn rows_of_data_sets_are_questions() {
        let rows = r#"{"id": "a", "title": "t", "context": "Ann is in Rome.", "question": "Who?", "answers": {"text": ["Ann"], "answer_start": [0]}}
{"id": "b", "context": "Ann is in Rome.", "question": "When?", "answers": {"text": [], "answer_start": []}}
{"id": "c", "context": "Ann", "question": "When?", "answers": {"text": ["Bob"], "answer_start": [0]}}
{"id": "d", "context": "Ann", "question":
{"id": "e", "context": "Ann", "question": "Who?", "answers": []}
"#;
        let found = read(rows);
        let first = r#"1 "Ann is in Rome." pair="Who?" group="a" answers=0..3"#;
        assert_eq!(found[..2], [first, r#"2 "Ann is in Rome." pair="When?" group="b" answers="#]);
        assert_eq!(
            found[2],
            "error: line 3 of `a`: the answer `Bob` of question `c` is not at character 0 of its context, which has `Ann` \
             there: it is nowhere in it, correct the answer"
        );
        assert!(found[3].starts_with("error: line 4 of `a` is not JSON at column 41"), "{}", found[3]);
        assert_eq!(found[4], r#"5 "Ann" pair="Who?" group="e" answers="#);
        let array = format!("[{}]", rows.lines().next().unwrap());
        assert_eq!(read(&array), [first]);
    }

    #[test]
    fn a_bad_question_is_left_alone_and_a_bad_paragraph_counts_all_of_its_own() {
        let bad = PARAGRAPH.replace("\"answer_start\": 0}, {", "\"answer_start\": 1}, {");
        let found = read(&format!("{{\"data\": [{bad}]}}"));
        assert!(found[0].starts_with("error: line 1 of `a`: the answer `Ann` of question `q1`"), "{}", found[0]);
        assert!(found[0].ends_with("it is at 0, set `answer_start` to that"), "{}", found[0]);
        assert_eq!(found[1..], at(1)[1..]);
        let twice = PARAGRAPH.replacen("\"id\": 2", "\"id\": 2, \"id\": 3", 1);
        let mut questions = Questions::new(lines(format!("[{twice}, {PARAGRAPH}]"), 1000));
        let error = questions.next().unwrap().unwrap_err();
        assert_eq!(error.rows_lost(), Some(3), "{error}");
        assert!(error.to_string().ends_with("the key `id` occurs twice"), "{error}");
        assert_eq!(questions.filter(Result::is_ok).count(), 3);
    }

    #[test]
    fn what_is_no_squad_is_named() {
        let check = |content: &str, error: &str| assert_eq!(read(content), [format!("error: {error}")]);
        check(
            "{\"text\": \"a\", \"id\": 1}\n",
            "line 1 of `a` begins an object without `context`, it has `id`, `text`: expected the JSON of SQuAD, or rows whose \
             columns the settings name",
        );
        let end = "expected the JSON of SQuAD, or rows whose columns the settings name";
        let without =
            |what: &str, has: &str| format!("line 1 of `a` begins an object without `{what}`, it has {has}: {end}");
        check("{\"data\": [{\"context\": \"a\"}]}", &without("qas", "`context`"));
        check("{\"data\": [{}]}", &without("context", "none"));
        check("{\"data\": [{\"context\": 1, \"qas\": []}]}", "`context` in line 1 of `a` is a number, expected text");
        check(
            "{\"data\": [{\"context\": \"a\", \"qas\": {}}]}",
            "`qas` in line 1 of `a` is an object, expected a list",
        );
        check("{\"context\": \" \", \"qas\": []}", "line 1 of `a` has an empty `context`");
        check("{\"context\": \"a\", \"qas\": [{\"id\": 1}]}", "line 1 of `a` has no `question`");
        let behind = "the rows behind it cannot be told apart";
        let broken = |what: &str| format!("line 1 of `a` is where {what}: {behind}");
        check("{\"data\": [{\"b\": 1}]}", &without("context", "`b`"));
        check("{\"data\": [", &broken("the file ends within a list"));
        check("{\"data\": [1]}", &broken("there is a value that is no object"));
        check("{\"data\": [{\"a\" 1}]}", &broken("a member has no value"));
        check("{\"data\": [{\"a\": 1 \"b\": 2}]}", &broken("a comma is missing"));
        check("{\"data\": [{1: 2}]}", &broken("the name of a member is missing"));
        check(&"{\"data\": [".repeat(20), &broken("lists are within each other too often"));
    }

    #[test]
    fn a_paragraph_that_is_too_long_is_passed_over() {
        let long = format!("{{\"context\": \"{}\", \"qas\": []}}", "a".repeat(LONGEST));
        let found = read(&format!("{{\"data\": [{long},\n{PARAGRAPH}]}}"));
        assert!(
            found[0].starts_with("error: line 1 of `a` begins a line, paragraph or row of more than 8388608 bytes")
        );
        assert_eq!(found[1..], at(2));
    }

    proptest! {
        #[test]
        fn nothing_panics(cut in 0_usize..700, at in 0_usize..700, byte in any::<u8>()) {
            let mut content = format!("{{\"data\": [{{\"paragraphs\": [{PARAGRAPH}]}}]}}").into_bytes();
            let at = at % content.len();
            content[at] = byte;
            content.truncate(cut.max(1));
            prop_assert!(shown(Questions::new(lines(content, 1 << 20))).len() < 100);
        }
    }
}
