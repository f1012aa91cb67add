//! Learning curves as a picture: what `metrics.jsonl` holds, one panel per metric, as SVG.

use std::collections::HashSet;
use std::error::Error;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::axis::{Axis, HUGE, Range, bounds, range};
use crate::history::HistoryEntry;

/// Width and height of a panel, and height of the title. plotters puts points on whole pixels, so all is drawn larger than it
/// is shown, for smooth lines.
const PANEL: (u32, u32) = (1440, 880);
const TITLE: u32 = 112;
/// How much larger.
const SCALE: u32 = 2;
/// The most panels beside each other.
const MAX_COLUMNS: usize = 2;
/// The most points of a line.
const MAX_POINTS: usize = 500;
/// A line of no more points shows each of them.
const FEW_POINTS: usize = 50;
/// What grows steadily and says nothing as a curve.
const SKIPPED: [&str; 3] = ["seconds", "tokens", "skipped"];
/// What falls by orders of magnitude, the end of which matters no less than the beginning.
const LOGARITHMIC: [&str; 1] = ["perplexity"];

/// Colours of runs beside each other.
const PALETTE: [RGBColor; 8] = [
    RGBColor(120, 94, 160),
    RGBColor(31, 119, 180),
    RGBColor(230, 97, 1),
    RGBColor(44, 140, 60),
    RGBColor(214, 39, 40),
    RGBColor(140, 86, 75),
    RGBColor(23, 160, 175),
    RGBColor(110, 110, 110),
];

const FONT: &str = "sans-serif";
const INK: RGBColor = RGBColor(51, 51, 51);
const GRID: RGBColor = RGBColor(228, 228, 228);

/// Curves that cannot be drawn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CurvesError {
    /// There is no number to show.
    #[error("found no number to draw in {n_entries} entries, expected a value such as `loss`")]
    Nothing {
        /// How many entries were looked at.
        n_entries: usize,
    },
    /// The drawing itself failed.
    #[error("cannot draw the curves")]
    Draw(#[source] Box<dyn Error + Send + Sync>),
}

/// All values that have one name.
#[derive(Debug, PartialEq)]
struct Panel {
    name: String,
    lines: Vec<Line>,
}

/// Those of one split, as `(step, value)`; a value that is not finite is a gap.
#[derive(Debug, PartialEq)]
struct Line {
    split: String,
    points: Vec<(f64, f64)>,
}

/// The values of `entries` over their steps, as an SVG document: a panel for each name, in the order in which they first occur,
/// with a line for each split.
///
/// `seconds` and `tokens` are left out; `perplexity` has a logarithmic axis. A line of more than 500 points is thinned to means
/// of as many equal parts. Where a value is not finite, the line has a gap.
///
/// # Errors
/// [`CurvesError::Nothing`] if no entry has a finite value.
pub fn learning_curves(entries: &[HistoryEntry], title: &str) -> Result<String, CurvesError> {
    picture(&panels(entries), title, entries.len())
}

/// The panels as an SVG document.
fn picture(panels: &[Panel], title: &str, n_entries: usize) -> Result<String, CurvesError> {
    if panels.is_empty() {
        return Err(CurvesError::Nothing { n_entries });
    }
    let mut svg = String::new();
    let (width, height) = draw(panels, title, &mut svg).map_err(CurvesError::Draw)?;
    let size = |scale| format!("width=\"{}\" height=\"{}\"", width / scale, height / scale);
    Ok(svg.replacen(&size(1), &size(SCALE), 1))
}

/// The values of several runs over their steps, as an SVG document: a panel for each name, in the order in which they first
/// occur, with a line for each run and the run's name as its label. Lines are of the validation samples where a run has the
/// value on them, else of the training samples.
///
/// # Errors
/// [`CurvesError::Nothing`] if no run has a finite value.
pub fn runs_picture(runs: &[(&str, &[HistoryEntry])]) -> Result<String, CurvesError> {
    let entries: Vec<HistoryEntry> = runs.iter().flat_map(|(name, entries)| of_run(name, entries)).collect();
    let mut panels = panels(&entries);
    // A run has the same colour in all panels, so it has its place in each.
    for panel in &mut panels {
        let lines = std::mem::take(&mut panel.lines);
        let of = |(name, _): &(&str, _)| lines.iter().find(|line| line.split == *name).map(|line| line.points.clone());
        let line = |run: &(&str, _)| Line { split: run.0.to_owned(), points: of(run).unwrap_or_default() };
        panel.lines = runs.iter().map(line).collect();
    }
    picture(&panels, "", entries.len())
}

