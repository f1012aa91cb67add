//! Texts from the command line or, line by line, from the standard input.

use std::io::{self, BufReader};

use anyhow::Result;
use burnformer::data::readers::{ReadError, lines_of};

use crate::errors::Advised;

/// The texts of the command line, or if there are none, the lines of the standard input, blank ones too. They are read as they
/// are needed.
pub(super) fn texts(given: &[String]) -> Box<dyn Iterator<Item = Result<String>> + '_> {
    if given.is_empty() { Box::new(of_stdin()) } else { Box::new(given.iter().cloned().map(Ok)) }
}

/// The lines of the standard input.
pub(super) fn of_stdin() -> impl Iterator<Item = Result<String>> {
    lines_of(BufReader::new(io::stdin()), "standard input").map(|line| match line {
        Err(ReadError::NotUtf8 { at, byte }) => {
            let message = format!("line {} of standard input is not UTF-8 from byte {byte} on", at.number);
            Err(Advised::new(message, "convert the input, for instance with `iconv -f latin1 -t utf-8`").into())
        }
        line => Ok(line?),
    })
}
