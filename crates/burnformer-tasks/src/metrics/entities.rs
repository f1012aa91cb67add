//! Entities in tagged words, and their scores: those of seqeval 1.2.2.

use std::collections::BTreeMap;
use std::ops::{AddAssign, Range};

use burnformer_data::tag_scheme::{Position, TagScheme, ends, parse};
use serde::{Deserialize, Serialize};

/// An entity: consecutive words with one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entity<'a> {
    /// Type of the entity, such as `PER`.
    pub label: &'a str,
    /// Range of word indices.
    pub words: Range<usize>,
}

/// Handling of tag sequences that break the scheme.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EntityMode {
    /// As conlleval, and seqeval by default: a tag of another type, or a tag after `O`, starts an entity whatever its
    /// prefix is.
    #[default]
    Lenient,
    /// As seqeval with `mode="strict"` and `IOB2`: an entity is `B-` and the `I-` of its type that follow; any other
    /// `I-` is part of none.
    Iob2,
    /// As seqeval with `mode="strict"` and `IOBES` (or `BILOU`): an entity is `S-`, or `B-`, any number of `I-` and
    /// `E-`, all of one type.
    Iobes,
    /// Each word with its tag, `O` included: for tags that are no entities, such as parts of speech.
    Words,
}

impl EntityMode {
    /// The mode that refuses entities which break the scheme; `None` where none does.
    #[must_use]
    pub fn strict(scheme: TagScheme) -> Option<Self> {
        match scheme {
            TagScheme::Bio | TagScheme::Iob1 => Some(Self::Iob2),
            TagScheme::Bioes => Some(Self::Iobes),
            _ => None,
        }
    }
}

/// The entities in the tags of one sentence, in order. Tags are read in the schemes IOB1, IOB2, IO, IOBES and BILOU.
///
/// ```
/// use burnformer_tasks::metrics::{EntityMode, entities};
///
/// let found = entities(&["B-PER", "I-PER", "O", "I-LOC"], EntityMode::Lenient);
/// let found: Vec<_> = found.into_iter().map(|entity| (entity.label, entity.words)).collect();
/// assert_eq!(found, [("PER", 0..2), ("LOC", 3..4)]);
/// ```
///
/// Source: `get_entities` and `Tokens.entities` of seqeval 1.2.2; Tjong Kim Sang and De Meulder 2003 for conlleval.
#[must_use]
pub fn entities<'a>(tags: &[&'a str], mode: EntityMode) -> Vec<Entity<'a>> {
    if mode == EntityMode::Words {
        return tags.iter().enumerate().map(|(word, label)| Entity { label, words: word..word + 1 }).collect();
    }
    let parsed: Vec<_> = tags.iter().map(|tag| parse(tag)).collect();
    let mut found = Vec::new();
    let mut start = 0;
    for (word, tag) in parsed.iter().enumerate() {
        let Some((position, label)) = *tag else { continue };
        if word == 0 || parsed[word - 1].is_none_or(|last| ends(last, *tag)) {
            start = word;
        }
        if ends((position, label), parsed.get(word + 1).copied().flatten()) {
            let first = parsed[start].map(|(position, _)| position);
            let is_entity = match mode {
                EntityMode::Lenient | EntityMode::Words => true,
                EntityMode::Iob2 => first == Some(Position::Begin),
                EntityMode::Iobes if start == word => position == Position::Single,
                EntityMode::Iobes => first == Some(Position::Begin) && position == Position::End,
            };
            if is_entity {
                found.push(Entity { label, words: start..word + 1 });
            }
        }
    }
    found
}

/// Number of tags in one sentence that continue no entity though they should, such as an `I-` after `O` or another
/// type. [`EntityMode::Lenient`] lets them start an entity, which is right in the schemes IO and IOB1.
#[must_use]
pub fn n_stray_tags(tags: &[&str]) -> u64 {
    let parsed: Vec<_> = tags.iter().map(|tag| parse(tag)).collect();
    let is_stray = |word: &usize| {
        let last = word.checked_sub(1).and_then(|last| parsed[last]);
        let continues = matches!(parsed[*word], Some((Position::Inside | Position::End, _)));
        continues && last.is_none_or(|last| ends(last, parsed[*word]))
    };
    (0..parsed.len()).filter(is_stray).count() as u64
}

