//! The records of a source as files: one for training, one for validation, one for testing.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use burnformer_core::files::FileError;
use burnformer_core::progress::{Interrupt, Progress};
use serde::Serialize;

use super::{Item, Split, SplitBy, SplitConfig};
use crate::conflicts::{Conflicts, equal, excerpt};
use crate::content::{content_hash, hash, hash_behind};
use crate::json_lines::{JsonLines, cannot};
use crate::source::{OnBadRow, Records, Skipped, Source};
use crate::{DataError, Record, Target};

/// Names of the parts, and of their files without the ending.
const PARTS: [&str; 3] = ["train", "validation", "test"];

/// Report of a split: settings, and contents of each part.
#[derive(Debug)]
pub struct FilesSplit {
    /// Grouping of the split.
    pub by: SplitBy,
    /// Seed of the split.
    pub seed: u64,
    /// The part for training.
    pub train: PartCounts,
    /// The part for validation.
    pub validation: PartCounts,
    /// The part for testing.
    pub test: PartCounts,
    /// Number of documents left out as duplicates of an earlier one: the same text with the same label.
    pub duplicates: usize,
    /// Texts that occur with different labels.
    pub conflicts: Conflicts,
    /// Number of rows skipped because they cannot be read.
    pub skipped: Skipped,
}

/// Contents of a part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PartCounts {
    /// Number of documents.
    pub documents: u64,
    /// Number of documents of each class; empty without classes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, u64>,
}

