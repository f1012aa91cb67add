//! What SentencePiece does to a text before it looks for pieces.

use super::charsmap::CharsMap;

/// The character that stands for a blank.
pub(in crate::tokenizer) const BLANK: char = '▁';

/// Normalisation of texts: characters are replaced, blanks become [`BLANK`].
///
/// Source: `Normalizer::Normalize` of SentencePiece. The library's own way of applying the map differs from it where several
/// characters are composed.
#[derive(Clone, Debug)]
pub(in crate::tokenizer) struct Normalizer {
    pub(super) map: CharsMap,
    /// A text begins with a blank.
    pub(super) adds_blank: bool,
    /// Several blanks are one, and those around a text none.
    pub(super) removes_blanks: bool,
    /// Pieces that stand for themselves in texts.
    pub(super) user_defined: Vec<String>,
}

impl Normalizer {
    /// The text in which pieces are looked for.
    pub(in crate::tokenizer) fn normalize(&self, text: &str) -> String {
        let mut rest = text;
        while self.removes_blanks && !rest.is_empty() {
            let (" ", length) = self.prefix(rest) else { break };
            rest = &rest[length..];
        }
        let mut normalized = String::with_capacity(rest.len() + BLANK.len_utf8());
        if rest.is_empty() {
            return normalized;
        }
        if self.adds_blank {
            normalized.push(BLANK);
        }
        let mut behind_blank = self.removes_blanks;
        while !rest.is_empty() {
            let (mut part, length) = self.prefix(rest);
            rest = &rest[length..];
            if behind_blank {
                part = part.trim_start_matches(' ');
            }
            if !part.is_empty() {
                normalized.extend(part.chars().map(|c| if c == ' ' { BLANK } else { c }));
                behind_blank = self.removes_blanks && part.ends_with(' ');
            }
        }
        if self.removes_blanks {
            normalized.truncate(normalized.trim_end_matches(BLANK).len());
        }
        normalized
    }

    /// What replaces the beginning of `text`, and the length of the latter in bytes.
    fn prefix<'a>(&'a self, text: &'a str) -> (&'a str, usize) {
        let piece = self.user_defined.iter().filter(|piece| text.starts_with(piece.as_str())).max_by_key(|it| it.len());
        match piece {
            Some(piece) => (piece, piece.len()),
            None => self.map.prefix(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(adds_blank: bool, removes_blanks: bool, text: &str, expected: &str) {
        let user_defined = vec!["<a b>".to_owned(), "<a".to_owned()];
        let normalizer = Normalizer { map: CharsMap::default(), adds_blank, removes_blanks, user_defined };
        assert_eq!(normalizer.normalize(text), expected, "{text:?}");
    }

    #[test]
    fn blanks_are_as_the_model_wants_them() {
        check(true, true, "  a  b\t c ", "▁a▁b\t▁c");
        check(true, false, "  a  b ", "▁▁▁a▁▁b▁");
        check(false, true, " a  b ", "a▁b");
        check(false, false, " ▁a", "▁▁a");
        check(true, true, " \u{20}", "");
        check(true, true, "", "");
        check(true, true, "x <a b> y", "▁x▁<a▁b>▁y");
    }
}
