//! Line charts over time or percentiles, as SVG within a page: no script and no other file; the
//! colours follow the light or dark theme of the page. The values of a column are shown while the
//! pointer is over it.

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

/// A chart.
pub struct Chart<'a> {
    pub title: &'a str,
    pub unit: &'a str,
    pub lines: Vec<ChartLine<'a>>,
    /// The name of each column of points.
    pub columns: Vec<(f64, String)>,
    /// The labels below the horizontal axis and their abscissas.
    pub marks: Vec<(f64, String)>,
    /// Abscissas at which sockets were cut.
    pub cuts: Vec<f64>,
}

impl Chart<'_> {
    /// Draws the chart. Returns an empty text if no line has a value.
    pub fn draw(&self) -> String {
        let Self { title, unit, lines, .. } = self;
        let known =
            || lines.iter().flat_map(|line| &line.points).filter_map(|(x, y)| y.map(|y| (*x, y)));
        if known().next().is_none() {
            return String::new();
        }
        let (first, last) =
            known().fold((f64::MAX, f64::MIN), |(first, last), (x, _)| (first.min(x), last.max(x)));
        let most = nice(known().map(|(_, y)| y).fold(0.0, f64::max));
        let across =
            |x: f64| LEFT + (x - first) / (last - first).max(1e-9) * (WIDTH - LEFT - RIGHT);
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
        let within = |x: f64| (first..=last).contains(&x);
        for (x, label) in self.marks.iter().filter(|(x, _)| within(*x)) {
            let (x, y) = (across(*x), HEIGHT - 8.0);
            add(format!(
                "<text class=\"mark\" x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\">{label}</text>\n"
            ));
        }
        for x in self.cuts.iter().filter(|x| within(**x)) {
            let (x, foot) = (across(*x), HEIGHT - BOTTOM);
            add(format!(
                "<line class=\"cut\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{foot}\"/>\n"
            ));
        }
        for (number, line) in lines.iter().enumerate() {
            let mut path = String::new();
            let mut pen = "M";
            for (x, y) in &line.points {
                match y {
                    Some(y) => {
                        write!(path, "{pen}{:.1} {:.1}", across(*x), up(*y))
                            .expect("memory takes it");
                        pen = "L";
                    }
                    None => pen = "M",
                }
            }
            add(format!("<path class=\"line line{number}\" d=\"{path}\"/>\n"));
        }
        let columns: Vec<_> = self.columns.iter().filter(|(x, _)| within(*x)).collect();
        for (index, (x, name)) in columns.iter().enumerate() {
            let x = across(*x);
            let middle = |other: Option<&&(f64, String)>, edge: f64| {
                other.map_or(edge, |(other, _)| f64::midpoint(x, across(*other)))
            };
            let from = middle(index.checked_sub(1).and_then(|before| columns.get(before)), LEFT);
            let to = middle(columns.get(index + 1), WIDTH - RIGHT);
            let (width, height) = ((to - from).max(0.5), HEIGHT - BOTTOM - TOP);
            let (side, place) =
                if x < WIDTH / 2.0 { ("start", LEFT + 8.0) } else { ("end", WIDTH - RIGHT - 8.0) };
            add(format!(
                "<g class=\"at\"><rect x=\"{from:.1}\" y=\"{TOP}\" width=\"{width:.1}\" height=\"{height}\"/>\
                 <text x=\"{place}\" y=\"{}\" text-anchor=\"{side}\">{name}: {}</text></g>\n",
                TOP + 14.0,
                self.values(columns[index].0)
            ));
        }
        svg.push_str("</svg>\n<p class=\"legend\">");
        for (number, line) in lines.iter().enumerate() {
            write!(svg, "<span class=\"key line{number}\"></span>{} ", line.name)
                .expect("memory takes it");
        }
        if self.cuts.iter().any(|x| within(*x)) {
            svg.push_str("<span class=\"key cut\"></span>sockets are cut");
        }
        svg.push_str("</p></figure>\n");
        svg
    }

    /// Returns the values of all lines at this abscissa.
    fn values(&self, at: f64) -> String {
        let values = self.lines.iter().filter_map(|line| {
            let (_, value) = line.points.iter().find(|(x, _)| (x - at).abs() < 1e-9)?;
            Some(format!("{} {}", line.name, value.map_or("-".to_owned(), exact)))
        });
        values.collect::<Vec<_>>().join(", ")
    }
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

fn exact(number: f64) -> String {
    if number.fract() == 0.0 { format!("{number:.0}") } else { format!("{number:.2}") }
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
    use super::{Chart, ChartLine, nice};

    fn chart(points: Vec<(f64, Option<f64>)>) -> String {
        let columns = points.iter().map(|(x, _)| (*x, format!("{x} s"))).collect();
        let lines = vec![ChartLine { name: "a", points }];
        let marks = vec![(0.0, "0 s".to_owned())];
        Chart { title: "t", unit: "ms", lines, columns, marks, cuts: vec![2.0, 9.0] }.draw()
    }

    #[test]
    fn what_has_no_value_breaks_the_line_and_nothing_is_no_chart() {
        let drawn = chart(vec![(0.0, Some(1.0)), (1.0, None), (2.0, Some(3.25))]);
        assert_eq!(drawn.matches(" d=\"M").count(), 1, "{drawn}");
        let path = drawn.split(" d=\"").nth(1).and_then(|path| path.split('"').next());
        assert_eq!(path.map(|path| path.matches('M').count()), Some(2), "{drawn}");
        assert!(!drawn.contains("NaN") && !drawn.contains("inf"), "{drawn}");
        assert_eq!(chart(vec![(0.0, None)]), "");
    }

    #[test]
    fn each_column_tells_its_values_and_a_cut_is_a_line() {
        let drawn = chart(vec![(0.0, Some(1.0)), (1.0, None), (2.0, Some(3.25))]);
        for column in ["0 s: a 1<", "1 s: a -<", "2 s: a 3.25<"] {
            assert!(drawn.contains(column), "{column}: {drawn}");
        }
        assert_eq!(
            drawn.matches("<line class=\"cut\"").count(),
            1,
            "9 is not in the chart: {drawn}"
        );
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
