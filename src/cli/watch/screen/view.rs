//! Draws the model. Whatever the size and whoever named the heroes, it stays within its lines.

use galley_protocol::harmless::harmless;
use galley_protocol::{Order, Status, Timestamp};
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize as _};
use ratatui::symbols::bar;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph, Row, Sparkline, Table};

use super::filter::word;
use super::keys::KEYS;
use super::model::{Link, Model, Typing, first_row};

/// Less wide, and words give way to figures.
const WIDE: u16 = 76;
/// Less high, and the figures give way to the list.
const HIGH: u16 = 8;

/// Whether there are colours; nothing is told by a colour alone.
#[derive(Clone, Copy, Debug)]
pub struct Palette {
    coloured: bool,
}

impl Palette {
    /// No colours where `NO_COLOR` is set to anything.
    pub fn of_environment() -> Self {
        Self::new(std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()))
    }

    /// With colours or without.
    pub const fn new(coloured: bool) -> Self {
        Self { coloured }
    }

    fn of(self, status: Status) -> Style {
        self.colour(match status {
            Status::Pending => Color::Yellow,
            Status::InProgress => Color::Cyan,
            Status::Completed => Color::Green,
            Status::Cancelled => Color::Red,
        })
    }

    fn colour(self, colour: Color) -> Style {
        if self.coloured { Style::new().fg(colour) } else { Style::new() }
    }
}

/// Draws, and notes in the model how many orders there is room for.
pub fn draw(frame: &mut Frame, model: &mut Model, palette: Palette, now: Timestamp) {
    let area = frame.area();
    let figures = u16::from(area.height >= HIGH);
    let [link, totals, latencies, rate, list, bottom] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(figures),
        Constraint::Length(figures),
        Constraint::Min(1),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(link_line(model, palette, now), link);
    frame.render_widget(totals_line(model, palette, area.width), totals);
    frame.render_widget(latency_line(model, area.width, now), latencies);
    draw_rate(frame, model, palette, rate, now);
    draw_list(frame, model, palette, list, now);
    draw_bottom(frame, model, bottom, now);
    if model.helping {
        draw_keys(frame, list);
    }
}

fn link_line(model: &Model, palette: Palette, now: Timestamp) -> Line<'static> {
    let gateway = harmless(&model.gateway);
    let (state, style, more) = match &model.link {
        Link::Connecting => ("◌ connecting".to_owned(), palette.colour(Color::Yellow), gateway),
        Link::Live => (
            "● live".to_owned(),
            palette.colour(Color::Green),
            format!("{} at {gateway}", harmless(&model.whose)),
        ),
        Link::Waiting { why, until } => {
            let left = (until.millis() - now.millis()).max(0);
            (format!("○ retry in {}", span(left)), palette.colour(Color::Red), harmless(why))
        }
    };
    Line::from(vec![Span::styled(state, style.bold()), Span::raw("  "), Span::raw(more)])
}

fn totals_line(model: &Model, palette: Palette, width: u16) -> Line<'static> {
    let mut totals = model.totals();
    let spans = Status::ALL.into_iter().flat_map(|status| {
        let count =
            totals.as_mut().map_or_else(|| "–".to_owned(), |totals| totals.of(status).to_string());
        let label = if width >= WIDE { named(status) } else { icon(status).to_owned() };
        [
            Span::styled(label, palette.of(status)),
            Span::raw(" "),
            Span::raw(count).bold(),
            Span::raw("   "),
        ]
    });
    spans.collect()
}

fn latency_line(model: &mut Model, width: u16, now: Timestamp) -> Line<'static> {
    let figures = |quantiles: Option<(u64, u64)>| match quantiles {
        Some((median, worst)) if width >= WIDE => {
            format!("p50 {}, p99 {}", span_of(median), span_of(worst))
        }
        Some((median, worst)) => format!("{}/{}", span_of(median), span_of(worst)),
        None => "–".to_owned(),
    };
    let (wait, preparation) =
        (figures(model.wait.quantiles(now)), figures(model.preparation.quantiles(now)));
    Line::from(if width >= WIDE {
        format!("placed→started {wait}   started→ended {preparation}   of the last minute")
    } else {
        format!("→started {wait} →ended {preparation}")
    })
}

