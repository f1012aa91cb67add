//! Pictures of a search, as SVG documents: its history, its trials as lines across the parameters, what mattered.

mod history;
mod importance;
mod parallel;

use std::error::Error;

use plotters::coord::Shift;
use plotters::prelude::*;

pub use history::history_picture;
pub use importance::importance_picture;
pub use parallel::parallel_picture;

/// A picture that cannot be drawn.
#[derive(Debug, thiserror::Error)]
#[error("cannot draw the picture of a search")]
pub struct PictureError(#[source] Box<dyn Error + Send + Sync>);

type Drawn = Result<(), Box<dyn Error + Send + Sync>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// plotters puts points on whole pixels, so all is drawn larger than it is shown, for smooth lines.
const SCALE: u32 = 2;
const FONT: &str = "sans-serif";
/// Size of letters.
const LETTERS: u32 = 30;
const INK: RGBColor = RGBColor(51, 51, 51);
const GRID: RGBColor = RGBColor(228, 228, 228);
const BLUE: RGBColor = RGBColor(31, 119, 180);
const ORANGE: RGBColor = RGBColor(230, 97, 1);
const GREY: RGBColor = RGBColor(150, 150, 150);
/// Longest text beside an axis, in characters.
const LONGEST: usize = 40;

/// An SVG document of `size`, drawn by `draw`.
fn picture(size: (u32, u32), draw: impl FnOnce(&Area<'_>) -> Drawn) -> Result<String, PictureError> {
    let mut svg = String::new();
    let drawn = || -> Drawn {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        area.fill(&WHITE)?;
        draw(&area)?;
        Ok(area.present()?)
    };
    drawn().map_err(PictureError)?;
    let shown = |scale| format!("width=\"{}\" height=\"{}\"", size.0 / scale, size.1 / scale);
    Ok(svg.replacen(&shown(1), &shown(SCALE), 1))
}

/// A text in at most [`LONGEST`] characters, without its beginning: the end of a key says more.
fn shortened(text: &str) -> String {
    let n = text.chars().count();
    if n <= LONGEST {
        text.to_owned()
    } else {
        format!("…{}", text.chars().skip(n - LONGEST + 1).collect::<String>())
    }
}

/// A number in few digits.
fn number(value: f64) -> String {
    let rounded: f64 = format!("{value:.3e}").parse().unwrap_or(value);
    if (1e-3..1e6).contains(&rounded.abs()) || rounded == 0.0 { format!("{rounded}") } else { format!("{rounded:e}") }
}

/// From the least to the greatest value; what hardly changes gets room around it.
fn range(values: impl Iterator<Item = f64>) -> std::ops::Range<f64> {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
    let size = low.abs().max(high.abs());
    let room = if high - low > 1e-4 * size { 0.05 * (high - low) } else { 0.1 * size.max(1e-6) };
    low - room..high + room
}
