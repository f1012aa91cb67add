//! What both sides have measured, and how it compares.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::peer::Peer;

/// Our own name in the lines.
pub(super) const OURS: &str = "burnformer";

/// What one process measured for a pass of a case; most print it themselves.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(super) struct Line {
    /// The library.
    pub(super) peer: String,
    /// Its version, if it is not ours.
    pub(super) version: Option<String>,
    pub(super) case: String,
    /// The device of our side; the others are on the CPU.
    pub(super) device: Option<String>,
    pub(super) dtype: String,
    /// Milliseconds, the median of the runs in one process.
    pub(super) ms: f64,
    pub(super) min: f64,
    pub(super) max: f64,
    /// Nothing where the work is none with tokens.
    pub(super) tokens_per_s: Option<f64>,
    pub(super) peak_rss_mib: Option<u64>,
    /// Nothing where a program takes as many as it likes.
    pub(super) threads: Option<u32>,
}

/// The lines that a process printed.
///
/// # Errors
/// If one is no such line.
pub(super) fn lines(output: &str) -> Result<Vec<Line>> {
    let line = |line| serde_json::from_str(line).with_context(|| format!("cannot read the line `{line}`"));
    output.lines().map(line).collect()
}

/// A pass of a case on one device, beside another library where that was measured. The fields are those of `--format json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Row {
    pub(super) case: String,
    pub(super) device: String,
    pub(super) dtype: String,
    /// Median over the rounds.
    pub(super) ms: f64,
    /// The most of all rounds.
    pub(super) peak_rss_mib: Option<u64>,
    #[serde(flatten)]
    pub(super) peer: Option<PeerRow>,
}

/// The same work in another library.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct PeerRow {
    pub(super) peer: String,
    /// `true` where `torch.compile` was used.
    pub(super) compile: bool,
    pub(super) peer_ms: f64,
    /// How many times as fast as it ours is.
    pub(super) ratio: f64,
    pub(super) peer_peak_rss_mib: Option<u64>,
}

/// A row for each case, type, device and other library, in the order in which they were first measured.
pub(super) fn rows(lines: &[Line], compile: bool) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for first in lines {
        let Some(device) = &first.device else { continue };
        if rows.iter().any(|row| (&row.case, &row.device, &row.dtype) == (&first.case, device, &first.dtype)) {
            continue;
        }
        let same: Vec<&Line> =
            lines.iter().filter(|line| (&line.case, &line.dtype) == (&first.case, &first.dtype)).collect();
        let ours: Vec<&Line> = same.iter().copied().filter(|line| line.device.as_ref() == Some(device)).collect();
        let ms = middle(&ours);
        let row = Row {
            case: first.case.clone(),
            device: device.clone(),
            dtype: first.dtype.clone(),
            ms,
            peak_rss_mib: most_memory(&ours),
            peer: None,
        };
        let beside = |peer: Peer| {
            let theirs: Vec<&Line> = same.iter().copied().filter(|line| line.peer == peer.name()).collect();
            let peer_ms = middle(&theirs);
            (!theirs.is_empty()).then(|| PeerRow {
                peer: peer.name().into(),
                compile: compile && peer == Peer::Torch,
                peer_ms,
                ratio: (peer_ms / ms * 1e3).round() / 1e3,
                peer_peak_rss_mib: most_memory(&theirs),
            })
        };
        let peers: Vec<PeerRow> = Peer::ALL.into_iter().filter_map(beside).collect();
        if peers.is_empty() {
            rows.push(row);
        } else {
            rows.extend(peers.into_iter().map(|peer| Row { peer: Some(peer), ..row.clone() }));
        }
    }
    rows
}

fn middle(lines: &[&Line]) -> f64 {
    median(&lines.iter().map(|line| line.ms).collect::<Vec<_>>())
}

/// The median, to the hundredth; not a number if there is none.
pub(super) fn median(values: &[f64]) -> f64 {
    if values.is_empty() {
        return f64::NAN;
    }
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let sum = values[(values.len() - 1) / 2] + values[values.len() / 2];
    (sum / 2.0 * 100.0).round() / 100.0
}

fn most_memory(lines: &[&Line]) -> Option<u64> {
    lines.iter().filter_map(|line| line.peak_rss_mib).max()
}

/// The rows as a table in Markdown that is also one for the eye.
pub(super) fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| case                  | device  | dtype |       ms |    MiB | beside      |  its ms | ratio | its MiB |\n\
         | --------------------- | ------- | ----- | -------: | -----: | ----------- | ------: | ----: | ------: |\n",
    );
    let mib = |value: Option<u64>| value.map_or_else(|| "–".into(), |value| value.to_string());
    for Row { case, device, dtype, ms, peak_rss_mib, peer } in rows {
        let [name, peer_ms, ratio, peer_mib] = match peer {
            None => ["–".to_owned(), "–".into(), "–".into(), "–".into()],
            Some(it) => {
                [it.peer.clone(), format!("{:.1}", it.peer_ms), format!("{:.2}", it.ratio), mib(it.peer_peak_rss_mib)]
            }
        };
        let peak = mib(*peak_rss_mib);
        let _ = writeln!(
            text,
            "| {case:<21} | {device:<7} | {dtype:<5} | {ms:>8.1} | {peak:>6} | {name:<11} | {peer_ms:>7} | {ratio:>5} | {peer_mib:>7} |",
        );
    }
    text
}

/// Lines for tests.
#[cfg(test)]
pub(super) mod samples {
    use super::{Line, OURS};