/// The entries of a run, with its name for the split and each value of one split only.
fn of_run(name: &str, entries: &[HistoryEntry]) -> Vec<HistoryEntry> {
    let of = |split: &'static str| entries.iter().filter(move |entry| entry.split == split);
    let validated: HashSet<&String> =
        of("validation").flat_map(|entry| entry.values.iter().map(|(name, _)| name)).collect();
    let with = |entry: &HistoryEntry, is_wanted: &dyn Fn(&String) -> bool| {
        let values = entry.values.iter().filter(|(name, _)| is_wanted(name)).cloned().collect();
        HistoryEntry { step: entry.step, split: name.to_owned(), values }
    };
    let validation = of("validation").map(|entry| with(entry, &|_| true));
    validation.chain(of("train").map(|entry| with(entry, &|name| !validated.contains(name)))).collect()
}

fn panels(entries: &[HistoryEntry]) -> Vec<Panel> {
    let mut panels: Vec<Panel> = Vec::new();
    for entry in entries {
        for (name, value) in entry.values.iter().filter(|(name, _)| !SKIPPED.contains(&name.as_str())) {
            let panel = found_or_pushed(&mut panels, |panel| &panel.name == name, || Panel::new(name));
            let line = found_or_pushed(&mut panel.lines, |line| line.split == entry.split, || Line::new(&entry.split));
            line.points.push((entry.step as f64, if value.abs() < HUGE { *value } else { f64::NAN }));
        }
    }
    for line in panels.iter_mut().flat_map(|panel| &mut panel.lines) {
        thin(&mut line.points);
    }
    panels.retain(|panel| panel.points().next().is_some());
    panels
}

fn found_or_pushed<T>(list: &mut Vec<T>, is_it: impl Fn(&T) -> bool, make: impl FnOnce() -> T) -> &mut T {
    let index = list.iter().position(is_it).unwrap_or_else(|| {
        list.push(make());
        list.len() - 1
    });
    &mut list[index]
}

impl Panel {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), lines: Vec::new() }
    }

    /// Whether its values fall by orders of magnitude.
    fn has_decades(&self) -> bool {
        let (low, high) = bounds(self.points().map(|(_, value)| value));
        LOGARITHMIC.contains(&self.name.as_str()) && low > 0.0 && high > 2.0 * low
    }

    fn axis(&self) -> Axis {
        let axis = if self.has_decades() { Axis::decades } else { Axis::even };
        axis(self.points().map(|(_, value)| value))
    }

    /// Those that can be shown.
    fn points(&self) -> impl Iterator<Item = (f64, f64)> {
        self.lines.iter().flat_map(|line| &line.points).copied().filter(|(_, value)| value.is_finite())
    }
}

impl Line {
    fn new(split: &str) -> Self {
        Self { split: split.to_owned(), points: Vec::new() }
    }

    /// Its colour as line number `place` of a panel.
    fn colour(&self, place: usize) -> RGBColor {
        match self.split.as_str() {
            "train" => RGBColor(31, 119, 180),
            "validation" => RGBColor(230, 97, 1),
            "test" => RGBColor(44, 140, 60),
            _ => PALETTE[place % PALETTE.len()],
        }
    }
}

/// Means of equally many neighbours, so that `MAX_POINTS` remain at most.
fn thin(points: &mut Vec<(f64, f64)>) {
    if points.len() > MAX_POINTS {
        let mean =
            |part: &[(f64, f64)], of: fn(&(f64, f64)) -> f64| part.iter().map(of).sum::<f64>() / part.len() as f64;
        let parts = points.chunks(points.len().div_ceil(MAX_POINTS));
        *points = parts.map(|part| (mean(part, |point| point.0), mean(part, |point| point.1))).collect();
    }
}

