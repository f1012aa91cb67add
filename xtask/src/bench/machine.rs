//! What a measurement depends on: the machine, its load, and the state of the sources; and when it was made.

use std::env::consts::{ARCH, OS};
use std::fs;
use std::thread::available_parallelism;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::invocation::{Invocation, Runner};

/// The name of the processor where the system tells it, else its kind.
pub(super) fn processor() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    processor_of(&cpuinfo).unwrap_or_else(|| ARCH.into())
}

/// With the name of its generation, which rented machines hide.
fn processor_of(cpuinfo: &str) -> Option<String> {
    let value = |key: &str| {
        let (_, value) = cpuinfo.lines().filter_map(|line| line.split_once(':')).find(|(it, _)| it.trim() == key)?;
        Some(value.trim())
    };
    let number = |key| value(key)?.parse().ok();
    let name = value("model name")?;
    let generation = generation(value("vendor_id")?, number("cpu family")?, number("model")?);
    Some(generation.map_or_else(|| name.into(), |generation| format!("{name} ({generation})")))
}

/// Generations of server processors.
///
/// Source: Linux, `arch/x86/include/asm/intel-family.h` and `arch/x86/kernel/cpu/amd.c`.
fn generation(vendor: &str, family: u32, model: u32) -> Option<&'static str> {
    match (vendor, family, model) {
        ("AuthenticAMD", 0x19, 0x00..=0x0f | 0x20..=0x5f) => Some("Zen 3"),
        ("AuthenticAMD", 0x19, 0x10..=0x1f | 0x60..=0xaf) => Some("Zen 4"),
        ("AuthenticAMD", 0x1a, 0x00..=0x4f | 0x60..=0x7f) => Some("Zen 5"),
        ("GenuineIntel", 6, 0x55) => Some("Skylake or Cascade Lake"),
        ("GenuineIntel", 6, 0x6a | 0x6c) => Some("Ice Lake"),
        ("GenuineIntel", 6, 0x8f) => Some("Sapphire Rapids"),
        ("GenuineIntel", 6, 0xcf) => Some("Emerald Rapids"),
        ("GenuineIntel", 6, 0xad | 0xae) => Some("Granite Rapids"),
        _ => None,
    }
}

pub(super) fn n_cores() -> usize {
    available_parallelism().map_or(1, usize::from)
}

/// The machine in words, with the work that others do on it.
pub(super) fn describe() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().map(|load| format!("; load average {load} before the run"));
    format!("{}, {} cores, {OS} {ARCH}{}", processor(), n_cores(), load.unwrap_or_default())
}

/// The commit, with `-dirty` where files have changed since.
pub(super) fn commit(runner: &Runner) -> String {
    let describe = Invocation::new("git", ["describe", "--always", "--dirty", "--exclude", "*"]);
    runner.output(&describe).map_or_else(|_| "unknown".into(), |commit| commit.trim().into())
}

/// `processor` as a part of a file's name, without what every name has.
pub(super) fn slug(processor: &str) -> String {
    let name = processor.split('@').next().unwrap_or_default().to_lowercase().replace("(r)", "").replace("(tm)", "");
    let words = name.split(|c: char| !c.is_ascii_alphanumeric());
    words.filter(|word| !["", "cpu", "processor"].contains(word)).collect::<Vec<_>>().join("-")
}

/// Today in Greenwich, `YYYY-MM-DD`.
pub(super) fn today() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    date(seconds / 86_400)
}

/// The date so many days after 1 January 1970.
///
/// Source: Howard Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`. Years begin in March, so
/// that the leap day is the last one.
fn date(days: u64) -> String {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_named_as_the_system_names_it() {
        let cpuinfo = |vendor: &str, family: u32, model: u32, name: &str| {
            format!(
                "processor\t: 0\nvendor_id\t: {vendor}\ncpu family\t: {family}\nmodel\t\t: {model}\nmodel name\t: {name}\n"
            )
        };
        for (vendor, family, model, name, expected) in [
            ("GenuineIntel", 6, 207, "Intel(R) Xeon(R) Processor", "Intel(R) Xeon(R) Processor (Emerald Rapids)"),
            ("AuthenticAMD", 26, 2, "AMD EPYC", "AMD EPYC (Zen 5)"),
            ("AuthenticAMD", 25, 17, "AMD EPYC", "AMD EPYC (Zen 4)"),
            ("GenuineIntel", 6, 1, "Intel(R) Xeon(R)", "Intel(R) Xeon(R)"),
        ] {
            assert_eq!(processor_of(&cpuinfo(vendor, family, model, name)).as_deref(), Some(expected));
        }
        assert_eq!(processor_of("processor\t: 0\n"), None);
    }

    #[test]
    fn a_slug_is_a_part_of_a_file_name() {
        for (processor, expected) in [
            ("Intel(R) Xeon(R) Processor @ 2.80GHz", "intel-xeon"),
            ("AMD EPYC 9R14 96-Core Processor", "amd-epyc-9r14-96-core"),
            ("AMD EPYC (Zen 5)", "amd-epyc-zen-5"),
            ("aarch64", "aarch64"),
        ] {
            assert_eq!(slug(processor), expected);
        }
    }

    #[test]
    fn dates_follow_the_calendar() {
        for (days, expected) in [
            (0, "1970-01-01"),
            (11_016, "2000-02-29"),
            (19_782, "2024-02-29"),
            (19_783, "2024-03-01"),
            (20_818, "2026-12-31"),
        ] {
            assert_eq!(date(days), expected);
        }
    }
}
