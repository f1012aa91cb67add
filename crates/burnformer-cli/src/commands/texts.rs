//! The texts that a command answers: from the command line, from files, or line by line from the standard input.

use std::io::{self, IsTerminal};

use anyhow::Result;
use burnformer::data::readers::{Format, TextLayout};
use burnformer::data::source::Records;

use super::lines;
use crate::args::TextsArgs;
use crate::context::Context;
use crate::input;

/// How many texts are answered together: enough to put those of similar length together, few enough to answer soon.
const TOGETHER: usize = 256;

/// Bytes of texts that are answered together: long ones wait for no others.
const FULL: usize = 1 << 20;

/// A text, and perhaps a second one that belongs to it.
pub(super) type Text = (String, Option<String>);

impl TextsArgs {
    /// Hands all texts to `answer`, in order, some at a time. Reading files is the stage `stage`.
    pub(super) fn in_groups(
        &self,
        stage: &str,
        context: &Context,
        mut answer: impl FnMut(&[Text]) -> Result<()>,
    ) -> Result<()> {
        // Who types texts wants each one answered at once.
        let is_typed = self.texts.is_empty() && self.input.is_empty() && io::stdin().is_terminal();
        let together = if is_typed { 1 } else { TOGETHER };
        let mut waiting: Vec<Text> = Vec::new();
        let mut n_bytes = 0;
        let mut take = |text: String, pair: Option<String>| -> Result<()> {
            n_bytes += text.len() + pair.as_ref().map_or(0, String::len);
            waiting.push((text, pair));
            if waiting.len() == together || n_bytes >= FULL {
                answer(&waiting)?;
                waiting.clear();
                n_bytes = 0;
            }
            Ok(())
        };
        if self.input.is_empty() {
            for text in lines::texts(&self.texts) {
                context.interrupt.check()?;
                take(text?, None)?;
            }
        } else {
            let input = input::resolve(&self.input, &self.format)?;
            // Documents are of no use here: who has questions in a file wants each of them answered.
            let is_lines = input.format == Format::Text { layout: TextLayout::Lines };
            let source = input.open()?;
            let Context { terminal, interrupt } = context;
            let mut records = Records::new(&source, self.format.on_bad_row, stage, terminal, interrupt);
            for record in records.by_ref() {
                let record = record?;
                if is_lines && record.text.contains('\n') {
                    record.text.lines().try_for_each(|line| take(line.to_owned(), None))?;
                } else {
                    take(record.text, record.pair)?;
                }
            }
            terminal.skipped(&records.into_skipped());
        }
        if waiting.is_empty() { Ok(()) } else { answer(&waiting) }
    }
}
