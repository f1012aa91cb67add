//! Schemes of tags: how the tags of words say where an entity begins and where it ends.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::TaggedWord;

/// Scheme of the tags of words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TagScheme {
    /// BIO (IOB2): `B-` begins an entity, `I-` continues it, `O` is outside.
    #[default]
    Bio,
    /// BIOES, in other letters BILOU and BMEWO: as [`Self::Bio`], with `E-` on the last word, and `S-` on the only word of an entity.
    Bioes,
    /// IOB1: `I-` may begin an entity; `B-` is needed only behind an entity of the same type. Readers turn such tags into
    /// [`Self::Bio`].
    Iob1,
    /// IO: consecutive words of one type are an entity; the type stands alone or behind `I-`.
    Io,
    /// No entities: each tag is of its word alone, such as a part of speech.
    Words,
}

/// Place of a word in its entity, by the prefix of its tag. `L`, `U`, `M` and `W` are other names of `E`, `S`, `I` and `S`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// First word of an entity of several words: `B-`.
    Begin,
    /// Word between first and last: `I-`, `M-`; also a type without a prefix.
    Inside,
    /// Last word of an entity of several words: `E-`, `L-`.
    End,
    /// Only word of an entity: `S-`, `U-`, `W-`.
    Single,
}

/// A word whose tag breaks the scheme of its sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TagBreak {
    /// Number of the word in its sentence, counted from 0.
    pub word: usize,
    /// Kind of the problem.
    pub kind: TagBreakKind,
}

/// Kind of a problem with a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagBreakKind {
    /// The scheme has no such tag.
    Foreign,
    /// The tag continues an entity, and there is none of its type in front of it.
    ContinuesNothing,
    /// The tag begins or continues an entity, which does not go on behind it.
    NeverEnds,
}

/// The position and the type that a tag names; `None` for `O`. A tag without a prefix counts as [`Position::Inside`].
#[must_use]
pub fn parse(tag: &str) -> Option<(Position, &str)> {
    if tag == "O" { None } else { Some(prefixed(tag).unwrap_or((Position::Inside, tag))) }
}

/// The position and the type of a tag with a prefix and a type behind it.
fn prefixed(tag: &str) -> Option<(Position, &str)> {
    let (prefix, label) = tag.split_once('-').filter(|(_, label)| !label.is_empty())?;
    let position = match prefix {
        "B" => Position::Begin,
        "I" | "M" => Position::Inside,
        "E" | "L" => Position::End,
        "S" | "U" | "W" => Position::Single,
        _ => return None,
    };
    Some((position, label))
}

/// Whether `tag` is `O`, or the type of an entity behind a prefix.
pub(crate) fn is_entity_tag(tag: &str) -> bool {
    tag == "O" || prefixed(tag).is_some()
}

/// `true` if an entity whose latest tag is `last` ends in front of `next`.
#[must_use]
pub fn ends(last: (Position, &str), next: Option<(Position, &str)>) -> bool {
    let is_closed = matches!(last.0, Position::End | Position::Single);
    let begins = |position| matches!(position, Position::Begin | Position::Single);
    is_closed || next.is_none_or(|(position, label)| begins(position) || label != last.1)
}

