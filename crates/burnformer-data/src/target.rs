//! What a text is trained to give.

use std::ops::Range;

/// What a model is trained to give for a text, as a file says it: by names. [`LabelledTexts`](crate::labelled::LabelledTexts)
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
    /// Where the word stands in the text, in bytes.
    pub span: Range<usize>,
    /// Its tag, such as `B-PER`.
    pub tag: String,
}
