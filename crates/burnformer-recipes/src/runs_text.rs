//! Runs as text for people: a table, the settings that differ, and curves of characters.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use burnformer_reports::{RunComparison, RunCurve, RunEntry, RunsReport, SettingRow};
use indicatif::HumanDuration;

use crate::Report;
use crate::text::number;

/// Width and height of the curves, in characters.
const SIZE: (usize, usize) = (72, 16);
/// Marks of the runs in the curves, in their order.
const MARKS: &[u8; 26] = b"abcdefghijklmnopqrstuvwxyz";
/// Longest value of a setting that is shown whole.
const LONGEST: usize = 40;

impl Report for RunsReport {
    fn text(&self) -> String {
        let head = ["run", "recipe", "state", "step", "best", "last change"].map(str::to_owned).to_vec();
        let rows = self.runs.iter().map(row);
        let mut text = table(&std::iter::once(head).chain(rows).collect::<Vec<_>>());
        for damaged in &self.damaged {
            text += &format!("damaged: {}: {}\n", damaged.folder.display(), damaged.problem);
        }
        if let Some(comparison) = &self.comparison {
            text += &compared(&self.runs, comparison);
        }
        text
    }
}

/// A row of the table of runs.
fn row(run: &RunEntry) -> Vec<String> {
    let best = run.best.as_ref().and_then(|best| {
        let first = best.metrics.0.first()?;
        let chosen = best.metrics.0.iter().find(|(name, _)| best.chosen_by.as_ref() == Some(name));
        let shown = chosen.filter(|chosen| chosen.0 != first.0).into_iter().chain([first]);
        let shown: Vec<_> = shown.map(|(name, value)| format!("{name} {}", number(*value))).collect();
        Some(format!("{} at {}", shown.join(", "), best.step))
    });
    let age = run.modified_unix_s.and_then(|time| {
        let time = UNIX_EPOCH.checked_add(Duration::from_secs(time))?;
        Some(format!("{} ago", HumanDuration(SystemTime::now().duration_since(time).unwrap_or_default())))
    });
    vec![
        run.folder.display().to_string(),
        run.recipe.clone().unwrap_or_else(|| "unknown".to_owned()),
        run.state.name().to_owned(),
        format!("{} of {}", run.step, run.steps),
        best.unwrap_or_else(|| "-".to_owned()),
        age.unwrap_or_else(|| "-".to_owned()),
    ]
}

/// Settings and best values side by side, then the curves.
fn compared(runs: &[RunEntry], comparison: &RunComparison) -> String {
    let mark = |place: usize| char::from(MARKS[place % MARKS.len()]).to_string();
    let head = std::iter::once("setting".to_owned()).chain((0..runs.len()).map(mark)).collect();
    let setting = |SettingRow { key, values }: &SettingRow| {
        let value = |value: &Option<String>| value.as_deref().map_or_else(|| "-".to_owned(), shortened);
        std::iter::once(key.clone()).chain(values.iter().map(value)).collect()
    };
    let mut rows: Vec<Vec<String>> = vec![head];
    rows.extend(comparison.settings.iter().map(setting));
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in runs.iter().flat_map(|run| &run.best).flat_map(|best| &best.metrics.0) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    rows.extend(names.into_iter().map(|name| {
        let value = |run: &RunEntry| run.best.as_ref().and_then(|best| best.metrics.get(name)).map(number);
        let values = runs.iter().map(|run| value(run).unwrap_or_else(|| "-".to_owned()));
        std::iter::once(format!("best {name}")).chain(values).collect()
    }));
    let mut text = String::from("\n");
    for (place, run) in runs.iter().enumerate() {
        text += &format!("{}  {}\n", mark(place), run.folder.display());
    }
    text += &format!("\n{}", table(&rows));
    // A run has its mark whether or not the runs before it have a curve.
    let curves: Vec<(u8, &RunCurve)> = comparison
        .curves
        .iter()
        .filter_map(|curve| Some((runs.iter().position(|run| run.folder == curve.folder)?, curve)))
        .map(|(place, curve)| (MARKS[place % MARKS.len()], curve))
        .collect();
    text + &drawn(&curves)
}

/// A value of a setting in few characters.
fn shortened(value: &str) -> String {
    match value.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

/// Rows of cells in columns of the same width.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let n_columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let length = |cell: &String| cell.chars().count();
    let widths: Vec<usize> = (0..n_columns)
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(length).max().unwrap_or(0))
        .collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// The curves in one plot, each drawn with its mark; `*` where several meet.
