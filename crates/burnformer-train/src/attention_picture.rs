//! Where a model looks, as a picture.

use std::error::Error;
use std::path::Path;

use burnformer_core::files::{FileError, atomic_write_bytes};
use burnformer_tasks::TranslationAttention;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Sides of a cell. plotters puts things on whole pixels, so all is drawn larger than it is shown.
const CELL: i32 = 56;
const FONT_SIZE: i32 = 32;
/// How much larger.
const SCALE: u32 = 2;
const MARGIN: i32 = 24;
const INK: RGBColor = RGBColor(51, 51, 51);
/// The colour of a weight of 1; 0 is white.
const FULL: RGBColor = RGBColor(8, 48, 107);

/// An attention that cannot be drawn.
#[derive(Debug, thiserror::Error)]
#[error("cannot draw the attention: {0}")]
pub struct PictureError(Box<dyn Error + Send + Sync>);

/// Writes the attention of a translation to `folder`: its weights as `NAME.json`, and a picture of its
/// [alignment](TranslationAttention::alignment) as `NAME.svg`.
///
/// # Errors
/// If the drawing fails, or a file cannot be written.
pub fn write_attention(folder: &Path, name: &str, attention: &TranslationAttention) -> Result<(), AttentionError> {
    let json = serde_json::to_string(attention).map_err(|error| PictureError(error.into()))?;
    let svg = attention_picture(&attention.source, &attention.target, &attention.alignment())?;
    atomic_write_bytes(&folder.join(format!("{name}.json")), json + "\n")?;
    Ok(atomic_write_bytes(&folder.join(format!("{name}.svg")), svg)?)
}

/// An attention that cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum AttentionError {
    /// It cannot be drawn.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// A file cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// A row for each target token with a cell for each source token, dark where the weight `[target][source]` is large, as an SVG
/// document.
///
/// # Errors
/// If the drawing itself fails.
pub fn attention_picture(source: &[String], target: &[String], weights: &[Vec<f64>]) -> Result<String, PictureError> {
    let room = |tokens: &[String]| tokens.iter().map(|token| width(token)).max().unwrap_or(0) + 2 * MARGIN;
    let (left, top) = (room(target), room(source));
    let size = (left + CELL * source.len() as i32 + MARGIN, top + CELL * target.len() as i32 + MARGIN);
    let mut svg = String::new();
    draw(&mut svg, (size.0 as u32, size.1 as u32), (left, top), [source, target], weights)
        .map_err(|error| PictureError(error.into()))?;
    let shown = |scale: u32| format!("width=\"{}\" height=\"{}\"", size.0 as u32 / scale, size.1 as u32 / scale);
    Ok(svg.replacen(&shown(1), &shown(SCALE), 1))
}

/// About the width of a token: characters of East Asia are as wide as high, others half as much.
fn width(token: &str) -> i32 {
    token.chars().map(|character| if character >= '\u{2e80}' { FONT_SIZE } else { FONT_SIZE * 5 / 8 }).sum()
}

fn draw(
    svg: &mut String,
    size: (u32, u32),
    (left, top): (i32, i32),
    [source, target]: [&[String]; 2],
    weights: &[Vec<f64>],
) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
    let area = SVGBackend::with_string(svg, size).into_drawing_area();
    area.fill(&WHITE)?;
    let font = ("sans-serif", FONT_SIZE).into_font().color(&INK);
    let beside = font.pos(Pos::new(HPos::Right, VPos::Center));
    let above = ("sans-serif", FONT_SIZE).into_font().transform(FontTransform::Rotate270).color(&INK);
    let above = above.pos(Pos::new(HPos::Left, VPos::Center));
    for (column, token) in (0..).zip(source) {
        area.draw(&Text::new(token.as_str(), (left + CELL * column + CELL / 2, top - MARGIN / 2), above.clone()))?;
    }
    for (row, (token, weights)) in (0..).zip(target.iter().zip(weights)) {
        let y = top + CELL * row;
        area.draw(&Text::new(token.as_str(), (left - MARGIN / 2, y + CELL / 2), beside.clone()))?;
        for (column, &weight) in (0..).zip(weights) {
            let x = left + CELL * column;
            let shade = |white: u8, full: u8| (f64::from(white) + (f64::from(full) - f64::from(white)) * weight) as u8;
            let colour = RGBColor(shade(255, FULL.0), shade(255, FULL.1), shade(255, FULL.2));
            area.draw(&Rectangle::new([(x, y), (x + CELL, y + CELL)], colour.filled()))?;
        }
    }
    let end = (left + CELL * source.len() as i32, top + CELL * target.len() as i32);
    area.draw(&Rectangle::new([(left, top), end], INK))?;
    area.present()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_and_every_weight_is_drawn() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let weights = [vec![1.0, 0.0, 0.0], vec![0.0, 0.5, 0.5]];
        let svg = attention_picture(&names(&["ein", "<b>", "</s>"]), &names(&["a", "狗"]), &weights).unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        for token in ["ein", "&lt;b&gt;", "&lt;/s&gt;", "a", "狗"] {
            assert_eq!(svg.matches(&format!("\n{token}\n")).count(), 1, "{token}: {svg}");
        }
        let cells = |colour: &str| {
            svg.matches(&format!("width=\"{CELL}\" height=\"{CELL}\" opacity=\"1\" fill=\"{colour}\"")).count()
        };
        assert_eq!((cells("#08306B"), cells("#FFFFFF"), cells("#8397B5")), (1, 3, 2));
    }
}
