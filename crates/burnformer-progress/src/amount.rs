//! Progress of a stage in words.

use std::fmt;
use std::time::Duration;

use burnformer_core::progress::Unit;
use indicatif::{BinaryBytes, HumanCount, HumanDuration};

/// How much of a stage is done, how fast, and how long the rest takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Amount {
    pub(crate) done: u64,
    /// `None` if nobody knows.
    pub(crate) total: Option<u64>,
    pub(crate) unit: Unit,
    /// Units a second; 0 if that is not known yet.
    pub(crate) rate: f64,
}

impl Amount {
    /// What was done in `elapsed`, at the same speed all the time.
    pub(crate) fn steady(done: u64, total: Option<u64>, unit: Unit, elapsed: Duration) -> Self {
        let rate = if elapsed.is_zero() { 0.0 } else { done as f64 / elapsed.as_secs_f64() };
        Self { done, total, unit, rate }
    }

    fn left(&self) -> Option<Duration> {
        let left = self.total?.checked_sub(self.done).filter(|&left| left > 0)?;
        // Infinite without a rate, and more than a duration can be: then there is nothing to say.
        Duration::try_from_secs_f64(left as f64 / self.rate).ok()
    }

    /// A number of units, without the unit where another number with it follows.
    fn count(&self, number: u64) -> String {
        match self.unit {
            Unit::Bytes => BinaryBytes(number).to_string(),
            _ => HumanCount(number).to_string(),
        }
    }

    fn rate(&self) -> String {
        match self.unit {
            _ if self.rate < 10.0 && self.unit != Unit::Bytes => format!("{:.2}", self.rate),
            _ => self.count(self.rate.round() as u64),
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.count(self.done))?;
        if let Some(total) = self.total {
            write!(f, " of {}", self.count(total))?;
        }
        if let Unit::Items(plural) = self.unit {
            write!(f, " {plural}")?;
        }
        if self.rate > 0.0 {
            write!(f, ", {}/s", self.rate())?;
        }
        if let Some(left) = self.left() {
            write!(f, ", {:#} left", HumanDuration(left))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(done: u64, total: Option<u64>, unit: Unit, seconds: u64) -> String {
        Amount::steady(done, total, unit, Duration::from_secs(seconds)).to_string()
    }

    #[test]
    fn bytes_have_binary_prefixes() {
        assert_eq!(shown(3 << 20, Some(12 << 20), Unit::Bytes, 2), "3.00 MiB of 12.00 MiB, 1.50 MiB/s, 6s left");
        assert_eq!(shown(512, None, Unit::Bytes, 1), "512 B, 512 B/s");
    }

    #[test]
    fn items_have_their_name() {
        let updates = Unit::Items("updates");
        assert_eq!(shown(1500, Some(60_000), updates, 100), "1,500 of 60,000 updates, 15/s, 65m left");
        assert_eq!(shown(3, None, updates, 12), "3 updates, 0.25/s");
    }

    #[test]
    fn what_is_not_known_is_not_said() {
        let crates = Unit::Items("crates");
        assert_eq!(shown(0, Some(5), crates, 3), "0 of 5 crates");
        assert_eq!(shown(5, Some(5), crates, 0), "5 of 5 crates");
        assert_eq!(shown(7, Some(5), crates, 1), "7 of 5 crates, 7.00/s");
        assert_eq!(shown(1, Some(u64::MAX), crates, u64::MAX), "1 of 18,446,744,073,709,551,615 crates, 0.00/s");
    }
}
