//! Tagged sentences in memory, for training and evaluation of token classification.

use std::collections::{BTreeSet, HashMap};

use burnformer_core::progress::{Interrupt, Progress};
use burnformer_core::random::{Key, Permutation, Purpose};

use crate::class_names::OddClasses;
use crate::conflicts::{Conflicts, distinct, equal, excerpt, firsts, n_repeated, n_shared};
use crate::content::hash_behind;
use crate::labelled::records;
use crate::readers::spans::outside;
use crate::source::{OnBadRow, Skipped, Source};
pub use crate::tag_error::{BrokenTag, TagError};
use crate::tag_scheme::{TagScheme, with_beginnings};
use crate::target::TaggedWord;
use crate::{DataError, Record, Target};

/// A sentence of words with a tag each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaggedExample {
    /// The words.
    pub words: Vec<String>,
    /// Tag index of each word in [`TaggedTexts::labels`].
    pub tags: Vec<u32>,
}

/// Sentences of words with a tag each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaggedTexts {
    /// The names of the tags.
    pub labels: Vec<String>,
    /// The sentences, in the order of the source.
    pub examples: Vec<TaggedExample>,
    /// Scheme of the tags in the source.
    pub scheme: TagScheme,
    /// Number of tags of [`TagScheme::Iob1`] that were turned into beginnings of entities, in the whole source.
    pub new_beginnings: u64,
}

/// Reading of the tags of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tagging {
    /// Tags as they are.
    AsWritten,
    /// Tags that a model is measured on: as they are, even if they break their scheme, except that [`TagScheme::Iob1`] is turned
    /// into [`TagScheme::Bio`].
    Measured {
        /// The scheme; absent for that of the tags that are there.
        scheme: Option<TagScheme>,
    },
    /// Tags that a model is trained on: a sentence that breaks their scheme is a bad row, and [`TagScheme::Iob1`] is turned into
    /// [`TagScheme::Bio`].
    Checked {
        /// The scheme; absent for that of the tags that are there.
        scheme: Option<TagScheme>,
    },
}

impl TaggedTexts {
    /// Reads sentences whose tags become the labels: `O` first, then in alphabetical order of what stands behind the
    /// first `-`, and of the tags themselves where that is equal, as in `O`, `B-LOC`, `I-LOC`, `B-PER`, `I-PER`.
    ///
    /// # Errors
    /// The first bad sentence, unless `policy` skips those, which are counted; [`TagError`] if a text has no tags, or
    /// there are less than two different ones; on request of `interrupt`.
    pub fn read(
        source: &dyn Source,
        tagging: Tagging,
        policy: OnBadRow,
        progress: &dyn Progress,
        interrupt: &Interrupt,
    ) -> Result<(Self, Skipped), DataError> {
        let (texts, skipped) = Self::of_source(source, None, tagging, policy, progress, interrupt)?;
        match texts.labels.as_slice() {
            [tag] => Err(TagError::OneTag { tag: tag.clone() }.into()),
            _ => Ok((texts, skipped)),
        }
    }

    /// Reads sentences whose tags are among `labels`.
    ///
    /// # Errors
    /// As [`Self::read`]; [`TagError::UnknownTag`] for any other tag, which makes a bad sentence.
    pub fn read_with_labels(
        source: &dyn Source,
        labels: Vec<String>,
        tagging: Tagging,
        policy: OnBadRow,
        progress: &dyn Progress,
        interrupt: &Interrupt,
    ) -> Result<(Self, Skipped), DataError> {
        Self::of_source(source, Some(labels), tagging, policy, progress, interrupt)
    }

