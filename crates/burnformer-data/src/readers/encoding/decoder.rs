//! Bytes of an encoding as bytes of UTF-8, as they are read.

use std::io::{self, BufRead, Read};

use encoding_rs::DecoderResult;

use super::super::bytes::Bytes;
use super::{Encoding, Kind};

/// Number of bytes decoded at a time.
const BUFFER: usize = 64 << 10;

/// Stands for bytes that are not of the encoding. It never occurs in UTF-8, so the line that has it is a bad one.
const BAD: u8 = 0xff;

/// `bytes`, which are of this encoding, as UTF-8.
pub(in super::super) fn decoded(bytes: Bytes, encoding: Encoding) -> Bytes {
    let decoder: Box<dyn Decode> = match encoding.0 {
        Kind::Standard(encoding) if encoding == encoding_rs::UTF_8 => return bytes,
        Kind::Standard(encoding) => Box::new(encoding.new_decoder_without_bom_handling()),
        Kind::Utf32Le => Box::new(Utf32 { unit: u32::from_le_bytes, bytes: [0; 4], n_bytes: 0 }),
        Kind::Utf32Be => Box::new(Utf32 { unit: u32::from_be_bytes, bytes: [0; 4], n_bytes: 0 }),
    };
    let has_controls = encoding.has_controls();
    Box::new(Decoded { bytes, decoder, has_controls, text: vec![0; BUFFER], at: 0, end: 0, has_ended: false })
}

/// Bytes that are decoded as they are read.
struct Decoded {
    bytes: Bytes,
    decoder: Box<dyn Decode>,
    has_controls: bool,
    /// What was decoded, of which `at..end` was not read yet.
    text: Vec<u8>,
    at: usize,
    end: usize,
    has_ended: bool,
}

impl Decoded {
    /// Decodes what comes next.
    fn advance(&mut self) -> io::Result<()> {
        let bytes = self.bytes.fill_buf()?;
        let is_last = bytes.is_empty();
        // The last place is kept for the sign of bad bytes.
        let room = self.text.len() - 1;
        let Step { state, n_read, n_written } = self.decoder.decode(bytes, &mut self.text[..room], is_last);
        self.bytes.consume(n_read);
        (self.at, self.end) = (0, n_written);
        if !self.has_controls {
            mark_controls(&mut self.text[..n_written]);
        }
        match state {
            State::Bad => {
                self.text[self.end] = BAD;
                self.end += 1;
            }
            State::More => self.has_ended = is_last,
            State::Full => {}
        }
        Ok(())
    }
}

impl Read for Decoded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.fill_buf()?.read(buffer)?;
        self.consume(n);
        Ok(n)
    }
}

impl BufRead for Decoded {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.at == self.end && !self.has_ended {
            self.advance()?;
        }
        Ok(&self.text[self.at..self.end])
    }

    fn consume(&mut self, n: usize) {
        self.at += n;
    }
}

/// Marks the control characters U+0080 to U+009F as bad, but for U+0085, a line's end.
fn mark_controls(text: &mut [u8]) {
    let mut at = 0;
    while let Some(found) = text[at..].iter().position(|&byte| byte == 0xc2) {
        at += found;
        if matches!(text.get(at + 1), Some(0x80..=0x84 | 0x86..=0x9f)) {
            text[at] = BAD;
        }
        at += 1;
    }
}

/// How far bytes were decoded.
struct Step {
    state: State,
    n_read: usize,
    n_written: usize,
}

enum State {
    /// All bytes were read.
    More,
    /// There is no room for more text.
    Full,
    /// The last bytes that were read are not of the encoding.
    Bad,
}

trait Decode: Send {
    /// Decodes `bytes` into `text`, which are the last ones if `is_last`.
    fn decode(&mut self, bytes: &[u8], text: &mut [u8], is_last: bool) -> Step;
}

impl Decode for encoding_rs::Decoder {
    fn decode(&mut self, bytes: &[u8], text: &mut [u8], is_last: bool) -> Step {
        let (result, n_read, n_written) = self.decode_to_utf8_without_replacement(bytes, text, is_last);
        let state = match result {
            DecoderResult::InputEmpty => State::More,
            DecoderResult::OutputFull => State::Full,
            DecoderResult::Malformed(..) => State::Bad,
        };
        Step { state, n_read, n_written }
    }
}

/// UTF-32, which the library does not know.
struct Utf32 {
    unit: fn([u8; 4]) -> u32,
    /// The bytes of a character that has begun.
    bytes: [u8; 4],
    n_bytes: usize,
}

