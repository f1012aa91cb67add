//! Reliability as a picture: how often answers are right, by the probability that they are given.

use std::error::Error;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::grid::{INK, PictureError, shown_smaller};

const SIZE: (u32, u32) = (1120, 1360);
/// Height of the chart of accuracies; below it are the shares.
const UPPER: u32 = 960;
const BLUE: RGBColor = RGBColor(31, 119, 180);
const ORANGE: RGBColor = RGBColor(230, 97, 1);
const GRID: RGBColor = RGBColor(228, 228, 228);
const FONT: &str = "sans-serif";

/// Answers whose probabilities are in one interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReliabilityBar {
    /// Number of answers.
    pub count: u64,
    /// Share of right answers.
    pub accuracy: f64,
    /// Mean probability.
    pub probability: f64,
}

/// The accuracy of the answers in each of the `bars`, intervals of equal width from 0 to 1, beside their mean probability, and
/// below it the shares of the answers, as an SVG document.
///
/// # Errors
/// If the drawing itself fails.
pub fn reliability_picture(bars: &[ReliabilityBar]) -> Result<String, PictureError> {
    let mut svg = String::new();
    draw(bars, &mut svg).map_err(PictureError)?;
    Ok(shown_smaller(&svg, SIZE))
}

fn draw(bars: &[ReliabilityBar], svg: &mut String) -> Result<(), Box<dyn Error + Send + Sync>> {
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let (upper, lower) = root.split_vertically(UPPER);
    draw_accuracies(bars, &upper)?;
    draw_shares(bars, &lower)?;
    root.present()?;
    Ok(())
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn draw_accuracies(bars: &[ReliabilityBar], area: &Area<'_>) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut chart = chart(area, 1.0, "accuracy", "")?;
    let filled = || bars.iter().enumerate().filter(|(_, bar)| bar.count > 0);
    let bar = |(place, bar): (usize, &ReliabilityBar)| rectangle(place, bars.len(), bar.accuracy);
    chart.draw_series(filled().map(bar))?.label("accuracy").legend(|place| square(place, BLUE));
    let diagonal = ORANGE.stroke_width(3);
    chart.draw_series(LineSeries::new([(0.0, 0.0), (1.0, 1.0)], diagonal))?;
    chart
        .draw_series(filled().map(|(_, bar)| Circle::new((bar.probability, bar.probability), 7, ORANGE.filled())))?
        .label("mean probability")
        .legend(|place| square(place, ORANGE));
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .margin(16)
        .label_font((FONT, 32).into_font().color(&INK))
        .background_style(WHITE.mix(0.8))
        .border_style(GRID)
        .draw()?;
    Ok(())
}

fn draw_shares(bars: &[ReliabilityBar], area: &Area<'_>) -> Result<(), Box<dyn Error + Send + Sync>> {
    let total = bars.iter().map(|bar| bar.count).sum::<u64>().max(1) as f64;
    let shares: Vec<f64> = bars.iter().map(|bar| bar.count as f64 / total).collect();
    let largest = shares.iter().copied().fold(0.0, f64::max);
    let top = if largest > 0.0 { 1.05 * largest } else { 1.0 };
    let mut chart = chart(area, top, "share of answers", "probability of the answer")?;
    chart.draw_series(shares.iter().enumerate().map(|(place, &share)| rectangle(place, bars.len(), share)))?;
    Ok(())
}

type Chart<'a, 'b> = ChartContext<
    'a,
    SVGBackend<'b>,
    Cartesian2d<plotters::coord::types::RangedCoordf64, plotters::coord::types::RangedCoordf64>,
>;

/// A chart from 0 to 1 across and from 0 to `top` upwards.
fn chart<'a, 'b>(
    area: &'a Area<'b>,
    top: f64,
    up: &str,
    across: &str,
) -> Result<Chart<'a, 'b>, Box<dyn Error + Send + Sync>> {
    let mut chart = ChartBuilder::on(area)
        .margin(24)
        .margin_right(56)
        .x_label_area_size(if across.is_empty() { 56 } else { 104 })
        .y_label_area_size(152)
        .build_cartesian_2d(0.0..1.0, 0.0..top)?;
    let number = |value: &f64| format!("{:.2}", value.abs());
    chart
        .configure_mesh()
        .x_desc(across)
        .y_desc(up)
        .x_labels(6)
        .y_labels(6)
        .x_label_formatter(&number)
        .y_label_formatter(&number)
        .label_style((FONT, 32).into_font().color(&INK))
        .axis_desc_style((FONT, 38).into_font().color(&INK))
        .axis_style(INK.stroke_width(2))
        .bold_line_style(GRID.stroke_width(2))
        .light_line_style(TRANSPARENT)
        .draw()?;
    Ok(chart)
}

fn rectangle(place: usize, n: usize, height: f64) -> Rectangle<(f64, f64)> {
    let end = |place: usize| place as f64 / n as f64;
    Rectangle::new([(end(place), 0.0), (end(place + 1), height)], BLUE.mix(0.6).filled())
}

fn square((x, y): (i32, i32), colour: RGBColor) -> Rectangle<(i32, i32)> {
    Rectangle::new([(x, y - 10), (x + 20, y + 10)], colour.filled())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bin_with_answers_has_a_bar() {
        let bar = |count, accuracy, probability| ReliabilityBar { count, accuracy, probability };
        let bars = [bar(0, 0.0, 0.0), bar(3, 1.0 / 3.0, 0.4), bar(5, 0.8, 0.9)];
        let svg = reliability_picture(&bars).unwrap();
        assert!(svg.starts_with("<svg width=\"560\" height=\"680\"") && svg.trim_end().ends_with("</svg>"));
        for text in ["accuracy", "mean probability", "share of answers", "probability of the answer"] {
            assert!(svg.contains(&format!("\n{text}\n")), "{text}: {svg}");
        }
        // One circle for each bin with answers.
        assert_eq!(svg.matches("<circle").count(), 2, "{svg}");
        reliability_picture(&[]).unwrap();
    }
}
