//! Training targets of a text.

use std::ops::Range;

/// Training target of a text, with names as in the file. [`LabelledTexts`](crate::labelled::LabelledTexts)
/// and [`TaggedTexts`](crate::tagged::TaggedTexts) turn the names into numbers for their data sets.
///
/// A new kind of target is a variant here, what reads it in [`readers`](crate::readers), texts that number it, and a data
/// set and a collator that put it into batches. A score is a class that is a number: [`ScoredTexts`](crate::scored::ScoredTexts).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// The class of the text, or of the pair of texts.
    Class(String),
    /// The labels of the text, or of the pair of texts: any number of them.
    Labels {
        /// The labels that the text has.
        labels: Vec<String>,
        /// All labels that the file has a column for, in order; empty where labels are listed.
        columns: Vec<String>,
    },
    /// The tag of each word of the text, in order.
    Tags(Vec<TaggedWord>),
    /// The answers to the question in the second text: byte ranges of the text; none if it does not answer it.
    Answers(Vec<Range<usize>>),
}

/// A word of a text with its tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaggedWord {
    /// Byte range of the word in the text.
    pub span: Range<usize>,
    /// Tag of the word, such as `B-PER`.
    pub tag: String,
}
