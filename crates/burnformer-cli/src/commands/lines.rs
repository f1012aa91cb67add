//! Texts from the command line or, line by line, from the standard input.

use std::io::{self, BufRead};

use anyhow::{Context as _, Result};

use crate::errors::Advised;

/// The texts of the command line, or if there are none, the lines of the standard input, blank ones left out. They are read
/// as they are needed.
pub(super) fn texts(given: &[String]) -> Box<dyn Iterator<Item = Result<String>> + '_> {
    if given.is_empty() {
        return Box::new(of_stdin().filter(|line| line.as_ref().map_or(true, |line| !line.trim().is_empty())));
    }
    Box::new(given.iter().cloned().map(Ok))
}

/// The lines of the standard input.
pub(super) fn of_stdin() -> impl Iterator<Item = Result<String>> {
    io::stdin().lock().split(b'\n').zip(1_u64..).map(|(line, number)| {
        let mut line = line.context("cannot read standard input")?;
        line.pop_if(|last| *last == b'\r');
        String::from_utf8(line).map_err(|error| {
            let byte = error.utf8_error().valid_up_to() + 1;
            let message = format!("line {number} of standard input is not UTF-8 from byte {byte} on");
            Advised::new(message, "convert the input, for instance with `iconv -f latin1 -t utf-8`").into()
        })
    })
}
