//! Why rows are skipped, in a few words by which they are counted.

use crate::DataError;
use crate::labelled::LabelError;
use crate::readers::ReadError;
use crate::tagged::TagError;

impl DataError {
    /// The kind of the bad row that this is an error of.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Read(ReadError::MissingField { .. } | ReadError::MissingKey { .. }) => "missing values",
            Self::Read(ReadError::BlankField { .. } | ReadError::BlankSide { .. }) => "empty values",
            Self::Read(ReadError::FieldCount { .. } | ReadError::TooFewColumns { .. }) => "wrong number of fields",
            Self::Read(ReadError::AnswerPlace { .. }) => "wrong answer offsets",
            Self::Read(ReadError::BadSpan { .. }) => "wrong spans",
            Self::Label(LabelError::Unknown { .. } | LabelError::Alike { .. })
            | Self::Tag(TagError::UnknownTag { .. }) => "unknown labels",
            Self::Label(_) => "wrong scores",
            Self::Tag(_) => "tags that break their scheme",
            _ => "unreadable rows",
        }
    }
}
