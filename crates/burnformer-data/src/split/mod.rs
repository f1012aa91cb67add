//! Splits of documents into training, validation and test.

mod files;

use std::collections::HashSet;

use burnformer_core::config::{ConfigError, Validate};
use burnformer_core::random::{Key, Purpose, Stream};
use serde::{Deserialize, Serialize};

use crate::DataError;
use crate::corpus::Corpus;

pub use files::{FilesSplit, PartCounts, split_files};

/// Settings of a split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitConfig {
    /// Grouping: what is kept together, or balanced.
    pub by: SplitBy,
    /// Share of the validation part, in `[0, 1)`.
    pub validation: f64,
    /// Share of the test part, in `[0, 1)`.
    pub test: f64,
}

/// Grouping of a split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SplitBy {
    /// Each document is assigned individually.
    #[default]
    Document,
    /// Documents of one group (a repository, an author) stay together; those without a group are assigned individually.
    Group,
    /// Stratified: each part has the same share of each label's documents.
    Label,
}

impl std::fmt::Display for SplitBy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Document => "document",
            Self::Group => "group",
            Self::Label => "label",
        })
    }
}

impl std::fmt::Display for Subset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Train => "training",
            Self::Validation => "validation",
            Self::Test => "test",
        })
    }
}

impl Default for SplitConfig {
    fn default() -> Self {
        Self { by: SplitBy::default(), validation: 0.05, test: 0.05 }
    }
}

impl Validate for SplitConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        ConfigError::check_probability("validation", self.validation)?;
        ConfigError::check_probability("test", self.test)?;
        let sum = self.validation + self.test;
        ConfigError::check("test", &self.test, sum < 1.0, "less than 1 together with `validation`")
    }
}

/// A part of a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subset {
    /// Documents to train on.
    Train,
    /// Documents to select models by.
    Validation,
    /// Documents to report final scores on.
    Test,
}

/// Keys of a document for a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// Hash of its text.
    pub content: u64,
    /// Hash of its group.
    pub group: Option<u64>,
    /// Number of its label.
    pub label: Option<u32>,
}

/// The documents of each part, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// Documents to train on.
    pub train: Vec<u32>,
    /// Documents to select models by.
    pub validation: Vec<u32>,
    /// Documents to report final scores on.
    pub test: Vec<u32>,
    /// Duplicates of an earlier document. They are in no part.
    pub duplicates: Vec<u32>,
}

impl Split {
    /// Splits the documents of `corpus`, as a function of their texts and the seed.
    ///
    /// # Errors
    /// If a part that should have a share gets none, or the corpus is damaged.
    ///
    /// # Panics
    /// If the settings are invalid: a value built in code is the caller's responsibility.
    pub fn of(corpus: &Corpus, config: &SplitConfig, seed: u64) -> Result<Self, DataError> {
        let item = |index| {
            let document = corpus.document(index)?;
            Ok(Item { content: document.content(), group: document.group(), label: document.label() })
        };
        Self::of_items((0..corpus.n_documents()).map(item).collect::<Result<Vec<_>, DataError>>()?, config, seed)
    }

    /// Splits items that are not documents of a corpus; the parts hold their indices.
    ///
    /// The first of several items with equal content stays, so no content is in two parts. They are sorted by a random
    /// number of their group (separately for each label if stratified), and cut at the shares.
    ///
    /// # Errors
    /// If a part that should have a share gets none.
    ///
    /// # Panics
    /// If the settings are invalid: a value built in code is the caller's responsibility.
    pub fn of_items(items: impl IntoIterator<Item = Item>, config: &SplitConfig, seed: u64) -> Result<Self, DataError> {
        if let Err(error) = config.validate() {
            panic!("{error}");
        }
        let key = Key::new(seed, Purpose::Order, "split");
        let mut split = Self::default();
        let mut seen = HashSet::new();
        // (what is balanced, random number of what is kept together, what is kept together, thing)
        let mut drawn: Vec<(Option<u32>, u64, u64, u32)> = Vec::new();
        for (index, item) in (0..).zip(items) {
            if !seen.insert(item.content) {
                split.duplicates.push(index);
                continue;
            }
            let (stratum, unit) = match config.by {
                SplitBy::Document => (None, item.content),
                SplitBy::Group => (None, item.group.unwrap_or(item.content)),
                SplitBy::Label => (item.label, item.content),
            };
            drawn.push((stratum, Stream::new(key, unit).bits64(), unit, index));
        }
        drop(seen);
        drawn.sort_unstable();
        for stratum in drawn.chunk_by(|a, b| a.0 == b.0) {
            split.cut(stratum, config);
        }
        split.sorted(config)
    }

    /// Assigns the items of one stratum: units in random order, to validation and test until they have their shares.
    fn cut(&mut self, stratum: &[(Option<u32>, u64, u64, u32)], config: &SplitConfig) {
        // Where nothing is balanced, a part that should have a share gets at least one unit.
        let least = |share: f64| usize::from(share > 0.0 && config.by != SplitBy::Label);
        let wanted = |share: f64| ((share * stratum.len() as f64).round() as usize).max(least(share));
        let (mut validation, mut test) = (wanted(config.validation), wanted(config.test));
        for unit in stratum.chunk_by(|a, b| a.2 == b.2) {
            let (part, left) = if validation > 0 {
                (&mut self.validation, &mut validation)
            } else if test > 0 {
                (&mut self.test, &mut test)
            } else {
                (&mut self.train, &mut 0)
            };
            part.extend(unit.iter().map(|&(.., index)| index));
            *left = left.saturating_sub(unit.len());
        }
    }

