//! Texts from the command line or, line by line, from the standard input.

use std::io::{self, BufRead};

use anyhow::{Context as _, Result};

/// The texts of the command line, or if there are none, the lines of the standard input, blank ones left out. They are read
/// as they are needed.
pub(super) fn texts(given: &[String]) -> Box<dyn Iterator<Item = Result<String>> + '_> {
    if given.is_empty() {
        let lines = io::stdin().lock().lines();
        let lines = lines.map(|line| line.context("cannot read the standard input"));
        return Box::new(lines.filter(|line| line.as_ref().map_or(true, |line| !line.trim().is_empty())));
    }
    Box::new(given.iter().cloned().map(Ok))
}