    fn of_source(
        source: &dyn Source,
        labels: Option<Vec<String>>,
        tagging: Tagging,
        policy: OnBadRow,
        progress: &dyn Progress,
        interrupt: &Interrupt,
    ) -> Result<(Self, Skipped), DataError> {
        let (mut records, mut skipped) = records(source, policy, progress, interrupt)?;
        records.iter_mut().for_each(without_spans);
        let scheme = match tagging {
            Tagging::Checked { scheme: Some(scheme) } | Tagging::Measured { scheme: Some(scheme) } => scheme,
            _ => TagScheme::of_sentences(records.iter().map(tags_of)),
        };
        if let Tagging::Checked { .. } = tagging {
            records = checked(records, scheme, policy, &mut skipped)?;
        }
        let known = labels.as_ref().map(|labels| TagScheme::of_names(labels.iter().map(String::as_str)));
        let becomes_bio = tagging != Tagging::AsWritten && known.is_none_or(|known| known == TagScheme::Bio);
        let mut new_beginnings = 0;
        if scheme == TagScheme::Iob1 && becomes_bio {
            let sentences = records.iter_mut().filter_map(|record| match &mut record.target {
                Some(Target::Tags(words)) => Some(words),
                _ => None,
            });
            new_beginnings = sentences.map(|words| with_beginnings(words)).sum();
        }
        let labels = labels.unwrap_or_else(|| names(records.iter().flat_map(tags_of)));
        let numbers: HashMap<&str, u32> = labels.iter().map(String::as_str).zip(0..).collect();
        let mut examples = Vec::with_capacity(records.len());
        for record in records {
            examples.extend(skipped.filter(policy, example(&record, &numbers, &labels))?);
        }
        if examples.is_empty() {
            return Err(skipped.none_left(TagError::NoSentence));
        }
        Ok((Self { labels, examples, scheme, new_beginnings }, skipped))
    }

    /// Splits off a random share of the sentences, at least one of two. Sentences of the same words stay in one part.
    #[must_use]
    pub fn split(self, share: f64, seed: u64) -> (Self, Self) {
        let firsts = firsts(&self.sentences());
        self.split_by(&firsts, share, seed)
    }

    /// [`Self::split`] as version 0.1.0 made it: a sentence that is there twice may be in both parts.
    #[must_use]
    pub fn split_rows(self, share: f64, seed: u64) -> (Self, Self) {
        let rows: Vec<u32> = (0..).take(self.examples.len()).collect();
        self.split_by(&rows, share, seed)
    }

    /// Splits sentences of which each goes where the one in `firsts` goes.
    fn split_by(self, firsts: &[u32], share: f64, seed: u64) -> (Self, Self) {
        let n = distinct(firsts).count();
        let wanted = ((share * n as f64).round() as usize).clamp(usize::from(n > 1), n) as u64;
        let order = Permutation::new(Key::new(seed, Purpose::Order, "validation examples"), 0, n as u64);
        let mut is_taken = vec![false; firsts.len()];
        for (sentence, number) in distinct(firsts).zip(0..) {
            is_taken[sentence] = order.at(number) < wanted;
        }
        let mut firsts = firsts.iter();
        let (taken, left) =
            self.examples.into_iter().partition(|_| firsts.next().is_some_and(|&first| is_taken[first as usize]));
        let part = |examples| Self { labels: self.labels.clone(), examples, ..self };
        (part(left), part(taken))
    }

    /// Sentences of the same words that are tagged in different ways.
    #[must_use]
    pub fn conflicts(&self) -> Conflicts {
        let sentences = equal(&self.sentences());
        let mut numbers: HashMap<&[u32], u64> = HashMap::new();
        for &sentence in sentences.iter().flatten() {
            let next = numbers.len() as u64;
            numbers.entry(&self.examples[sentence as usize].tags).or_insert(next);
        }
        let tagging = |sentence: u32| numbers[self.examples[sentence as usize].tags.as_slice()];
        let (mut conflicts, firsts) = Conflicts::among(&sentences, tagging, &[]);
        for (example, sentence) in conflicts.examples.iter_mut().zip(firsts) {
            example.text = excerpt(&self.examples[sentence as usize].words.join(" "));
        }
        conflicts
    }

