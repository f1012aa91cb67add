//! Encodings of text: their names, and signs by which they are told.

mod decoder;
mod signs;

use std::fmt;
use std::str::FromStr;

use encoding_rs::{REPLACEMENT, UTF_8, UTF_16BE, UTF_16LE, X_USER_DEFINED};
use serde::{Deserialize, Serialize};

pub(super) use decoder::decoded;
pub use signs::Likely;
pub(super) use signs::{byte_order_mark, is_utf8, likely_of_bytes, likely_of_zeros};

/// Encoding of text, by its name in the Encoding Standard of the WHATWG, such as `utf-8`, `windows-1252`, `gb18030` or
/// `shift_jis`; besides, `utf-32le` and `utf-32be`.
///
/// As in that standard, `latin1`, `iso-8859-1` and `ascii` are other names of `windows-1252`, and `gb2312` is one of `gbk`.
/// `utf-16` and `utf-32` are little-endian. A byte order mark at the beginning of a file takes precedence over all names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Encoding(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Standard(&'static encoding_rs::Encoding),
    Utf32Le,
    Utf32Be,
}

/// A name that no encoding has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{name}` is no known encoding, expected a name such as utf-8, utf-16, utf-32, windows-1252, iso-8859-2, koi8-r, \
     shift_jis, euc-kr, gb18030 or big5"
)]
pub struct UnknownEncoding {
    /// The name.
    pub name: String,
}

impl Encoding {
    /// The encoding of text without a byte order mark, if no other is named.
    pub const UTF_8: Self = Self(Kind::Standard(UTF_8));
    pub(super) const UTF_16_LE: Self = Self(Kind::Standard(UTF_16LE));
    pub(super) const UTF_16_BE: Self = Self(Kind::Standard(UTF_16BE));
    pub(super) const UTF_32_LE: Self = Self(Kind::Utf32Le);
    pub(super) const UTF_32_BE: Self = Self(Kind::Utf32Be);

    /// Whether bytes of this encoding may stand for control characters beyond ASCII: the others have none, or hardly any, so
    /// that these tell that the text is not in that encoding.
    fn has_controls(self) -> bool {
        match self.0 {
            Kind::Standard(encoding) => [UTF_8, UTF_16LE, UTF_16BE, encoding_rs::GB18030].contains(&encoding),
            Kind::Utf32Le | Kind::Utf32Be => true,
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Kind::Standard(encoding) => f.write_str(&encoding.name().to_ascii_lowercase()),
            Kind::Utf32Le => f.write_str("utf-32le"),
            Kind::Utf32Be => f.write_str("utf-32be"),
        }
    }
}

impl FromStr for Encoding {
    type Err = UnknownEncoding;

    fn from_str(name: &str) -> Result<Self, UnknownEncoding> {
        let plain = name.trim().to_ascii_lowercase().replace('_', "-");
        // Python's names that the standard does not have.
        let label = match plain.as_str() {
            "utf-32" | "utf-32le" | "utf-32-le" => return Ok(Self::UTF_32_LE),
            "utf-32be" | "utf-32-be" => return Ok(Self::UTF_32_BE),
            "utf-16-le" => "utf-16le",
            "utf-16-be" => "utf-16be",
            "utf-8-sig" => "utf-8",
            "latin-1" => "latin1",
            "cp932" | "shift-jis" => "shift_jis",
            "cp936" => "gbk",
            "cp949" => "euc-kr",
            "cp950" => "big5",
            "mac-roman" => "macintosh",
            plain => plain,
        };
        encoding_rs::Encoding::for_label(label.as_bytes())
            .or_else(|| encoding_rs::Encoding::for_label(name.as_bytes()))
            // Stand-ins of browsers for encodings that they do not read.
            .filter(|encoding| ![REPLACEMENT, X_USER_DEFINED].contains(encoding))
            .map(|encoding| Self(Kind::Standard(encoding)))
            .ok_or_else(|| UnknownEncoding { name: name.to_owned() })
    }
}

impl TryFrom<String> for Encoding {
    type Error = UnknownEncoding;

    fn try_from(name: String) -> Result<Self, UnknownEncoding> {
        name.parse()
    }
}

impl From<Encoding> for String {
    fn from(encoding: Encoding) -> Self {
        encoding.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoding_has_many_names_and_one_of_its_own() {
        for (name, encoding) in [
            ("UTF8", "utf-8"),
            ("utf-8-sig", "utf-8"),
            ("utf_16", "utf-16le"),
            ("UTF-16BE", "utf-16be"),
            ("utf-32", "utf-32le"),
            ("utf_32_be", "utf-32be"),
            ("cp1252", "windows-1252"),
            ("latin_1", "windows-1252"),
            ("iso8859-15", "iso-8859-15"),
            ("ISO_8859-2", "iso-8859-2"),
            ("sjis", "shift_jis"),
            ("Shift_JIS", "shift_jis"),
            ("cp932", "shift_jis"),
            ("gb2312", "gbk"),
            ("GB18030", "gb18030"),
            ("koi8_r", "koi8-r"),
            ("euc_jp", "euc-jp"),
            ("big5", "big5"),
        ] {
            let found: Encoding = name.parse().unwrap();
            assert_eq!(found.to_string(), encoding, "{name}");
            assert_eq!(found.to_string().parse(), Ok(found));
        }
        for name in ["", "utf-7", "hz-gb-2312", "x-user-defined", "utf"] {
            let error = name.parse::<Encoding>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{name}` is no known encoding, expected")), "{error}");
        }
    }
}