/// Scores of entities, each in `[0, 1]`; a quotient without a denominator is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EntityScores {
    /// Precision: share of the predicted entities that are right, with the same words and type.
    pub precision: f64,
    /// Recall: share of the true entities that were found.
    pub recall: f64,
    /// Harmonic mean of precision and recall.
    pub f1: f64,
    /// Number of true entities.
    pub support: u64,
}

/// Numbers of entities of one type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Counts {
    correct: u64,
    predicted: u64,
    truth: u64,
}

impl Counts {
    fn scores(self) -> EntityScores {
        let ratio = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
        EntityScores {
            precision: ratio(self.correct, self.predicted),
            recall: ratio(self.correct, self.truth),
            f1: ratio(2 * self.correct, self.predicted + self.truth),
            support: self.truth,
        }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.correct += other.correct;
        self.predicted += other.predicted;
        self.truth += other.truth;
    }
}

/// Numbers of true and predicted entities by type, summed over sentences.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EntityCounts {
    types: BTreeMap<String, Counts>,
}

impl EntityCounts {
    /// Counts the entities of one sentence.
    ///
    /// # Panics
    /// If there is not one predicted tag for each true one.
    pub fn add(&mut self, truth: &[&str], predicted: &[&str], mode: EntityMode) {
        let (n_words, n_predicted) = (truth.len(), predicted.len());
        assert_eq!(n_words, n_predicted, "entities: {n_words} words and {n_predicted} predicted tags");
        let (truth, predicted) = (entities(truth, mode), entities(predicted, mode));
        for entity in &truth {
            self.of(entity.label).truth += 1;
        }
        for entity in &predicted {
            let is_correct = truth.contains(entity);
            let counts = self.of(entity.label);
            counts.predicted += 1;
            counts.correct += u64::from(is_correct);
        }
    }

    fn of(&mut self, label: &str) -> &mut Counts {
        if !self.types.contains_key(label) {
            self.types.insert(label.to_owned(), Counts::default());
        }
        self.types.get_mut(label).expect("it was put there")
    }

    /// `true` if no entity was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.types.is_empty()
    }

    /// Scores of each type that occurred, in alphabetical order.
    pub fn by_type(&self) -> impl Iterator<Item = (&str, EntityScores)> {
        self.types.iter().map(|(label, counts)| (label.as_str(), counts.scores()))
    }

    /// Micro average: scores of all entities together.
    #[must_use]
    pub fn micro(&self) -> EntityScores {
        let mut all = Counts::default();
        self.types.values().for_each(|counts| all += *counts);
        all.scores()
    }

    /// Macro average: means over the types, each with the same weight.
    #[must_use]
    pub fn macro_average(&self) -> EntityScores {
        self.average(|_| 1.0)
    }

    /// Weighted average: means over the types, weighted by their numbers of true entities.
    #[must_use]
    pub fn weighted_average(&self) -> EntityScores {
        self.average(|scores| scores.support as f64)
    }

    fn average(&self, weight: impl Fn(&EntityScores) -> f64) -> EntityScores {
        let all: Vec<EntityScores> = self.by_type().map(|(_, scores)| scores).collect();
        let total: f64 = all.iter().map(&weight).sum();
        let mean = |value: fn(&EntityScores) -> f64| match total {
            0.0 => 0.0,
            _ => all.iter().map(|scores| weight(scores) * value(scores)).sum::<f64>() / total,
        };
        EntityScores {
            precision: mean(|it| it.precision),
            recall: mean(|it| it.recall),
            f1: mean(|it| it.f1),
            support: all.iter().map(|it| it.support).sum(),
        }
    }
}

