//! `cargo xtask bench --processors`: the newest figures of each processor side by side, from the records.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::comparison::{self, PeerRow, Row};
use super::record;
use crate::invocation::Runner;

/// A record of `--peers`.
#[derive(Debug)]
struct Run {
    name: String,
    processor: String,
    rows: Vec<Row>,
}

pub(super) fn run(runner: &Runner) -> Result<()> {
    let folder = runner.root().join("benches/runs");
    let runs = read(&folder).with_context(|| format!("cannot read the records in `{}`", folder.display()))?;
    print!("{}", table(&runs));
    Ok(())
}

/// The records of `--peers` among those in `folder`, the oldest first.
fn read(folder: &Path) -> Result<Vec<Run>> {
    let mut runs = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let csv = fs::read_to_string(entry.path().join("raw.csv")).with_context(|| format!("of `{name}`"))?;
        let Some((lines, compile)) = record::read(&csv).with_context(|| format!("of `{name}`"))? else { continue };
        let readme = fs::read_to_string(entry.path().join("README.md")).with_context(|| format!("of `{name}`"))?;
        let processor = processor(&readme).with_context(|| format!("`{name}/README.md` names no machine"))?.to_owned();
        runs.push(Run { name, processor, rows: comparison::rows(&lines, compile) });
    }
    runs.sort_by_key(|run| age(&run.name));
    Ok(runs)
}

/// The name without the number of the run, and that number, so that the tenth is behind the second.
fn age(name: &str) -> (String, u32) {
    let numbered = name.rsplit_once('-').and_then(|(first, last)| Some((first.to_owned(), last.parse().ok()?)));
    numbered.unwrap_or_else(|| (name.to_owned(), 1))
}

/// The processor on which a record was made, as its README names it.
fn processor(readme: &str) -> Option<&str> {
    let machine = readme.lines().find_map(|line| line.strip_prefix("- Machine: "))?;
    let cores = machine.find(" cores")?;
    Some(machine[..cores].rsplit_once(", ")?.0)
}

/// What is compared: case, type, device, the other library, and whether it was compiled.
type Key<'a> = (&'a str, &'a str, &'a str, Option<(&'a str, bool)>);

fn key(row: &Row) -> Key<'_> {
    let peer = row.peer.as_ref().map(|it| (it.peer.as_str(), it.compile));
    (&row.case, &row.dtype, &row.device, peer)
}

/// A line for what was compared, and for each processor the newest figures.
fn table(runs: &[Run]) -> String {
    let mut processors: Vec<&str> = Vec::new();
    let mut keys: Vec<Key> = Vec::new();
    for run in runs {
        if !processors.contains(&run.processor.as_str()) {
            processors.push(&run.processor);
        }
        for key in run.rows.iter().map(key) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
    }
    // In the order of their first measurement, but all of a case together.
    let first = |case: &str| keys.iter().position(|key| key.0 == case);
    let mut sorted = keys.clone();
    sorted.sort_by_key(|key| first(key.0));

    let mut text = "| case | dtype | device | beside |".to_owned();
    for processor in &processors {
        let _ = write!(text, " {processor}: ms | its ms | ratio |");
    }
    let _ = writeln!(text, "\n| --- | --- | --- | --- |{}", " ---: | ---: | ---: |".repeat(processors.len()));
    let mut used = BTreeSet::new();
    for key @ (case, dtype, device, peer) in sorted {
        let compiled = if peer.is_some_and(|(_, compiled)| compiled) { ", compiled" } else { "" };
        let _ = write!(text, "| {case} | {dtype} | {device} | {}{compiled} |", peer.map_or("–", |(name, _)| name));
        for processor in &processors {
            let of = |run: &&Run| run.processor == *processor && run.rows.iter().any(|row| self::key(row) == key);
            let newest = runs.iter().rfind(of);
            used.extend(newest.map(|run| (*processor, run.name.as_str())));
            let row = newest.and_then(|run| run.rows.iter().find(|row| self::key(row) == key));
            match row.map(|row| (row.ms, row.peer.as_ref())) {
                None => text.push_str(" – | – | – |"),
                Some((ms, None)) => _ = write!(text, " {ms:.1} | – | – |"),
                Some((ms, Some(PeerRow { peer_ms, ratio, .. }))) => {
                    let _ = write!(text, " {ms:.1} | {peer_ms:.1} | {ratio:.2} |");
                }
            }
        }
        text.push('\n');
    }
    text.push('\n');
    for (processor, name) in used {
        let _ = writeln!(text, "- {processor}: `benches/runs/{name}`");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::comparison::samples::{ours, torch};
    use super::*;

    fn run(name: &str, processor: &str, ms: f64) -> Run {
        let rows = comparison::rows(&[torch(200.0, 900), ours("flex", ms, 70)], false);
        Run { name: name.into(), processor: processor.into(), rows }
    }

    #[test]
    fn the_newest_figures_of_each_processor_are_side_by_side() {
        let mut runs = vec![run("a-peers", "AMD EPYC", 160.0), run("b-peers", "Intel", 50.0)];
        runs.push(run("a-peers-2", "AMD EPYC", 100.0));
        let text = table(&runs);
        assert!(text.contains("| AMD EPYC: ms | its ms | ratio | Intel: ms |"), "{text}");
        assert!(
            text.contains("| mha/forward | f32 | flex | torch | 100.0 | 200.0 | 2.00 | 50.0 | 200.0 | 4.00 |"),
            "{text}"
        );
        assert!(text.contains("- AMD EPYC: `benches/runs/a-peers-2`"), "{text}");
        assert!(!text.contains("`benches/runs/a-peers`"), "{text}");
    }

    #[test]
    fn what_one_processor_lacks_is_a_dash() {
        let mut other = run("b", "Intel", 50.0);
        other.rows[0].case = "embed".into();
        let text = table(&[run("a", "AMD EPYC", 100.0), other]);
        assert!(text.contains("| 100.0 | 200.0 | 2.00 | – | – | – |"), "{text}");
        assert!(text.contains("| embed | f32 | flex | torch | – | – | – | 50.0 |"), "{text}");
    }

    #[test]
    fn the_tenth_run_is_behind_the_second() {
        let mut names = ["2026-01-01-x-2core-peers-10", "2026-01-01-x-2core-peers", "2026-01-01-x-2core-peers-2"];
        names.sort_by_key(|name| age(name));
        assert_eq!(names, ["2026-01-01-x-2core-peers", "2026-01-01-x-2core-peers-2", "2026-01-01-x-2core-peers-10"]);
    }

    #[test]
    fn the_processor_is_what_the_record_says() {
        let readme = "# Beside\n\n- Machine: Intel(R) Xeon(R), 2.1 GHz, 2 cores, linux x86_64; load average 1\n";
        assert_eq!(processor(readme), Some("Intel(R) Xeon(R), 2.1 GHz"));
        assert_eq!(processor("- State: commit"), None);
    }

    #[test]
    fn the_records_of_this_repository_are_read() {
        let runs = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../benches/runs")).expect("they are readable");
        assert!(runs.iter().any(|run| run.name == "2026-11-24-amd-epyc-2core-peers-7"), "{runs:?}");
        assert!(table(&runs).contains("| embed-one | f32 | flex | torch |"));
    }
}
