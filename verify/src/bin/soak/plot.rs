//! The samples of every measure over time, with the line through them.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;

use crate::sample::{MEASURES, Sample};
use crate::trend::Trend;

const SIZE: (u32, u32) = (1280, 1400);
const POINT: RGBColor = RGBColor(120, 144, 156);
const CALM: RGBColor = RGBColor(46, 125, 50);
const GROWING: RGBColor = RGBColor(198, 40, 40);

/// Draws one panel per measure.
pub(crate) fn draw(
    samples: &[Sample],
    trends: &[Trend],
    path: &Path,
) -> Result<(), Box<dyn Error>> {
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let end = samples.last().map_or(1.0, |sample| sample.at);
    for (panel, trend) in area.split_evenly((MEASURES.len().div_ceil(2), 2)).iter().zip(trends) {
        let values = || samples.iter().map(|sample| sample.values[trend.measure]);
        let most = values().fold(f64::MIN_POSITIVE, f64::max) * 1.1;
        let mut chart = ChartBuilder::on(panel)
            .caption(MEASURES[trend.measure].0, ("sans-serif", 18))
            .margin(14)
            .x_label_area_size(26)
            .y_label_area_size(60)
            .build_cartesian_2d(0.0..end, 0.0..most)?;
        chart.configure_mesh().light_line_style(TRANSPARENT).x_desc("minutes").draw()?;
        let points = samples.iter().map(|s| (s.at, s.values[trend.measure]));
        chart.draw_series(points.map(|point| Circle::new(point, 2, POINT.filled())))?;
        let colour = if trend.grows() { GROWING } else { CALM };
        let line = [trend.from, trend.to].map(|minute| (minute, trend.at(minute)));
        chart.draw_series(LineSeries::new(line, colour.stroke_width(2)))?;
    }
    area.present()?;
    Ok(())
}
