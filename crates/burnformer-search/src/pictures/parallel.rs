//! Trials as lines across the parameters.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{Area, Drawn, FONT, INK, LETTERS, PictureError, number, picture, range, shortened};
use crate::{Domain, Observation, Parameter, Study};

/// Room for a parameter.
const COLUMN: u32 = 440;
const HEIGHT: u32 = 1000;
/// Ends of the axes.
const TOP: i32 = 90;
const BOTTOM: i32 = 820;
/// Number of values of an axis that have a number beside them.
const TICKS: u32 = 5;
/// Most choices with a name beside the axis.
const MOST_NAMES: u64 = 20;
/// Colours of the best and of the last trial.
const BEST: RGBColor = RGBColor(179, 0, 60);
const LAST: RGBColor = RGBColor(190, 215, 235);

/// Each trial as a line through its values of the parameters, the metric at the right, in colours from the best to the worst.
///
/// # Errors
/// [`PictureError`] if it cannot be drawn.
pub fn parallel_picture(study: &Study) -> Result<String, PictureError> {
    let size = (COLUMN * (study.space().parameters().len() as u32 + 1), HEIGHT);
    picture(size, |area| draw(study, area))
}

fn draw(study: &Study, area: &Area<'_>) -> Drawn {
    let known: Vec<Observation> =
        study.observations().into_iter().filter(|it| it.score > f64::NEG_INFINITY && it.level > 0).collect();
    let value = |it: &Observation| study.trials()[it.trial].value.unwrap_or(0.0);
    let values = if known.is_empty() { 0.0..1.0 } else { range(known.iter().map(value)) };
    let parameters = study.space().parameters();
    // The best last, above the others.
    for (place, it) in known.iter().enumerate().rev() {
        let shares = parameters.iter().zip(&it.values).map(|(parameter, value)| share(&parameter.domain, *value));
        let last = (value(it) - values.start) / (values.end - values.start);
        let points: Vec<_> = shares.chain([last]).enumerate().map(|(n, share)| (x(n), y(share))).collect();
        let colour = between(BEST, LAST, place as f64 / known.len() as f64);
        area.draw(&PathElement::new(points, colour.stroke_width(if place == 0 { 6 } else { 3 })))?;
    }
    for (n, parameter) in parameters.iter().enumerate() {
        axis(area, n, &parameter.key, &ticks(parameter))?;
    }
    let ticks = (0..=TICKS).map(|tick| f64::from(tick) / f64::from(TICKS));
    let ticks: Vec<_> =
        ticks.map(|share| (share, number(values.start + share * (values.end - values.start)))).collect();
    axis(area, parameters.len(), &study.objective().metric, &ticks)
}

/// Where the axis number `n` is.
fn x(n: usize) -> i32 {
    (COLUMN / 2 + COLUMN * n as u32) as i32
}

/// Where a share of an axis is.
fn y(share: f64) -> i32 {
    BOTTOM - (share.clamp(0.0, 1.0) * f64::from(BOTTOM - TOP)).round() as i32
}

fn axis(area: &Area<'_>, n: usize, name: &str, ticks: &[(f64, String)]) -> Drawn {
    let text = |size, horizontal| (FONT, size).into_font().color(&INK).pos(Pos::new(horizontal, VPos::Center));
    area.draw(&PathElement::new([(x(n), TOP), (x(n), BOTTOM)], INK.stroke_width(3)))?;
    for (share, label) in ticks {
        area.draw(&PathElement::new([(x(n) - 8, y(*share)), (x(n) + 8, y(*share))], INK.stroke_width(3)))?;
        area.draw(&Text::new(shortened(label), (x(n) + 18, y(*share)), text(LETTERS - 4, HPos::Left)))?;
    }
    // Long names stand lower at every second axis.
    let lower = 60 + if n.is_multiple_of(2) { 0 } else { 50 };
    area.draw(&Text::new(shortened(name), (x(n), BOTTOM + lower), text(LETTERS, HPos::Center)))?;
    Ok(())
}

/// Where a value stands on its axis, in `[0, 1]`.
fn share(domain: &Domain, value: f64) -> f64 {
    let between = |low: f64, high: f64, value: f64| if high > low { (value - low) / (high - low) } else { 0.5 };
    match domain {
        Domain::Uniform { low, high } => between(*low, *high, value),
        Domain::LogUniform { low, high } => between(low.ln(), high.ln(), value.ln()),
        Domain::Integer { .. } | Domain::Choice { .. } => {
            between(domain.nth(0), domain.nth(domain.len().unwrap_or(1) - 1), value)
        }
    }
}

/// Values with a label beside the axis.
fn ticks(parameter: &Parameter) -> Vec<(f64, String)> {
    let domain = &parameter.domain;
    let even = || (0..=TICKS).map(|tick| f64::from(tick) / f64::from(TICKS));
    let values: Vec<f64> = match domain {
        Domain::Uniform { low, high } => even().map(|share| low + share * (high - low)).collect(),
        Domain::LogUniform { low, high } => {
            // Powers of ten, but for those too near to an end.
            let powers = (low.log10().ceil() as i32..=high.log10().floor() as i32).map(|power| 10_f64.powi(power));
            let room = (high / low).powf(0.04);
            [*low].into_iter().chain(powers.filter(|it| *it > low * room && *it < high / room)).chain([*high]).collect()
        }
        _ => {
            let len = domain.len().unwrap_or(1);
            let every = len.div_ceil(MOST_NAMES);
            (0..len).step_by(every as usize).map(|place| domain.nth(place)).collect()
        }
    };
    values.into_iter().map(|value| (share(domain, value), domain.shown(value))).collect()
}

fn between(from: RGBColor, to: RGBColor, share: f64) -> RGBColor {
    let mix = |from: u8, to: u8| (f64::from(from) + share * (f64::from(to) - f64::from(from))).round() as u8;
    RGBColor(mix(from.0, to.0), mix(from.1, to.1), mix(from.2, to.2))
}
