//! White space as Python's `str` has it, on which sacreBLEU's definitions rest.

/// Whether `str.isspace` says so: Unicode's white space, and four separators of ASCII (U+001C to U+001F) that it leaves out.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1C}'..='\u{1F}').contains(&c)
}

/// What lies between white space, as `str.split()` cuts it: nothing of it is empty.
pub(super) fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|word| !word.is_empty())
}