    pub(crate) fn ours(device: &str, ms: f64, peak_rss_mib: u64) -> Line {
        Line {
            peer: OURS.into(),
            version: None,
            case: "mha/forward".into(),
            device: Some(device.into()),
            dtype: "f32".into(),
            ms,
            min: ms - 1.0,
            max: ms + 1.0,
            tokens_per_s: Some(6e6 / ms),
            peak_rss_mib: Some(peak_rss_mib),
            threads: Some(2),
        }
    }

    pub(crate) fn torch(ms: f64, peak_rss_mib: u64) -> Line {
        peer("torch", ms, peak_rss_mib)
    }

    pub(crate) fn peer(name: &str, ms: f64, peak_rss_mib: u64) -> Line {
        Line { peer: name.into(), device: None, version: Some("2.15.0".into()), ..ours("", ms, peak_rss_mib) }
    }
}

#[cfg(test)]
mod tests {
    use super::samples::{ours, peer, torch};
    use super::*;

    #[test]
    fn lines_of_both_sides_are_read() {
        let figures = r#""ms": 150.5, "min": 149.5, "max": 151.5, "tokens_per_s": 40000, "threads": 2"#;
        let output = [
            format!(r#"{{"peer": "torch", "case": "mha/forward", "dtype": "f32", {figures}, "version": "2.15.0"}}"#),
            format!(
                r#"{{"device": "wgpu:1", "peer": "us", "case": "a", "dtype": "bf16", {figures}, "peak_rss_mib": 70}}"#
            ),
        ];
        let lines = lines(&output.join("\n")).expect("both are lines");
        assert_eq!(lines[0].version.as_deref(), Some("2.15.0"));
        assert_eq!((lines[0].ms, lines[0].peak_rss_mib, &lines[0].device), (150.5, None, &None));
        assert_eq!((lines[1].device.as_deref(), lines[1].dtype.as_str()), (Some("wgpu:1"), "bf16"));
        assert_eq!((lines[1].peak_rss_mib, lines[1].threads), (Some(70), Some(2)));
    }

    #[test]
    fn an_unknown_line_is_named() {
        let error = lines("Segmentation fault").expect_err("that is no line").to_string();
        assert!(error.contains("`Segmentation fault`"), "{error}");
    }

    #[test]
    fn rows_have_medians_over_the_rounds_and_the_most_memory() {
        let measured = [
            torch(300.0, 900),
            ours("flex", 100.0, 70),
            torch(200.0, 950),
            ours("flex", 160.0, 65),
            torch(9000.0, 940),
        ];
        let row = &rows(&measured, false)[0];
        let beside = row.peer.as_ref().expect("PyTorch was measured");
        assert_eq!((row.ms, beside.peer_ms, beside.ratio), (130.0, 300.0, 2.308));
        assert_eq!((row.peak_rss_mib, beside.peer_peak_rss_mib), (Some(70), Some(950)));
    }

    #[test]
    fn rows_are_apart_by_device_type_case_and_library() {
        let other_type = Line { dtype: "bf16".into(), ..ours("flex", 50.0, 70) };
        let other_case = Line { case: "long/forward+backward".into(), ..ours("flex", 800.0, 70) };
        let onnxruntime = peer("onnxruntime", 120.0, 300);
        let measured = [
            torch(200.0, 900),
            onnxruntime,
            ours("flex", 100.0, 70),
            ours("ndarray", 400.0, 70),
            other_type,
            other_case,
        ];
        let found: Vec<_> = rows(&measured, false)
            .into_iter()
            .map(|row| (row.case, row.device, row.peer.map(|it| (it.peer, it.ratio))))
            .collect();
        let row = |case: &str, device: &str, peer: Option<(&str, f64)>| {
            (case.to_owned(), device.to_owned(), peer.map(|(name, ratio)| (name.to_owned(), ratio)))
        };
        assert_eq!(
            found,
            [
                row("mha/forward", "flex", Some(("torch", 2.0))),
                row("mha/forward", "flex", Some(("onnxruntime", 1.2))),
                row("mha/forward", "ndarray", Some(("torch", 0.5))),
                row("mha/forward", "ndarray", Some(("onnxruntime", 0.3))),
                row("mha/forward", "flex", None),
                row("long/forward+backward", "flex", None),
            ]
        );
    }

    #[test]
    fn json_has_the_fields_that_are_promised() {
        let row = &rows(&[torch(200.0, 900), ours("flex", 100.0, 70)], true)[0];
        let expected = concat!(
            r#"{"case":"mha/forward","device":"flex","dtype":"f32","ms":100.0,"peak_rss_mib":70,"peer":"torch","#,
            r#""compile":true,"peer_ms":200.0,"ratio":2.0,"peer_peak_rss_mib":900}"#
        );
        assert_eq!(serde_json::to_string(row).unwrap(), expected);
    }

    #[test]
    fn the_table_has_a_line_for_each_row_and_dashes_for_what_was_not_measured() {
        let text = table(&rows(&[ours("flex", 100.25, 70)], false));
        assert_eq!(
            text.lines().last(),
            Some(
                "| mha/forward           | flex    | f32   |    100.2 |     70 | –           |       – |     – |       – |"
            )
        );
        let text = table(&rows(&[ours("flex", 100.0, 70), peer("ctranslate2", 150.0, 300)], false));
        let widths: Vec<usize> = text.lines().map(|line| line.chars().count()).collect();
        assert!(widths.iter().all(|width| *width == widths[0]), "{text}");
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_two() {
        assert_eq!(median(&[4.0, 1.0, 2.0, 9.0]), 3.0);
        assert!(median(&[]).is_nan());
    }
}