fn drawn(curves: &[(u8, &RunCurve)]) -> String {
    let points = || curves.iter().flat_map(|(_, curve)| &curve.points);
    let Some((_, first)) = curves.first() else { return String::new() };
    let (width, height) = SIZE;
    let (low, high) = points().fold((f64::MAX, f64::MIN), |(low, high), (_, it)| (low.min(*it), high.max(*it)));
    let (start, end) = points().fold((u64::MAX, 0), |(start, end), (it, _)| (start.min(*it), end.max(*it)));
    // The place of `value` between two ends, which may be the same.
    let place = |value: f64, low: f64, high: f64, n: usize| {
        let share = (value / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0);
        if share.is_finite() { (share * (n - 1) as f64).round() as usize } else { 0 }
    };
    let mut cells = vec![vec![b' '; width]; height];
    for (mark, curve) in curves {
        for column in 0..width {
            let step = start as f64 + (end - start) as f64 * column as f64 / (width - 1) as f64;
            if let Some(value) = value_at(&curve.points, step, (end - start) as f64 / width as f64) {
                let row = height - 1 - place(value, low, high, height).min(height - 1);
                let Some(cell) = cells[row].get_mut(column) else { continue };
                *cell = if *cell == b' ' || *cell == *mark { *mark } else { b'*' };
            }
        }
    }
    let (top, bottom) = (number(high), number(low));
    let margin = top.len().max(bottom.len());
    let mut text = format!("\n{} ({})\n", first.metric, first.split);
    for (line, row) in cells.iter().enumerate() {
        let label = [(0, &top), (height - 1, &bottom)].into_iter().find(|(at, _)| *at == line);
        let label = label.map_or("", |(_, label)| label.as_str());
        text += &format!("{label:>margin$} |{}\n", String::from_utf8_lossy(row).trim_end());
    }
    let steps = format!("{start:<0$}{end}", width.saturating_sub(end.to_string().len()));
    text + &format!("{:margin$} +{}\n{:margin$}  {steps}\n", "", "-".repeat(width), "")
}

/// The value of a curve at `step`, between its points; `None` further than `reach` in front of or behind it.
fn value_at(points: &[(u64, f64)], step: f64, reach: f64) -> Option<f64> {
    let behind = points.partition_point(|(at, _)| (*at as f64) < step);
    match (behind.checked_sub(1).and_then(|it| points.get(it)), points.get(behind)) {
        (Some(&(from, a)), Some(&(to, b))) => {
            let share = (step - from as f64) / (to - from).max(1) as f64;
            Some(a * (1.0 - share) + b * share)
        }
        (Some(&(at, value)), None) | (None, Some(&(at, value))) => ((at as f64 - step).abs() <= reach).then_some(value),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(points: &[(u64, f64)]) -> RunCurve {
        let (metric, split) = ("loss".to_owned(), "validation".to_owned());
        RunCurve { folder: "a".into(), metric, split, points: points.to_vec() }
    }

    #[test]
    fn curves_begin_and_end_where_their_points_are() {
        let (falling, level) = (curve(&[(0, 3.0), (100, 1.0)]), curve(&[(0, 2.0), (50, 2.0)]));
        let text = drawn(&[(b'a', &falling), (b'b', &level)]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 1 + 1 + SIZE.1 + 2);
        assert!(lines[1] == "loss (validation)" && lines[2].starts_with("3.0000 |a"), "{text}");
        assert!(lines[17].starts_with("1.0000 |") && lines[17].ends_with('a'), "{text}");
        assert_eq!(text.matches('b').count() + text.matches('*').count() - 1, SIZE.0 / 2, "{text}");
        assert!(lines[19].trim_start().starts_with('0') && lines[19].ends_with("100"), "{text}");
    }

    #[test]
    fn constants_extremes_and_single_points_are_drawn() {
        for points in [vec![(5, 0.5)], vec![(0, 1.0), (9, 1.0)], vec![(0, f64::MIN), (u64::MAX, f64::MAX)]] {
            let text = drawn(&[(b'a', &curve(&points))]);
            assert!(text.contains("|a") || text.contains(" a") || text.ends_with('\n'), "{text}");
            assert!(text.matches('a').count() > 1, "{text}");
        }
        assert_eq!(drawn(&[]), "");
    }

    #[test]
    fn columns_of_a_table_are_aligned() {
        let rows = [vec!["a".to_owned(), "bb".to_owned()], vec!["ääää".to_owned(), "c".to_owned()]];
        assert_eq!(table(&rows), "a     bb\nääää  c\n");
        assert_eq!(shortened(&"ä".repeat(50)).chars().count(), LONGEST + 1);
    }
}
