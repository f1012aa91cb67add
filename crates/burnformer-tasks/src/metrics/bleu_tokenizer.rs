//! BLEU's tokenizers.

use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::whitespace::{is_space, split};

/// Tokenizer of BLEU: how sentences are cut into words. Scores of different tokenizers cannot be compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum BleuTokenizer {
    /// The rules of NIST's script mteval-v13a, for languages that set spaces between words: ASCII punctuation is set
    /// apart, except points and commas within numbers, apostrophes, and hyphens that do not follow a digit. Four XML
    /// entities are decoded, and `<skipped>` is removed.
    #[default]
    #[serde(rename = "13a")]
    Mteval13a,
    /// Each Chinese character is a word, the rest is cut by the rules for punctuation of `13a`.
    ///
    /// sacreBLEU's list of Chinese characters has everything from U+2001 to U+2A6D, so dashes, quotation marks and
    /// arrows, and no ideograph above U+FFFF. This list is the same.
    #[serde(rename = "zh")]
    Chinese,
    /// The rules of NIST's script mteval-v14: punctuation and symbols of all languages are set apart, except punctuation
    /// between two digits.
    #[serde(rename = "intl")]
    International,
    /// Each character is a word, except white space.
    #[serde(rename = "char")]
    Character,
    /// Words are what white space separates, for texts that are tokenised already.
    #[serde(rename = "none")]
    Whitespace,
}

impl BleuTokenizer {
    /// All tokenizers.
    pub const ALL: [Self; 5] = [Self::Mteval13a, Self::Chinese, Self::International, Self::Character, Self::Whitespace];

    /// Why there is no tokenizer of this name of sacreBLEU here; `None` if there is one, or none of sacreBLEU's is called so.
    #[must_use]
    pub fn absence(name: &str) -> Option<&'static str> {
        let (_, reason) = ABSENT.iter().find(|(absent, _)| *absent == name)?;
        Some(reason)
    }

    /// sacreBLEU's name of the tokenizer, used in signatures.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mteval13a => "13a",
            Self::Chinese => "zh",
            Self::International => "intl",
            Self::Character => "char",
            Self::Whitespace => "none",
        }
    }

    /// The words of `sentence` with one space between them.
    ///
    /// ```
    /// use burnformer_tasks::metrics::BleuTokenizer;
    ///
    /// assert_eq!(BleuTokenizer::Mteval13a.tokenize("It's 3.5 m (or so)."), "It's 3.5 m ( or so ) .");
    /// assert_eq!(BleuTokenizer::Chinese.tokenize("我有3.5米。"), "我 有 3.5 米 。");
    /// ```
    ///
    /// Source: Post 2018, "A Call for Clarity in Reporting BLEU Scores", and sacreBLEU's tokenizers.
    #[must_use]
    pub fn tokenize(self, sentence: &str) -> String {
        let sentence = sentence.trim_end_matches(is_space);
        match self {
            Self::Mteval13a => join(split(&separate_punctuation(&format!(" {} ", plain_line(sentence))))),
            Self::Chinese => {
                let is_chinese = |c: char| CHINESE.iter().any(|&(first, last)| (first..=last).contains(&c));
                join(split(&separate_punctuation(&set_apart(sentence.trim_start_matches(is_space), is_chinese))))
            }
            Self::International => {
                let [after, before, symbol] = &*INTERNATIONAL;
                let text = after.replace_all(sentence, "$1 $2 ");
                let text = before.replace_all(&text, " $1 $2");
                join(split(&symbol.replace_all(&text, " $1 ")))
            }
            Self::Character => join(sentence.split_inclusive(|_: char| true).filter(|c| !c.starts_with(is_space))),
            Self::Whitespace => join(split(sentence)),
        }
    }
}

/// Tokenizers of sacreBLEU that are not implemented, and why.
const ABSENT: [(&str, &str); 6] = [
    ("flores200", SPM),
    ("flores101", SPM),
    ("spm", SPM),
    ("spBLEU-1K", SPM),
    ("ja-mecab", MECAB),
    ("ko-mecab", MECAB),
];
const SPM: &str = "it is a SentencePiece model that sacreBLEU downloads: cut both files into pieces with it, and score them with `none`";
const MECAB: &str = "it is MeCab with its dictionary: cut both files into words with it, and score them with `none`, or score them with `char`";

