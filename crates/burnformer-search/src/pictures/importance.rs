//! What mattered, as bars.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{Area, BLUE, Drawn, FONT, INK, LETTERS, PictureError, picture, shortened};
use crate::Space;

const WIDTH: u32 = 1600;
/// Height of a bar and the room about it.
const BAR: u32 = 72;
const MARGIN: u32 = 40;
/// Width of the names, and of the numbers behind the bars.
const NAMES: i32 = 640;
const NUMBERS: i32 = 140;

/// The share of each parameter in what made trials good, as bars, the longest first.
///
/// # Errors
/// [`PictureError`] if it cannot be drawn.
pub fn importance_picture(space: &Space, shares: &[f64]) -> Result<String, PictureError> {
    let size = (WIDTH, 2 * MARGIN + BAR * space.parameters().len() as u32);
    picture(size, |area| draw(space, shares, area))
}

fn draw(space: &Space, shares: &[f64], area: &Area<'_>) -> Drawn {
    let mut bars: Vec<(&str, f64)> =
        space.parameters().iter().map(|parameter| parameter.key.as_str()).zip(shares.iter().copied()).collect();
    bars.sort_by(|a, b| b.1.total_cmp(&a.1));
    let width = f64::from(WIDTH as i32 - NAMES - NUMBERS);
    let text = |horizontal| (FONT, LETTERS).into_font().color(&INK).pos(Pos::new(horizontal, VPos::Center));
    for (place, (name, share)) in bars.into_iter().enumerate() {
        let top = (MARGIN + BAR * place as u32) as i32;
        let (middle, end) = (top + BAR as i32 / 2, NAMES + (share * width).round() as i32);
        area.draw(&Text::new(shortened(name), (NAMES - 20, middle), text(HPos::Right)))?;
        area.draw(&Rectangle::new([(NAMES, top + 14), (end, top + BAR as i32 - 14)], BLUE.filled()))?;
        area.draw(&Text::new(format!("{share:.2}"), (end + 16, middle), text(HPos::Left)))?;
    }
    Ok(())
}
