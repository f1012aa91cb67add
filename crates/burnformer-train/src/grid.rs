//! A grid of shaded cells with names at its sides, as a picture.

use std::error::Error;

use plotters::drawing::DrawingAreaErrorKind;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Sides of a cell. plotters puts things on whole pixels, so all is drawn larger than it is shown.
const CELL: i32 = 56;
const FONT_SIZE: i32 = 32;
/// Size of the numbers in the cells.
const NUMBER_SIZE: i32 = 20;
/// How much larger.
const SCALE: u32 = 2;
const MARGIN: i32 = 24;
pub(crate) const INK: RGBColor = RGBColor(51, 51, 51);
/// The colour of a shade of 1; 0 is white.
const FULL: RGBColor = RGBColor(8, 48, 107);
/// Numbers on a darker shade than this are white.
const DARK: f64 = 0.5;

/// A picture that cannot be drawn.
#[derive(Debug, thiserror::Error)]
#[error("cannot draw the picture: {0}")]
pub struct PictureError(pub(crate) Box<dyn Error + Send + Sync>);

/// Rows and columns of cells.
pub(crate) struct Grid<'a> {
    /// Name of each row, left of it.
    pub(crate) rows: &'a [String],
    /// Name of each column, above it.
    pub(crate) columns: &'a [String],
    /// What rows and columns are; nothing is written if that is empty.
    pub(crate) sides: (&'a str, &'a str),
    /// Shade of each cell `[row][column]`, from 0 to 1.
    pub(crate) shades: &'a [Vec<f64>],
    /// Number in each cell `[row][column]`; no numbers if there are none.
    pub(crate) numbers: &'a [Vec<String>],
}

impl Grid<'_> {
    /// The grid as an SVG document.
    pub(crate) fn svg(&self) -> Result<String, PictureError> {
        let room = |names: &[String]| names.iter().map(|name| width(name)).max().unwrap_or(0) + 2 * MARGIN;
        let side = |name: &str| if name.is_empty() { 0 } else { FONT_SIZE + MARGIN };
        let (left, top) = (side(self.sides.0) + room(self.rows), side(self.sides.1) + room(self.columns));
        let across = left + (CELL * self.columns.len() as i32).max(width(self.sides.1)) + MARGIN;
        let down = top + (CELL * self.rows.len() as i32).max(width(self.sides.0)) + MARGIN;
        let mut svg = String::new();
        self.draw(&mut svg, (across as u32, down as u32), (left, top)).map_err(|error| PictureError(error.into()))?;
        Ok(shown_smaller(&svg, (across as u32, down as u32)))
    }

    fn draw(
        &self,
        svg: &mut String,
        size: (u32, u32),
        (left, top): (i32, i32),
    ) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
        let area = SVGBackend::with_string(svg, size).into_drawing_area();
        area.fill(&WHITE)?;
        let font = || ("sans-serif", FONT_SIZE).into_font();
        let beside = font().color(&INK).pos(Pos::new(HPos::Right, VPos::Center));
        let above = font().transform(FontTransform::Rotate270).color(&INK).pos(Pos::new(HPos::Left, VPos::Center));
        let (row_side, column_side) = self.sides;
        if !column_side.is_empty() {
            let style = font().color(&INK).pos(Pos::new(HPos::Left, VPos::Top));
            area.draw(&Text::new(column_side, (left, MARGIN / 2), style))?;
        }
        if !row_side.is_empty() {
            let style = font().transform(FontTransform::Rotate270).color(&INK).pos(Pos::new(HPos::Right, VPos::Top));
            area.draw(&Text::new(row_side, (MARGIN / 2, top), style))?;
        }
        for (column, name) in (0..).zip(self.columns) {
            area.draw(&Text::new(name.as_str(), (left + CELL * column + CELL / 2, top - MARGIN / 2), above.clone()))?;
        }
        for (row, (name, shades)) in (0..).zip(self.rows.iter().zip(self.shades)) {
            let y = top + CELL * row;
            area.draw(&Text::new(name.as_str(), (left - MARGIN / 2, y + CELL / 2), beside.clone()))?;
            let numbers = self.numbers.get(row as usize).map_or(&[][..], Vec::as_slice);
            for (column, &shade) in (0..).zip(shades) {
                let x = left + CELL * column;
                let part =
                    |white: u8, full: u8| (f64::from(white) + (f64::from(full) - f64::from(white)) * shade) as u8;
                let colour = RGBColor(part(255, FULL.0), part(255, FULL.1), part(255, FULL.2));
                area.draw(&Rectangle::new([(x, y), (x + CELL, y + CELL)], colour.filled()))?;
                if let Some(number) = numbers.get(column as usize) {
                    let ink = if shade > DARK { WHITE } else { INK };
                    let centred = Pos::new(HPos::Center, VPos::Center);
                    let style = ("sans-serif", NUMBER_SIZE).into_font().color(&ink).pos(centred);
                    area.draw(&Text::new(number.as_str(), (x + CELL / 2, y + CELL / 2), style))?;
                }
            }
        }
        let end = (left + CELL * self.columns.len() as i32, top + CELL * self.rows.len() as i32);
        area.draw(&Rectangle::new([(left, top), end], INK))?;
        area.present()
    }
}

/// The document of a drawing of this size, to be shown smaller than it is drawn.
pub(crate) fn shown_smaller(svg: &str, (across, down): (u32, u32)) -> String {
    let size = |scale: u32| format!("width=\"{}\" height=\"{}\"", across / scale, down / scale);
    svg.replacen(&size(1), &size(SCALE), 1)
}

/// About the width of a text: characters of East Asia are as wide as high, others half as much.
fn width(text: &str) -> i32 {
    text.chars().map(|character| if character >= '\u{2e80}' { FONT_SIZE } else { FONT_SIZE * 5 / 8 }).sum()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::CELL;

    /// Number of cells of a colour.
    pub(crate) fn cells(svg: &str, colour: &str) -> usize {
        svg.matches(&format!("width=\"{CELL}\" height=\"{CELL}\" opacity=\"1\" fill=\"{colour}\"")).count()
    }
}
