//! The lines of a plot: which figures they show, how they are named, and their scales.

use serde_json::Value;

/// A figure of a load point: its name, where it is, and whether its line is dashed.
#[derive(Debug, Clone, Copy)]
pub struct Figure(&'static str, &'static str, bool);

/// Each two share a colour.
pub const LATENCY: &[Figure] = &[
    Figure("match p50", "/median/match_ms/p50", true),
    Figure("match p99", "/median/match_ms/p99", false),
    Figure("confirm p50", "/median/confirm_ms/p50", true),
    Figure("confirm p99", "/median/confirm_ms/p99", false),
];
pub const CPU: &[Figure] = &[
    Figure("server", "/median/server_cpu_s_per_1000", true),
    Figure("all", "/median/all_cpu_s_per_1000", false),
];

/// One figure on one kind of backends, over load.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    pub name: String,
    pub colour: usize,
    pub is_dashed: bool,
    /// Load and value, in rising order.
    pub points: Vec<(f64, f64)>,
}

/// A line for each figure on each kind of backends; none where nothing is known.
pub fn lines(points: &Value, figures: &[Figure]) -> Vec<Line> {
    let points: Vec<&Value> = points.as_array().into_iter().flatten().collect();
    let backends = |point: &Value| point.pointer("/median/backends").cloned();
    let mut kinds: Vec<Value> = Vec::new();
    for kind in points.iter().filter_map(|point| backends(point)) {
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    let mut lines = Vec::new();
    for kind in kinds {
        let of_kind = points
            .iter()
            .filter(|point| backends(point).as_ref() == Some(&kind));
        for Figure(what, place, is_dashed) in figures {
            let at = |point: &&&Value| {
                let load = point.pointer("/median/rate")?.as_f64()?;
                let value = point.pointer(place)?.as_f64()?;
                (value > 0.0).then_some((load, value))
            };
            let mut points: Vec<_> = of_kind.clone().filter_map(|point| at(&point)).collect();
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            let number = lines.len() / 2;
            lines.push(Line {
                name: format!("{}: {what}", kind.as_str().unwrap_or_default()),
                colour: number,
                is_dashed: *is_dashed,
                points,
            });
        }
    }
    // Only now, so that pairs keep their colours.
    lines.retain(|line| !line.points.is_empty());
    lines
}

/// The least and the greatest; nothing where there is none.
pub fn around(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.fold(None, |range, value| {
        let (least, most) = range.unwrap_or((value, value));
        Some((value.min(least), value.max(most)))
    })
}

/// A number as it stands on an axis: at most three decimals, no zeros at the end.
pub fn short(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A text in lines of at most so many characters, broken at blanks; a longer word has one for itself.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