impl TagScheme {
    /// The name, as in `run.toml`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bio => "bio",
            Self::Bioes => "bioes",
            Self::Iob1 => "iob1",
            Self::Io => "io",
            Self::Words => "words",
        }
    }

    /// The scheme that the names of tags tell. They do not tell [`Self::Iob1`] from [`Self::Bio`].
    ///
    /// ```
    /// use burnformer_data::tag_scheme::TagScheme;
    ///
    /// assert_eq!(TagScheme::of_names(["O", "B-PER", "I-PER"]), TagScheme::Bio);
    /// assert_eq!(TagScheme::of_names(["O", "PER", "LOC"]), TagScheme::Io);
    /// assert_eq!(TagScheme::of_names(["NOUN", "VERB"]), TagScheme::Words);
    /// ```
    #[must_use]
    pub fn of_names<'a>(tags: impl IntoIterator<Item = &'a str>) -> Self {
        Counts::of(tags).scheme()
    }

    /// The scheme of these sentences, each the tags of its words. Where few tags have no prefix, they are mistakes of the scheme
    /// of the others.
    #[must_use]
    pub fn of_sentences<'a, S: Iterator<Item = &'a str> + Clone>(sentences: impl Iterator<Item = S> + Clone) -> Self {
        let scheme = Counts::of(sentences.clone().flatten()).scheme();
        if scheme != Self::Bio {
            return scheme;
        }
        let (mut continues_nothing, mut begins_freely) = (false, false);
        for sentence in sentences {
            let mut last = None;
            for tag in sentence {
                let parsed = parse(tag);
                match parsed {
                    Some((Position::Begin, label)) => {
                        begins_freely |= last.is_none_or(|(_, other)| other != label);
                    }
                    Some(_) => continues_nothing |= last.is_none_or(|last| ends(last, parsed)),
                    None => {}
                }
                last = parsed;
            }
        }
        if continues_nothing && !begins_freely { Self::Iob1 } else { Self::Bio }
    }

    /// The first tag of a sentence that breaks the scheme.
    #[must_use]
    pub fn first_break(self, tags: &[&str]) -> Option<TagBreak> {
        let at = |word, kind| Some(TagBreak { word, kind });
        if self == Self::Words {
            return None;
        }
        let mut last: Option<(Position, &str)> = None;
        for (word, tag) in tags.iter().enumerate() {
            if !self.has(tag) {
                return at(word, TagBreakKind::Foreign);
            }
            let parsed = parse(tag);
            let continues = matches!(parsed, Some((Position::Inside | Position::End, _)));
            if matches!(self, Self::Bio | Self::Bioes) {
                if continues && last.is_none_or(|last| ends(last, parsed)) {
                    return at(word, TagBreakKind::ContinuesNothing);
                }
                if self.is_open(last) && !continues {
                    return at(word - 1, TagBreakKind::NeverEnds);
                }
            }
            last = parsed;
        }
        if self.is_open(last) { at(tags.len() - 1, TagBreakKind::NeverEnds) } else { None }
    }

    /// `true` if a word of the same entity must follow the tag.
    fn is_open(self, tag: Option<(Position, &str)>) -> bool {
        self == Self::Bioes && matches!(tag, Some((Position::Begin | Position::Inside, _)))
    }

    /// `true` if the scheme has such a tag.
    fn has(self, tag: &str) -> bool {
        match (tag, prefixed(tag)) {
            ("O", _) => true,
            (_, None) => matches!(self, Self::Io | Self::Words),
            (_, Some((position, _))) => match self {
                Self::Bio | Self::Iob1 => matches!(position, Position::Begin | Position::Inside),
                Self::Bioes | Self::Words => true,
                Self::Io => position == Position::Inside,
            },
        }
    }

    /// The tags of the scheme in words, for messages.
    pub(crate) fn expected(self) -> &'static str {
        match self {
            Self::Bio | Self::Iob1 => "`O`, or the type of an entity behind `B-` or `I-`",
            Self::Bioes => "`O`, or the type of an entity behind `B-`, `I-`, `E-`, `S-`, or `M-`, `L-`, `U-`, `W-`",
            Self::Io => "`O`, or the type of an entity, alone or behind `I-`",
            Self::Words => "any tag",
        }
    }
}

impl fmt::Display for TagScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Puts `B-` in front of every entity of a sentence in [`TagScheme::Iob1`], and returns how many tags that changed.
pub(crate) fn with_beginnings(words: &mut [TaggedWord]) -> u64 {
    let is_new: Vec<bool> = {
        let parsed: Vec<_> = words.iter().map(|word| parse(&word.tag)).collect();
        let begins = |word: usize| {
            let last = word.checked_sub(1).and_then(|last| parsed[last]);
            matches!(parsed[word], Some((Position::Inside, _))) && last.is_none_or(|last| ends(last, parsed[word]))
        };
        (0..parsed.len()).map(begins).collect()
    };
    for (word, _) in words.iter_mut().zip(&is_new).filter(|(_, is_new)| **is_new) {
        let label = parse(&word.tag).map_or("", |(_, label)| label);
        word.tag = format!("B-{label}");
    }
    is_new.into_iter().filter(|is_new| *is_new).count() as u64
}

/// Numbers of tags by what they look like.
#[derive(Default)]
struct Counts {
    outside: u64,
    /// Without a prefix.
    bare: u64,
    begin: u64,
    inside: u64,
    /// Ends and single words.
    others: u64,
}

