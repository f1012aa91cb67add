//! Memory that is left.

use std::fs;
use std::path::Path;

/// Bytes of memory that this process can still take: what the system has left, swap included, up to the limits of the process
/// (`ulimit -v`, `ulimit -d`) and of its control group. `None` where the system does not say; Linux does.
#[must_use]
pub fn available_memory() -> Option<u64> {
    let system = fs::read_to_string("/proc/meminfo").ok().and_then(|text| of_system(&text));
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let of_process = [("Max address space", "VmSize:"), ("Max data size", "VmData:")]
        .into_iter()
        .filter_map(|(limit, used)| Some(number(&limits, limit)?.saturating_sub(1024 * number(&status, used)?)));
    system.into_iter().chain(of_process).chain(of_group()).min()
}

fn of_system(meminfo: &str) -> Option<u64> {
    Some(1024 * (number(meminfo, "MemAvailable:")? + number(meminfo, "SwapFree:").unwrap_or(0)))
}

/// The number behind `name` at the beginning of a line; `None` also for what is unlimited.
fn number(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
}

/// What the limit of the process's control group leaves, or that of a group around it.
fn of_group() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let name = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    Path::new("/sys/fs/cgroup")
        .join(name)
        .ancestors()
        .take_while(|it| it.starts_with("/sys/fs/cgroup"))
        .filter_map(left)
        .min()
}

/// What the limit of one group leaves. Pages of files count as used, but give way.
fn left(group: &Path) -> Option<u64> {
    let read = |file: &str| fs::read_to_string(group.join(file)).ok();
    let limit: u64 = read("memory.max")?.trim().parse().ok()?;
    let used: u64 = read("memory.current")?.trim().parse().ok()?;
    let of_files = read("memory.stat").and_then(|stat| number(&stat, "inactive_file")).unwrap_or(0);
    Some(limit.saturating_sub(used.saturating_sub(of_files)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_by_their_names() {
        let meminfo = "MemTotal:       1000 kB\nMemFree:  1 kB\nMemAvailable:    600 kB\nSwapFree:   20 kB\n";
        assert_eq!(of_system(meminfo), Some(620 * 1024));
        assert_eq!(of_system("MemTotal: 1 kB"), None);
        let limits = "Max data size             unlimited            unlimited            bytes\nMax address space  4096  8192  bytes";
        assert_eq!((number(limits, "Max data size"), number(limits, "Max address space")), (None, Some(4096)));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn linux_says_how_much_memory_is_left() {
        assert!(available_memory().unwrap() > 1 << 20);
    }
}
