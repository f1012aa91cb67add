//! Colours for a few words. What they mean never depends on it.

use std::env;

use clap::builder::styling::{AnsiColor, Effects, Style as Ansi};

/// Whether words are coloured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    colours: bool,
}

impl Style {
    /// Colours on a terminal, unless `NO_COLOR` is set to anything or the terminal knows none.
    pub(super) fn new(is_terminal: bool) -> Self {
        let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = env::var_os("TERM").is_some_and(|kind| kind == "dumb");
        Self { colours: is_terminal && !is_set("NO_COLOR") && !is_dumb }
    }

    pub(super) fn error(self, word: &str) -> String {
        self.paint(word, AnsiColor::Red)
    }

    pub(super) fn warning(self, word: &str) -> String {
        self.paint(word, AnsiColor::Yellow)
    }

    pub(super) fn hint(self, word: &str) -> String {
        self.paint(word, AnsiColor::Cyan)
    }

    fn paint(self, word: &str, colour: AnsiColor) -> String {
        if !self.colours {
            return word.to_owned();
        }
        let style = Ansi::new().fg_color(Some(colour.into())).effects(Effects::BOLD);
        format!("{style}{word}{style:#}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_surround_a_word_and_end_behind_it() {
        assert_eq!(Style { colours: true }.error("error:"), "\u{1b}[1m\u{1b}[31merror:\u{1b}[0m");
        assert_eq!(Style { colours: false }.error("error:"), "error:");
        assert_eq!(Style::new(false).hint("hint:"), "hint:");
    }
}
