//! Rows of data for fine-tuning, made of a few words by a fixed seed.

use burnformer_core::random::{Key, Purpose, Stream};
use serde_json::{Value, json};

/// Data of a task.
pub(crate) struct Rows {
    /// Name of their file.
    pub(crate) file: &'static str,
    /// Its format, as in settings.
    pub(crate) format: Value,
    /// Its content.
    pub(crate) content: String,
    /// The texts in it, for a tokenizer to learn from.
    pub(crate) texts: Vec<String>,
}

const N_ROWS: u64 = 96;
const NAMES: [&str; 8] = ["Anna", "Bertram", "Celestine", "Dmitri", "Ewa", "Fitzgerald", "Giulia", "Hans"];
const PLACES: [&str; 8] =
    ["Amsterdam", "Bombay", "Copenhagen", "Dresden", "Edinburgh", "Florence", "Ghent", "Helsinki"];
const WORDS: [[&str; 4]; 3] = [
    ["ship", "harbour", "sailor", "anchor"],
    ["field", "plough", "harvest", "barn"],
    ["forge", "hammer", "iron", "anvil"],
];
const OTHERS: [&str; 8] = ["the", "a", "old", "near", "under", "beside", "quiet", "slowly"];

fn stream(row: u64, place: &str) -> Stream {
    Stream::new(Key::new(5, Purpose::Order, place), row)
}

fn any<'a>(stream: &mut Stream, words: &[&'a str]) -> &'a str {
    words[stream.below(words.len() as u64) as usize]
}

/// Texts of three classes, each with a word of its class among others.
pub(crate) fn classes() -> Rows {
    let row = |row: u64| {
        let (mut stream, class) = (stream(row, "classes"), (row % 3) as usize);
        let mut words: Vec<&str> = (0..3 + stream.below(9)).map(|_| any(&mut stream, &OTHERS)).collect();
        let place = stream.below(words.len() as u64) as usize;
        words[place] = any(&mut stream, &WORDS[class]);
        (words.join(" "), ["sea", "land", "craft"][class])
    };
    let rows: Vec<_> = (0..N_ROWS).map(row).collect();
    let lines = rows.iter().map(|(text, class)| format!("{text}\t{class}\n"));
    let content = ["text\tclass\n".to_owned()].into_iter().chain(lines).collect();
    let format = json!({ "kind": "tsv", "columns": { "text": "text", "label": "class" } });
    Rows { file: "rows.tsv", format, content, texts: rows.into_iter().map(|(text, _)| text).collect() }
}

/// Sentences with the tags of names and places.
pub(crate) fn tags() -> Rows {
    let sentence = |row: u64| {
        let mut stream = stream(row, "tags");
        let word = |_| match stream.below(4) {
            0 => (any(&mut stream, &NAMES), "B-PER"),
            1 => (any(&mut stream, &PLACES), "B-LOC"),
            _ => (any(&mut stream, &OTHERS), "O"),
        };
        let n_words = 4 + row % 9;
        (0..n_words).map(word).collect::<Vec<_>>()
    };
    let sentences: Vec<_> = (0..N_ROWS).map(sentence).collect();
    let lines = |sentence: &Vec<(&str, &str)>| -> String {
        sentence.iter().map(|(word, tag)| format!("{word} {tag}\n")).chain(["\n".to_owned()]).collect()
    };
    let text = |sentence: &Vec<(&str, &str)>| sentence.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(" ");
    Rows {
        file: "rows.conll",
        format: json!({ "kind": "conll" }),
        content: sentences.iter().map(lines).collect(),
        texts: sentences.iter().map(text).collect(),
    }
}

/// Contexts longer than a window, and questions about them, some without an answer.
pub(crate) fn answers() -> Rows {
    let mut texts = Vec::new();
    let article = |row: u64| {
        let mut stream = stream(row, "answers");
        let first = stream.below(8) as usize;
        let (mut context, mut questions) = (String::new(), Vec::new());
        for place in 0..5 + row as usize % 3 {
            let (name, town) = (NAMES[(first + place) % 8], any(&mut stream, &PLACES));
            context.push_str(&format!("{name} {} lives {} ", any(&mut stream, &OTHERS), any(&mut stream, &OTHERS)));
            let answer = json!({ "text": town, "answer_start": context.len() });
            context.push_str(&format!("{town}. "));
            let question = format!("Where does {name} live?");
            questions.push(json!({ "id": format!("{row}-{place}"), "question": question, "answers": [answer], "is_impossible": false }));
        }
        let question = format!("Where does {} live?", NAMES[(first + 7) % 8]);
        questions
            .push(json!({ "id": format!("{row}-none"), "question": question, "answers": [], "is_impossible": true }));
        texts.push(context.clone());
        texts.push(question);
        json!({ "title": row.to_string(), "paragraphs": [{ "context": context.trim_end(), "qas": questions }] })
    };
    let articles: Vec<Value> = (0..N_ROWS / 8).map(article).collect();
    let content = json!({ "version": "v2.0", "data": articles }).to_string();
    Rows { file: "rows.json", format: json!({ "kind": "squad" }), content, texts }
}