impl AddAssign for EntityCounts {
    fn add_assign(&mut self, other: Self) {
        for (label, counts) in other.types {
            *self.of(&label) += counts;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRUTH: [&[&str]; 3] = [
        &["B-PER", "I-PER", "O", "B-LOC", "O"],
        &["O", "I-ORG", "I-ORG", "O", "B-MISC", "B-MISC"],
        &["B-PER", "I-LOC", "O"],
    ];
    const PREDICTED: [&[&str]; 3] = [
        &["B-PER", "I-PER", "O", "O", "B-LOC"],
        &["O", "B-ORG", "I-ORG", "O", "B-MISC", "I-MISC"],
        &["B-PER", "I-PER", "O"],
    ];

    fn counts(mode: EntityMode) -> EntityCounts {
        let mut counts = EntityCounts::default();
        for (truth, predicted) in TRUTH.into_iter().zip(PREDICTED) {
            // In two parts, as batches add up.
            let mut sentence = EntityCounts::default();
            sentence.add(truth, predicted, mode);
            counts += sentence;
        }
        counts
    }

    #[track_caller]
    fn check(found: EntityScores, [precision, recall, f1]: [f64; 3], support: u64) {
        let found_all = [found.precision, found.recall, found.f1];
        let close = found_all.into_iter().zip([precision, recall, f1]).all(|(a, b)| (a - b).abs() < 1e-12);
        assert!(close && found.support == support, "{found:?}");
    }

    /// Golden values of seqeval 1.2.2: `classification_report`, by default and with `mode="strict", scheme=IOB2`.
    #[test]
    fn scores_are_those_of_seqeval() {
        let lenient = counts(EntityMode::Lenient);
        check(lenient.micro(), [0.4, 2.0 / 7.0, 1.0 / 3.0], 7);
        check(lenient.macro_average(), [0.375; 3], 7);
        check(lenient.weighted_average(), [2.0 / 7.0; 3], 7);
        let by_type: Vec<_> = lenient.by_type().map(|(label, it)| (label, it.f1, it.support)).collect();
        assert_eq!(by_type, [("LOC", 0.0, 2), ("MISC", 0.0, 2), ("ORG", 1.0, 1), ("PER", 0.5, 2)]);
        check(counts(EntityMode::Iob2).micro(), [0.2; 3], 5);
        check(EntityCounts::default().weighted_average(), [0.0; 3], 0);
    }

    fn found<'a>(tags: &str, mode: EntityMode, all: &'a mut Vec<String>) -> Vec<(&'a str, Range<usize>)> {
        *all = tags.split(' ').map(str::to_owned).collect();
        let tags: Vec<&str> = all.iter().map(String::as_str).collect();
        entities(&tags, mode).into_iter().map(|entity| (entity.label, entity.words)).collect()
    }

    /// Cases whose first answers are those of seqeval's `get_entities`, the others those of its strict mode.
    #[test]
    fn tags_become_entities() {
        let check = |tags: &str, mode, expected: &[(&str, Range<usize>)]| {
            assert_eq!(found(tags, mode, &mut Vec::new()), expected, "{tags}, {mode:?}");
        };
        let stray = "O I-ORG I-ORG I-LOC B-LOC B-LOC";
        check(stray, EntityMode::Lenient, &[("ORG", 1..3), ("LOC", 3..4), ("LOC", 4..5), ("LOC", 5..6)]);
        check(stray, EntityMode::Iob2, &[("LOC", 4..5), ("LOC", 5..6)]);
        let bioes = "B-PER E-PER S-LOC O B-ORG E-ORG";
        let three = [("PER", 0..2), ("LOC", 2..3), ("ORG", 4..6)];
        check(bioes, EntityMode::Lenient, &three);
        check(bioes, EntityMode::Iobes, &three);
        check("B-PER L-PER U-LOC O B-ORG L-ORG", EntityMode::Iobes, &three);
        check(
            "B-PER I-PER O E-PER S-LOC I-LOC",
            EntityMode::Lenient,
            &[("PER", 0..2), ("PER", 3..4), ("LOC", 4..5), ("LOC", 5..6)],
        );
        check("B-PER I-PER O E-PER S-LOC I-LOC", EntityMode::Iobes, &[("LOC", 4..5)]);
        check("PER PER O LOC", EntityMode::Lenient, &[("PER", 0..2), ("LOC", 3..4)]);
        check("B-x-y I-x-y I-x", EntityMode::Lenient, &[("x-y", 0..2), ("x", 2..3)]);
        check("O O", EntityMode::Lenient, &[]);
        check("NN NN O", EntityMode::Words, &[("NN", 0..1), ("NN", 1..2), ("O", 2..3)]);
    }

    #[test]
    fn tags_that_continue_nothing_are_counted() {
        assert_eq!(n_stray_tags(TRUTH[1]), 1);
        assert_eq!(n_stray_tags(TRUTH[2]), 1);
        assert_eq!(n_stray_tags(PREDICTED[1]), 0);
        assert_eq!(n_stray_tags(&["I-A", "I-B", "E-B", "I-B", "S-B", "E-B", "B-B"]), 4);
        assert_eq!(n_stray_tags(&[]), 0);
    }
}
