//! What both sides have measured, and how it compares.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// A line that either side prints for a pass of a case.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(super) struct Line {
    pub(super) peer: String,
    pub(super) case: String,
    /// PyTorch names none: it is on the CPU.
    pub(super) device: Option<String>,
    pub(super) dtype: String,
    /// Milliseconds, the median of the runs in one process.
    pub(super) ms: f64,
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) tokens_per_s: f64,
    pub(super) peak_rss_mib: Option<u64>,
    pub(super) threads: u32,
    /// The version of PyTorch, if it is that.
    pub(super) torch: Option<String>,
}

/// The lines that a process printed.
///
/// # Errors
/// If one is no such line.
pub(super) fn lines(output: &str) -> Result<Vec<Line>> {
    let line = |line| serde_json::from_str(line).with_context(|| format!("cannot read the line `{line}`"));
    output.lines().map(line).collect()
}

/// A pass of a case on one device, beside PyTorch where that was measured. The fields are those of `--format json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Row {
    case: String,
    device: String,
    dtype: String,
    /// `true` where PyTorch was compiled.
    compile: bool,
    /// Median over the rounds.
    ms: f64,
    torch_ms: Option<f64>,
    /// How many times as fast as PyTorch ours is.
    ratio: Option<f64>,
    /// The most of all rounds.
    peak_rss_mib: Option<u64>,
    torch_peak_rss_mib: Option<u64>,
}

/// A row for each case, type and device, in the order in which they were first measured.
pub(super) fn rows(lines: &[Line], compile: bool) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for first in lines {
        let Some(device) = &first.device else { continue };
        if rows.iter().any(|row| (&row.case, &row.device, &row.dtype) == (&first.case, device, &first.dtype)) {
            continue;
        }
        let of = |device: Option<&String>| -> Vec<&Line> {
            let same = |line: &&Line| (&line.case, &line.dtype) == (&first.case, &first.dtype);
            lines.iter().filter(same).filter(|line| line.device.as_ref() == device).collect()
        };
        let (ours, torch) = (of(Some(device)), of(None));
        let ms = median(&ours).unwrap_or(f64::NAN);
        let torch_ms = median(&torch);
        rows.push(Row {
            case: first.case.clone(),
            device: device.clone(),
            dtype: first.dtype.clone(),
            compile,
            ms,
            torch_ms,
            ratio: torch_ms.map(|torch_ms| (torch_ms / ms * 1e3).round() / 1e3),
            peak_rss_mib: ours.iter().filter_map(|line| line.peak_rss_mib).max(),
            torch_peak_rss_mib: torch.iter().filter_map(|line| line.peak_rss_mib).max(),
        });
    }
    rows
}

fn median(lines: &[&Line]) -> Option<f64> {
    let mut ms: Vec<f64> = lines.iter().map(|line| line.ms).collect();
    ms.sort_by(f64::total_cmp);
    let middle = [ms.len().checked_sub(1)? / 2, ms.len() / 2];
    Some((middle.iter().map(|&index| ms[index]).sum::<f64>() / 2.0 * 100.0).round() / 100.0)
}

/// The rows as a table in Markdown that is also one for the eye.
pub(super) fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| case                  | device  | dtype |       ms | PyTorch ms | ratio |    MiB | PyTorch MiB |\n\
         | --------------------- | ------- | ----- | -------: | ---------: | ----: | -----: | ----------: |\n",
    );
    let shown = |value: Option<f64>, decimals| value.map_or_else(|| "–".into(), |value| format!("{value:.decimals$}"));
    let mib = |value: Option<u64>| value.map_or_else(|| "–".into(), |value| value.to_string());
    for row in rows {
        let _ = writeln!(
            text,
            "| {:<21} | {:<7} | {:<5} | {:>8.1} | {:>10} | {:>5} | {:>6} | {:>11} |",
            row.case,
            row.device,
            row.dtype,
            row.ms,
            shown(row.torch_ms, 1),
            shown(row.ratio, 2),
            mib(row.peak_rss_mib),
            mib(row.torch_peak_rss_mib),
        );
    }
    text
}

