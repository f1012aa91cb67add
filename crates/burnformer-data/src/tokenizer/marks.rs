//! Marks that carry meaning in their script: vowel signs, tone marks, voicing marks. Unicode calls them nonspacing marks, as it
//! does the accents of Latin, so they go with these.

use std::collections::HashMap;

use tokenizers::normalizers::{NFD, StripAccents};
use tokenizers::{NormalizedString, Normalizer};

use super::Tokenizer;

/// Occurrences of characters that may be, or have, such marks.
#[derive(Debug, Default)]
pub(crate) struct Marks(HashMap<char, u64>);

impl Marks {
    /// Adds the characters of a text.
    pub(crate) fn add(&mut self, text: &str) {
        for c in text.chars().filter(|&c| may_have_mark(c)) {
            *self.0.entry(c).or_default() += 1;
        }
    }

    /// The sum of both.
    pub(crate) fn merge(mut self, other: Self) -> Self {
        for (c, count) in other.0 {
            *self.0.entry(c).or_default() += count;
        }
        self
    }

    /// Number of marks that `tokenizer` removes.
    pub(crate) fn count(&self, tokenizer: &Tokenizer) -> u64 {
        self.0.iter().map(|(&c, count)| tokenizer.n_stripped(c) * count).sum()
    }
}

impl Tokenizer {
    /// `true` if the tokenizer removes nonspacing marks: with the accents of Latin it takes vowel signs, tone marks and voicing
    /// marks of other scripts, and what is left are other words.
    #[must_use]
    pub fn strips_marks(&self) -> bool {
        self.strips('\u{e34}')
    }

    /// Number of marks of a character that the tokenizer removes, other than accents.
    fn n_stripped(&self, c: char) -> u64 {
        let is_stripped = |part: &char| !is_accent(*part) && is_mark(*part) && self.strips(*part);
        normalized(&NFD, c.to_string()).chars().filter(is_stripped).count() as u64
    }

    fn strips(&self, mark: char) -> bool {
        let normalizer = self.0.marked.get_normalizer();
        // Some marks are left where there is nothing that they belong to.
        normalizer.is_some_and(|normalizer| !normalized(normalizer, format!("\u{e01}{mark}")).contains(mark))
    }
}

fn normalized(normalizer: &impl Normalizer, text: String) -> String {
    let mut text = NormalizedString::from(text);
    // What fails here fails on every text.
    let _ = normalizer.normalize(&mut text);
    text.get().to_owned()
}

fn is_mark(c: char) -> bool {
    normalized(&StripAccents, c.to_string()).is_empty()
}

/// Whether a character is worth a look: most texts have few of them.
fn may_have_mark(c: char) -> bool {
    // Latin, Greek and Cyrillic; ideographs; Korean.
    c >= '\u{590}' && !matches!(c, '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}')
}

/// Whether a mark is of those of Latin, Greek and Cyrillic, of symbols, or chooses between forms of an emoji: texts are read
/// without them.
fn is_accent(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{fe20}'..='\u{fe2f}' | '\u{e0100}'..='\u{e01ef}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tokenizer;

    /// What a BERT that lower-cases removes.
    fn count(text: &str) -> u64 {
        let mut marks = Marks::default();
        marks.add(text);
        marks.count(&tokenizer(1))
    }

    #[test]
    fn marks_of_scripts_are_counted_and_accents_are_not() {
        for (text, expected) in [
            ("naïve café Ångström ё й ώ Việt", 0),
            ("a\u{301} \u{2764}\u{fe0f} 中文 한국어", 0),
            ("भर्ती", 1),               // The virama; the long vowel is a spacing mark.
            ("यह नहीं है", 2),           // The dot of the nasal, and a vowel.
            ("ที่นี่", 4),                 // Two vowels, two tones.
            ("がぎ ぱ か\u{3099}", 4), // Voicing marks, composed or not.
            ("שָׁלוֹם", 3),
            ("مَدْرَسَة", 4),
            ("أب", 1),
        ] {
            assert_eq!(count(text), expected, "{text}");
        }
        let mut marks = Marks::default();
        marks.add("が");
        assert_eq!(marks.merge(Marks(HashMap::from([('が', 2), ('a', 9)]))).count(&tokenizer(1)), 3);
    }
}