    /// The sentences whose place in `is_kept` says `true`.
    #[must_use]
    pub fn retain(self, is_kept: &[bool]) -> Self {
        let rows = self.examples.into_iter().zip(is_kept);
        Self { examples: rows.filter(|(_, is_kept)| **is_kept).map(|(row, _)| row).collect(), ..self }
    }

    /// Number of sentences with the words of an earlier one.
    #[must_use]
    pub fn n_repeated(&self) -> usize {
        n_repeated(&self.sentences())
    }

    /// Number of sentences whose words are those of one of `others` too.
    #[must_use]
    pub fn n_shared(&self, others: &Self) -> usize {
        n_shared(&self.sentences(), &others.sentences())
    }

    /// The words of each sentence, behind their hash, by which most comparisons are decided.
    fn sentences(&self) -> Vec<(u64, &[String])> {
        let key = |words: &[String]| words.iter().fold(0, |before, word| hash_behind(before, word));
        self.examples.iter().map(|example| (key(&example.words), example.words.as_slice())).collect()
    }

    /// At most `n` sentences, chosen at random, in the original order.
    #[must_use]
    pub fn at_most(self, n: usize, seed: u64) -> Self {
        let key = Key::new(seed, Purpose::Order, "tagged examples");
        let order = Permutation::new(key, 0, self.examples.len() as u64);
        let kept = self.examples.into_iter().zip(0..).filter(|(_, number)| order.at(*number) < n as u64);
        Self { examples: kept.map(|(example, _)| example).collect(), ..self }
    }

    /// What is odd about the tags: of each the number of words is counted.
    #[must_use]
    pub fn odd_tags(&self) -> OddClasses {
        OddClasses::of(self.labels.iter().map(String::as_str).zip(self.tag_counts()))
    }

    /// Number of words of each tag.
    #[must_use]
    pub fn tag_counts(&self) -> Vec<u64> {
        let mut counts = vec![0; self.labels.len()];
        self.examples.iter().flat_map(|example| &example.tags).for_each(|&tag| counts[tag as usize] += 1);
        counts
    }

    /// Number of words.
    #[must_use]
    pub fn n_words(&self) -> usize {
        self.examples.iter().map(|example| example.words.len()).sum()
    }
}

/// Turns an empty list of labels, which may be one of spans, into words without an entity.
fn without_spans(record: &mut Record) {
    if matches!(&record.target, Some(Target::Labels { labels, columns }) if labels.is_empty() && columns.is_empty()) {
        let mut words = Vec::new();
        outside(&record.text, 0..record.text.len(), &mut words);
        record.target = Some(Target::Tags(words));
    }
}

/// The tags of a record, in order.
fn tags_of(record: &Record) -> impl Iterator<Item = &str> + Clone {
    let words: &[TaggedWord] = match &record.target {
        Some(Target::Tags(words)) => words,
        _ => &[],
    };
    words.iter().map(|word| word.tag.as_str())
}

/// The different ones of `tags`, in the order of [`TaggedTexts::read`].
fn names<'a>(tags: impl Iterator<Item = &'a str>) -> Vec<String> {
    let key = |tag: &'a str| (tag != "O", tag.split_once('-').map_or("", |(_, entity)| entity), tag);
    let names: BTreeSet<(bool, &str, &str)> = tags.map(key).collect();
    names.into_iter().map(|(.., tag)| tag.to_owned()).collect()
}

