//! The processors of a process, and those it shares with other ranks.

use std::fs;
use std::num::NonZero;
use std::thread;

/// The processors that this process may run on, as Linux lists them: `0-3,8`. Absent where the system does not tell.
pub(crate) fn allowed() -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| Some(line.strip_prefix("Cpus_allowed_list:")?.trim().to_owned()))
}

/// The number of threads for the rank whose processors are `own`, where the ranks of its host have those in `all`: what it has
/// for itself, and its part of what it shares with others.
pub(crate) fn threads(own: Option<&String>, all: &[Option<String>]) -> usize {
    let available = thread::available_parallelism().map_or(1, NonZero::get);
    let sharing = all.iter().filter(|other| other.as_ref() == own).count();
    (available / sharing.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_with_the_same_processors_share_them() {
        let available = thread::available_parallelism().map_or(1, NonZero::get);
        let [own, other] = ["0-3", "4-7"].map(|list| Some(list.to_owned()));
        // Each is bound to its own.
        assert_eq!(threads(own.as_ref(), &[own.clone(), other.clone()]), available);
        // None is.
        assert_eq!(threads(own.as_ref(), &[own.clone(), own.clone()]), (available / 2).max(1));
        assert_eq!(threads(None, &vec![None; 2 * available]), 1);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn linux_tells_the_processors() {
        let allowed = allowed().unwrap();
        assert!(allowed.starts_with(|it: char| it.is_ascii_digit()), "{allowed}");
    }
}
