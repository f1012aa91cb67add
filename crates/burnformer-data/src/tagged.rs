//! Tagged sentences in memory, for training and evaluation of token classification.

use std::collections::{BTreeSet, HashMap};

use burnformer_core::progress::{Interrupt, Progress};
use burnformer_core::random::{Key, Permutation, Purpose};

use crate::class_names::OddClasses;
use crate::conflicts::{Conflicts, distinct, equal, excerpt, firsts, n_repeated, n_shared};
use crate::content::hash_behind;
use crate::labelled::{LabelError, records};
use crate::source::{OnBadRow, Skipped, Source};
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
}

impl TaggedTexts {
    /// Reads sentences whose tags become the labels: `O` first, then in alphabetical order of what stands behind the
    /// first `-`, and of the tags themselves where that is equal, as in `O`, `B-LOC`, `I-LOC`, `B-PER`, `I-PER`.
    ///
    /// # Errors
    /// The first bad sentence, unless `policy` skips those, which are counted; [`LabelError`] if a text has no tags, or
    /// there are less than two different ones; on request of `interrupt`.
    pub fn read(
        source: &dyn Source,
        policy: OnBadRow,
        progress: &dyn Progress,
        interrupt: &Interrupt,
    ) -> Result<(Self, Skipped), DataError> {
        let (records, skipped) = records(source, policy, progress, interrupt)?;
        let tags = records.iter().flat_map(|record| match &record.target {
            Some(Target::Tags(words)) => words.as_slice(),
            _ => &[],
        });
        let names: BTreeSet<(bool, &str, &str)> = tags
            .map(|word| {
                let entity = word.tag.split_once('-').map_or("", |(_, entity)| entity);
                (word.tag != "O", entity, word.tag.as_str())
            })
            .collect();
        let labels = names.into_iter().map(|(.., tag)| tag.to_owned()).collect();
        let texts = Self::number(&records, labels)?;
        match texts.labels.as_slice() {
            [tag] => Err(LabelError::OneTag { tag: tag.clone() }.into()),
            _ => Ok((texts, skipped)),
        }
    }

    /// Reads sentences whose tags are among `labels`.
    ///
    /// # Errors
    /// As [`Self::read`]; [`LabelError::UnknownTag`] for any other tag.
    pub fn read_with_labels(
        source: &dyn Source,
        labels: Vec<String>,
        policy: OnBadRow,
        progress: &dyn Progress,
        interrupt: &Interrupt,
    ) -> Result<(Self, Skipped), DataError> {
        let (records, skipped) = records(source, policy, progress, interrupt)?;
        Ok((Self::number(&records, labels)?, skipped))
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
        (Self { labels: self.labels.clone(), examples: left }, Self { labels: self.labels, examples: taken })
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
        Self { labels: self.labels, examples: kept.map(|(example, _)| example).collect() }
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

    fn number(records: &[Record], labels: Vec<String>) -> Result<Self, LabelError> {
        if records.is_empty() {
            return Err(LabelError::NoSentence);
        }
        let numbers: HashMap<&str, u32> = labels.iter().map(String::as_str).zip(0..).collect();
        let example = |record: &Record| {
            let place = || (record.path.to_path_buf(), record.line);
            let Some(Target::Tags(words)) = &record.target else {
                let (path, line) = place();
                return Err(LabelError::NoTags { path, line });
            };
            let number = |tag: &String| {
                numbers.get(tag.as_str()).copied().ok_or_else(|| {
                    let ((path, line), known) = (place(), labels.iter().take(20).cloned().collect());
                    LabelError::UnknownTag { tag: tag.clone(), path, line, known }
                })
            };
            Ok(TaggedExample {
                words: words.iter().map(|word| record.text[word.span.clone()].to_owned()).collect(),
                tags: words.iter().map(|word| number(&word.tag)).collect::<Result<_, _>>()?,
            })
        };
        let examples = records.iter().map(example).collect::<Result<_, _>>()?;
        Ok(Self { labels, examples })
    }
}

#[cfg(test)]
mod tests {
    use burnformer_core::progress::Silent;

    use super::*;
    use crate::testing::{Memory, record, tagged};

    fn read(records: Vec<Record>) -> Result<TaggedTexts, DataError> {
        TaggedTexts::read(&Memory::of(records), OnBadRow::Error, &Silent, &Interrupt::new()).map(|(texts, _)| texts)
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
            TaggedTexts::read_with_labels(&source, known, OnBadRow::Error, &Silent, &Interrupt::new())
        };
        assert_eq!(read("a:O b:B-X").unwrap().0.examples[0].tags, [1, 0]);
        let error = read("a:O b:I-X").unwrap_err().to_string();
        assert_eq!(error, "the sentence in line 1 of `memory` has the unknown tag `I-X`, known are `B-X`, `O`");
    }

    #[test]
    fn sentences_that_teach_nothing_are_refused() {
        let message = |records| read(records).unwrap_err().to_string();
        assert_eq!(message(vec![]), "there is no sentence with tags");
        let expected = "line 1 of `memory` has no tags, expected words with a tag each, in CoNLL columns, or in lists of JSON or Parquet";
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
}