/// Divides the records of `source` as [`Split::of_items`] divides documents, and writes each part into `folder`:
/// `train.jsonl`, `validation.jsonl` and `test.jsonl` with an object of `text`, `pair`, `label` and `group` in each
/// line, or if words have tags `train.conll` and so on, with a word and its tag in each line. A part without documents
/// has no file.
///
/// A text that occurs with several labels is kept once with each, all of them in one part, and balanced with the rarest of
/// them. Split by group, such a row is left out if its group is not that of the text's first row. All this is counted.
///
/// The source is read twice, so that memory holds a few bytes of each document and none of its text.
///
/// # Errors
/// The first bad row, unless `policy` skips those; [`DataError::EmptyPart`]; [`DataError::InputChanged`] if the second
/// reading gives other documents than the first; if a file cannot be written; on request of `interrupt`.
///
/// # Panics
/// If the settings are invalid: a value built in code is the caller's responsibility.
pub fn split_files(
    source: &dyn Source,
    config: &SplitConfig,
    seed: u64,
    policy: OnBadRow,
    folder: &Path,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<FilesSplit, DataError> {
    let mut items = Items::default();
    let mut records = Records::new(source, policy, "read text", progress, interrupt);
    records.by_ref().try_for_each(|record| record.map(|record| items.add(&record)))?;
    let skipped = records.into_skipped();
    let Relabelled { first_of, mut conflicts, examples } = items.relabelled(config.by);
    let n_documents = items.items.len();
    let split = Split::of_items(items.items, config, seed)?;
    let mut parts = Parts::create(folder, &split, n_documents, items.tagged)?;
    parts.add(&first_of, &examples);
    Records::new(source, policy, "write parts", progress, interrupt)
        .try_for_each(|record| record.and_then(|record| parts.write(&record)))?;
    let ([train, validation, test], texts) = parts.finish()?;
    conflicts.examples.iter_mut().zip(texts).for_each(|(example, text)| example.text = text);
    let duplicates = split.duplicates.len() - first_of.len() - conflicts.rows_left_out as usize;
    Ok(FilesSplit { by: config.by, seed, train, validation, test, duplicates, conflicts, skipped })
}

/// Keys of each document for the split.
#[derive(Default)]
struct Items {
    items: Vec<Item>,
    /// Number of the class of each document, or what stands for the tags of its words.
    targets: Vec<u64>,
    labels: HashMap<String, u32>,
    /// `true` if words have tags.
    tagged: bool,
}

impl Items {
    fn add(&mut self, record: &Record) {
        if record.continues
            && let Some(document) = self.items.last_mut()
        {
            document.content = hash_behind(document.content, &record.text);
            return;
        }
        let label = record.class().map(|label| {
            let next = self.labels.len() as u32;
            *self.labels.entry(label.to_owned()).or_insert(next)
        });
        self.targets.push(match &record.target {
            Some(Target::Tags(words)) => words.iter().fold(0, |before, word| hash_behind(before, &word.tag)),
            Some(Target::Labels { labels, .. }) => labels.iter().fold(0, |before, label| hash_behind(before, label)),
            _ => label.map_or(u64::MAX, u64::from),
        });
        self.tagged |= matches!(record.target, Some(Target::Tags(_)));
        self.items.push(Item { content: content_hash(record), group: record.group.as_deref().map(hash), label });
    }
}

/// Documents that have the text of an earlier one, and another label.
struct Relabelled {
    /// The first document with the text, for each that is kept beside it.
    first_of: HashMap<u32, u32>,
    conflicts: Conflicts,
    /// The documents that are the examples of the conflicts.
    examples: Vec<u32>,
}

impl Items {
    /// Finds documents with the same text and different labels; the first document with such a text gets its rarest label.
    fn relabelled(&mut self, by: SplitBy) -> Relabelled {
        let contents: Vec<u64> = self.items.iter().map(|item| item.content).collect();
        let mut names = vec![String::new(); self.labels.len()];
        self.labels.iter().for_each(|(name, &label)| names[label as usize].clone_from(name));
        let mut counts = vec![0_u64; names.len()];
        self.items.iter().filter_map(|item| item.label).for_each(|label| counts[label as usize] += 1);

        let groups = equal(&contents);
        let target = |document: u32| self.targets[document as usize];
        let (mut conflicts, examples) = Conflicts::among(&groups, target, &names);
        let mut first_of = HashMap::new();
        for group in groups {
            let mut met = HashSet::new();
            let first = group[0];
            for &other in group.iter().filter(|&&document| met.insert(target(document))).skip(1) {
                let has_group = |document: u32| self.items[document as usize].group;
                if by == SplitBy::Group && has_group(other) != has_group(first) {
                    conflicts.rows_left_out += 1;
                } else {
                    first_of.insert(other, first);
                }
            }
            let labels = group.iter().filter_map(|&document| self.items[document as usize].label);
            self.items[first as usize].label = labels.min_by_key(|&label| (counts[label as usize], label));
        }
        Relabelled { first_of, conflicts, examples }
    }
}

/// The parts as they are written.
struct Parts {
    /// The part of each document; `None` for a duplicate.
    places: Vec<Option<usize>>,
    /// Beginnings of the texts of some documents, once they are read.
    excerpts: Vec<(u32, String)>,
    /// The files; `None` for an empty part.
    files: [Option<Writer>; 3],
    counts: [PartCounts; 3],
    /// Number of documents so far.
    begun: usize,
}

impl Parts {
    fn create(folder: &Path, split: &Split, n_documents: usize, tagged: bool) -> Result<Self, FileError> {
        let mut places = vec![None; n_documents];
        let mut files = [None, None, None];
        for (part, documents) in [&split.train, &split.validation, &split.test].into_iter().enumerate() {
            for &document in documents {
                places[document as usize] = Some(part);
            }
            if !documents.is_empty() {
                files[part] = Some(Writer::create(folder, PARTS[part], tagged)?);
            }
        }
        Ok(Self { places, files, counts: Default::default(), begun: 0, excerpts: Vec::new() })
    }

    /// Puts documents into the parts of those they belong to, and remembers the texts of `examples`.
    fn add(&mut self, first_of: &HashMap<u32, u32>, examples: &[u32]) {
        first_of.iter().for_each(|(&document, &first)| self.places[document as usize] = self.places[first as usize]);
        self.excerpts = examples.iter().map(|&document| (document, String::new())).collect();
    }

    fn write(&mut self, record: &Record) -> Result<(), DataError> {
        let begins = !record.continues || self.begun == 0;
        self.begun += usize::from(begins);
        let Some(&place) = self.places.get(self.begun - 1) else { return Err(DataError::InputChanged) };
        if begins && let Some((_, text)) = self.excerpts.iter_mut().find(|it| it.0 as usize == self.begun - 1) {
            *text = excerpt(&record.text);
        }
        let Some(part) = place else { return Ok(()) };
        let counts = &mut self.counts[part];
        if begins {
            counts.documents += 1;
            if let Some(label) = record.class() {
                *counts.labels.entry(label.to_owned()).or_default() += 1;
            }
        }
        self.files[part].as_mut().map_or(Ok(()), |file| file.write(record))
    }

    /// The counts of the parts, and the texts of the examples.
    fn finish(self) -> Result<([PartCounts; 3], impl Iterator<Item = String>), DataError> {
        if self.begun != self.places.len() {
            return Err(DataError::InputChanged);
        }
        self.files.into_iter().flatten().try_for_each(Writer::finish)?;
        Ok((self.counts, self.excerpts.into_iter().map(|(_, text)| text)))
    }
}

/// A line of a part of texts.
#[derive(Serialize)]
struct Row<'a> {
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pair: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<Label<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a str>,
}