/// The sentences without those that break the scheme, which `policy` refuses or counts.
fn checked(
    records: Vec<Record>,
    scheme: TagScheme,
    policy: OnBadRow,
    skipped: &mut Skipped,
) -> Result<Vec<Record>, DataError> {
    let check = |record: Record| {
        let tags: Vec<&str> = tags_of(&record).collect();
        let Some(found) = scheme.first_break(&tags) else { return Ok(record) };
        let last = found.word.checked_sub(1).map(|last| tags[last].to_owned());
        let word = match &record.target {
            Some(Target::Tags(words)) => record.text[words[found.word].span.clone()].to_owned(),
            _ => String::new(),
        };
        let (number, tag) = (found.word + 1, tags[found.word].to_owned());
        let problem = Box::new(BrokenTag { scheme, number, word, tag, last, kind: found.kind });
        Err(TagError::BrokenScheme { path: record.path.to_path_buf(), line: record.line, problem }.into())
    };
    let mut kept = Vec::with_capacity(records.len());
    for record in records {
        kept.extend(skipped.filter(policy, check(record))?);
    }
    Ok(kept)
}

/// The sentence of a record with the `numbers` of its tags.
fn example(record: &Record, numbers: &HashMap<&str, u32>, labels: &[String]) -> Result<TaggedExample, DataError> {
    let place = || (record.path.to_path_buf(), record.line);
    let Some(Target::Tags(words)) = &record.target else {
        let (path, line) = place();
        return Err(TagError::NoTags { path, line }.into());
    };
    let number = |tag: &String| {
        numbers.get(tag.as_str()).copied().ok_or_else(|| {
            let ((path, line), known) = (place(), labels.iter().take(20).cloned().collect());
            TagError::UnknownTag { tag: tag.clone(), path, line, known }
        })
    };
    Ok(TaggedExample {
        words: words.iter().map(|word| record.text[word.span.clone()].to_owned()).collect(),
        tags: words.iter().map(|word| number(&word.tag)).collect::<Result<_, _>>()?,
    })
}

#[cfg(test)]
mod tests {
    use burnformer_core::progress::Silent;

    use super::*;
    use crate::testing::{Memory, record, tagged};

    fn read(records: Vec<Record>) -> Result<TaggedTexts, DataError> {
        let source = Memory::of(records);
        let tagging = Tagging::AsWritten;
        TaggedTexts::read(&source, tagging, OnBadRow::Error, &Silent, &Interrupt::new()).map(|(texts, _)| texts)
    }

    #[test]
    fn labels_are_in_the_order_of_their_types() {
        let texts = read(vec![tagged("a:B-PER b:I-PER c:O"), tagged("d:S-LOC e:B-LOC f:I-LOC")]).unwrap();
        assert_eq!(texts.labels, ["O", "B-LOC", "I-LOC", "S-LOC", "B-PER", "I-PER"]);
        assert_eq!(
            texts.examples[0],
            TaggedExample { words: ["a", "b", "c"].map(str::to_owned).into(), tags: vec![4, 5, 0] }
        );
        assert_eq!(texts.examples[1].tags, [3, 1, 2]);
        assert_eq!(texts.n_words(), 6);
        assert_eq!(texts.odd_tags(), OddClasses::default());
        let odd = read(vec![tagged("a:B-PER b:B-per c:O")]).unwrap().odd_tags();
        assert_eq!(odd.alike, [[("B-PER".to_owned(), 1), ("B-per".to_owned(), 1)]]);
    }

    #[test]
    fn known_labels_keep_their_numbers_and_others_are_refused() {
        let read = |tags: &str| {
            let known = ["B-X", "O"].map(str::to_owned).to_vec();
            let source = Memory::of(vec![tagged(tags)]);
            let tagging = Tagging::AsWritten;
            TaggedTexts::read_with_labels(&source, known, tagging, OnBadRow::Error, &Silent, &Interrupt::new())
        };
        assert_eq!(read("a:O b:B-X").unwrap().0.examples[0].tags, [1, 0]);
        let error = read("a:O b:I-X").unwrap_err().to_string();
        assert_eq!(error, "the sentence in line 1 of `memory` has the unknown tag `I-X`, known are `B-X`, `O`");
    }

