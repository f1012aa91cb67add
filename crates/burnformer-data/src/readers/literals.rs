//! Numbers of JSON that neither an integer of 64 bits nor a float can hold: they are kept as they are written.

use std::borrow::Cow;

/// A line of JSON in which each such number is a string behind a mark.
///
/// `NaN`, as Python writes missing values, is `null`; `Infinity` is a number that is kept.
pub(super) struct Literals<'a> {
    /// The line.
    pub line: Cow<'a, str>,
    /// The mark, a character that no string of the line begins with; `None` if no number is kept.
    pub mark: Option<char>,
    /// Where what was replaced ends: in `line`, and in the line as it was.
    ends: Vec<(usize, usize)>,
}

/// Most digits of a number that a float of 64 bits tells from all others.
const FLOAT_DIGITS: usize = 17;

impl<'a> Literals<'a> {
    /// Looks for such numbers in `line`.
    pub(super) fn of(line: &'a str) -> Self {
        let bytes = line.as_bytes();
        let mut found = Self { line: line.into(), mark: None, ends: Vec::new() };
        let (mut changed, mut done, mut at) = (String::new(), 0, 0);
        while let Some(&byte) = bytes.get(at) {
            match byte {
                b'"' => at = end_of_string(bytes, at + 1),
                b'-' | b'0'..=b'9' | b'N' | b'I' => {
                    let is_inside = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
                    let end = at + bytes[at..].iter().take_while(|byte| is_inside(byte)).count();
                    let word = &line[at..end];
                    if word == "NaN" || is_kept(word) {
                        changed.push_str(&line[done..at]);
                        if word == "NaN" {
                            changed.push_str("null");
                        } else {
                            let mark = *found.mark.get_or_insert_with(|| unused(line));
                            changed.extend(['"', mark]);
                            changed.push_str(word);
                            changed.push('"');
                        }
                        done = end;
                        found.ends.push((changed.len(), end));
                    }
                    at = end;
                }
                _ => at += 1,
            }
        }
        if done > 0 {
            changed.push_str(&line[done..]);
            found.line = changed.into();
        }
        found
    }

    /// Of a byte of a line of [`Self::line`], both counted from one: the number of lines before it, and its number in the line
    /// of `before` that it was in.
    pub(super) fn place(&self, before: &str, line: usize, column: usize) -> (u64, usize) {
        let n_lines = line.saturating_sub(1);
        let start = |text: &str| text.split_inclusive('\n').take(n_lines).map(str::len).sum::<usize>();
        let at = start(&self.line) + column;
        let at = match self.ends.iter().rev().find(|(end, _)| *end < at) {
            Some((end, before)) => at - end + before,
            None => at,
        };
        (n_lines as u64, at.saturating_sub(start(before)))
    }
}

/// The place behind a string, of which `at` is the first byte behind the quote.
fn end_of_string(bytes: &[u8], mut at: usize) -> usize {
    while let Some(&byte) = bytes.get(at) {
        at += match byte {
            b'"' => return at + 1,
            b'\\' => 2,
            _ => 1,
        };
    }
    bytes.len()
}

/// Whether `word` is a number that would lose digits, or is infinite.
fn is_kept(word: &str) -> bool {
    if matches!(word, "Infinity" | "-Infinity") {
        return true;
    }
    let digits = word.strip_prefix('-').unwrap_or(word);
    let (mantissa, exponent) = digits.split_once(['e', 'E']).unwrap_or((digits, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_number = is_digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && is_digits(fraction)
        && is_digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent));
    if !is_number {
        return false;
    }
    if whole.len() == digits.len() {
        return word.parse::<i64>().is_err() && word.parse::<u64>().is_err();
    }
    let significant = mantissa.trim_start_matches(['0', '.']).bytes().filter(u8::is_ascii_digit).count();
    significant > FLOAT_DIGITS || word.parse::<f64>().is_ok_and(f64::is_infinite)
}

/// A character that `line` does not hold, for private use.
fn unused(line: &str) -> char {
    let escaped = line.to_ascii_lowercase();
    let is_unused = |c: &char| !line.contains(*c) && !escaped.contains(&format!("\\u{:x}", u32::from(*c)));
    ('\u{e000}'..='\u{f8ff}').find(is_unused).unwrap_or(char::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_would_lose_digits_are_kept_as_text() {
        let check = |line: &str, expected: &str| {
            let found = Literals::of(line);
            let mark = found.mark.map_or(String::new(), |mark| mark.to_string());
            assert_eq!(found.line, expected.replace('#', &mark), "{line}");
        };
        check(
            r#"{"a": 18446744073709551616, "b": -9223372036854775809}"#,
            r##"{"a": "#18446744073709551616", "b": "#-9223372036854775809"}"##,
        );
        for line in [
            r#"{"a": [18446744073709551615, -9223372036854775808, 0.1, 1e3, -0.30000000000000004]}"#,
            r#"{"18446744073709551616": "NaN, \" Infinity", "c\\": 1}"#,
            "[0123456789012345678901234567890, 12345678901234567890.e1, 1NaN, -]",
        ] {
            check(line, line);
        }
        check(
            "[NaN, -Infinity, 1e400, 0.1234567890123456789]",
            r##"[null, "#-Infinity", "#1e400", "#0.1234567890123456789"]"##,
        );
        check("{\"\u{e000}\": \"\\uE001\", \"a\": Infinity}", "{\"\u{e000}\": \"\\uE001\", \"a\": \"#Infinity\"}");
        assert_eq!(Literals::of("{\"\u{e000}\": \"\\uE001\", \"a\": Infinity}").mark, Some('\u{e002}'));
        for text in ["\"", "\"\\", "-", "NaN", ""] {
            assert!(Literals::of(text).line.len() < 5);
        }
    }

    #[test]
    fn a_place_is_that_of_the_text_as_it_was() {
        for (before, lines) in [("", 0), ("[1e999,\n\n", 2)] {
            let text = format!("{before}[NaN, 1e999, x]");
            let found = Literals::of(&text);
            let last = found.line.lines().last().unwrap().to_owned();
            for (c, column) in [("n", 2), ("x", 14), ("]", 15)] {
                let changed = last.find(c).unwrap() + 1;
                assert_eq!(found.place(&text, lines + 1, changed), (lines as u64, column));
            }
        }
    }
}
