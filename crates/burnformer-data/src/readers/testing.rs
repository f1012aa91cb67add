//! What the tests of the readers share.

use std::fs;
use std::io::{BufRead, Cursor, Write};
use std::path::Path;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::bytes::Text;
use super::encoding::Encoding;
use super::lines::Lines;
use super::{Columns, ReadError};
use crate::{Record, TaggedWord, Target};

/// The file `name` in `folder` with `bytes` in it.
pub(super) fn write(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) -> Arc<Path> {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
    path.into()
}

/// `bytes`, compressed with gzip.
pub(crate) fn gzip(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes.as_ref()).unwrap();
    encoder.finish().unwrap()
}

/// `bytes`, compressed with zstd, with a checksum as its command line writes it.
pub(super) fn zstd(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(bytes.as_ref()).unwrap();
    encoder.finish().unwrap()
}

/// Lines of the file `a` with the content `bytes`, of at most `max_bytes` each.
pub(super) fn lines(bytes: impl AsRef<[u8]>, max_bytes: usize) -> Lines {
    Lines::of_text(utf_8(Cursor::new(bytes.as_ref().to_vec())), &Path::new("a").into(), max_bytes)
}

/// Text in UTF-8.
pub(super) fn utf_8(bytes: impl BufRead + Send + 'static) -> Text {
    Text { bytes: Box::new(bytes), encoding: Encoding::UTF_8 }
}

/// Columns of these names, where an empty name is none.
pub(super) fn columns(text: &str, pair: &str, label: &str, group: &str) -> Columns {
    let name = |name: &str| Some(name.to_owned()).filter(|name| !name.is_empty());
    Columns { text: text.to_owned(), pair: name(pair), label: name(label), group: name(group), ..Columns::default() }
}

/// Each row up to an error that is more than a bad row, as text: its line, what it holds, and the message of an error.
pub(super) fn shown(rows: impl Iterator<Item = Result<Record, ReadError>>) -> Vec<String> {
    let mut has_ended = false;
    let rows = rows.take_while(|row| {
        let is_behind = has_ended;
        has_ended |= row.as_ref().is_err_and(|error| !error.is_bad_row());
        !is_behind
    });
    rows.map(|row| match row {
        Err(error) => format!("error: {error}"),
        Ok(record) => {
            let others =
                [("pair", record.pair.as_deref()), ("label", record.class()), ("group", record.group.as_deref())];
            let others = others.into_iter().filter_map(|(name, value)| Some(format!(" {name}={:?}", value?)));
            let target = match &record.target {
                Some(Target::Tags(words)) => {
                    let word = |word: &TaggedWord| format!("{}:{}", &record.text[word.span.clone()], word.tag);
                    format!(" tags={}", words.iter().map(word).collect::<Vec<_>>().join(","))
                }
                Some(Target::Labels { labels, .. }) => format!(" labels={}", labels.join(",")),
                _ => String::new(),
            };
            let negatives = match record.negatives.as_slice() {
                [] => String::new(),
                negatives => format!(" negatives={negatives:?}"),
            };
            let answers = match &record.target {
                Some(Target::Answers(answers)) => {
                    let range = |it: &std::ops::Range<usize>| format!("{}..{}", it.start, it.end);
                    format!(" answers={}", answers.iter().map(range).collect::<Vec<_>>().join(","))
                }
                _ => String::new(),
            };
            let sign = if record.continues { "+" } else { "" };
            format!("{sign}{} {:?}{}{negatives}{target}{answers}", record.line, record.text, others.collect::<String>())
        }
    })
    .collect()
}
