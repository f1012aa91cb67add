//! Signs of an encoding in the first bytes of a file, or in a line that is not UTF-8.

use std::cmp::Ordering;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};

use super::{Encoding, Kind};

/// Number of bytes from which an encoding is guessed.
const LOOKED_AT: usize = 4096;
/// Number of letters beyond ASCII from which one encoding of Europe can be told from another.
const FEW: usize = 4;
/// Number of characters shown on each side of the first one beyond ASCII.
const SHOWN: usize = 12;

/// An encoding that a text may be in, and a part of the text read as that, by which people see whether it is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Likely {
    /// The encoding.
    pub encoding: Encoding,
    /// Some characters of the text.
    pub text: String,
}

/// The encoding that a byte order mark names, and the length of the mark in bytes.
pub(in super::super) fn byte_order_mark(bytes: &[u8]) -> Option<(Encoding, usize)> {
    Some(match bytes {
        [0xff, 0xfe, 0, 0, ..] => (Encoding::UTF_32_LE, 4),
        [0, 0, 0xfe, 0xff, ..] => (Encoding::UTF_32_BE, 4),
        [0xef, 0xbb, 0xbf, ..] => (Encoding::UTF_8, 3),
        [0xff, 0xfe, ..] => (Encoding::UTF_16_LE, 2),
        [0xfe, 0xff, ..] => (Encoding::UTF_16_BE, 2),
        _ => return None,
    })
}

/// `true` if the first bytes of a file are text in UTF-8 that no other encoding can be expected to have: with several
/// characters beyond ASCII, of which text in other encodings by chance has one or two.
pub(in super::super) fn is_utf8(bytes: &[u8]) -> bool {
    let text = match str::from_utf8(bytes) {
        Ok(text) => text,
        // The last character may be cut off.
        Err(error) if error.error_len().is_none() => str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
        Err(_) => return false,
    };
    text.chars().filter(|c| !c.is_ascii()).nth(3).is_some()
}

/// The encoding of UTF-16 or UTF-32 that the first bytes of a file tell by their zeros, which text of other encodings has not.
/// A few zeros that are in it by mistake leave it text in UTF-8.
pub(in super::super) fn likely_of_zeros(bytes: &[u8]) -> Option<Encoding> {
    let bytes = &bytes[..bytes.len().min(LOOKED_AT) & !3];
    if !bytes.contains(&0) {
        return None;
    }
    let are_characters = |unit: fn([u8; 4]) -> u32| {
        let mut units = bytes.chunks_exact(4).map(|it| unit([it[0], it[1], it[2], it[3]]));
        units.all(|unit| unit > 0 && char::from_u32(unit).is_some())
    };
    if are_characters(u32::from_le_bytes) {
        return Some(Encoding::UTF_32_LE);
    }
    if are_characters(u32::from_be_bytes) {
        return Some(Encoding::UTF_32_BE);
    }
    let [little, big] = match str::from_utf8(bytes) {
        Err(error) if error.error_len().is_some() => {
            [n_marks(bytes, u16::from_le_bytes), n_marks(bytes, u16::from_be_bytes)]
        }
        // The high bytes of Latin, Greek and Cyrillic letters are no others that text has.
        _ => [1, 0].map(|parity| {
            let n = bytes.iter().skip(parity).step_by(2).filter(|&&byte| byte < b'\t').count();
            if n * 4 > bytes.len() { n } else { 0 }
        }),
    };
    match little.cmp(&big) {
        Ordering::Greater => Some(Encoding::UTF_16_LE),
        Ordering::Less => Some(Encoding::UTF_16_BE),
        Ordering::Equal => None,
    }
}

