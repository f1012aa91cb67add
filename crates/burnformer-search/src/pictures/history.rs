//! The values of the trials by number, and the best so far.

use plotters::prelude::*;

use super::{Area, BLUE, Drawn, FONT, GREY, GRID, INK, LETTERS, ORANGE, PictureError, number, picture, range};
use crate::{Study, TrialState};

const SIZE: (u32, u32) = (1600, 900);

/// The best value of each trial by its number: filled if it is complete, in outline if it is not. A line shows the best of
/// the complete ones so far.
///
/// # Errors
/// [`PictureError`] if it cannot be drawn.
pub fn history_picture(study: &Study) -> Result<String, PictureError> {
    picture(SIZE, |area| draw(study, area))
}

fn draw(study: &Study, area: &Area<'_>) -> Drawn {
    let objective = study.objective();
    let points = study.trials().iter().enumerate().filter_map(|(n, trial)| {
        let value = trial.value.filter(|value| value.is_finite() && trial.failure.is_none())?;
        Some((n as f64, value, trial.state == TrialState::Complete))
    });
    let points: Vec<(f64, f64, bool)> = points.collect();
    let mut best: Vec<(f64, f64)> = Vec::new();
    for (n, value, _) in points.iter().filter(|(_, _, is_complete)| *is_complete) {
        let last = best.last().map(|(_, best)| *best);
        let value = last.filter(|last| !objective.direction.is_better(*value, *last)).unwrap_or(*value);
        best.extend(last.map(|last| (*n, last)));
        best.push((*n, value));
    }
    best.extend(best.last().map(|(_, value)| (study.trials().len() as f64 - 1.0, *value)));
    let values = if points.is_empty() { 0.0..1.0 } else { range(points.iter().map(|point| point.1)) };
    let last = study.trials().len().max(2) as f64 - 1.0;
    let mut chart = ChartBuilder::on(area)
        .margin(24)
        .margin_right(56)
        .x_label_area_size(104)
        .y_label_area_size(176)
        .build_cartesian_2d(-0.02 * last..1.02 * last, values)?;
    chart
        .configure_mesh()
        .x_desc("trial")
        .y_desc(objective.metric.replace('_', " "))
        .x_label_formatter(&|n| if (n - n.round()).abs() < 1e-6 { format!("{}", n.round()) } else { String::new() })
        .y_label_formatter(&|value| number(*value))
        .label_style((FONT, LETTERS).into_font().color(&INK))
        .axis_desc_style((FONT, LETTERS + 6).into_font().color(&INK))
        .axis_style(INK.stroke_width(2))
        .bold_line_style(GRID.stroke_width(2))
        .light_line_style(TRANSPARENT)
        .draw()?;
    chart.draw_series([PathElement::new(best, ORANGE.stroke_width(4))])?;
    let of = |wanted: bool| points.iter().filter(move |point| point.2 == wanted).map(|point| (point.0, point.1));
    chart.draw_series(of(false).map(|point| Circle::new(point, 8, GREY.stroke_width(3))))?;
    chart.draw_series(of(true).map(|point| Circle::new(point, 9, BLUE.filled())))?;
    Ok(())
}