/// sacreBLEU's expressions for `intl`: punctuation behind what is no digit, before it, and symbols.
static INTERNATIONAL: LazyLock<[Regex; 3]> = LazyLock::new(|| {
    [r"(\P{N})(\p{P})", r"(\p{P})(\P{N})", r"(\p{S})"].map(|rule| Regex::new(rule).expect("a valid expression"))
});

/// Chinese characters as sacreBLEU lists them, first and last of each range.
const CHINESE: [(char, char); 17] = [
    // Two ranges of five digits have an escape of four digits there, so that they begin and end in the wrong places: this one,
    // and one that lies within the Kangxi radicals.
    ('\u{2001}', '\u{2A6D}'),
    ('\u{2E80}', '\u{2EFF}'), // radicals
    ('\u{2F00}', '\u{2FDF}'), // Kangxi radicals
    ('\u{2FF0}', '\u{2FFF}'), // descriptions of characters
    ('\u{3000}', '\u{303F}'), // punctuation
    ('\u{3100}', '\u{312F}'), // Bopomofo
    ('\u{31A0}', '\u{31BF}'), // Bopomofo, extended
    ('\u{31C0}', '\u{31EF}'), // strokes
    ('\u{3200}', '\u{33FF}'), // enclosed and squared characters
    ('\u{3400}', '\u{4DB5}'), // ideographs, extension A
    ('\u{4E00}', '\u{9FBB}'), // ideographs
    ('\u{F900}', '\u{FA2D}'), // compatibility ideographs
    ('\u{FA30}', '\u{FA6A}'),
    ('\u{FA70}', '\u{FAD9}'),
    ('\u{FE10}', '\u{FE1F}'), // vertical forms
    ('\u{FE30}', '\u{FE4F}'), // compatibility forms
    ('\u{FF00}', '\u{FFEF}'), // half width and full width forms
];

/// Without line breaks and markup.
fn plain_line(text: &str) -> String {
    let line = text.replace("<skipped>", "").replace("-\n", "").replace('\n', " ");
    // In this order, so that `&amp;lt;` is `<`.
    line.replace("&quot;", "\"").replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">")
}

/// Puts spaces around ASCII punctuation, except where it is likely part of a word or number.
fn separate_punctuation(text: &str) -> String {
    let is_symbol = |c| matches!(c, ' '..='&' | '('..='+' | '/' | ':'..='@' | '['..='`' | '{'..='~');
    let is_point = |c| matches!(c, '.' | ',');
    let is_digit = |c: char| c.is_ascii_digit();
    let text = set_apart(text, is_symbol);
    // A point between two digits stays.
    let text = replace_pairs(&text, |a, b| !is_digit(a) && is_point(b), |a, b| [a, ' ', b, ' ']);
    let text = replace_pairs(&text, |a, b| is_point(a) && !is_digit(b), |a, b| [' ', a, ' ', b]);
    replace_pairs(&text, |a, b| is_digit(a) && b == '-', |a, b| [a, ' ', b, ' '])
}

/// Puts spaces around each character that is `apart`.
fn set_apart(text: &str, apart: impl Fn(char) -> bool) -> String {
    let mut spaced = String::with_capacity(2 * text.len());
    for c in text.chars() {
        if apart(c) {
            spaced.extend([' ', c, ' ']);
        } else {
            spaced.push(c);
        }
    }
    spaced
}

/// Replaces pairs of neighbours from the left. As with a regular expression, no character belongs to two pairs.
fn replace_pairs(
    text: &str,
    is_pair: impl Fn(char, char) -> bool,
    replacement: impl Fn(char, char) -> [char; 4],
) -> String {
    let mut replaced = String::with_capacity(2 * text.len());
    let mut chars = text.chars().peekable();
    while let Some(first) = chars.next() {
        match chars.next_if(|&second| is_pair(first, second)) {
            Some(second) => replaced.extend(replacement(first, second)),
            None => replaced.push(first),
        }
    }
    replaced
}

fn join<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(" ")
}
