//! A run that is kept in `benches/runs/`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::comparison::Line;

/// Every figure of a run: the number of the round and what was printed in it.
pub(super) fn csv(measured: &[(u32, Line)], compile: bool) -> String {
    let mut text = "round,peer,case,device,dtype,compile,ms,min,max,tokens_per_s,peak_rss_mib,threads\n".to_owned();
    for (round, line) in measured {
        let Line { peer, case, dtype, ms, min, max, tokens_per_s, threads, .. } = line;
        let device = line.device.as_deref().unwrap_or("cpu");
        let compile = compile && line.device.is_none();
        let mib = line.peak_rss_mib.map(|mib| mib.to_string()).unwrap_or_default();
        let _ = writeln!(
            text,
            "{round},{peer},{case},{device},{dtype},{compile},{ms},{min},{max},{tokens_per_s},{mib},{threads}"
        );
    }
    text
}

/// Writes README.md and raw.csv into a new folder of `runs`, called `name` or, if there is one, `name-2` and so on.
///
/// # Errors
/// If the disk fails.
pub(super) fn keep(runs: &Path, name: &str, readme: &str, csv: &str) -> Result<PathBuf> {
    let names = std::iter::once(name.to_owned()).chain((2..).map(|n| format!("{name}-{n}")));
    let folder = names.map(|name| runs.join(name)).find(|folder| !folder.exists()).expect("names do not end");
    let write = |file: &str, text: &str| fs::write(folder.join(file), text);
    fs::create_dir_all(&folder)
        .and_then(|()| write("README.md", readme))
        .and_then(|()| write("raw.csv", csv))
        .with_context(|| format!("cannot write into `{}`", folder.display()))?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::super::comparison::samples;
    use super::*;

    #[test]
    fn every_line_is_a_row_of_the_table() {
        let ours = Line { peak_rss_mib: None, ..samples::ours("flex", 10.0, 70) };
        let csv = csv(&[(3, samples::torch(150.0, 900)), (3, ours)], true);
        let rows: Vec<&str> = csv.lines().collect();
        assert_eq!(rows[1], "3,torch,mha/forward,cpu,f32,true,150,149,151,40000,900,2");
        assert_eq!(rows[2], "3,burnformer,mha/forward,flex,f32,false,10,9,11,600000,,2");
        assert!(rows.iter().all(|row| row.split(',').count() == 12), "{csv}");
    }

    #[test]
    fn a_run_does_not_overwrite_another() {
        let runs = std::env::temp_dir().join(format!("xtask-runs-{}", std::process::id()));
        let folders: Vec<_> =
            ["first", "second", "third"].map(|text| keep(&runs, "today", text, "").unwrap()).into_iter().collect();
        let read = |folder: &PathBuf| fs::read_to_string(folder.join("README.md")).unwrap();
        assert_eq!(folders, ["today", "today-2", "today-3"].map(|name| runs.join(name)));
        assert_eq!(folders.iter().map(read).collect::<Vec<_>>(), ["first", "second", "third"]);
        fs::remove_dir_all(runs).unwrap();
    }
}
