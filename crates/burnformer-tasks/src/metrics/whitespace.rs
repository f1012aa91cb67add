//! White space as Python's `str` defines it, which sacreBLEU uses.

/// `str.isspace`: Unicode's white space, and the ASCII separators U+001C to U+001F, which Unicode leaves out.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1C}'..='\u{1F}').contains(&c)
}

/// `str.split()`: the non-empty parts between white space.
pub(super) fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|word| !word.is_empty())
}
