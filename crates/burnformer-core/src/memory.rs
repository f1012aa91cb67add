//! Memory of this process, and what is left for it. Linux says so in `/proc` and `/sys`; elsewhere nothing is known.

use std::fs;
use std::path::Path;

/// Most bytes of memory that this process has had at once so far.
#[must_use]
pub fn peak_memory() -> Option<u64> {
    of_process("VmHWM:")
}

/// Bytes of memory that this process has now.
#[must_use]
pub fn resident_memory() -> Option<u64> {
    of_process("VmRSS:")
}

/// Bytes of memory that this process can still take: what the machine has left, swap included, what its control groups leave
/// (as in a container), or its own limits (`ulimit -v`, `ulimit -d`), whichever is least. Of its own limits half is left: they are of
/// address space, of which an allocator reserves more than it uses. `None` where the system does not say.
#[must_use]
pub fn available_memory() -> Option<u64> {
    available_in(Path::new("/"))
}

fn of_process(name: &str) -> Option<u64> {
    field(&fs::read_to_string("/proc/self/status").ok()?, name)
}

/// [`available_memory`] by the files below `root`.
fn available_in(root: &Path) -> Option<u64> {
    let read = |path: &str| fs::read_to_string(root.join(path)).ok();
    let machine = read("proc/meminfo")
        .and_then(|text| Some(field(&text, "MemAvailable:")? + field(&text, "SwapFree:").unwrap_or(0)));
    let (limits, status) = (read("proc/self/limits").unwrap_or_default(), read("proc/self/status").unwrap_or_default());
    let of_process =
        [("Max address space", "VmSize:"), ("Max data size", "VmData:")].into_iter().filter_map(|(limit, used)| {
            let line = limits.lines().find_map(|line| line.strip_prefix(limit))?;
            let limit: u64 = line.split_whitespace().next()?.parse().ok()?;
            Some(limit.saturating_sub(field(&status, used)?) / 2)
        });
    let groups = read("proc/self/cgroup").unwrap_or_default();
    let groups = groups.lines().filter_map(|line| {
        let [_, controllers, path] = line.splitn(3, ':').collect::<Vec<_>>().try_into().ok()?;
        match controllers {
            "" => VERSION_2.left(root, path),
            controllers if controllers.split(',').any(|name| name == "memory") => VERSION_1.left(root, path),
            _ => None,
        }
    });
    groups.chain(machine).chain(of_process).min()
}

/// The value of a line such as `VmHWM:  1234 kB`, in bytes.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The files of a control group.
struct Version {
    folder: &'static str,
    limit: &'static str,
    usage: &'static str,
    /// Line of `memory.stat` with what is in use, but can be dropped: copies of files.
    files: &'static str,
}

const VERSION_1: Version = Version {
    folder: "sys/fs/cgroup/memory",
    limit: "memory.limit_in_bytes",
    usage: "memory.usage_in_bytes",
    files: "total_inactive_file",
};

const VERSION_2: Version =
    Version { folder: "sys/fs/cgroup", limit: "memory.max", usage: "memory.current", files: "inactive_file" };

impl Version {
    /// What the group at `path` and those above it leave.
    fn left(&self, root: &Path, path: &str) -> Option<u64> {
        let top = root.join(self.folder);
        let group = top.join(path.trim_start_matches('/'));
        let left = |group: &Path| {
            let number = |file: &str| fs::read_to_string(group.join(file)).ok()?.trim().parse::<u64>().ok();
            let (limit, usage) = (number(self.limit)?, number(self.usage)?);
            let stat = fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
            let files = stat.lines().find_map(|line| line.strip_prefix(self.files)?.trim().parse().ok()).unwrap_or(0);
            Some(limit.saturating_sub(usage.saturating_sub(files)))
        };
        group.ancestors().take_while(|group| group.starts_with(&top)).filter_map(left).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine with these files, of which each is given as `path: content`.
    fn available(files: &[(&str, &str)]) -> Option<u64> {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        available_in(root.path())
    }

    const MACHINE: (&str, &str) = ("proc/meminfo", "MemTotal:  9000 kB\nMemAvailable:    8000 kB\n");

    #[test]
    fn the_machine_says_what_it_has_left() {
        assert_eq!(available(&[]), None);
        assert_eq!(available(&[MACHINE]), Some(8000 * 1024));
        assert_eq!(available(&[("proc/meminfo", "MemAvailable: many\n")]), None);
        assert_eq!(available(&[("proc/meminfo", "MemAvailable:    600 kB\nSwapFree:   20 kB\n")]), Some(620 * 1024));
    }

    #[test]
    fn a_control_group_or_one_above_it_leaves_less() {
        let group = ("proc/self/cgroup", "0::/a/b\n");
        let of = |path, max| [(path, max)];
        let limited = of("sys/fs/cgroup/a/memory.max", "5000\n");
        let usage = ("sys/fs/cgroup/a/memory.current", "3000");
        let stat = ("sys/fs/cgroup/a/memory.stat", "anon 9\ninactive_file 500\n");
        assert_eq!(available(&[MACHINE, group, limited[0], usage, stat]), Some(2500));
        let unlimited = of("sys/fs/cgroup/a/memory.max", "max\n");
        assert_eq!(available(&[MACHINE, group, unlimited[0], usage, stat]), Some(8000 * 1024));
    }

    #[test]
    fn a_control_group_of_the_first_version_leaves_less() {
        let files = [
            MACHINE,
            ("proc/self/cgroup", "5:cpu:/x\n4:cpuacct,memory:/box/run\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "70000"),
            ("sys/fs/cgroup/memory/box/memory.limit_in_bytes", "6000"),
            ("sys/fs/cgroup/memory/box/memory.usage_in_bytes", "7000"),
            ("sys/fs/cgroup/memory/box/memory.stat", "inactive_file 1\ntotal_inactive_file 2000\n"),
        ];
        assert_eq!(available(&files), Some(1000));
    }

    #[test]
    fn a_limit_of_the_process_leaves_less() {
        let status = ("proc/self/status", "VmSize:\t  6 kB\n");
        let limit =
            |soft: &str| format!("Max cpu time  1 2 seconds\nMax address space         {soft}   unlimited  bytes\n");
        assert_eq!(available(&[MACHINE, status, ("proc/self/limits", &limit("10240"))]), Some(2048));
        assert_eq!(available(&[MACHINE, status, ("proc/self/limits", &limit("unlimited"))]), Some(8000 * 1024));
        let (status, limits) =
            (("proc/self/status", "VmData:\t  2 kB\n"), ("proc/self/limits", "Max data size 6144 1 bytes\n"));
        assert_eq!(available(&[MACHINE, status, limits]), Some(2048));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn linux_knows_all_three() {
        let now = resident_memory().unwrap();
        let peak = peak_memory().unwrap();
        assert!(0 < now && now <= peak, "{now} {peak}");
        assert!(available_memory().unwrap() > 0);
    }
}
