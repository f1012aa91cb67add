//! JSON files with a checksum of themselves as the last key.

use std::hash::Hasher;

use twox_hash::XxHash3_64;

/// What stands before and behind the digits of the checksum.
const BEFORE: &[u8] = b",\n  \"checksum\": \"";
const AFTER: &[u8] = b"\"\n}";
const DIGITS: usize = 16;
/// The end of an object that `serde_json` has written in lines.
const END: &[u8] = b"\n}";

/// What a file says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seal {
    /// It is what was written.
    Whole,
    /// It is not what was written.
    Broken,
    /// It has no checksum, or one that cannot be recognised any more.
    Missing,
}

/// The object `json`, written in lines, with the checksum of all bytes before it as its last key.
pub(crate) fn seal(mut json: Vec<u8>) -> Vec<u8> {
    assert!(json.ends_with(END), "an object that is not empty, in lines");
    json.truncate(json.len() - END.len());
    let digits = digest(&json);
    for part in [BEFORE, digits.as_bytes(), AFTER] {
        json.extend_from_slice(part);
    }
    json
}

/// Holds a file that [`seal`] may have written against its checksum.
pub(crate) fn check(file: &[u8]) -> Seal {
    let parts = file.strip_suffix(AFTER).and_then(|rest| rest.split_at_checked(rest.len().checked_sub(DIGITS)?));
    match parts.and_then(|(rest, digits)| Some((rest.strip_suffix(BEFORE)?, digits))) {
        Some((json, digits)) if digest(json).as_bytes() == digits => Seal::Whole,
        Some(_) => Seal::Broken,
        None => Seal::Missing,
    }
}

fn digest(bytes: &[u8]) -> String {
    let mut hasher = XxHash3_64::with_seed(0);
    hasher.write(bytes);
    format!("{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_object_is_json_and_no_bit_of_it_can_change() {
        let object = serde_json::json!({ "step": 12, "text": "{\n}" });
        let mut sealed = seal(serde_json::to_vec_pretty(&object).unwrap());
        let read: serde_json::Value = serde_json::from_slice(&sealed).unwrap();
        assert_eq!((&read["step"], &read["text"]), (&object["step"], &object["text"]));
        assert_eq!(check(&sealed), Seal::Whole);
        for bit in 0..8 * sealed.len() {
            sealed[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(check(&sealed), Seal::Whole, "bit {bit}");
            sealed[bit / 8] ^= 1 << (bit % 8);
        }
        for short in [b"".as_slice(), b"\"\n}", b"{}"] {
            assert_eq!(check(short), Seal::Missing);
        }
    }
}