/// What is to be predicted, in the form in which it is read again.
#[derive(Serialize)]
#[serde(untagged)]
enum Label<'a> {
    Class(&'a str),
    Labels(&'a [String]),
    Answers { text: Vec<&'a str>, answer_start: Vec<usize> },
}

impl<'a> Label<'a> {
    fn of(record: &'a Record) -> Option<Self> {
        let text = &record.text;
        Some(match record.target.as_ref()? {
            Target::Class(class) => Self::Class(class),
            Target::Labels { labels, .. } => Self::Labels(labels),
            Target::Answers(answers) => Self::Answers {
                text: answers.iter().map(|answer| &text[answer.clone()]).collect(),
                answer_start: answers.iter().map(|answer| text[..answer.start].chars().count()).collect(),
            },
            Target::Tags(_) => return None,
        })
    }
}

/// The file of a part.
enum Writer {
    Texts(JsonLines),
    TaggedWords(BufWriter<File>, PathBuf),
}

impl Writer {
    fn create(folder: &Path, part: &str, tagged: bool) -> Result<Self, FileError> {
        if !tagged {
            return Ok(Self::Texts(JsonLines::create(&folder.join(format!("{part}.jsonl")))?));
        }
        let path = folder.join(format!("{part}.conll"));
        let file = File::create(&path).map_err(|source| cannot("create", &path, source))?;
        Ok(Self::TaggedWords(BufWriter::new(file), path))
    }

    fn write(&mut self, record: &Record) -> Result<(), DataError> {
        match (self, &record.target) {
            (Self::Texts(lines), None | Some(Target::Class(_) | Target::Labels { .. } | Target::Answers(_))) => {
                let Record { text, pair, group, .. } = record;
                let label = Label::of(record);
                let row = Row { text, pair: pair.as_deref(), label, group: group.as_deref() };
                Ok(lines.write(&row)?)
            }
            (Self::TaggedWords(file, path), Some(Target::Tags(words))) => {
                let mut rows = words.iter().map(|word| (&record.text[word.span.clone()], &word.tag));
                let written = rows.try_for_each(|(word, tag)| writeln!(file, "{word}\t{tag}"));
                Ok(written.and_then(|()| writeln!(file)).map_err(|source| cannot("write", path, source))?)
            }
            // The first reading found tags in all records, or in none.
            _ => Err(DataError::InputChanged),
        }
    }

    fn finish(self) -> Result<(), FileError> {
        match self {
            Self::Texts(lines) => lines.finish(),
            Self::TaggedWords(mut file, path) => file.flush().map_err(|source| cannot("write", &path, source)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use burnformer_core::progress::Silent;

    use super::*;
    use crate::testing::{Memory, record, tagged};

    fn split(source: &dyn Source, by: SplitBy, folder: &Path) -> Result<FilesSplit, DataError> {
        let config = SplitConfig { by, validation: 0.2, test: 0.2 };
        split_files(source, &config, 1, OnBadRow::Skip, folder, &Silent, &Interrupt::new())
    }

    fn read(folder: &Path, file: &str) -> Vec<String> {
        std::fs::read_to_string(folder.join(file)).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn answers_are_written_as_they_are_read() {
        let question = |i: usize| Record {
            pair: Some("Wer?".to_owned()),
            target: Some(Target::Answers(vec![4..7])),
            ..record(&[format!("Zoë ist {i}")])
        };
        let folder = tempfile::tempdir().unwrap();
        let source = Memory::of((0..10).map(question).collect());
        split(&source, SplitBy::Document, folder.path()).unwrap();
        let lines = read(folder.path(), "train.jsonl");
        let label = r#""pair":"Wer?","label":{"text":[" is"],"answer_start":[3]}}"#;
        assert!(lines.len() == 6 && lines.iter().all(|line| line.ends_with(label)), "{lines:?}");
    }

    #[test]
    fn every_text_is_in_one_part_and_classes_are_balanced() {
        let text = |i: usize| Record {
            target: Some(Target::Class(if i.is_multiple_of(2) { "a" } else { "b" }.to_owned())),
            ..record(&[format!("text {}", i % 40)])
        };
        let mut rows: Vec<_> = (0..41).map(|i| Some(text(i))).collect();
        rows.push(None);
        let folder = tempfile::tempdir().unwrap();
        let outcome = split(&Memory::new(vec![rows]), SplitBy::Label, folder.path()).unwrap();
        assert_eq!((outcome.duplicates, outcome.skipped.rows), (1, 1));
        let counts =
            |documents, a, b| PartCounts { documents, labels: [("a".to_owned(), a), ("b".to_owned(), b)].into() };
        assert_eq!(
            [outcome.train, outcome.validation, outcome.test],
            [counts(24, 12, 12), counts(8, 4, 4), counts(8, 4, 4)]
        );
        let lines = PARTS.map(|part| read(folder.path(), &format!("{part}.jsonl"))).concat();
        assert_eq!((lines.len(), lines.iter().collect::<BTreeSet<_>>().len()), (40, 40));
        assert!(lines.contains(&r#"{"text":"text 7","label":"b"}"#.to_owned()), "{lines:?}");
    }

    fn labelled(text: &str, label: &str) -> Record {
        Record { target: Some(Target::Class(label.to_owned())), ..record(&[text]) }
    }

    #[test]
    fn a_text_with_two_labels_is_kept_with_each_in_one_part() {
        let rows = |label: &'static str| (0..20).map(move |i| labelled(&format!("text {i}"), label));
        let mut records: Vec<Record> = rows("x").chain(rows("y")).collect();
        records.push(labelled("text 3", "y"));
        records.extend((20..40).map(|i| labelled(&format!("text {i}"), "x")));
        let folder = tempfile::tempdir().unwrap();
        let outcome = split(&Memory::of(records), SplitBy::Label, folder.path()).unwrap();
        assert_eq!((outcome.duplicates, outcome.conflicts.texts, outcome.conflicts.rows_left_out), (1, 20, 0));
        let shared = &outcome.conflicts.labels[0];
        assert_eq!((shared.labels.join(" "), shared.texts), ("x y".to_owned(), 20));
        assert_eq!(outcome.conflicts.examples[0].text, "text 0");
        // A fifth of both classes, as each was balanced by itself.
        let counts = |x, y| PartCounts { documents: x + y, labels: [("x".to_owned(), x), ("y".to_owned(), y)].into() };
        assert_eq!([outcome.train, outcome.validation, outcome.test], [counts(24, 12), counts(8, 4), counts(8, 4)]);
        let mut part_of: HashMap<String, &str> = HashMap::new();
        for part in PARTS {
            for line in read(folder.path(), &format!("{part}.jsonl")) {
                let text = line.split('"').nth(3).unwrap().to_owned();
                assert_eq!(*part_of.entry(text).or_insert(part), part, "{line}");
            }
        }
        assert_eq!(part_of.len(), 40);
    }

    #[test]
    fn no_group_is_in_two_parts_because_of_a_text_with_two_labels() {
        let of_group = |text: usize, label: &str, group: usize| {
            let group = Some(format!("g{group}"));
            Record { group, ..labelled(&format!("text {text}"), label) }
        };
        let mut records: Vec<Record> = (0..30).map(|i| of_group(i, "x", i % 10)).collect();
        // Of another group, and of the same.
        records.extend([of_group(0, "y", 5), of_group(1, "y", 1)]);
        let folder = tempfile::tempdir().unwrap();
        let outcome = split(&Memory::of(records), SplitBy::Group, folder.path()).unwrap();
        assert_eq!((outcome.duplicates, outcome.conflicts.texts, outcome.conflicts.rows_left_out), (0, 2, 1));
        let mut part_of: HashMap<String, &str> = HashMap::new();
        for part in PARTS {
            for line in read(folder.path(), &format!("{part}.jsonl")) {
                let group = line.rsplit('"').nth(1).unwrap().to_owned();
                assert_eq!(*part_of.entry(group).or_insert(part), part, "{line}");
            }
        }
    }

    #[test]
    fn a_sentence_with_two_taggings_is_kept_with_each() {
        let mut sentences: Vec<Record> = (0..10).map(|i| tagged(&format!("w{i}:B-X y:O"))).collect();
        sentences.extend([tagged("w1:O y:O"), tagged("w2:B-X y:O")]);
        let folder = tempfile::tempdir().unwrap();
        let outcome = split(&Memory::of(sentences), SplitBy::Document, folder.path()).unwrap();
        assert_eq!((outcome.duplicates, outcome.conflicts.texts, outcome.conflicts.labels.len()), (1, 1, 0));
        assert_eq!(outcome.conflicts.examples[0].text, "w1 y");
        let documents = outcome.train.documents + outcome.validation.documents + outcome.test.documents;
        assert_eq!(documents, 11);
    }

    #[test]
    fn a_split_of_files_is_that_of_their_corpus() {
        use crate::testing::{build, tokenizer};

        let records: Vec<Record> = (0..50).map(|i| record(&[format!("t{i}")])).collect();
        let folder = tempfile::tempdir().unwrap();
        split(&Memory::of(records.clone()), SplitBy::Document, folder.path()).unwrap();
        let built = build(records, tokenizer(50));
        let config = SplitConfig { by: SplitBy::Document, validation: 0.2, test: 0.2 };
        let of_corpus = Split::of(&built.corpus, &config, 1).unwrap();
        for (part, documents) in PARTS.iter().zip([of_corpus.train, of_corpus.validation, of_corpus.test]) {
            let expected: Vec<String> = documents.iter().map(|i| format!(r#"{{"text":"t{i}"}}"#)).collect();
            assert_eq!(read(folder.path(), &format!("{part}.jsonl")), expected, "{part}");
        }
    }

    #[test]
    fn tagged_words_stay_tagged_words() {
        let sentences: Vec<Record> = (0..10).map(|i| tagged(&format!("w{i}:B-X y:O"))).collect();
        let folder = tempfile::tempdir().unwrap();
        let outcome = split(&Memory::of(sentences), SplitBy::Document, folder.path()).unwrap();
        assert_eq!((outcome.train.documents, outcome.validation.documents, outcome.test.documents), (6, 2, 2));
        let lines = read(folder.path(), "test.conll");
        assert_eq!((lines.len(), &lines[1][..], &lines[2][..]), (6, "y\tO", ""));
        assert!(lines[0].starts_with('w') && lines[0].ends_with("\tB-X"), "{lines:?}");
    }
}
