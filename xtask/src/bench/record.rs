//! A run that is kept in `benches/runs/`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::comparison::{Line, OURS};
use super::peer::Peer;

const HEADER: &str = "round,peer,case,device,dtype,compile,ms,min,max,tokens_per_s,peak_rss_mib,threads";

/// Every figure of a run: the number of the round and what was printed in it.
pub(super) fn csv(measured: &[(u32, Line)], compile: bool) -> String {
    let mut text = format!("{HEADER}\n");
    for (round, line) in measured {
        let Line { peer, case, dtype, ms, min, max, tokens_per_s, threads, .. } = line;
        let device = line.device.as_deref().unwrap_or("cpu");
        let compile = compile && peer == Peer::Torch.name();
        let [mib, threads, speed] = [
            line.peak_rss_mib.map(|mib| mib.to_string()),
            threads.map(|threads| threads.to_string()),
            tokens_per_s.map(|speed| speed.to_string()),
        ]
        .map(Option::unwrap_or_default);
        let _ =
            writeln!(text, "{round},{peer},{case},{device},{dtype},{compile},{ms},{min},{max},{speed},{mib},{threads}");
    }
    text
}

/// The lines of such a file, and whether PyTorch was compiled; nothing if it is a file of another kind.
///
/// # Errors
/// If a row is not one of this table.
pub(super) fn read(csv: &str) -> Result<Option<(Vec<Line>, bool)>> {
    let Some(rows) = csv.strip_prefix(HEADER) else { return Ok(None) };
    let (mut lines, mut is_compiled) = (Vec::new(), false);
    for row in rows.lines().skip(1) {
        let fields: Vec<&str> = row.split(',').collect();
        let [_, peer, case, device, dtype, compile, ms, min, max, speed, mib, threads] = fields[..] else {
            bail!("`{row}` has {} fields, expected 12", fields.len());
        };
        let number = |field: &str| field.parse().with_context(|| format!("`{field}` in `{row}` is no number"));
        let some = |field: &str| (!field.is_empty()).then(|| number(field)).transpose();
        is_compiled |= compile == "true";
        lines.push(Line {
            peer: peer.into(),
            version: None,
            case: case.into(),
            device: (peer == OURS).then(|| device.into()),
            dtype: dtype.into(),
            ms: number(ms)?,
            min: number(min)?,
            max: number(max)?,
            tokens_per_s: some(speed)?,
            peak_rss_mib: some(mib)?.map(|mib: f64| mib as u64),
            threads: some(threads)?.map(|threads: f64| threads as u32),
        });
    }
    Ok(Some((lines, is_compiled)))
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
    fn what_is_written_is_read() {
        let written = [samples::torch(150.0, 900), Line { threads: None, ..samples::ours("flex", 10.0, 70) }];
        let numbered: Vec<_> = written.iter().cloned().map(|line| (1, line)).collect();
        let (lines, is_compiled) = read(&csv(&numbered, true)).expect("it is read").expect("it is such a file");
        assert_eq!(lines, [Line { version: None, ..written[0].clone() }, written[1].clone()]);
        assert!(is_compiled);
        assert_eq!(read("turn,id\n1,a\n").expect("that is another file"), None);
        let error = read(&csv(&numbered, false).replace(",flex,", ",flex,a,")).expect_err("a field too many");
        assert!(error.to_string().contains("13 fields, expected 12"), "{error}");
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