/// Number of spaces and punctuation marks in text of UTF-16; 0 if it is none.
fn n_marks(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> usize {
    let characters: Vec<_> = char::decode_utf16(bytes.chunks_exact(2).map(|it| unit([it[0], it[1]]))).collect();
    // The last one may be cut in two.
    let (Some((_, before)), is_mark) =
        (characters.split_last(), |c: char| matches!(c, '\n' | ' ' | ',' | '.' | '，' | '。' | '、'))
    else {
        return 0;
    };
    if before.iter().any(Result::is_err) {
        return 0;
    }
    characters.iter().flatten().filter(|&&c| is_mark(c)).count()
}

/// The encoding that a line which is not UTF-8 may be in; `None` if it is of none, or no text.
pub(in super::super) fn likely_of_bytes(line: &[u8]) -> Option<Likely> {
    let first = line.iter().position(|byte| !byte.is_ascii()).unwrap_or(0);
    let start = first.saturating_sub(LOOKED_AT / 2);
    let (line, first) = (&line[start..line.len().min(start + LOOKED_AT)], first - start);
    let encoding = japanese(line).unwrap_or_else(|| {
        let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
        detector.feed(line, line.len() < LOOKED_AT);
        // A few letters would be of any encoding of Europe: then it is the most frequent one.
        let is_short = line.iter().filter(|byte| !byte.is_ascii()).count() < FEW;
        detector.guess(is_short.then_some(b"us"), Utf8Detection::Deny)
    });
    let (before, behind) = (encoding.decode(&line[..first]).0, encoding.decode(&line[first..]).0);
    let is_control = |c: char| matches!(c, '\0' | '\u{80}'..='\u{84}' | '\u{86}'..='\u{9f}');
    if before.contains('\0') || behind.contains(is_control) {
        return None;
    }
    let before: String = before.chars().skip(before.chars().count().saturating_sub(SHOWN)).collect();
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    let text = before.chars().chain(behind.chars().take(SHOWN)).map(shown).collect();
    Some(Likely { encoding: Encoding(Kind::Standard(encoding)), text })
}

/// The encoding of Japan in which this is mostly kana. The library takes few of them for other scripts.
fn japanese(line: &[u8]) -> Option<&'static encoding_rs::Encoding> {
    let is_kana = |c: &char| matches!(c, '\u{3040}'..='\u{30ff}');
    [encoding_rs::SHIFT_JIS, encoding_rs::EUC_JP].into_iter().find(|encoding| {
        let (text, _, is_wrong) = encoding.decode(line);
        let n_letters = text.chars().filter(|c| !c.is_ascii()).count();
        !is_wrong && text.chars().filter(is_kana).count() * 3 > n_letters
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_order_marks_are_told_apart() {
        for (bytes, found) in [
            (&b"\xff\xfe\0\0a\0\0\0"[..], Some(("utf-32le", 4))),
            (b"\0\0\xfe\xff\0\0\0a", Some(("utf-32be", 4))),
            (b"\xff\xfea\0", Some(("utf-16le", 2))),
            (b"\xfe\xff\0a", Some(("utf-16be", 2))),
            (b"\xef\xbb\xbfa", Some(("utf-8", 3))),
            (b"\xef\xbb", None),
            (b"", None),
        ] {
            assert_eq!(
                byte_order_mark(bytes).map(|(encoding, n)| (encoding.to_string(), n)),
                found.map(|(name, n)| (name.to_owned(), n))
            );
        }
    }

    #[test]
    fn zeros_tell_wide_encodings_even_without_a_mark() {
        let likely = |bytes: &[u8]| likely_of_zeros(bytes).map(|encoding| encoding.to_string());
        let wide = |text: &str| -> [Vec<u8>; 4] {
            [
                text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
                text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
                text.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect(),
                text.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect(),
            ]
        };
        for text in [
            "text,label\nrain,wet\n",
            "text,label\n河边有一座磨坊,它静静地立着\n",
            "Привет, мир\nи всё\n",
            "שלום, עולם\n",
            "河边有一座磨坊。\n",
            "😀 and 😀\n",
        ] {
            let found: Vec<_> = wide(text).iter().map(|bytes| likely(bytes).unwrap()).collect();
            assert_eq!(found, ["utf-16le", "utf-16be", "utf-32le", "utf-32be"], "{text}");
            assert_eq!(likely(text.as_bytes()), None);
        }
        let mut binary = vec![0; 64];
        assert_eq!(likely(&binary), None);
        binary[3..].fill(b'a');
        assert_eq!(likely(&binary), None);
        assert_eq!(likely(b"one byte is\0 by mistake in this line of text, and\0 another one"), None);
        assert_eq!(likely(b"a"), None);
    }

    #[test]
    fn what_is_no_text_is_not_guessed() {
        for line in [&b"\xe9\0"[..], b"\0\xe9"] {
            assert_eq!(likely_of_bytes(line), None);
        }
    }

    #[test]
    fn a_line_tells_what_it_may_be() {
        for (line, found) in [
            (&b"caf\xe9 \x93noir\x94, na\xefve"[..], "windows-1252"),
            (b"\xcf\xf0\xe8\xe2\xe5\xf2, \xec\xe8\xf0! \xca\xe0\xea \xe4\xe5\xeb\xe0", "windows-1251"),
            (b"\x8d\xa1\x82\xcd\x82\xa2\x82\xa2\x93V\x8bC\x82\xc5\x82\xb7\x82\xcb", "shift_jis"),
            (b"\xba\xd3\xb1\xdf\xd3\xd0\xd2\xbb\xd7\xf9\xc4\xa5\xb7\xbb", "gbk"),
            (b"na\xefve", "windows-1252"),
            (b"za\xbf\xf3\xb3\xe6 g\xea\x9cl\xb9 ja\x9f\xf1", "windows-1250"),
        ] {
            assert_eq!(likely_of_bytes(line).unwrap().encoding.to_string(), found);
        }
        let long =
            [b"x".repeat(10_000), b"a well-known caf\xe9, with tea and cake".to_vec(), b"x".repeat(10_000)].concat();
        assert_eq!(likely_of_bytes(&long).unwrap().text, "ll-known café, with tea ");
    }
}
