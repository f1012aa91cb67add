//! Sentence splitting.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use burnformer_core::config::ConfigError;

/// The language of a text, as a code such as `en`, `zh` or `pt-br`: ISO 639, with subtags of BCP 47 if need be.
///
/// A language without its own rules uses those of a related language, or those of English.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Language(Cow<'static, str>);

impl Language {
    /// English.
    pub const ENGLISH: Self = Self(Cow::Borrowed("en"));
    /// Chinese.
    pub const CHINESE: Self = Self(Cow::Borrowed("zh"));

    /// The code in lower case.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.0
    }
}

impl Default for Language {
    fn default() -> Self {
        Self::ENGLISH
    }
}

impl TryFrom<String> for Language {
    type Error = ConfigError;

    fn try_from(code: String) -> Result<Self, ConfigError> {
        let mut tags = code.split('-');
        let letters = |tag: &str| tag.bytes().all(|byte| byte.is_ascii_alphabetic());
        let valid = tags.next().is_some_and(|tag| matches!(tag.len(), 2 | 3) && letters(tag))
            && tags.all(|tag| (2..=8).contains(&tag.len()) && tag.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        if valid {
            return Ok(Self(code.to_ascii_lowercase().into()));
        }
        let range = "the code of a language, such as `en`, `zh` or `pt-br`";
        Err(ConfigError::OutOfRange { field: "language".to_owned(), value: format!("{code:?}"), range })
    }
}

impl From<Language> for String {
    fn from(language: Language) -> Self {
        language.0.into_owned()
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Number of bytes of a paragraph processed at a time. It bounds the time for text without sentence ends, which grows
/// with the square of its length.
const WINDOW: usize = 8 << 10;

/// Splits paragraphs into sentences.
///
/// Source: the rules of Wikimedia's [`sentencex`], which prefers a missing boundary to a wrong one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentenceSplitter {
    language: Option<Language>,
}

impl SentenceSplitter {
    /// Splits by the rules of `language`.
    #[must_use]
    pub fn new(language: Language) -> Self {
        Self { language: Some(language) }
    }

    /// Takes every paragraph as one sentence.
    #[must_use]
    pub fn whole() -> Self {
        Self { language: None }
    }

    /// The sentences of `paragraph` in order, without white space around them. Together they are the paragraph but for
    /// the white space between them; none is empty.
    ///
    /// A sentence of more than some thousand bytes may be cut, if possible at white space.
    #[must_use]
    pub fn sentences<'a>(&self, paragraph: &'a str) -> Vec<&'a str> {
        let mut sentences = Vec::new();
        match &self.language {
            None => sentences.push(paragraph),
            Some(language) => split(language, paragraph, &mut sentences),
        }
        sentences.retain_mut(|sentence| {
            *sentence = sentence.trim();
            !sentence.is_empty()
        });
        sentences
    }
}

fn split<'a>(language: &Language, paragraph: &'a str, sentences: &mut Vec<&'a str>) {
    let mut rest = paragraph;
    while rest.len() > WINDOW {
        let end = window_end(rest);
        let window = &rest[..end];
        let first = sentences.len();
        sentences.extend(sentencex::segment(language.code(), window));
        // The last sentence may go on behind the window, unless it fills the window.
        let mut done = end;
        if sentences.len() > first + 1 {
            done -= sentences.pop().map_or(0, str::len);
        }
        rest = &rest[done..];
    }
    sentences.extend(sentencex::segment(language.code(), rest));
}

/// Where the window at the beginning of `text` ends: behind its last white space, or at its last character.
fn window_end(text: &str) -> usize {
    let end = text.floor_char_boundary(WINDOW);
    let space = text[..end].char_indices().rev().find(|(_, c)| c.is_whitespace());
    space.map_or(end, |(at, c)| at + c.len_utf8())
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use proptest::prelude::*;

    use super::*;

    fn check_covers(language: Language, paragraph: &str) {
        let sentences = SentenceSplitter::new(language).sentences(paragraph);
        assert!(sentences.iter().all(|sentence| !sentence.is_empty() && sentence.trim() == *sentence), "{sentences:?}");
        let mut rest = paragraph;
        for sentence in &sentences {
            rest = rest.trim_start();
            rest = rest.strip_prefix(sentence).unwrap_or_else(|| panic!("{sentence:?} in {rest:?}"));
        }
        assert!(rest.trim().is_empty(), "{rest:?}");
    }

    #[test]
    fn a_splitter_that_does_not_split_only_trims() {
        let whole = SentenceSplitter::whole();
        assert_eq!(whole.sentences("  One. Two.\n"), ["One. Two."]);
        assert!(whole.sentences(" \u{3000}\n").is_empty());
    }

    #[test]
    fn a_language_is_a_code() {
        let parse = |code: &str| Language::try_from(code.to_owned());
        assert_eq!(parse("zh").unwrap(), Language::CHINESE);
        assert_eq!(parse("PT-br").unwrap().code(), "pt-br");
        for code in ["", "e", "english", "en_GB", "e1", "en-", "日本"] {
            let error = parse(code).unwrap_err();
            assert!(error.to_string().starts_with("`language` is \""), "{error}");
        }
        assert_eq!(serde_json::from_str::<Language>("\"de\"").unwrap().to_string(), "de");
        serde_json::from_str::<Language>("\"german\"").unwrap_err();
    }

    #[test]
    fn a_boundary_in_a_long_paragraph_does_not_depend_on_where_it_stands() {
        let sentence = "The cat sat on the mat, and Mr. Smith looked at it.";
        let paragraph = vec![sentence; 2000].join(" ");
        let sentences = SentenceSplitter::new(Language::ENGLISH).sentences(&paragraph);
        assert_eq!(sentences.len(), 2000);
        assert!(sentences.iter().all(|it| *it == sentence));
    }

    #[test]
    fn a_long_text_without_a_boundary_takes_seconds_at_most() {
        for unit in ["a.", "a. b ", "\"", "“", "'a ", "(", "...", "1. ", "a", "é", "?! ", "« ", "。「", "* a\n"] {
            let paragraph = unit.repeat((1 << 18) / unit.len());
            let start = Instant::now();
            check_covers(Language::ENGLISH, &paragraph);
            assert!(start.elapsed().as_secs() < 30, "{unit:?} took {:?}", start.elapsed());
        }
    }

    proptest! {
        #[test]
        fn sentences_cover_any_text(paragraph in "\\PC{0,200}", code in "en|zh|de|ja|xx") {
            check_covers(Language::try_from(code).unwrap(), &paragraph);
        }

        #[test]
        fn sentences_cover_text_made_of_traps(
            parts in prop::collection::vec(
                "Mr\\. |e\\.g\\.|U\\.S\\.|[.!?…。！？；]{1,3}|[\"'“”‘’«»「」『』()\\[\\]`]|[ \n\r\t\u{3000}\u{a0}]|1\\.2|\\* |\\(?[a-z1-9][.)] |[A-Zé北]{1,3}|a@b\\.c",
                0..400,
            ),
            code in "en|zh|fr|hi",
        ) {
            let paragraph = parts.concat();
            check_covers(Language::try_from(code).unwrap(), &paragraph);
        }
    }
}