    fn sorted(mut self, config: &SplitConfig) -> Result<Self, DataError> {
        for part in [&mut self.train, &mut self.validation, &mut self.test] {
            part.sort_unstable();
        }
        let lacks = |part: &[u32], share: f64| share > 0.0 && part.is_empty();
        let part = if lacks(&self.train, 1.0) {
            Some(Subset::Train)
        } else if lacks(&self.validation, config.validation) {
            Some(Subset::Validation)
        } else if lacks(&self.test, config.test) {
            Some(Subset::Test)
        } else {
            None
        };
        let Some(part) = part else { return Ok(self) };
        let found = self.train.len() + self.validation.len() + self.test.len();
        if found == 0 {
            return Err(DataError::NoTexts);
        }
        Err(DataError::EmptyPart { part, by: config.by, found })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use proptest::prelude::*;

    use super::*;

    fn item(content: u64) -> Item {
        Item { content, group: None, label: None }
    }

    fn config(by: SplitBy, validation: f64, test: f64) -> SplitConfig {
        SplitConfig { by, validation, test }
    }

    /// The part of every item; duplicates have none.
    fn parts(split: &Split) -> HashMap<u32, Subset> {
        let named =
            [(&split.train, Subset::Train), (&split.validation, Subset::Validation), (&split.test, Subset::Test)];
        named.into_iter().flat_map(|(part, name)| part.iter().map(move |&index| (index, name))).collect()
    }

    proptest! {
        #[test]
        fn no_content_and_no_group_is_in_two_parts(
            things in prop::collection::vec((0_u64..200, 0_u64..20), 30..300),
            by_group: bool,
            seed: u64,
        ) {
            let items = things.iter().map(|&(content, group)| Item { content, group: Some(group), label: None });
            let by = if by_group { SplitBy::Group } else { SplitBy::Document };
            let Ok(split) = Split::of_items(items, &config(by, 0.1, 0.2), seed) else { return Ok(()) };
            let parts = parts(&split);
            prop_assert_eq!(parts.len() + split.duplicates.len(), things.len());
            let contents: HashSet<u64> = things.iter().map(|thing| thing.0).collect();
            prop_assert_eq!(parts.len(), contents.len(), "each content is in one part once");
            if by_group {
                let mut of_group = HashMap::new();
                for (&index, &part) in &parts {
                    let group = things[index as usize].1;
                    prop_assert_eq!(*of_group.entry(group).or_insert(part), part, "group {}", group);
                }
            }
        }
    }

    #[test]
    fn shares_are_exact() {
        let split = Split::of_items((0..1000).map(item), &config(SplitBy::Document, 0.1, 0.25), 1).unwrap();
        assert_eq!((split.train.len(), split.validation.len(), split.test.len()), (650, 100, 250));
        assert!(split.train.is_sorted());
        let other = Split::of_items((0..1000).map(item), &config(SplitBy::Document, 0.1, 0.25), 2).unwrap();
        assert_ne!(split, other, "another seed, another split");
    }

    #[test]
    fn every_label_has_its_shares() {
        let labelled = |i: u32| Item { label: Some(u32::from(i.is_multiple_of(10))), ..item(u64::from(i)) };
        let split = Split::of_items((0..2000).map(labelled), &config(SplitBy::Label, 0.1, 0.2), 1).unwrap();
        let rare = |part: &[u32]| part.iter().filter(|index| index.is_multiple_of(10)).count();
        assert_eq!((rare(&split.train), rare(&split.validation), rare(&split.test)), (140, 20, 40));
        assert_eq!((split.train.len(), split.validation.len(), split.test.len()), (1400, 200, 400));
    }

    #[test]
    fn the_first_of_equal_texts_stays() {
        let contents = [5, 6, 5, 7, 6, 5];
        let split = Split::of_items(contents.map(item), &config(SplitBy::Document, 0.0, 0.0), 1).unwrap();
        assert_eq!((split.train, split.duplicates), (vec![0, 1, 3], vec![2, 4, 5]));
    }

    #[test]
    fn few_large_groups_still_give_every_part_one() {
        let grouped = |i: u64| Item { group: Some(i / 10), ..item(i) };
        let split = Split::of_items((0..30).map(grouped), &config(SplitBy::Group, 0.05, 0.05), 1).unwrap();
        assert_eq!((split.train.len(), split.validation.len(), split.test.len()), (10, 10, 10));
        let error = Split::of_items((0..20).map(grouped), &config(SplitBy::Group, 0.05, 0.05), 1).unwrap_err();
        let expected =
            "the training part of the split is empty: 20 documents cannot be divided by group, choose other shares";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn more_documents_move_few_of_those_there_were() {
        let split = |n| parts(&Split::of_items((0..n).map(item), &config(SplitBy::Document, 0.1, 0.1), 1).unwrap());
        let (before, after) = (split(1000), split(1100));
        let moved = before.iter().filter(|(index, part)| after[index] != **part).count();
        assert!(moved < 60, "{moved} of 1000");
    }

    #[test]
    fn impossible_shares_are_named() {
        let error = config(SplitBy::Document, 0.5, 0.5).validate().unwrap_err();
        assert_eq!(error.to_string(), "`test` is 0.5, expected less than 1 together with `validation`");
    }
}