    #[test]
    fn sentences_that_teach_nothing_are_refused() {
        let message = |records| read(records).unwrap_err().to_string();
        assert_eq!(message(vec![]), "there is no sentence with tags");
        let expected = "line 1 of `memory` has no tags, expected words with a tag each, in CoNLL columns or in lists of JSON or Parquet, or \
             spans of characters in JSON or Parquet";
        assert_eq!(message(vec![record(&["text"])]), expected);
        let expected = "every word has the tag `O`, expected at least two different tags";
        assert_eq!(message(vec![tagged("a:O b:O")]), expected);
    }

    #[test]
    fn no_sentence_is_in_both_parts() {
        let sentence =
            |i: usize| tagged(&format!("w{}:B-X y:{}", i % 10, if i.is_multiple_of(3) { "O" } else { "B-X" }));
        let all = read((0..60).map(sentence).collect()).unwrap();
        assert_eq!((all.n_repeated(), all.conflicts().texts), (50, 10));
        assert_eq!(all.conflicts().examples[0].text, "w0 y");
        for seed in 0..20 {
            let (left, taken) = all.clone().split(0.2, seed);
            assert_eq!((taken.n_shared(&left), left.examples.len(), taken.examples.len()), (0, 48, 12));
        }
    }

    #[test]
    fn a_share_of_the_sentences_is_taken_out_by_the_seed() {
        let sentence = |i: usize| tagged(&format!("w{i}:{}", if i.is_multiple_of(2) { "O" } else { "B-X" }));
        let all = read((0..50).map(sentence).collect()).unwrap();
        let (left, taken) = all.clone().split(0.2, 1);
        assert_eq!((left.examples.len(), taken.examples.len()), (40, 10));
        let mut again: Vec<_> = left.examples.iter().chain(&taken.examples).cloned().collect();
        let number = |example: &TaggedExample| example.words[0][1..].parse::<usize>().unwrap();
        assert!(left.examples.is_sorted_by_key(number) && taken.examples.is_sorted_by_key(number));
        again.sort_by_key(number);
        assert_eq!(again, all.examples);
        assert_eq!(all.clone().split(0.2, 1), (left.clone(), taken.clone()));
        assert_eq!(all.clone().split_rows(0.2, 1), (left, taken.clone()), "no sentence is there twice");
        assert_ne!(all.clone().split(0.2, 2).1, taken);
        assert_eq!(all.clone().split(0.001, 1).1.examples.len(), 1);
        assert_eq!(all.clone().at_most(7, 1).examples.len(), 7);
        assert_eq!(all.clone().at_most(100, 1), all);
    }

    fn checked(
        scheme: Option<TagScheme>,
        policy: OnBadRow,
        sentences: &[&str],
    ) -> Result<(TaggedTexts, Skipped), String> {
        let source = Memory::of(sentences.iter().map(|sentence| tagged(sentence)).collect());
        let tagging = Tagging::Checked { scheme };
        TaggedTexts::read(&source, tagging, policy, &Silent, &Interrupt::new()).map_err(|error| {
            let cause = std::error::Error::source(&error).map_or_else(String::new, |cause| format!("; {cause}"));
            format!("{error}{cause}")
        })
    }

