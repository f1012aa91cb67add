//! Training targets of a text.

use std::ops::Range;

/// Training target of a text, with names as in the file. [`LabelledTexts`](crate::labelled::LabelledTexts)
/// and [`TaggedTexts`](crate::tagged::TaggedTexts) turn the names into numbers for their data sets.
///
/// A new kind of target (several classes, a score, a span) is a variant here, what reads it in
/// [`readers`](crate::readers), texts that number it, and a data set and a collator that put it into batches.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// The class of the text, or of the pair of texts.
    Class(String),
    /// The tag of each word of the text, in order.
    Tags(Vec<TaggedWord>),
}

/// A word of a text with its tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaggedWord {
    /// Byte range of the word in the text.
    pub span: Range<usize>,
    /// Tag of the word, such as `B-PER`.
    pub tag: String,
}