fn draw_rate(frame: &mut Frame, model: &mut Model, palette: Palette, area: Rect, now: Timestamp) {
    let text = format!("{:.1} updates/s  ", model.rate.per_second(now));
    let [label, plot] =
        Layout::horizontal([Constraint::Length(cells(&text)), Constraint::Min(0)]).areas(area);
    frame.render_widget(Line::raw(text), label);
    let seconds = model.rate.seconds(now);
    let shown = seconds.get(seconds.len().saturating_sub(plot.width.into())..).unwrap_or_default();
    let sparkline = Sparkline::default()
        .data(shown)
        .bar_set(bar::NINE_LEVELS)
        .style(palette.colour(Color::Cyan));
    frame.render_widget(sparkline, plot);
}

fn draw_list(frame: &mut Frame, model: &mut Model, palette: Palette, area: Rect, now: Timestamp) {
    let room = usize::from(area.height.saturating_sub(1));
    model.page = room;
    let rows = model.rows();
    let position = model.position(&rows);
    let first = first_row(position, room, rows.len());
    let [id, status, age] = [8, 13, 8];
    let names = area.width.saturating_sub(id + status + age + 4);
    let (hero, meal) = (names / 2, names - names / 2);
    let shown = rows.iter().enumerate().skip(first).take(room).map(|(index, order)| {
        let selected = position == Some(index);
        let mark = if selected { "›" } else { " " };
        let row = Row::new([
            Line::raw(format!("{mark}{}", order.id)),
            Line::raw(fit(&hero_name(model, order), hero)),
            Line::raw(fit(&meal_name(model, order), meal)),
            Line::styled(named(order.status), palette.of(order.status)),
            Line::raw(age_of(order, now)).alignment(Alignment::Right),
        ]);
        if selected { row.add_modifier(Modifier::REVERSED) } else { row }
    });
    let widths = [id, hero, meal, status, age].map(Constraint::Length);
    let head = Row::new(["order", "hero", "meal", "status", "     age"].map(Line::raw))
        .style(Style::new().bold());
    frame.render_widget(Table::new(shown, widths).header(head).column_spacing(1), area);
    if rows.is_empty() && area.height > 1 {
        let empty = match &model.typing {
            Some((Typing::Filter, _)) => " no order shown so far fits; Enter searches all orders",
            _ if model.reading => " searching …",
            _ if model.filter_text.is_empty() => " no orders yet",
            _ => " no order fits the filter",
        };
        frame.render_widget(Line::raw(empty).italic(), Rect { y: area.y + 1, height: 1, ..area });
    }
}

/// The line being typed, else what was said just now, else how the list is held and filtered, and
/// what the selected order has to say.
fn draw_bottom(frame: &mut Frame, model: &Model, area: Rect, now: Timestamp) {
    if let Some((typing, text)) = &model.typing {
        let label = match typing {
            Typing::Filter => "filter: ".to_owned(),
            Typing::Reason(id) => {
                format!("cancel order {id}, because (Enter: do it, Esc: do not): ")
            }
        };
        let room = area.width.saturating_sub(cells(&label) + 1);
        // Blanks count, also those at the end.
        let typed = text.split(' ').map(harmless).collect::<Vec<_>>().join(" ");
        let typed = tail(&typed, room);
        frame.set_cursor_position((
            area.x + (cells(&label) + cells(&typed)).min(area.width.saturating_sub(1)),
            area.y,
        ));
        frame.render_widget(Line::from(vec![Span::raw(label).bold(), Span::raw(typed)]), area);
        return;
    }
    let mut parts = Vec::new();
    if let Some(waiting) = model.waiting() {
        parts.push(Span::raw(format!(" paused, {waiting} wait ")).reversed());
    }
    if !model.filter_text.is_empty() {
        parts.push(Span::raw(format!(" filter: {} ", harmless(&model.filter_text))).reversed());
    }
    if let Some(note) = model.note(now) {
        parts.push(Span::raw(harmless(note)).bold());
    } else if let Some(message) = model.selected().and_then(|order| order.message.as_deref()) {
        parts.push(Span::raw(harmless(message)));
    } else {
        parts.push(Span::raw("? keys  / filter  p pause  c cancel  q leave").dim());
    }
    let line: Line = parts.into_iter().flat_map(|part| [part, Span::raw(" ")]).collect();
    frame.render_widget(line, area);
}

