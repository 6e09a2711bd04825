//! Line charts over time or percentiles, as SVG within a page: no script and no other file; the
//! colours follow the light or dark theme of the page.

use std::fmt::Write as _;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 64.0;
const BOTTOM: f64 = 28.0;
const TOP: f64 = 12.0;
const RIGHT: f64 = 16.0;
/// Intervals between horizontal grid lines; there is one line more.
const GRID: u32 = 4;

/// A named line, with a gap where there is no value.
pub struct ChartLine<'a> {
    /// Its name.
    pub name: &'a str,
    /// Points from left to right: abscissa and value.
    pub points: Vec<(f64, Option<f64>)>,
}

/// Draws a chart of these lines; `marks` are the labels below the horizontal axis and their
/// abscissas. Returns an empty text if no line has a value.
pub fn draw(title: &str, unit: &str, lines: &[ChartLine<'_>], marks: &[(f64, String)]) -> String {
    let known =
        || lines.iter().flat_map(|line| &line.points).filter_map(|(x, y)| y.map(|y| (*x, y)));
    if known().next().is_none() {
        return String::new();
    }
    let (first, last) =
        known().fold((f64::MAX, f64::MIN), |(first, last), (x, _)| (first.min(x), last.max(x)));
    let most = nice(known().map(|(_, y)| y).fold(0.0, f64::max));
    let across = |x: f64| LEFT + (x - first) / (last - first).max(1e-9) * (WIDTH - LEFT - RIGHT);
    let up = |y: f64| HEIGHT - BOTTOM - y / most * (HEIGHT - BOTTOM - TOP);
    let mut svg = format!(
        "<figure><figcaption>{title}, {unit}</figcaption>\n<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">\n"
    );
    let mut add = |part: String| svg.push_str(&part);
    for step in 0..=GRID {
        let value = most * f64::from(step) / f64::from(GRID);
        let y = up(value);
        add(format!(
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>",
            WIDTH - RIGHT
        ));
        add(format!(
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n",
            LEFT - 6.0,
            y + 4.0,
            short(value)
        ));
    }
    for (x, label) in marks.iter().filter(|(x, _)| (first..=last).contains(x)) {
        add(format!(
            "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>\n",
            across(*x),
            HEIGHT - 8.0
        ));
    }
    for (number, line) in lines.iter().enumerate() {
        let mut path = String::new();
        let mut pen = "M";
        for (x, y) in &line.points {
            match y {
                Some(y) => {
                    write!(path, "{pen}{:.1} {:.1}", across(*x), up(*y)).expect("memory takes it");
                    pen = "L";
                }
                None => pen = "M",
            }
        }
        add(format!("<path class=\"line line{number}\" d=\"{path}\"/>\n"));
    }
    svg.push_str("</svg>\n<p class=\"legend\">");
    for (number, line) in lines.iter().enumerate() {
        write!(svg, "<span class=\"key line{number}\"></span>{} ", line.name)
            .expect("memory takes it");
    }
    svg.push_str("</p></figure>\n");
    svg
}

/// Rounds up to a number that is easy to read: 1, 2, 4 or 8 times a power of ten, at least 0.001.
fn nice(number: f64) -> f64 {
    let power = 10_f64.powf(number.max(1e-3).log10().floor());
    [1.0, 2.0, 4.0, 8.0, 10.0]
        .iter()
        .map(|step| step * power)
        .find(|step| *step >= number)
        .unwrap_or(number)
}

fn short(number: f64) -> String {
    match number {
        large if large >= 1e6 => format!("{:.1}M", large / 1e6),
        large if large >= 1e4 => format!("{:.0}k", large / 1e3),
        whole if whole.fract() == 0.0 => format!("{whole:.0}"),
        small => format!("{small:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{ChartLine, draw, nice};

    #[test]
    fn what_has_no_value_breaks_the_line_and_nothing_is_no_chart() {
        let points = vec![(0.0, Some(1.0)), (1.0, None), (2.0, Some(3.0))];
        let chart = draw("t", "ms", &[ChartLine { name: "a", points }], &[(0.0, "0 s".to_owned())]);
        assert_eq!(chart.matches('M').count(), 2, "{chart}");
        assert!(!chart.contains("NaN") && !chart.contains("inf"), "{chart}");
        assert_eq!(draw("t", "ms", &[ChartLine { name: "a", points: vec![(0.0, None)] }], &[]), "");
    }

    #[test]
    fn an_axis_ends_at_a_number_that_is_easy_to_read() {
        for (most, end) in
            [(0.0, 0.001), (7.0, 8.0), (1_000.0, 1_000.0), (1_001.0, 2_000.0), (850.0, 1_000.0)]
        {
            assert!((nice(most) - end).abs() < 1e-9, "{most}: {}", nice(most));
        }
    }
}
