//! Spans of characters with a label each, as annotation tools write them, turned into words with tags of the scheme BIO.

use std::fmt;

use super::columns::Cell;
use super::{Place, ReadError};
use crate::TaggedWord;

/// Keys of the first character, the character behind the last, the label and the characters of a span, in the words of various
/// tools.
const START: [&str; 4] = ["start", "start_offset", "start_char", "begin"];
const END: [&str; 3] = ["end", "end_offset", "end_char"];
const LABEL: [&str; 6] = ["label", "labels", "type", "entity_group", "entity", "tag"];
const SURFACE: [&str; 2] = ["text", "word"];

/// A problem with a span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpanProblem {
    /// It has another form.
    Form,
    /// It does not lie within the text.
    Range {
        /// First character.
        start: usize,
        /// Character behind the last one.
        end: usize,
        /// Number of characters of the text.
        length: usize,
    },
    /// It has no characters but white space.
    Blank,
    /// It shares characters with another one.
    Overlap {
        /// Field of the other one.
        other: String,
    },
    /// It has other characters than it says.
    Surface {
        /// Characters found in the text.
        found: String,
        /// Characters that the span names.
        named: String,
    },
}

impl fmt::Display for SpanProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form => f.write_str(
                "is no span, expected `[start, end, label]`, or an object with `start`, `end` and `label`, where characters are \
                 counted from 0 and `end` is the one behind the last",
            ),
            Self::Range { start, end, length } => write!(
                f,
                "is the span from character {start} to {end} of a text with {length}, expected a start below the end, and an \
                 end within the text"
            ),
            Self::Blank => f.write_str("is a span of white space, expected words"),
            Self::Overlap { other } => {
                write!(f, "shares characters with `{other}`, expected spans apart from each other: remove one of the two")
            }
            Self::Surface { found, named } => write!(
                f,
                "has the characters `{found}` in the text and says `{named}`, expected offsets in Unicode characters, the end \
                 behind the last one"
            ),
        }
    }
}

/// A span of characters.
struct Span {
    /// Name of the field it comes from.
    field: String,
    start: usize,
    end: usize,
    label: String,
    /// Its characters, if it says them.
    surface: Option<String>,
}

/// Whether a column holds spans: a list of lists or objects, or an object with objects of lists, by label.
pub(super) fn are_spans(cell: &Cell) -> bool {
    match cell {
        Cell::List(spans) => {
            let is_span = |span: &Cell| match span {
                Cell::List(items) => !items.is_empty(),
                Cell::Fields(_, fields) => !fields.is_empty(),
                _ => false,
            };
            !spans.is_empty() && spans.iter().all(is_span)
        }
        Cell::Fields(_, labels) => {
            let is_list = |(_, cell): &(String, Cell)| matches!(cell, Cell::List(_));
            !labels.is_empty()
                && labels.iter().all(|(_, cell)| matches!(cell, Cell::Fields(_, it) if it.iter().all(is_list)))
        }
        _ => false,
    }
}

/// The words of `text`, with `B-` and `I-` tags of the spans in `cell`, the content of the column `field`. Words end at the ends
/// of spans too.
pub(super) fn tagged(at: &Place, field: &str, text: &str, cell: &Cell) -> Result<Vec<TaggedWord>, ReadError> {
    let bad = |field: &str, problem| ReadError::BadSpan {
        at: at.clone(),
        field: field.to_owned(),
        problem: Box::new(problem),
    };
    let mut spans = match cell {
        Cell::List(spans) => {
            let span = |(index, cell)| {
                let field = format!("{field}.{index}");
                span(cell, &field).ok_or_else(|| bad(&field, SpanProblem::Form))
            };
            spans.iter().enumerate().map(span).collect::<Result<Vec<_>, _>>()?
        }
        Cell::Fields(_, labels) => by_label(field, labels).map_err(|field| bad(&field, SpanProblem::Form))?,
        _ => Vec::new(),
    };
    // The byte at which each character begins, and the end of the text.
    let bytes: Vec<usize> = text.char_indices().map(|(byte, _)| byte).chain([text.len()]).collect();
    let length = bytes.len() - 1;
    for Span { field, start, end, surface, .. } in &spans {
        let (start, end) = (*start, *end);
        if start >= end || end > length {
            return Err(bad(field, SpanProblem::Range { start, end, length }));
        }
        let found = &text[bytes[start]..bytes[end]];
        if found.trim().is_empty() {
            return Err(bad(field, SpanProblem::Blank));
        }
        if let Some(named) = surface.as_ref().filter(|named| named.trim() != found.trim()) {
            let (found, named) = (found.to_owned(), named.clone());
            return Err(bad(field, SpanProblem::Surface { found, named }));
        }
    }
    spans.sort_by_key(|span| span.start);
    if let Some(pair) = spans.windows(2).find(|pair| pair[0].end > pair[1].start) {
        return Err(bad(&pair[1].field, SpanProblem::Overlap { other: pair[0].field.clone() }));
    }
    let mut words = Vec::new();
    let mut end = 0;
    for Span { start, end: span_end, label, .. } in &spans {
        outside(text, bytes[end]..bytes[*start], &mut words);
        let first = words.len();
        outside(text, bytes[*start]..bytes[*span_end], &mut words);
        for (number, word) in words[first..].iter_mut().enumerate() {
            word.tag = format!("{}-{label}", if number == 0 { "B" } else { "I" });
        }
        end = *span_end;
    }
    outside(text, bytes[end]..text.len(), &mut words);
    Ok(words)
}