impl Counts {
    fn of<'a>(tags: impl IntoIterator<Item = &'a str>) -> Self {
        let mut counts = Self::default();
        for tag in tags {
            let count = match (tag, prefixed(tag)) {
                ("O", _) => &mut counts.outside,
                (_, None) => &mut counts.bare,
                (_, Some((Position::Begin, _))) => &mut counts.begin,
                (_, Some((Position::Inside, _))) => &mut counts.inside,
                (_, Some((Position::End | Position::Single, _))) => &mut counts.others,
            };
            *count += 1;
        }
        counts
    }

    fn scheme(&self) -> TagScheme {
        let Self { outside, bare, begin, inside, others } = *self;
        match () {
            () if bare > begin + inside + others && outside == 0 => TagScheme::Words,
            () if bare > begin + inside + others => TagScheme::Io,
            () if others > 0 => TagScheme::Bioes,
            () if begin > 0 => TagScheme::Bio,
            () => TagScheme::Io,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detected(sentences: &[&str]) -> TagScheme {
        TagScheme::of_sentences(sentences.iter().map(|it| it.split(' ')))
    }

    #[test]
    fn tags_tell_their_scheme() {
        assert_eq!(detected(&["O B-PER I-PER", "B-LOC"]), TagScheme::Bio);
        assert_eq!(detected(&["O O B-PER"]), TagScheme::Bio);
        assert_eq!(detected(&["B-PER E-PER O S-LOC"]), TagScheme::Bioes);
        assert_eq!(detected(&["B-PER L-PER O U-LOC"]), TagScheme::Bioes);
        assert_eq!(detected(&["O I-PER I-PER", "I-LOC"]), TagScheme::Io);
        assert_eq!(detected(&["O PER PER LOC"]), TagScheme::Io);
        // As in the English part of CoNLL 2003: a beginning is marked only behind an entity of its type.
        assert_eq!(detected(&["O I-PER I-PER B-PER O", "I-LOC O"]), TagScheme::Iob1);
        // One stray tag among beginnings is a mistake.
        assert_eq!(detected(&["B-PER I-PER O", "I-LOC O"]), TagScheme::Bio);
        assert_eq!(detected(&["DET NOUN VERB", "I-x"]), TagScheme::Words);
        // A number in the wrong column does not make parts of speech of entities.
        assert_eq!(detected(&["B-PER I-PER O 17"]), TagScheme::Bio);
    }

    #[test]
    fn the_first_tag_that_breaks_its_scheme_is_found() {
        use TagBreakKind::{ContinuesNothing, Foreign, NeverEnds};
        let check = |scheme: TagScheme, tags: &str, expected: Option<(usize, TagBreakKind)>| {
            let tags: Vec<&str> = tags.split(' ').collect();
            let found = scheme.first_break(&tags).map(|it| (it.word, it.kind));
            assert_eq!(found, expected, "{scheme}: {tags:?}");
        };
        check(TagScheme::Bio, "O B-A I-A B-A B-B O", None);
        check(TagScheme::Bio, "O I-A", Some((1, ContinuesNothing)));
        check(TagScheme::Bio, "B-A I-B", Some((1, ContinuesNothing)));
        check(TagScheme::Bio, "B-A E-A", Some((1, Foreign)));
        check(TagScheme::Bio, "O NN", Some((1, Foreign)));
        check(TagScheme::Bio, "O B-", Some((1, Foreign)));
        check(TagScheme::Bioes, "B-A M-A E-A S-B O B-A E-A", None);
        check(TagScheme::Bioes, "S-A I-A", Some((1, ContinuesNothing)));
        check(TagScheme::Bioes, "B-A O", Some((0, NeverEnds)));
        check(TagScheme::Bioes, "B-A S-A", Some((0, NeverEnds)));
        check(TagScheme::Bioes, "B-A I-A", Some((1, NeverEnds)));
        check(TagScheme::Iob1, "I-A I-B B-B O I-A", None);
        check(TagScheme::Iob1, "S-A", Some((0, Foreign)));
        check(TagScheme::Io, "A A O I-B", None);
        check(TagScheme::Io, "O B-A", Some((1, Foreign)));
        check(TagScheme::Words, "DET I-x B-", None);
        check(TagScheme::Words, "", None);
    }

    #[test]
    fn every_entity_of_iob1_gets_a_beginning() {
        let word = |tag: &str| TaggedWord { span: 0..0, tag: tag.to_owned() };
        let mut words: Vec<TaggedWord> = "I-A I-A B-A O I-B I-A B-C I-C".split(' ').map(word).collect();
        assert_eq!(with_beginnings(&mut words), 3);
        let tags: Vec<&str> = words.iter().map(|word| word.tag.as_str()).collect();
        assert_eq!(tags.join(" "), "B-A I-A B-A O B-B B-A B-C I-C");
        assert_eq!(with_beginnings(&mut words), 0);
    }
}
