//! Texts from the command line or, line by line, from the standard input.

use std::io::{self, BufReader};

use anyhow::{Error, Result};
use burnformer::data::readers::{Encoding, lines_of};

/// The texts of the command line, or if there are none, the lines of the standard input, blank ones too. They are read as they
/// are needed.
pub(super) fn texts<'a>(
    given: &'a [String],
    encoding: Option<Encoding>,
) -> Box<dyn Iterator<Item = Result<String>> + 'a> {
    if given.is_empty() { Box::new(of_stdin(encoding)) } else { Box::new(given.iter().cloned().map(Ok)) }
}

/// The lines of the standard input.
pub(super) fn of_stdin(encoding: Option<Encoding>) -> impl Iterator<Item = Result<String>> {
    lines_of(BufReader::new(io::stdin()), "standard input", encoding).map(|line| line.map_err(Error::from))
}
