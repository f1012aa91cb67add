//! Points in time as text.

use std::time::{SystemTime, UNIX_EPOCH};

/// The time as `2026-11-30T00:26:29.580627+00:00`; times before 1970 as 1970.
pub(crate) fn text(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, seconds) = (since.as_secs() / 86400, since.as_secs() % 86400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let micros = since.subsec_micros();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}+00:00")
}

/// Year, month and day of a day since 1970: Hinnant's `civil_from_days`, whose years begin in March.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Expected texts by Python's `datetime.fromtimestamp(t, timezone.utc).isoformat(timespec="microseconds")`.
    #[test]
    fn times_are_those_of_python() {
        let check =
            |micros: u64, expected: &str| assert_eq!(text(UNIX_EPOCH + Duration::from_micros(micros)), expected);
        check(0, "1970-01-01T00:00:00.000000+00:00");
        check(951_782_399_000_001, "2000-02-28T23:59:59.000001+00:00");
        check(951_868_800_000_000, "2000-03-01T00:00:00.000000+00:00");
        check(1_795_998_389_580_627, "2026-11-30T00:26:29.580627+00:00");
        check(4_107_542_400_000_000, "2100-03-01T00:00:00.000000+00:00");
    }
}
