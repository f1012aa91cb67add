//! Equal texts, and those of them that have different labels.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::Hash;

use serde::Serialize;

/// Number of examples in [`Conflicts`].
const EXAMPLES: usize = 3;
/// Longest text of an example, in characters.
const LONGEST: usize = 60;

/// Texts that occur with different labels: with several classes, or with several taggings of their words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Conflicts {
    /// Number of such texts.
    pub texts: u64,
    /// Number of rows that are in no part, because the text is in the part of another group.
    pub rows_left_out: u64,
    /// Classes that share texts, those that share most first; empty for taggings.
    pub labels: Vec<SharedTexts>,
    /// The first of these texts.
    pub examples: Vec<Conflict>,
}

/// Classes that occur with the same texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SharedTexts {
    /// Names of the classes.
    pub labels: Vec<String>,
    /// Number of texts that have all of these classes and no other.
    pub texts: u64,
}

/// A text that occurs with several labels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// Its first 60 characters.
    pub text: String,
    /// Its classes; empty for taggings.
    pub labels: Vec<String>,
}

impl Conflicts {
    /// The conflicts among texts of which those in a group of `equal` are the same. `target` is the number of a text's class in
    /// `names`, or any number that stands for its tagging, with no names. Also returns which texts the examples are, which
    /// have no text yet.
    pub(crate) fn among(equal: &[Vec<u32>], target: impl Fn(u32) -> u64, names: &[String]) -> (Self, Vec<u32>) {
        let named = |targets: &BTreeSet<u64>| -> Vec<String> {
            targets.iter().filter_map(|&target| names.get(target as usize).cloned()).collect()
        };
        let (mut found, mut firsts) = (Self::default(), Vec::new());
        let mut counts: BTreeMap<BTreeSet<u64>, u64> = BTreeMap::new();
        for group in equal {
            let targets: BTreeSet<u64> = group.iter().map(|&text| target(text)).collect();
            if targets.len() < 2 {
                continue;
            }
            found.texts += 1;
            if firsts.len() < EXAMPLES {
                firsts.extend(group.first());
                found.examples.push(Conflict { text: String::new(), labels: named(&targets) });
            }
            *counts.entry(targets).or_insert(0) += 1;
        }
        if !names.is_empty() {
            found.labels =
                counts.iter().map(|(targets, &texts)| SharedTexts { labels: named(targets), texts }).collect();
            // Stable, so that those that share as many stay in the order of the classes.
            found.labels.sort_by_key(|shared| std::cmp::Reverse(shared.texts));
        }
        (found, firsts)
    }
}

/// Groups of indices with equal keys, of two indices or more, each in ascending order; the groups in that of their first.
pub(crate) fn equal<K: Ord>(keys: &[K]) -> Vec<Vec<u32>> {
    let mut order: Vec<u32> = (0..).take(keys.len()).collect();
    order.sort_unstable_by(|&a, &b| keys[a as usize].cmp(&keys[b as usize]).then(a.cmp(&b)));
    let groups = order.chunk_by(|&a, &b| keys[a as usize] == keys[b as usize]);
    let mut groups: Vec<Vec<u32>> = groups.filter(|group| group.len() > 1).map(<[u32]>::to_vec).collect();
    groups.sort_unstable_by_key(|group| group[0]);
    groups
}

/// For each key the index of the first one that equals it.
pub(crate) fn firsts<K: Ord>(keys: &[K]) -> Vec<u32> {
    let mut firsts: Vec<u32> = (0..).take(keys.len()).collect();
    for group in equal(keys) {
        group.iter().for_each(|&index| firsts[index as usize] = group[0]);
    }
    firsts
}

/// The indices of keys that equal no earlier one, by what [`firsts`] returns.
pub(crate) fn distinct(firsts: &[u32]) -> impl Iterator<Item = usize> {
    firsts.iter().enumerate().filter(|(index, first)| *index == **first as usize).map(|(index, _)| index)
}

/// Number of keys that equal an earlier one.
pub(crate) fn n_repeated<K: Ord>(keys: &[K]) -> usize {
    equal(keys).iter().map(|group| group.len() - 1).sum()
}

/// Number of `keys` that are among `others`.
pub(crate) fn n_shared<K: Hash + Eq>(keys: &[K], others: &[K]) -> usize {
    let others: HashSet<&K> = others.iter().collect();
    keys.iter().filter(|key| others.contains(key)).count()
}

/// The beginning of a text, to recognise it by.
pub(crate) fn excerpt(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_that_share_texts_are_counted_together() {
        let (keys, targets) = ([7, 5, 7, 5, 9, 7, 8, 8], [0, 1, 1, 0, 0, 2, 2, 2]);
        let equal = equal(&keys);
        assert_eq!(equal, [vec![0, 2, 5], vec![1, 3], vec![6, 7]]);
        let names = ["a", "b", "c"].map(str::to_owned);
        let (conflicts, firsts) = Conflicts::among(&equal, |text| targets[text as usize], &names);
        assert_eq!((conflicts.texts, firsts), (2, vec![0, 1]));
        let found: Vec<_> = conflicts.labels.iter().map(|it| (it.labels.join(" "), it.texts)).collect();
        assert_eq!(found, [("a b".to_owned(), 1), ("a b c".to_owned(), 1)]);
        assert_eq!(conflicts.examples[0].labels, names);
        let (taggings, _) = Conflicts::among(&equal, |text| targets[text as usize], &[]);
        assert_eq!((taggings.texts, taggings.labels.len()), (2, 0));
    }

    #[test]
    fn an_excerpt_ends_between_characters() {
        assert_eq!(excerpt("ä"), "ä");
        assert_eq!(excerpt(&"ä".repeat(61)), format!("{}…", "ä".repeat(60)));
    }
}