/// Lines for tests.
#[cfg(test)]
pub(super) mod samples {
    use super::Line;

    pub(crate) fn ours(device: &str, ms: f64, peak_rss_mib: u64) -> Line {
        Line {
            peer: "burnformer".into(),
            case: "mha/forward".into(),
            device: Some(device.into()),
            dtype: "f32".into(),
            ms,
            min: ms - 1.0,
            max: ms + 1.0,
            tokens_per_s: 6e6 / ms,
            peak_rss_mib: Some(peak_rss_mib),
            threads: 2,
            torch: None,
        }
    }

    pub(crate) fn torch(ms: f64, peak_rss_mib: u64) -> Line {
        Line { peer: "torch".into(), device: None, torch: Some("2.15.0".into()), ..ours("", ms, peak_rss_mib) }
    }
}

#[cfg(test)]
mod tests {
    use super::samples::{ours, torch};
    use super::*;

    #[test]
    fn lines_of_both_sides_are_read() {
        let figures = r#""ms": 150.5, "min": 149.5, "max": 151.5, "tokens_per_s": 40000, "threads": 2"#;
        let output = [
            format!(r#"{{"peer": "torch", "case": "mha/forward", "dtype": "f32", {figures}, "torch": "2.15.0"}}"#),
            format!(
                r#"{{"device": "wgpu:1", "peer": "us", "case": "a", "dtype": "bf16", {figures}, "peak_rss_mib": 70}}"#
            ),
        ];
        let lines = lines(&output.join("\n")).expect("both are lines");
        assert_eq!(lines[0].torch.as_deref(), Some("2.15.0"));
        assert_eq!((lines[0].ms, lines[0].peak_rss_mib, &lines[0].device), (150.5, None, &None));
        assert_eq!((lines[1].device.as_deref(), lines[1].dtype.as_str()), (Some("wgpu:1"), "bf16"));
        assert_eq!((lines[1].peak_rss_mib, lines[1].threads), (Some(70), 2));
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
        assert_eq!((row.ms, row.torch_ms, row.ratio), (130.0, Some(300.0), Some(2.308)));
        assert_eq!((row.peak_rss_mib, row.torch_peak_rss_mib), (Some(70), Some(950)));
    }

    #[test]
    fn rows_are_apart_by_device_type_and_case() {
        let other_type = Line { dtype: "bf16".into(), ..ours("flex", 50.0, 70) };
        let other_case = Line { case: "long/forward+backward".into(), ..ours("flex", 800.0, 70) };
        let measured = [torch(200.0, 900), ours("flex", 100.0, 70), ours("ndarray", 400.0, 70), other_type, other_case];
        let rows = rows(&measured, false);
        let ratios: Vec<_> = rows.iter().map(|row| (row.case.as_str(), row.device.as_str(), row.ratio)).collect();
        assert_eq!(
            ratios,
            [
                ("mha/forward", "flex", Some(2.0)),
                ("mha/forward", "ndarray", Some(0.5)),
                ("mha/forward", "flex", None),
                ("long/forward+backward", "flex", None),
            ]
        );
    }

    #[test]
    fn json_has_the_fields_that_are_promised() {
        let row = &rows(&[torch(200.0, 900), ours("flex", 100.0, 70)], true)[0];
        let expected = concat!(
            r#"{"case":"mha/forward","device":"flex","dtype":"f32","compile":true,"ms":100.0,"torch_ms":200.0,"#,
            r#""ratio":2.0,"peak_rss_mib":70,"torch_peak_rss_mib":900}"#
        );
        assert_eq!(serde_json::to_string(row).unwrap(), expected);
    }

    #[test]
    fn the_table_has_a_line_for_each_row_and_dashes_for_what_was_not_measured() {
        let text = table(&rows(&[ours("flex", 100.25, 70)], false));
        assert_eq!(
            text.lines().last(),
            Some("| mha/forward           | flex    | f32   |    100.2 |          – |     – |     70 |           – |")
        );
        let widths: Vec<usize> = text.lines().map(|line| line.chars().count()).collect();
        assert!(widths.iter().all(|width| *width == widths[0]), "{text}");
    }
}
