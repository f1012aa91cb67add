//! Text of others, made safe for where it is shown.

use std::borrow::Cow;
use std::fmt::Write;

/// `text` with the characters that command a terminal, or change the order of what it shows, written as `\u001b`: all control
/// characters but line break and tab, and the embeddings, overrides and isolates of right-to-left text.
///
/// JSON and TOML stay what they are: in their strings the result means the same, and nowhere else may such characters be.
///
/// ```
/// use burnformer_core::printable;
///
/// assert_eq!(printable("a\u{1b}]52;c;aGk=\u{7}b"), r"a\u001b]52;c;aGk=\u0007b");
/// assert_eq!(printable("Ärger\t1\n"), "Ärger\t1\n");
/// ```
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_command) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_command(character) {
            // All of them lie below 2^16, and a text takes everything.
            let _ = write!(shown, "\\u{:04x}", u32::from(character));
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// `true` for what a terminal does not show but obeys.
fn is_command(character: char) -> bool {
    match character {
        '\n' | '\t' => false,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        _ => character.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_commands_a_terminal_is_shown() {
        for (text, expected) in [
            ("\u{1b}[31mred\u{1b}[0m", r"\u001b[31mred\u001b[0m"),
            ("\u{9b}2J\u{9d}52;c;eA==\u{9c}", r"\u009b2J\u009d52;c;eA==\u009c"),
            ("over\rwritten\u{8}\u{7f}\0", r"over\u000dwritten\u0008\u007f\u0000"),
            ("\u{202e}gpj.exe\u{2069}", r"\u202egpj.exe\u2069"),
            ("שלום 你好 👩‍🔬 \\u001b", "שלום 你好 👩‍🔬 \\u001b"),
        ] {
            assert_eq!(printable(text), expected, "{text:?}");
        }
    }

    #[test]
    fn json_and_toml_mean_the_same() {
        let text = "\u{7f}\u{9b}\u{202e}\u{1b}\r\n\t";
        let json = serde_json::to_string(&[text]).unwrap();
        assert_eq!(serde_json::from_str::<[String; 1]>(&printable(&json)).unwrap(), [text]);
        let toml = toml::to_string(&std::collections::BTreeMap::from([("a", text)])).unwrap();
        let read: std::collections::BTreeMap<String, String> = toml::from_str(&printable(&toml)).unwrap();
        assert_eq!(read["a"], text);
    }
}
