//! Files of running text, parallel text, JSON lines, tables, Parquet and tagged words as records, plain or compressed.
//!
//! Files of any size are read row by row. A bad row is an error, after which reading continues with the next row.

mod answers;
mod bytes;
mod class_names;
mod columns;
mod compression;
mod conll;
mod encoding;
mod error;
mod files;
mod foreign;
mod groups;
#[cfg(test)]
mod hostile;
mod input;
mod input_file;
mod json_values;
mod jsonl;
mod lines;
mod literals;
mod options;
mod pages;
mod parallel;
mod parquet;
mod patterns;
pub(crate) mod spans;
mod squad;
mod table;
#[cfg(test)]
pub(crate) mod testing;
mod text;

pub use answers::MisplacedAnswer;
pub use columns::Columns;
pub use encoding::{Encoding, Likely, UnknownEncoding};
pub use error::{Place, ReadError};
pub use files::Files;
pub use groups::Groups;
pub use input::{Format, Input};
pub use lines::{lines_of, read_lines};
pub use options::{FormatKind, FormatOptions};
pub use spans::SpanProblem;
pub use text::TextLayout;