/// The words in a part of a text without entities, each with the tag `O`.
pub(crate) fn outside(text: &str, part: std::ops::Range<usize>, words: &mut Vec<TaggedWord>) {
    let mut start = None;
    let mut push = |start: Option<usize>, end: usize| {
        words.extend(start.map(|start| TaggedWord { span: start..end, tag: "O".to_owned() }));
    };
    for (place, character) in text[part.clone()].char_indices() {
        let place = part.start + place;
        if character.is_whitespace() {
            push(start.take(), place);
        } else if stands_alone(character) {
            push(start.take(), place);
            push(Some(place), place + character.len_utf8());
        } else if start.is_none() {
            start = Some(place);
        }
    }
    push(start, part.end);
}

/// Punctuation, and the ideographs of Chinese: where the tokenizers of BERT cut words.
fn stands_alone(character: char) -> bool {
    matches!(character,
        '\u{A1}' | '\u{A7}' | '\u{AB}' | '\u{B6}' | '\u{B7}' | '\u{BB}' | '\u{BF}'
        | '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205E}' | '\u{3001}'..='\u{3003}' | '\u{3008}'..='\u{3011}'
        | '\u{3014}'..='\u{301F}' | '\u{3030}' | '\u{303D}' | '\u{30FB}' | '\u{FF01}'..='\u{FF0F}' | '\u{FF1A}'..='\u{FF20}'
        | '\u{FF3B}'..='\u{FF40}' | '\u{FF5B}'..='\u{FF65}'
        | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{2FA1F}')
        || character.is_ascii_punctuation()
}

/// A span in the form of a list, or of an object, whose fields may be in its field `value`.
fn span(cell: &Cell, field: &str) -> Option<Span> {
    let (start, end, label, surface) = match cell {
        Cell::List(items) => match items.as_slice() {
            [start, end, label] => (start, end, label, None),
            _ => return None,
        },
        Cell::Fields(_, fields) => {
            if let Some(inner @ Cell::Fields(..)) = member(fields, &["value"]) {
                return span(inner, field);
            }
            (member(fields, &START)?, member(fields, &END)?, member(fields, &LABEL)?, member(fields, &SURFACE))
        }
        _ => return None,
    };
    let label = match label {
        Cell::List(labels) if labels.len() == 1 => &labels[0],
        label => label,
    };
    let surface = match surface {
        Some(Cell::Text(text)) => Some(text.clone()),
        _ => None,
    };
    let (start, end) = (number(start)?, number(end)?);
    Some(Span { field: field.to_owned(), start, end, label: text(label)?, surface })
}

/// The spans in an object of labels, each with an object of what they cover, each with a list of first and last characters.
fn by_label(field: &str, labels: &[(String, Cell)]) -> Result<Vec<Span>, String> {
    let mut spans = Vec::new();
    for (label, cell) in labels {
        let Cell::Fields(_, surfaces) = cell else { return Err(format!("{field}.{label}")) };
        for (surface, places) in surfaces {
            let field = format!("{field}.{label}.{surface}");
            let Cell::List(places) = places else { return Err(field) };
            for place in places {
                let (start, last) = match place {
                    Cell::List(place) if place.len() == 2 => (number(&place[0]), number(&place[1])),
                    _ => (None, None),
                };
                let (Some(start), Some(last)) = (start, last) else { return Err(field) };
                let (label, surface) = (label.clone(), Some(surface.clone()));
                spans.push(Span { field: field.clone(), start, end: last.saturating_add(1), label, surface });
            }
        }
    }
    Ok(spans)
}

fn member<'a>(fields: &'a [(String, Cell)], names: &[&str]) -> Option<&'a Cell> {
    names.iter().find_map(|name| fields.iter().find(|(key, _)| key == name)).map(|(_, cell)| cell)
}

