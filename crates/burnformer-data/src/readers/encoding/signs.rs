//! Signs of an encoding in the first bytes of a file, or in a line that is not UTF-8.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};

use super::{Encoding, Kind};

/// Number of bytes from which an encoding is guessed.
const LOOKED_AT: usize = 4096;

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

/// The encoding of UTF-16 or UTF-32 whose zeros the first bytes of a file have where that would have them.
///
/// Text of other encodings has no zeros; a few that are in it by mistake do not lie in the places of one parity alone, or are
/// too few for UTF-16 of letters while all other bytes are ASCII.
pub(in super::super) fn likely_of_zeros(bytes: &[u8]) -> Option<Encoding> {
    let bytes = &bytes[..bytes.len().min(LOOKED_AT) & !3];
    let mut zeros = [0; 4];
    for unit in bytes.chunks_exact(4) {
        zeros.iter_mut().zip(unit).for_each(|(n, &byte)| *n += usize::from(byte == 0));
    }
    let n_units = bytes.len() / 4;
    if n_units == 0 {
        return None;
    }
    let [even, odd] = [zeros[0] + zeros[2], zeros[1] + zeros[3]];
    // The highest byte of a character of UTF-32 is always 0, the next nearly always.
    if zeros[3] == n_units && zeros[2] * 10 > n_units * 9 && zeros[0] < n_units {
        return Some(Encoding::UTF_32_LE);
    }
    if zeros[0] == n_units && zeros[1] * 10 > n_units * 9 && zeros[3] < n_units {
        return Some(Encoding::UTF_32_BE);
    }
    let is_letters = |n: usize| n * 2 > n_units;
    let is_ascii = bytes.iter().filter(|byte| byte.is_ascii()).count() * 10 > bytes.len() * 9;
    match (even, odd) {
        (0, n) if n > 0 && (is_letters(n) || !is_ascii) => Some(Encoding::UTF_16_LE),
        (n, 0) if n > 0 && (is_letters(n) || !is_ascii) => Some(Encoding::UTF_16_BE),
        _ => None,
    }
}

/// The encoding that a line which is not UTF-8 may be in.
pub(in super::super) fn likely_of_bytes(line: &[u8]) -> Encoding {
    let start = line.iter().position(|byte| !byte.is_ascii()).unwrap_or(0).saturating_sub(LOOKED_AT / 2);
    let end = line.len().min(start + LOOKED_AT);
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    // Cut within a character, the line would not be of its encoding.
    detector.feed(&line[start..end], end == line.len());
    Encoding(Kind::Standard(detector.guess(None, Utf8Detection::Deny)))
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
            assert_eq!(byte_order_mark(bytes).map(|(encoding, n)| (encoding.to_string(), n)), found.map(|(name, n)| (name.to_owned(), n)));
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
        for text in ["text,label\nrain,wet\n", "text,label\n河边有一座磨坊,它静静地立着\n", "Привет, мир\nи всё\n", "😀 and 😀\n"] {
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
    fn a_line_tells_what_it_may_be() {
        for (line, found) in [
            (&b"caf\xe9 \x93noir\x94, na\xefve"[..], "windows-1252"),
            (b"\xcf\xf0\xe8\xe2\xe5\xf2, \xec\xe8\xf0! \xca\xe0\xea \xe4\xe5\xeb\xe0", "windows-1251"),
            (b"\x8d\xa1\x82\xcd\x82\xa2\x82\xa2\x93V\x8bC\x82\xc5\x82\xb7\x82\xcb", "shift_jis"),
            (b"\xba\xd3\xb1\xdf\xd3\xd0\xd2\xbb\xd7\xf9\xc4\xa5\xb7\xbb", "gbk"),
        ] {
            assert_eq!(likely_of_bytes(line).to_string(), found);
        }
        assert_eq!(likely_of_bytes(&[0xe9; 10_000]).to_string(), likely_of_bytes(&[0xe9; 5000]).to_string());
    }
}
