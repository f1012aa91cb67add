//! The texts that a command answers: from the command line, from files, or line by line from the standard input.

use std::io::{self, IsTerminal};

use anyhow::Result;
use burnformer::data::readers::{Format, TextLayout};

use super::{Context, lines};
use crate::args::FormatArgs;
use crate::{input, records};

/// How many texts are answered together: enough to put those of similar length together, few enough to answer soon.
const TOGETHER: usize = 256;

/// A text, and perhaps a second one that belongs to it.
pub(super) type Text = (String, Option<String>);

/// Where texts come from.
pub(super) struct Texts<'a> {
    /// Those of the command line.
    pub(super) given: &'a [String],
    /// Files with more.
    pub(super) input: &'a [String],
    pub(super) format: &'a FormatArgs,
    /// What the reading of files is called.
    pub(super) stage: &'static str,
}

impl Texts<'_> {
    /// Hands all texts to `answer`, in order, some at a time.
    pub(super) fn in_groups(&self, context: &Context, mut answer: impl FnMut(&[Text]) -> Result<()>) -> Result<()> {
        // Who types texts wants each one answered at once.
        let is_typed = self.given.is_empty() && self.input.is_empty() && io::stdin().is_terminal();
        let together = if is_typed { 1 } else { TOGETHER };
        let mut waiting: Vec<Text> = Vec::new();
        let mut take = |text: String, pair: Option<String>| -> Result<()> {
            waiting.push((text, pair));
            if waiting.len() == together {
                answer(&waiting)?;
                waiting.clear();
            }
            Ok(())
        };
        if self.input.is_empty() {
            for text in lines::texts(self.given) {
                context.interrupt.check()?;
                take(text?, None)?;
            }
        } else {
            let input = input::resolve(self.input, self.format)?;
            // Documents are of no use here: who has questions in a file wants each of them answered.
            let is_lines = input.format == Format::Text { layout: TextLayout::Lines };
            let skipped = records::read(&input.open()?, self.format.on_bad_row, self.stage, context, |record| {
                if is_lines {
                    return record.text.lines().try_for_each(|line| take(line.to_owned(), None));
                }
                take(record.text, record.pair)
            })?;
            records::warn_of_skipped(&context.terminal, &skipped);
        }
        if waiting.is_empty() { Ok(()) } else { answer(&waiting) }
    }
}
