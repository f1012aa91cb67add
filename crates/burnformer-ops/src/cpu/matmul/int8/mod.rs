//! Numbers rounded to 8-bit integers.

mod quantize;

pub use self::quantize::round_to_int8;
