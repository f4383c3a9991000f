//! Two drawings of a load: latency over load, and CPU for a lifecycle over load.

mod lines;

use std::fs;
use std::path::Path;

use anyhow::Context;
use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::prelude::*;
use serde_json::Value;

pub use lines::{CPU, LATENCY, Line, around, lines, short, wrapped};

const WIDTH: u32 = 1_120;
const HEIGHT: u32 = 600;
/// Height of the caption, and of each of its lines.
const CAPTION: u32 = 80;
const CAPTION_LINE: i32 = 18;
/// Characters that have room in one.
const CAPTION_WIDTH: usize = 140;
/// Width of the legend, and height of each of its lines.
const LEGEND: u32 = 330;
const LEGEND_LINE: i32 = 20;
const FONT: &str = "sans-serif";
/// Colours that stay apart on white, for everybody, one for each pair of lines.
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 130, 95),
    RGBColor(170, 70, 135),
    RGBColor(120, 90, 0),
    RGBColor(70, 70, 70),
];

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// What stands on a plot besides its lines.
pub struct Words<'a> {
    pub title: &'a str,
    pub y: &'a str,
    pub caption: &'a [String],
}

/// Draws latency.svg and cpu.svg, for the points of a load, into this folder. What is not known is
/// not drawn.
pub fn write(folder: &Path, points: &Value, caption: &[String]) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let latency = Words {
        title: "Latency over load",
        y: "latency in ms, logarithmic",
        caption,
    };
    let cpu = Words {
        title: "CPU for 1,000 lifecycles over load",
        y: "CPU seconds for 1,000 lifecycles",
        caption,
    };
    let of = |figures| lines(points, figures);
    for (name, words, lines, is_log) in [
        ("latency.svg", latency, of(LATENCY), true),
        ("cpu.svg", cpu, of(CPU), false),
    ] {
        if lines.is_empty() {
            println!("  {name} is not drawn: nothing is known that could stand on it");
            continue;
        }
        let file = folder.join(name);
        fs::write(&file, svg(&words, &lines, is_log)?)
            .with_context(|| format!("{} cannot be written", file.display()))?;
        println!("  drawn: {}", file.display());
    }
    Ok(())
}

/// The whole drawing. On a logarithmic axis all figures must be above 0.
pub fn svg(words: &Words<'_>, lines: &[Line], is_log: bool) -> anyhow::Result<String> {
    let mut text = String::new();
    {
        let all = SVGBackend::with_string(&mut text, (WIDTH, HEIGHT)).into_drawing_area();
        // Pages are dark as well as white.
        all.fill(&WHITE)?;
        let (upper, caption) = all.split_vertically(HEIGHT - CAPTION);
        let (chart, legend) = upper.split_horizontally(WIDTH - LEGEND);
        let loads = lines.iter().flat_map(|line| &line.points).map(|it| it.0);
        let values = lines.iter().flat_map(|line| &line.points).map(|it| it.1);
        let (_, most_load) = around(loads).context("a plot has points")?;
        let (least, most) = around(values).context("a plot has points")?;
        let x = 0.0..most_load * 1.05;
        match is_log {
            true => draw(
                &chart,
                words,
                lines,
                x,
                (least / 1.5..most * 1.5).log_scale(),
            ),
            false => draw(&chart, words, lines, x, 0.0..most * 1.15),
        }?;
        draw_legend(&legend, lines)?;
        draw_caption(&caption, words.caption)?;
        all.present()?;
    }
    Ok(text)
}

fn draw<Y>(
    area: &Area<'_>,
    words: &Words<'_>,
    lines: &[Line],
    x: std::ops::Range<f64>,
    y: Y,
) -> anyhow::Result<()>
where
    Y: AsRangedCoord<Value = f64>,
    Y::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let mut chart = ChartBuilder::on(area)
        .caption(words.title, (FONT, 22))
        .margin(14)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d(x, y)?;
    chart
        .configure_mesh()
        .x_desc("lifecycles per second, asked for")
        .y_desc(words.y)
        .x_labels(10)
        .y_labels(10)
        .x_label_formatter(&|rate| short(*rate))
        .y_label_formatter(&|value| short(*value))
        .axis_desc_style((FONT, 15))
        .label_style((FONT, 13))
        .light_line_style(WHITE)
        .draw()?;
    for line in lines {
        let (style, points) = (style(line), line.points.iter().copied());
        if line.is_dashed {
            let dashes = DashedLineSeries::new(line.points.clone(), 7, 5, style);
            chart.draw_series(dashes)?;
        } else {
            chart.draw_series(LineSeries::new(points.clone(), style))?;
        }
        chart.draw_series(points.map(|at| Circle::new(at, 3, style.filled())))?;
    }
    Ok(())
}

/// Beside the chart, where it covers no line.
fn draw_legend(area: &Area<'_>, lines: &[Line]) -> anyhow::Result<()> {
    for (line, row) in lines.iter().zip(0..) {
        let y = 56 + row * LEGEND_LINE;
        let sample = vec![(0, y), (30, y)];
        match line.is_dashed {
            true => {
                let [left, right] = [(0, 12), (18, 30)];
                for (from, to) in [left, right] {
                    let dash = vec![(from, y), (to, y)];
                    area.draw(&PathElement::new(dash, style(line)))?;
                }
            }
            false => area.draw(&PathElement::new(sample, style(line)))?,
        }
        let name = Text::new(line.name.clone(), (38, y - 5), (FONT, 13));
        area.draw(&name)?;
    }
    Ok(())
}

fn draw_caption(area: &Area<'_>, caption: &[String]) -> anyhow::Result<()> {
    let rows = caption.iter().flat_map(|line| wrapped(line, CAPTION_WIDTH));
    for (row, number) in rows.zip(0..) {
        let at = (20, 4 + number * CAPTION_LINE);
        area.draw(&Text::new(row, at, (FONT, 13)))?;
    }
    Ok(())
}

fn style(line: &Line) -> ShapeStyle {
    COLOURS[line.colour % COLOURS.len()].stroke_width(2)
}
