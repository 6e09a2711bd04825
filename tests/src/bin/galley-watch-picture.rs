//! Takes the picture of `galley watch` for the README: a real gateway under traffic, a real
//! terminal, drawn as SVG.
//!
//! `cargo run -p galley-tests --bin galley-watch-picture`, after `cargo build --workspace --bins`.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use galley_tests::{Screen, TestClient, TestStack};
use rand::RngExt as _;
use tokio::time::{Instant, sleep};

/// Columns and rows.
const SIZE: (u16, u16) = (100, 28);
/// The duration of the traffic: as long as the figures reach back.
const TRAFFIC: Duration = Duration::from_secs(65);
/// The demo menu and its heroes.
const HEROES: i64 = 6;
const MEALS: i64 = 12;
/// A cell, in units of the picture.
const WIDTH: f64 = 8.4;
const HEIGHT: f64 = 18.0;
const MARGIN: f64 = 14.0;
const PAPER: &str = "#141210";
const INK: &str = "#f3eee8";

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let stack = TestStack::embedded().seeded().delay("1s..6s").start().await;
    let client = stack.client();
    let mut screen = Screen::start("galley", &["watch"], &[("GALLEY_URL", client.base())], SIZE);
    screen.shows("● live").await;
    lunch(&client).await;
    screen.press("\x1b[B\x1b[B\x1b[B");
    let picture = screen.until("a selected order", |screen| screen.contents().contains('›')).await;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/pictures/watch.svg");
    std::fs::write(&path, svg(&picture))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    println!("{}", path.display());
}

/// Waves of orders.
async fn lunch(client: &TestClient) {
    let began = Instant::now();
    while began.elapsed() < TRAFFIC {
        let (hero, meal) =
            (rand::rng().random_range(1..=HEROES), rand::rng().random_range(1..=MEALS));
        client.place(hero, meal).await;
        let wave = 0.15 + 0.12 * (began.elapsed().as_secs_f64() / 9.0).sin();
        sleep(Duration::from_secs_f64(wave * rand::rng().random_range(0.5..1.5))).await;
    }
}

/// Adjacent cells of a line in the same style.
struct TextRun {
    column: u16,
    cells: u16,
    text: String,
    style: Style,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Style {
    colour: &'static str,
    bold: bool,
    dim: bool,
    inverse: bool,
}

fn svg(screen: &vt100::Screen) -> String {
    let (width, height) =
        (f64::from(SIZE.0) * WIDTH + 2.0 * MARGIN, f64::from(SIZE.1) * HEIGHT + 2.0 * MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.1} {height:.1}\">\n\
         <style>text {{ font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace; white-space: pre }}</style>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"10\" fill=\"{PAPER}\"/>\n"
    );
    for row in 0..SIZE.1 {
        for run in runs(screen, row) {
            draw(&mut svg, row, &run);
        }
    }
    svg + "</svg>\n"
}

fn draw(svg: &mut String, row: u16, TextRun { column, cells, text, style }: &TextRun) {
    let (x, y) = (MARGIN + f64::from(*column) * WIDTH, MARGIN + f64::from(row) * HEIGHT);
    let length = f64::from(*cells) * WIDTH;
    let (ink, paper) =
        if style.inverse { (PAPER, Some(style.colour)) } else { (style.colour, None) };
    if let Some(paper) = paper {
        writeln!(svg, "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{length:.1}\" height=\"{HEIGHT}\" fill=\"{paper}\"/>")
            .expect("writing to memory does not fail");
    }
    if text.trim().is_empty() {
        return;
    }
    let bold = if style.bold { " font-weight=\"bold\"" } else { "" };
    let dim = if style.dim { " opacity=\"0.6\"" } else { "" };
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let base = y + 0.75 * HEIGHT;
    // The length is set, so that every font keeps to the columns.
    writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{base:.1}\" textLength=\"{length:.1}\" lengthAdjust=\"spacingAndGlyphs\" fill=\"{ink}\"{bold}{dim} \
         xml:space=\"preserve\">{text}</text>"
    )
    .expect("writing to memory does not fail");
}

fn runs(screen: &vt100::Screen, row: u16) -> Vec<TextRun> {
    let mut runs: Vec<TextRun> = Vec::new();
    for column in 0..SIZE.0 {
        let Some(cell) = screen.cell(row, column) else { continue };
        if cell.is_wide_continuation() {
            continue;
        }
        let style = Style {
            colour: colour(cell.fgcolor()),
            bold: cell.bold(),
            dim: cell.dim(),
            inverse: cell.inverse(),
        };
        let text = if cell.has_contents() { cell.contents() } else { " " };
        let cells = if cell.is_wide() { 2 } else { 1 };
        match runs.last_mut() {
            Some(run) if run.style == style => {
                run.cells += cells;
                run.text.push_str(text);
            }
            _ => runs.push(TextRun { column, cells, text: text.to_owned(), style }),
        }
    }
    runs
}

/// Returns the colour of the dashboard's dark theme.
fn colour(colour: vt100::Color) -> &'static str {
    match colour {
        vt100::Color::Idx(1) => "#ff8fa6",
        vt100::Color::Idx(2) => "#6fd39b",
        vt100::Color::Idx(3) => "#ffd479",
        vt100::Color::Idx(6) => "#82b3ff",
        vt100::Color::Default | vt100::Color::Idx(_) | vt100::Color::Rgb(..) => INK,
    }
}