/// Returns the width and height of the drawing.
fn draw(panels: &[Panel], title: &str, svg: &mut String) -> Result<(u32, u32), Box<dyn Error + Send + Sync>> {
    let n_columns = panels.len().min(MAX_COLUMNS);
    let n_rows = panels.len().div_ceil(n_columns);
    let size = (PANEL.0 * n_columns as u32, TITLE + PANEL.1 * n_rows as u32);
    let root = SVGBackend::with_string(svg, size).into_drawing_area();
    root.fill(&WHITE)?;
    let centred = (FONT, 52).into_font().color(&INK).pos(Pos::new(HPos::Center, VPos::Center));
    root.draw(&Text::new(title, (size.0 as i32 / 2, TITLE as i32 / 2), centred))?;

    let (_, body) = root.split_vertically(TITLE);
    // Every panel has the same steps, so that what happened at one time stands in one column.
    let steps = range(panels.iter().flat_map(Panel::points).map(|(step, _)| step), 0.0);
    for (panel, area) in panels.iter().zip(body.split_evenly((n_rows, n_columns))) {
        draw_panel(panel, steps.clone(), &area)?;
    }
    root.present()?;
    Ok(size)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn draw_panel(panel: &Panel, steps: Range, area: &Area) -> Result<(), Box<dyn Error + Send + Sync>> {
    let values = panel.axis();
    let step_span = steps.end - steps.start;
    // The legend stands at the right, where the curves do not end.
    let last = panel.points().max_by(|a, b| a.0.total_cmp(&b.0)).map_or(0.0, |(_, value)| value);
    let legend_position =
        if last > values.middle() { SeriesLabelPosition::LowerRight } else { SeriesLabelPosition::UpperRight };
    let mut chart = ChartBuilder::on(area)
        .margin(24)
        .margin_right(56)
        .x_label_area_size(104)
        .y_label_area_size(176)
        .build_cartesian_2d(steps, values.clone())?;
    chart
        .configure_mesh()
        .x_desc("step")
        .y_desc(panel.name.replace('_', " "))
        .x_labels(8)
        .x_label_formatter(&|&step| step_tick(step, step_span))
        .y_label_formatter(&|&value| tick(value, values.span_at(value)))
        .label_style((FONT, 32).into_font().color(&INK))
        .axis_desc_style((FONT, 38).into_font().color(&INK))
        .axis_style(INK.stroke_width(2))
        .bold_line_style(GRID.stroke_width(2))
        .set_all_tick_mark_size(10)
        .light_line_style(TRANSPARENT)
        .draw()?;

    for (place, line) in panel.lines.iter().enumerate() {
        let style = line.colour(place).stroke_width(4);
        let segments = || line.points.split(|(_, value)| !value.is_finite());
        chart
            .draw_series(segments().map(|segment| PathElement::new(segment, style)))?
            .label(&line.split)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 44, y)], style));
        // A lone point is no line.
        let shown = segments().filter(|segment| segment.len() == 1 || line.points.len() <= FEW_POINTS).flatten();
        chart.draw_series(shown.map(|&point| Circle::new(point, 7, line.colour(place).filled())))?;
    }
    chart
        .configure_series_labels()
        .position(legend_position)
        .margin(16)
        .legend_area_size(64)
        .label_font((FONT, 32).into_font().color(&INK))
        .background_style(WHITE.mix(0.8))
        .border_style(GRID)
        .draw()?;
    Ok(())
}

/// A number beside an axis of length `span`, without digits that are only rounding.
fn tick(value: f64, span: f64) -> String {
    if value.abs() < 1e-9 * span {
        return "0".to_owned();
    }
    let rounded: f64 = format!("{value:.5e}").parse().unwrap_or(value);
    if (1e-3..1e6).contains(&rounded.abs()) { format!("{rounded}") } else { format!("{rounded:e}") }
}