    #[test]
    fn a_sentence_that_breaks_the_scheme_is_a_bad_row() {
        let sentences = ["a:B-X b:I-X c:O", "d:O e:I-X", "f:B-X g:I-Y"];
        let error = checked(None, OnBadRow::Error, &sentences).unwrap_err();
        let expected = "the sentence in line 1 of `memory` breaks the scheme `bio`: word 2, `e`, has the tag `I-X` behind `O`, expected \
                        `B-X`: correct it, or set `token_classification.scheme` to `iob1`, in which `I-` may begin an entity";
        assert_eq!(error, expected);
        let (texts, skipped) = checked(None, OnBadRow::Skip, &sentences).unwrap();
        assert_eq!((texts.examples.len(), skipped.rows, skipped.examples.len()), (1, 2, 2));
        assert_eq!((texts.scheme, texts.new_beginnings), (TagScheme::Bio, 0));
        let error = checked(Some(TagScheme::Bio), OnBadRow::Skip, &["d:O e:I-X", "f:I-Y"]).unwrap_err();
        assert!(
            error.starts_with("no row is left: 2 were skipped, the first since; the sentence in line 1"),
            "{error}"
        );
        let error = checked(None, OnBadRow::Error, &["a:B-X b:O c:7"]).unwrap_err();
        assert!(
            error.contains(
                "word 3, `c`, has the tag `7`, expected `O`, or the type of an entity behind `B-` or `I-`: name"
            ),
            "{error}"
        );
        let error = checked(None, OnBadRow::Error, &["a:B-X b:O c:S-X"]).unwrap_err();
        let expected = "word 1, `a`, has the tag `B-X`, and the entity does not end behind it, expected `E-X` on its last word, or `S-X`";
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn a_text_without_spans_has_words_without_entities() {
        let none = Target::Labels { labels: Vec::new(), columns: Vec::new() };
        let text = Record { target: Some(none), ..record(&["By the pier."]) };
        let texts = read(vec![tagged("a:B-X"), text]).unwrap();
        assert_eq!(texts.examples[1].words, ["By", "the", "pier", "."]);
        assert_eq!((texts.labels.join(" "), &texts.examples[1].tags[..]), ("O B-X".to_owned(), &[0; 4][..]));
    }

    #[test]
    fn iob1_becomes_bio() {
        let sentences = ["a:I-X b:I-X c:B-X d:O", "e:I-Y f:I-X"];
        let (texts, _) = checked(None, OnBadRow::Error, &sentences).unwrap();
        assert_eq!((texts.scheme, texts.new_beginnings), (TagScheme::Iob1, 3));
        assert_eq!(texts.labels, ["O", "B-X", "I-X", "B-Y"]);
        assert_eq!(texts.examples[0].tags, [1, 2, 1, 0]);
        let (texts, _) = checked(Some(TagScheme::Iob1), OnBadRow::Error, &["a:B-X b:O c:I-Y"]).unwrap();
        assert_eq!((texts.labels.join(" "), texts.new_beginnings), ("O B-X B-Y".to_owned(), 1));
    }

    #[test]
    fn an_unknown_tag_is_a_bad_row() {
        let source = Memory::of(vec![tagged("a:B-X"), tagged("b:B-Y"), tagged("c:O")]);
        let known = ["O", "B-X"].map(str::to_owned).to_vec();
        let tagging = Tagging::Checked { scheme: None };
        let (texts, skipped) =
            TaggedTexts::read_with_labels(&source, known, tagging, OnBadRow::Skip, &Silent, &Interrupt::new()).unwrap();
        assert_eq!((texts.examples.len(), skipped.rows), (2, 1));
    }

    #[test]
    fn sentences_to_measure_on_are_left_as_they_are_unless_their_scheme_is_iob1() {
        let known = ["O", "B-X", "I-X"].map(str::to_owned).to_vec();
        let read = |scheme, sentences: &[&str]| {
            let source = Memory::of(sentences.iter().map(|sentence| tagged(sentence)).collect());
            let tagging = Tagging::Measured { scheme };
            let read = TaggedTexts::read_with_labels(
                &source,
                known.clone(),
                tagging,
                OnBadRow::Error,
                &Silent,
                &Interrupt::new(),
            );
            read.unwrap().0.examples.into_iter().map(|example| example.tags).collect::<Vec<_>>()
        };
        let broken = ["a:B-X b:O", "c:O d:I-X"];
        assert_eq!(read(None, &broken), [[1, 0], [0, 2]]);
        assert_eq!(read(Some(TagScheme::Iob1), &broken), [[1, 0], [0, 1]]);
        assert_eq!(read(None, &["a:I-X b:B-X"]), [[1, 1]]);
    }
}