fn number(cell: &Cell) -> Option<usize> {
    match cell {
        Cell::Scalar(_, number) => number.parse().ok(),
        _ => None,
    }
}

fn text(cell: &Cell) -> Option<String> {
    match cell {
        Cell::Text(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::jsonl::Objects;
    use super::super::testing::{columns, lines, shown};

    fn read(content: &str) -> Vec<String> {
        shown(Objects::new(lines(content, 10_000), columns("text", "", "entities", "")))
    }

    #[test]
    fn spans_of_any_form_become_words_with_tags() {
        let expected = r#"1 "Anna Roe, née Kim." tags=Anna:B-PER,Roe:I-PER,,:O,née:O,Kim:B-PER,.:O"#;
        for entities in [
            r#"[[0, 8, "PER"], [14, 17, "PER"]]"#,
            r#"[{"start": 14, "end": 17, "label": "PER"}, {"start": 0, "end": 8, "label": "PER"}]"#,
            r#"[{"start_offset": 0, "end_offset": 8, "label": "PER", "id": 7}, [14, 17, "PER"]]"#,
            r#"[{"value": {"start": 0, "end": 8, "text": "Anna Roe", "labels": ["PER"]}, "type": "labels"}, [14, 17, "PER"]]"#,
            r#"{"PER": {"Anna Roe": [[0, 7]], "Kim": [[14, 16]]}}"#,
        ] {
            assert_eq!(read(&format!("{{\"text\": \"Anna Roe, née Kim.\", \"entities\": {entities}}}\n")), [expected]);
        }
    }

    #[test]
    fn words_end_where_spans_end_and_ideographs_stand_alone() {
        let rows =
            read("{\"text\": \"Berlintour in 北京 \u{1f600}\", \"entities\": [[0, 6, \"LOC\"], [14, 16, \"LOC\"]]}");
        assert_eq!(
            rows,
            ["1 \"Berlintour in 北京 \u{1f600}\" tags=Berlin:B-LOC,tour:O,in:O,北:B-LOC,京:I-LOC,\u{1f600}:O"]
        );
    }

    #[test]
    fn a_span_that_does_not_fit_its_text_is_a_bad_row() {
        let check = |entities: &str, expected: &str| {
            let rows = read(&format!(
                "{{\"text\": \"Anna Roe\", \"entities\": {entities}}}\n{{\"text\": \"a\", \"entities\": [[0, 1, \"X\"]]}}"
            ));
            assert!(rows[0].starts_with(&format!("error: {expected}")), "{rows:?}");
            assert_eq!(rows[1..], [r#"2 "a" tags=a:B-X"#]);
        };
        check(
            "[[0, 9, \"PER\"]]",
            "`entities.0` in line 1 of `a` is the span from character 0 to 9 of a text with 8, expected",
        );
        check("[[3, 3, \"PER\"]]", "`entities.0` in line 1 of `a` is the span from character 3 to 3");
        check("[[4, 5, \"PER\"]]", "`entities.0` in line 1 of `a` is a span of white space");
        check("[[0, 6, \"PER\"], [5, 8, \"X\"]]", "`entities.1` in line 1 of `a` shares characters with `entities.0`");
        check("[[0, 4]]", "`entities.0` in line 1 of `a` is no span, expected `[start, end, label]`");
        check("[[-1, 4, \"X\"]]", "`entities.0` in line 1 of `a` is no span");
        check("[{\"start\": 0, \"end\": 4}]", "`entities.0` in line 1 of `a` is no span");
        check(
            "[{\"start\": 0, \"end\": 3, \"label\": \"X\", \"text\": \"Anna\"}]",
            "`entities.0` in line 1 of `a` has the characters `Ann` in the text and says `Anna`",
        );
        check(
            "{\"PER\": {\"Anna\": [[0, 5]]}}",
            "`entities.PER.Anna` in line 1 of `a` has the characters `Anna R` in the text",
        );
    }
}