fn draw_keys(frame: &mut Frame, area: Rect) {
    let lines: Vec<Line> = KEYS
        .iter()
        .map(|(keys, what)| {
            Line::from(vec![Span::raw(format!(" {keys:<14} ")).bold(), Span::raw(*what)])
        })
        .collect();
    let (width, height) = (
        area.width.min(66),
        area.height.min(u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2)),
    );
    let place = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    };
    frame.render_widget(Clear, place);
    // Where there is no room for it, the frame gives way.
    let block = if height >= 10 { Block::bordered().title(" Keys ") } else { Block::new() };
    frame.render_widget(Paragraph::new(lines).block(block), place);
}

const fn icon(status: Status) -> &'static str {
    match status {
        Status::Pending => "○",
        Status::InProgress => "◐",
        Status::Completed => "●",
        Status::Cancelled => "✕",
    }
}

fn named(status: Status) -> String {
    format!("{} {}", icon(status), word(status))
}

fn hero_name(model: &Model, order: &Order) -> String {
    model.names.hero(order.hero_id).map_or_else(|| format!("hero {}", order.hero_id), harmless)
}

fn meal_name(model: &Model, order: &Order) -> String {
    model.names.meal(order.meal_id).map_or_else(|| format!("meal {}", order.meal_id), harmless)
}

/// Since it was placed; of an order that has ended, how long that took.
fn age_of(order: &Order, now: Timestamp) -> String {
    span(order.completed_time.unwrap_or(now).millis() - order.order_time.millis())
}

/// A length of time in at most eight characters.
fn span(millis: i64) -> String {
    span_of(u64::try_from(millis).unwrap_or(0))
}

fn span_of(millis: u64) -> String {
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..60_000 => format!("{}.{} s", millis / 1_000, millis % 1_000 / 100),
        60_000..3_600_000 => format!("{} min", millis / 60_000),
        3_600_000..86_400_000 => format!("{} h", millis / 3_600_000),
        _ => format!("{} d", millis / 86_400_000),
    }
}

/// How many cells a text takes.
fn cells(text: &str) -> u16 {
    u16::try_from(Span::raw(text).width()).unwrap_or(u16::MAX)
}

/// The beginning of a text, marked where it is cut.
fn fit(text: &str, room: u16) -> String {
    if cells(text) <= room {
        return text.to_owned();
    }
    let mut shown = String::new();
    for character in text.chars() {
        shown.push(character);
        if cells(&shown) >= room {
            shown.pop();
            break;
        }
    }
    shown + "…"
}