/// A step beside an axis of length `span`; there is no half of a step.
fn step_tick(step: f64, span: f64) -> String {
    if (step - step.round()).abs() < 1e-6 * span { tick(step.round(), span) } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(step: u64, split: &str, values: &[(&str, f64)]) -> HistoryEntry {
        let values = values.iter().map(|&(name, value)| (name.to_owned(), value)).collect();
        HistoryEntry { step, split: split.to_owned(), values }
    }

    fn count(svg: &str, what: &str) -> usize {
        svg.matches(what).count()
    }

    /// The points of all lines of a colour.
    fn drawn(svg: &str, line: &Line) -> Vec<usize> {
        let RGBColor(red, green, blue) = line.colour(0);
        let stroke = format!("stroke=\"#{red:02X}{green:02X}{blue:02X}\"");
        let lines = svg.lines().filter(|text| text.starts_with("<polyline") && text.contains(&stroke));
        lines
            .map(|text| text.split("points=\"").nth(1).unwrap().split('"').next().unwrap().trim().split(' ').count())
            .collect()
    }

    #[test]
    fn a_metric_of_both_splits_is_one_panel() {
        let entries = [
            entry(1, "train", &[("loss", 6.0), ("learning_rate", 1e-4), ("seconds", 1.0), ("tokens", 10.0)]),
            entry(2, "train", &[("loss", 5.0), ("learning_rate", 2e-4), ("seconds", 2.0), ("tokens", 20.0)]),
            entry(2, "validation", &[("loss", 5.5), ("accuracy", 0.5)]),
        ];
        let panels = panels(&entries);
        let found: Vec<_> = panels.iter().map(|panel| (panel.name.as_str(), panel.lines.len())).collect();
        assert_eq!(found, [("loss", 2), ("learning_rate", 1), ("accuracy", 1)]);
        assert_eq!(panels[0].lines[0], Line { split: "train".to_owned(), points: vec![(1.0, 6.0), (2.0, 5.0)] });
        assert_eq!(panels[0].lines[1], Line { split: "validation".to_owned(), points: vec![(2.0, 5.5)] });

        let svg = learning_curves(&entries, "a < b & c").unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        assert_eq!(count(&svg, "a &lt; b &amp; c"), 1);
        for text in ["loss", "learning rate", "accuracy"] {
            assert_eq!(count(&svg, &format!("\n{text}\n")), 1, "{text}");
        }
        assert_eq!((count(&svg, "\ntrain\n"), count(&svg, "\nvalidation\n"), count(&svg, "\nstep\n")), (2, 2, 3));
    }

    #[test]
    fn several_runs_share_their_panels() {
        let of = |loss: f64, more: &str| {
            vec![
                entry(1, "train", &[("loss", loss), ("learning_rate", 0.1)]),
                entry(1, "validation", &[("loss", loss + 1.0), (more, 0.5)]),
                entry(2, "validation", &[("loss", loss + 0.5), (more, 0.6)]),
            ]
        };
        let (a, b) = (of(1.0, "accuracy"), of(2.0, "perplexity"));
        let found: Vec<_> = of_run("a", &a).iter().map(|entry| (entry.step, entry.values.clone())).collect();
        // The loss of the validation samples hides that of the training samples.
        assert_eq!(found[2], (1, vec![("learning_rate".to_owned(), 0.1)]));
        let svg = runs_picture(&[("runs/a", &a), ("runs/b", &b)]).unwrap();
        for name in ["loss", "accuracy", "perplexity", "learning rate"] {
            assert_eq!(count(&svg, &format!("\n{name}\n")), 1, "{name}");
        }
        assert_eq!((count(&svg, "\nruns/a\n"), count(&svg, "\nruns/b\n")), (4, 4));
        assert!(runs_picture(&[("runs/a", &[])]).is_err());
    }

    #[test]
    fn long_lines_are_thinned_to_means() {
        let entries: Vec<_> = (0..100_003).map(|step| entry(step, "train", &[("loss", step as f64)])).collect();
        let panels = panels(&entries);
        let points = &panels[0].lines[0].points;
        assert!((MAX_POINTS - 5..=MAX_POINTS).contains(&points.len()), "{}", points.len());
        // 201 to a mean.
        assert_eq!(points[..2], [(100.0, 100.0), (301.0, 301.0)]);
        assert_eq!(points.last().unwrap().0, points.last().unwrap().1);
        let svg = learning_curves(&entries, "").unwrap();
        assert!(drawn(&svg, &panels[0].lines[0]).contains(&points.len()));
        assert!(svg.len() < 20_000, "{} bytes", svg.len());
    }

    #[test]
    fn what_is_not_finite_is_a_gap() {
        let values = [3.0, 2.0, f64::NAN, 2.5, 2.0, 1.5, f64::INFINITY, 1e31, 1.0];
        let entries: Vec<_> =
            values.iter().zip(1..).map(|(&loss, step)| entry(step, "train", &[("loss", loss)])).collect();
        let svg = learning_curves(&entries, "").unwrap();
        let lines = drawn(&svg, &panels(&entries)[0].lines[0]);
        // The last is the legend's.
        assert_eq!(lines.iter().filter(|&&n_points| n_points > 1).collect::<Vec<_>>(), [&2, &3, &2]);
        assert_eq!(count(&svg, "<circle"), 6);
        assert_eq!((count(&svg, "NaN"), count(&svg, "inf")), (0, 0));
    }

    #[test]
    fn a_metric_that_is_never_finite_has_no_panel() {
        let entries = [entry(1, "train", &[("loss", 1.0), ("gradient_norm", f64::NAN)])];
        assert_eq!(panels(&entries).len(), 1);
    }

    #[test]
    fn nothing_to_draw_is_an_error() {
        for entries in [vec![], vec![entry(1, "train", &[("loss", f64::NAN), ("tokens", 5.0)])]] {
            let error = learning_curves(&entries, "").unwrap_err();
            assert!(
                error.to_string().starts_with(&format!("found no number to draw in {} entries", entries.len())),
                "{error}"
            );
        }
    }

    #[test]
    fn one_entry_constants_and_extremes_are_drawn() {
        for values in [
            vec![0.5],
            vec![0.0],
            vec![3e-4; 9],
            vec![0.0; 9],
            vec![1.0, 1.0 + f64::EPSILON],
            vec![1e-300, 2e-300],
            vec![f64::MIN_POSITIVE, 0.0],
            vec![-9e29, 9e29],
            vec![1e6, 1e6 + 1e-6],
        ] {
            for first in [0, 7, u64::MAX - 10] {
                let entries: Vec<_> =
                    values.iter().zip(first..).map(|(&x, step)| entry(step, "test", &[("x", x)])).collect();
                let svg = learning_curves(&entries, "").unwrap();
                assert_eq!(count(&svg, "<circle"), values.len(), "{values:?} from {first}");
                assert_eq!((count(&svg, "NaN"), count(&svg, "inf")), (0, 0), "{values:?} from {first}");
                // Ticks of both axes, their two names and the legend; the title is empty.
                let ticks = count(&svg, "<text");
                assert!((8..40).contains(&ticks), "{ticks} texts for {values:?} from {first}");
            }
        }
    }

    #[test]
    fn perplexities_have_decades() {
        let panel = |name: &str, values: [f64; 2]| Panel {
            name: name.to_owned(),
            lines: vec![Line { split: "train".to_owned(), points: vec![(1.0, values[0]), (2.0, values[1])] }],
        };
        assert!(panel("perplexity", [900.0, 5.0]).has_decades());
        assert!(!panel("perplexity", [900.0, 0.0]).has_decades());
        assert!(!panel("perplexity", [6.0, 5.0]).has_decades());
        assert!(!panel("loss", [900.0, 5.0]).has_decades());

        // From 1,000 to 1, 31 lies in the middle.
        let entries: Vec<_> =
            [1000.0, 31.6, 1.0].iter().zip(1..).map(|(&x, step)| entry(step, "test", &[("perplexity", x)])).collect();
        let svg = learning_curves(&entries, "").unwrap();
        let heights: Vec<f64> = svg
            .lines()
            .filter(|text| text.starts_with("<circle"))
            .map(|text| text.split("cy=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap())
            .collect();
        assert_eq!(heights.len(), 3);
        assert!((heights[0] + heights[2] - 2.0 * heights[1]).abs() < 4.0, "{heights:?}");
    }

    #[test]
    fn numbers_on_axes_are_short() {
        let ticks = [(0.3, 1.0), (0.1 + 0.2, 1.0), (1e-17, 1.0), (2.5e-4, 1e-3), (20_000.0, 1e5), (-1.5e6, 1e7)];
        let texts = ticks.map(|(value, span)| tick(value, span));
        assert_eq!(texts, ["0.3", "0.3", "0", "2.5e-4", "20000", "-1.5e6"]);
        assert_eq!([5.000_000_000_1, 5.5].map(|step| step_tick(step, 1.0)), ["5", ""]);
    }
}
