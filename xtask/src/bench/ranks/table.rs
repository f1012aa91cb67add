//! What processes that share a batch have measured, and how they compare.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// Whose training it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Side {
    Burnformer,
    Torch,
}

impl Side {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Burnformer => "burnformer",
            Self::Torch => "torch",
        }
    }
}

/// The steps of one run.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(super) struct Steps {
    /// Milliseconds of a step, the median of the timed ones.
    pub(super) ms: f64,
    pub(super) min: f64,
    pub(super) max: f64,
    /// Of the first process.
    pub(super) peak_rss_mib: Option<u64>,
    /// Share of the time that the first process sends, receives and waits, where that was measured.
    pub(super) communication: Option<f64>,
    /// The version of PyTorch, if it is that.
    pub(super) torch: Option<String>,
}

/// What was measured in a round.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) round: u32,
    pub(super) size: &'static str,
    pub(super) side: Side,
    pub(super) ranks: u32,
    pub(super) threads: u32,
    pub(super) steps: Steps,
}

/// Every figure of a run.
pub(super) fn csv(lines: &[Line]) -> String {
    let mut text = "round,size,peer,ranks,threads,ms,min,max,communication,peak_rss_mib\n".to_owned();
    for Line { round, size, side, ranks, threads, steps } in lines {
        let Steps { ms, min, max, peak_rss_mib, communication, .. } = steps;
        let share = communication.map(|share| share.to_string()).unwrap_or_default();
        let mib = peak_rss_mib.map(|mib| mib.to_string()).unwrap_or_default();
        let _ = writeln!(text, "{round},{size},{},{ranks},{threads},{ms},{min},{max},{share},{mib}", side.name());
    }
    text
}

/// The runs of one size, side and number of processes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Row {
    size: &'static str,
    peer: Side,
    ranks: u32,
    threads: u32,
    /// Median over the rounds.
    ms: f64,
    /// How many times as fast as one process of one thread.
    speedup: Option<f64>,
    /// How many times as fast as one process of as many threads as all processes have.
    against_threads: Option<f64>,
    /// How many times as fast as PyTorch's row of the same kind; ours alone.
    against_torch: Option<f64>,
    communication: Option<f64>,
    /// The most of all rounds.
    peak_rss_mib: Option<u64>,
}

/// A row for each size, side and number of processes, in the order in which they were first measured.
pub(super) fn rows(lines: &[Line]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for &Line { size, side, ranks, threads, .. } in lines {
        if rows.iter().any(|row| (row.size, row.peer, row.ranks, row.threads) == (size, side, ranks, threads)) {
            continue;
        }
        let of = |side, ranks, threads| {
            let same =
                move |line: &&Line| (line.size, line.side, line.ranks, line.threads) == (size, side, ranks, threads);
            lines.iter().filter(same).map(|line| &line.steps)
        };
        let ms_of = |side, ranks, threads| median(of(side, ranks, threads).map(|steps| steps.ms).collect());
        let ms = ms_of(side, ranks, threads).unwrap_or(f64::NAN);
        let faster = |other: Option<f64>| other.map(|other| (other / ms * 1e3).round() / 1e3);
        let all_threads = ranks * threads;
        rows.push(Row {
            size,
            peer: side,
            ranks,
            threads,
            ms,
            speedup: faster(ms_of(side, 1, 1).filter(|_| all_threads > 1)),
            against_threads: faster(ms_of(side, 1, all_threads).filter(|_| ranks > 1)),
            against_torch: faster(ms_of(Side::Torch, ranks, threads).filter(|_| side != Side::Torch)),
            communication: median(of(side, ranks, threads).filter_map(|steps| steps.communication).collect()),
            peak_rss_mib: of(side, ranks, threads).filter_map(|steps| steps.peak_rss_mib).max(),
        });
    }
    rows
}

pub(super) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = [values.len().checked_sub(1)? / 2, values.len() / 2];
    Some(middle.iter().map(|&index| values[index]).sum::<f64>() / 2.0)
}

/// The rows as a table in Markdown that is also one for the eye.
pub(super) fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| size      | peer       | ranks × threads |      ms | against 1 × 1 | against 1 × 2 | against PyTorch | communication |   MiB |\n\
         | --------- | ---------- | --------------- | ------: | ------------: | ------------: | --------------: | ------------: | ----: |\n",
    );
    let shown = |value: Option<f64>| value.map_or_else(|| "–".into(), |value| format!("{value:.2}"));
    for row in rows {
        let _ = writeln!(
            text,
            "| {:<9} | {:<10} | {:<15} | {:>7.0} | {:>13} | {:>13} | {:>15} | {:>13} | {:>5} |",
            row.size,
            row.peer.name(),
            format!("{} × {}", row.ranks, row.threads),
            row.ms,
            shown(row.speedup),
            shown(row.against_threads),
            shown(row.against_torch),
            row.communication.map_or_else(|| "–".into(), |share| format!("{:.1} %", 100.0 * share)),
            row.peak_rss_mib.map_or_else(|| "–".into(), |mib| mib.to_string()),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(side: Side, ranks: u32, threads: u32, ms: f64) -> Line {
        let communication = (ranks > 1).then_some(0.0321);
        let steps = Steps { ms, min: ms, max: ms, peak_rss_mib: Some(70), communication, torch: None };
        Line { round: 1, size: "bert-mini", side, ranks, threads, steps }
    }

    fn measured() -> Vec<Line> {
        vec![
            line(Side::Torch, 1, 1, 3000.0),
            line(Side::Burnformer, 1, 1, 1000.0),
            line(Side::Burnformer, 1, 2, 550.0),
            line(Side::Torch, 2, 1, 1500.0),
            line(Side::Burnformer, 2, 1, 450.0),
            line(Side::Burnformer, 2, 1, 550.0),
        ]
    }

    #[test]
    fn two_ranks_are_compared_with_one_with_as_many_threads_and_with_pytorch() {
        let rows = rows(&measured());
        let ratios: Vec<_> =
            rows.iter().map(|row| (row.peer, row.ranks, row.speedup, row.against_threads, row.against_torch)).collect();
        assert_eq!(
            ratios,
            [
                (Side::Torch, 1, None, None, None),
                (Side::Burnformer, 1, None, None, Some(3.0)),
                (Side::Burnformer, 1, Some(1.818), None, None),
                (Side::Torch, 2, Some(2.0), None, None),
                (Side::Burnformer, 2, Some(2.0), Some(1.1), Some(3.0)),
            ]
        );
    }

    #[test]
    fn the_table_has_a_line_for_each_row() {
        let text = table(&rows(&measured()));
        assert_eq!(
            text.lines().last(),
            Some(
                "| bert-mini | burnformer | 2 × 1           |     500 |          2.00 |          1.10 |            3.00 |         3.2 % |    70 |"
            )
        );
        let widths: Vec<usize> = text.lines().map(|line| line.chars().count()).collect();
        assert!(widths.iter().all(|width| *width == widths[0]), "{text}");
    }

    #[test]
    fn every_run_is_a_row_of_the_file() {
        let csv = csv(&measured());
        assert_eq!(csv.lines().nth(1), Some("1,bert-mini,torch,1,1,3000,3000,3000,,70"));
        assert!(csv.lines().all(|row| row.split(',').count() == 10), "{csv}");
    }
}