impl Decode for Utf32 {
    fn decode(&mut self, bytes: &[u8], text: &mut [u8], is_last: bool) -> Step {
        let mut n_written = 0;
        for (n_read, &byte) in bytes.iter().enumerate() {
            if text.len() - n_written < 4 {
                return Step { state: State::Full, n_read, n_written };
            }
            self.bytes[self.n_bytes] = byte;
            self.n_bytes = (self.n_bytes + 1) % 4;
            if self.n_bytes > 0 {
                continue;
            }
            match char::from_u32((self.unit)(self.bytes)) {
                Some(character) => n_written += character.encode_utf8(&mut text[n_written..]).len(),
                None => return Step { state: State::Bad, n_read: n_read + 1, n_written },
            }
        }
        let is_torn = is_last && std::mem::take(&mut self.n_bytes) > 0;
        Step { state: if is_torn { State::Bad } else { State::More }, n_read: bytes.len(), n_written }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Cursor};

    use proptest::prelude::*;

    use super::*;

    /// `bytes`, handed over a few at a time, as UTF-8.
    fn read(bytes: &[u8], encoding: &str, step: usize) -> Vec<u8> {
        let bytes = BufReader::with_capacity(step, Cursor::new(bytes.to_vec()));
        let mut text = Vec::new();
        decoded(Box::new(bytes), encoding.parse().unwrap()).read_to_end(&mut text).unwrap();
        text
    }

    fn utf_16(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(unit).collect()
    }

    fn utf_32(text: &str, unit: fn(u32) -> [u8; 4]) -> Vec<u8> {
        text.chars().flat_map(|c| unit(u32::from(c))).collect()
    }

    proptest! {
        #[test]
        fn any_text_comes_back_however_it_is_cut(text in "\\PC{0,40}", step in 1..9_usize) {
            for (bytes, encoding) in [
                (utf_16(&text, u16::to_le_bytes), "utf-16le"),
                (utf_16(&text, u16::to_be_bytes), "utf-16be"),
                (utf_32(&text, u32::to_le_bytes), "utf-32le"),
                (utf_32(&text, u32::to_be_bytes), "utf-32be"),
                (encoding_rs::GB18030.encode(&text).0.into_owned(), "gb18030"),
                (text.clone().into_bytes(), "utf-8"),
            ] {
                prop_assert_eq!(String::from_utf8(read(&bytes, encoding, step)).unwrap(), text.as_str(), "{}", encoding);
            }
        }

        #[test]
        fn any_bytes_are_text_or_marked(bytes in prop::collection::vec(any::<u8>(), 0..40), step in 1..9_usize) {
            for encoding in ["utf-16le", "utf-32be", "windows-1252", "shift_jis", "gb18030", "iso-2022-jp", "euc-kr"] {
                prop_assert!(read(&bytes, encoding, step).len() <= 3 * bytes.len() + 3, "{}", encoding);
            }
        }
    }

    #[test]
    fn known_bytes_are_the_characters_of_their_encoding() {
        for (bytes, encoding, text) in [
            (&b"caf\xe9 \x93noir\x94 5 \x80"[..], "cp1252", "café “noir” 5 €"),
            (b"\xcf\xf0\xe8\xe2\xe5\xf2", "windows-1251", "Привет"),
            (b"\xf0\xd2\xc9\xd7\xc5\xd4", "koi8-r", "Привет"),
            (b"\x93\xfa\x96{\x8c\xea", "shift_jis", "日本語"),
            (b"\xc6\xfc\xcb\xdc\xb8\xec", "euc-jp", "日本語"),
            (b"\xd6\xd0\xce\xc4", "gb2312", "中文"),
            (b"\xa4\xa4\xa4\xe5", "big5", "中文"),
            (b"\xc7\xd1\xb1\xdb", "euc-kr", "한글"),
        ] {
            assert_eq!(String::from_utf8(read(bytes, encoding, 3)).unwrap(), text, "{encoding}");
        }
    }

    #[test]
    fn what_is_not_of_the_encoding_is_marked_where_it_is() {
        let bad = |bytes: &[u8], encoding| read(bytes, encoding, 4);
        assert_eq!(bad(b"a\x81b", "cp1252"), b"a\xff\x81b", "a control character");
        assert_eq!(bad(b"a\x8ab", "iso-8859-2"), b"a\xff\x8ab", "a letter of windows-1250");
        assert_eq!(bad(b"a\0\n\0\x3d\xd8b\0", "utf-16"), b"a\n\xffb", "half a pair");
        assert_eq!(bad(b"a\0\n", "utf-16"), b"a\xff", "half a unit");
        assert_eq!(bad(b"a\0\0\0b\0\0\x7fc\0\0\0d", "utf-32"), b"a\xffc\xff");
        assert_eq!(bad(b"\x81\n", "shift_jis"), b"\xff\n", "half a character");
    }
}
