//! One bar per check of a mark: how far above or below its bar we are.

use super::Report;
use super::markdown::number;
use crate::marks::{Check, Verdict};
use plotters::prelude::*;
use std::error::Error;
use std::path::Path;

const BAR: i32 = 22;
const WIDTH: i32 = 1280;
const NAMES: i32 = 620;
const TOP: i32 = 70;
/// The scale ends at this many times better or worse.
const FURTHEST: f64 = 16.0;
const MET: RGBColor = RGBColor(46, 125, 50);
const MISSED: RGBColor = RGBColor(198, 40, 40);
const FAINT: RGBColor = RGBColor(200, 200, 200);
const GREY: RGBColor = RGBColor(110, 110, 110);

/// Draws every check that has a ratio, in the order of the table.
pub fn draw(report: &Report, path: &Path) -> Result<(), Box<dyn Error>> {
    let checks: Vec<&Check> = report.marks.iter().flat_map(|m| &m.checks).collect();
    let height = TOP + BAR * checks.len() as i32 + 20;
    let area = SVGBackend::new(path, (WIDTH as u32, height as u32)).into_drawing_area();
    area.fill(&WHITE)?;
    let title = format!("{}, {}: margin over each mark", report.title, report.date);
    area.draw(&Text::new(title, (16, 12), ("sans-serif", 20)))?;
    for times in [0.25, 0.5, 1.0, 2.0, 4.0, 8.0] {
        let at = x_of(times);
        let colour = if times == 1.0 { BLACK } else { FAINT };
        area.draw(&PathElement::new([(at, TOP - 6), (at, height - 12)], colour))?;
        area.draw(&Text::new(format!("{times}x"), (at - 8, TOP - 24), ("sans-serif", 13)))?;
    }
    for (index, check) in checks.iter().enumerate() {
        let y = TOP + BAR * index as i32;
        let font = ("sans-serif", 13);
        area.draw(&Text::new(check.what.clone(), (16, y + 3), font))?;
        let Some(margin) = check.margin() else {
            let words = match &check.value {
                Ok(value) => format!("stated: {}", number(*value)),
                Err(_) => "not measured".to_owned(),
            };
            area.draw(&Text::new(words, (x_of(1.0) + 6, y + 3), font.into_font().color(&GREY)))?;
            continue;
        };
        let colour = if check.verdict() == Verdict::Met { MET } else { MISSED };
        let (one, at) = (x_of(1.0), x_of(margin));
        let bar = [(one.min(at), y + 2), (one.max(at).max(one.min(at) + 1), y + BAR - 4)];
        area.draw(&Rectangle::new(bar, colour.filled()))?;
        let label =
            if margin > FURTHEST { format!(">{FURTHEST}x") } else { format!("{margin:.2}x") };
        area.draw(&Text::new(label, (one.max(at) + 6, y + 3), font))?;
    }
    area.present()?;
    Ok(())
}

fn x_of(margin: f64) -> i32 {
    let share = (margin.clamp(1.0 / FURTHEST, FURTHEST).log2() / FURTHEST.log2() + 1.0) / 2.0;
    let left = f64::from(NAMES - 100);
    (left + share * (f64::from(WIDTH) - left - 70.0)) as i32
}