/// The end of a text.
fn tail(text: &str, room: u16) -> String {
    let mut start = 0;
    while cells(&text[start..]) > room {
        start += text[start..].chars().next().map_or(1, char::len_utf8);
    }
    text[start..].to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crossterm::event::KeyCode;
    use galley_protocol::HeroId;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::style::Color;

    use super::{Palette, draw, fit, span_of, tail};
    use crate::cli::client_session::SessionEvent;
    use crate::cli::error::CommandError;
    use crate::cli::watch::screen::keys::press;
    use crate::cli::watch::screen::model::Model;
    use crate::cli::watch::screen::staging::{at, feed, model, order, orders};

    fn drawn(
        model: &mut Model,
        width: u16,
        height: u16,
        palette: Palette,
    ) -> Terminal<TestBackend> {
        let mut terminal =
            Terminal::new(TestBackend::new(width, height)).expect("memory can be drawn on");
        terminal.draw(|frame| draw(frame, model, palette, at(0))).expect("memory can be drawn on");
        terminal
    }

    fn lines(model: &mut Model, width: u16, height: u16) -> Vec<String> {
        let terminal = drawn(model, width, height, Palette::new(true));
        let cells = terminal.backend().buffer().content().chunks(width.into());
        cells
            .map(|line| {
                line.iter()
                    .map(ratatui::buffer::Cell::symbol)
                    .collect::<String>()
                    .trim_end()
                    .to_owned()
            })
            .collect()
    }

    fn press_all(model: &mut Model, keys: &str) {
        for key in keys.chars() {
            let code = if key == '↓' { KeyCode::Down } else { KeyCode::Char(key) };
            assert_eq!(press(model, code.into(), at(0)), None);
        }
    }

    /// Two orders, one of them cancelled, of a hero and a meal with names.
    fn busy() -> Model {
        let mut model = model();
        let both = [order(7, "IN_PROGRESS", 2), order(8, "CANCELLED", 3)];
        model.names.learn_hero(both[0].hero_id, Some("Zoé".to_owned()));
        model.names.learn_meal(both[0].meal_id, Some("Leek soup".to_owned()));
        model.hear(feed(&both), at(-1));
        model.hear(SessionEvent::Watching { whose: "every hero".to_owned() }, at(0));
        model
    }

    #[test]
    fn everything_has_its_place() {
        let lines = lines(&mut busy(), 100, 12);
        assert_eq!(
            lines[..3],
            [
                "● live  every hero at http://a:1",
                "○ pending 7   ◐ in progress 0   ● completed 0   ✕ cancelled 0",
                "placed→started p50 1.0 s, p99 1.0 s   started→ended p50 2.0 s, p99 2.0 s   of the last minute",
            ]
        );
        assert!(lines[3].starts_with("0.4 updates/s") && lines[3].ends_with('█'), "{lines:?}");
        let row =
            |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ");
        assert_eq!(
            lines[4..7].iter().map(|line| row(line)).collect::<Vec<_>>(),
            [
                "order hero meal status age",
                "8 Zoé Leek soup ✕ cancelled 3.0 s",
                "7 Zoé Leek soup ◐ in progress 10.0 s"
            ]
        );
        assert_eq!(lines[11], "? keys  / filter  p pause  c cancel  q leave");
    }

    #[test]
    fn a_lost_connection_says_why_and_counts_down() {
        let mut model = busy();
        let why = CommandError::failed("the connection to http://a:1 is lost\u{1b}[2J");
        model.hear(SessionEvent::Waiting { why, pause: Duration::from_millis(4_200) }, at(0));
        assert_eq!(
            lines(&mut model, 80, 12)[0],
            "○ retry in 4.2 s  the connection to http://a:1 is lost·[2J"
        );
        assert!(lines(&mut model, 20, 3)[0].starts_with("○ retry in 4.2 s"));
        model.helping = true;
        assert!(lines(&mut model, 80, 12)[0].starts_with("○ retry"), "help hides it not");
        model.hear(SessionEvent::Connecting, at(0));
        assert_eq!(lines(&mut model, 80, 12)[0], "◌ connecting  http://a:1");
    }

    #[test]
    fn the_last_line_is_for_what_is_going_on() {
        let mut model = busy();
        let last = |model: &mut Model| lines(model, 80, 12).pop().expect("lines");
        press_all(&mut model, "↓");
        assert_eq!(last(&mut model), "Allergy conflict: Nut", "of the selected order");
        assert!(lines(&mut model, 80, 12)[5].starts_with("›8"));
        press_all(&mut model, "c");
        assert_eq!(last(&mut model), "order 8 has ended");
        press_all(&mut model, "↓c late");
        assert_eq!(last(&mut model), "cancel order 7, because (Enter: do it, Esc: do not):  late");
        model.typing = None;
        press_all(&mut model, "p");
        model.hear(feed(&[order(9, "PENDING", 1)]), at(0));
        assert!(last(&mut model).starts_with(" paused, 1 wait"));
        press_all(&mut model, "p/7");
        assert_eq!(last(&mut model), "filter: 7");
        let shown = lines(&mut model, 80, 12);
        assert!(shown[5].contains('7') && shown[6].is_empty(), "{shown:?}");
        press_all(&mut model, "zzz");
        assert_eq!(
            lines(&mut model, 80, 12)[5],
            " no order shown so far fits; Enter searches all orders"
        );
        model.typing = None;
        assert_eq!(lines(&mut model, 80, 12)[5], " no order fits the filter");
        press_all(&mut model, "?");
        assert!(
            lines(&mut model, 80, 16).iter().any(|line| line.contains("cancel the selected order"))
        );
    }

    #[test]
    fn names_cannot_leave_their_place() {
        let pile = format!("Z{}", "\u{301}".repeat(500));
        let names = [
            "\u{1b}[2J\u{1b}[Hgone",
            "\u{202e}right to left\u{2069}",
            &"W".repeat(200),
            &"火".repeat(200),
            &pile,
            "a\nb",
            "",
        ];
        for name in names {
            for width in [10, 40, 79, 80, 200] {
                let mut model = busy();
                model.names.learn_hero(HeroId::new(1).expect("an id"), Some(name.to_owned()));
                let terminal = drawn(&mut model, width, 12, Palette::new(true));
                let cells = terminal.backend().buffer().content();
                let symbols: String = cells.iter().map(ratatui::buffer::Cell::symbol).collect();
                let obeyed = |character: char| {
                    character.is_control()
                        || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
                };
                assert!(!symbols.contains(obeyed), "{name:?} {width}: {symbols:?}");
                assert!(
                    cells.iter().all(|cell| cell.symbol().chars().count() <= 4),
                    "{name:?} {width}"
                );
                if width >= 40 {
                    assert!(symbols.contains("◐ in progress"), "{name:?} {width}: {symbols:?}");
                    let line: Vec<_> = cells
                        .chunks(width.into())
                        .nth(6)
                        .expect("a line")
                        .iter()
                        .map(ratatui::buffer::Cell::symbol)
                        .collect();
                    assert!(line.concat().ends_with("10.0 s"), "{name:?} {width}: {line:?}");
                }
            }
        }
    }

    #[test]
    fn no_size_is_too_small() {
        let many = || feed(&orders(1..=500, "PENDING", 1));
        for keys in ["", "↓", "?", "/hero:zoé", "↓↓c", "p"] {
            for (width, height) in
                [(1, 1), (2, 3), (10, 4), (40, 10), (39, 7), (300, 2), (5, 100), (250, 90)]
            {
                let mut model = busy();
                model.hear(many(), at(0));
                press_all(&mut model, keys);
                drawn(&mut model, width, height, Palette::new(true));
            }
        }
        let small = lines(&mut busy(), 40, 10);
        assert!(
            small[0].starts_with("● live")
                && small[5].contains("cancelled")
                && small[6].contains("in progress"),
            "{small:?}"
        );
    }

    #[test]
    fn without_colours_there_are_none() {
        let foregrounds = |palette| {
            let terminal = drawn(&mut busy(), 100, 12, palette);
            terminal
                .backend()
                .buffer()
                .content()
                .iter()
                .filter(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset)
                .count()
        };
        assert!(foregrounds(Palette::new(true)) > 0);
        assert_eq!(foregrounds(Palette::new(false)), 0);
    }

    #[test]
    fn lengths_and_texts_fit() {
        for (millis, told) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1_000, "1.0 s"),
            (59_999, "59.9 s"),
            (60_000, "1 min"),
            (7_200_000, "2 h"),
            (200_000_000, "2 d"),
        ] {
            assert_eq!(span_of(millis), told);
        }
        for (text, room, shown) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("火鍋", 3, "火…"),
            ("火鍋", 4, "火鍋"),
            ("a", 0, "…"),
        ] {
            assert_eq!(fit(text, room), shown);
        }
        assert_eq!(
            (tail("abcd", 2).as_str(), tail("火鍋", 3).as_str(), tail("x", 0).as_str()),
            ("cd", "鍋", "")
        );
    }
}
