//! Errors of tagged sentences.

use std::path::PathBuf;

use crate::tag_scheme::{TagBreakKind, TagScheme};

/// Errors of tagged sentences.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TagError {
    /// A text without tags for its words.
    #[error(
        "line {line} of `{}` has no tags, expected words with a tag each, in CoNLL columns or in lists of JSON or Parquet, or \
         spans of characters in JSON or Parquet", path.display()
    )]
    NoTags {
        /// The file.
        path: PathBuf,
        /// First line or row of the text.
        line: u64,
    },
    /// A tag that the model does not have.
    #[error(
        "the sentence in line {line} of `{}` has the unknown tag `{tag}`, known are `{}`", path.display(), known.join("`, `")
    )]
    UnknownTag {
        /// The tag.
        tag: String,
        /// The file.
        path: PathBuf,
        /// First line of the sentence.
        line: u64,
        /// The known tags, at most twenty.
        known: Vec<String>,
    },
    /// A tag that breaks the scheme of the tags.
    #[error("the sentence in line {line} of `{}` {}", path.display(), problem.said())]
    BrokenScheme {
        /// The file.
        path: PathBuf,
        /// First line of the sentence.
        line: u64,
        /// The word, its tag, and what is wrong with it.
        problem: Box<BrokenTag>,
    },
    /// No sentence at all.
    #[error("there is no sentence with tags")]
    NoSentence,
    /// All words have the same tag.
    #[error("every word has the tag `{tag}`, expected at least two different tags")]
    OneTag {
        /// The tag.
        tag: String,
    },
}

/// A word whose tag breaks the scheme of its sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokenTag {
    /// The scheme.
    pub scheme: TagScheme,
    /// Number of the word in its sentence, counted from 1.
    pub number: usize,
    /// The word.
    pub word: String,
    /// Its tag.
    pub tag: String,
    /// The tag in front of it; absent for the first word.
    pub last: Option<String>,
    /// Kind of the problem.
    pub kind: TagBreakKind,
}

impl TagError {
    /// `true` if the error is one of a single sentence, which can be skipped.
    pub(crate) fn is_bad_row(&self) -> bool {
        matches!(self, Self::UnknownTag { .. } | Self::BrokenScheme { .. })
    }
}

impl BrokenTag {
    fn said(&self) -> String {
        let Self { scheme, number, word, tag, last, kind } = self;
        let label = tag.split_once('-').map_or(tag.as_str(), |(_, label)| label);
        let (behind, expected) = match kind {
            TagBreakKind::Foreign => {
                let remedy = "name the column of the tags if it is another one, or set `token_classification.scheme`";
                (String::new(), format!("{}: {remedy}", scheme.expected()))
            }
            TagBreakKind::ContinuesNothing => {
                let behind = last.as_ref().map_or("at the beginning".to_owned(), |last| format!("behind `{last}`"));
                let expected = match scheme {
                    TagScheme::Bioes => format!("`B-{label}` or `S-{label}`"),
                    _ => format!(
                        "`B-{label}`: correct it, or set `token_classification.scheme` to `iob1`, in which `I-` may begin an entity"
                    ),
                };
                (format!(" {behind}"), expected)
            }
            TagBreakKind::NeverEnds => (
                ", and the entity does not end behind it".to_owned(),
                format!("`E-{label}` on its last word, or `S-{label}` on its only one"),
            ),
        };
        format!(
            "breaks the scheme `{scheme}`: word {number}, `{word}`, has the tag `{tag}`{behind}, expected {expected}"
        )
    }
}
