//! The lines of a report.

use std::fmt::{self, Display, Formatter};

/// A line of a report for people: what it is, and how much.
pub(crate) fn fact(f: &mut Formatter<'_>, name: &str, value: impl Display) -> fmt::Result {
    writeln!(f, "{name:<20} {value}")
}
