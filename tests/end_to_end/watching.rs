//! `galley watch` works on a terminal.

use std::cell::Cell;

use galley_tests::json::{id, text};
use galley_tests::program::Signal;
use galley_tests::{Screen, StackBuilder, TestClient, TestStack};

/// The columns and rows of the terminal.
const SIZE: (u16, u16) = (100, 30);

fn watch(client: &TestClient, arguments: &[&str], variables: &[(&str, &str)]) -> Screen {
    let variables = [&[("GALLEY_URL", client.base())], variables].concat();
    Screen::start("galley", &[&["watch"], arguments].concat(), &variables, SIZE)
}

/// Expects the terminal as it was before the program: the lines, the cursor, the echo.
async fn given_back(screen: &mut Screen, settings: &str) {
    let last = screen
        .until("the lines of before", |screen| !screen.alternate_screen() && !screen.hide_cursor())
        .await;
    assert_eq!((last.contents().as_str(), screen.settings().as_str()), ("", settings));
}

on_both_deployments!(orders_are_watched_filtered_held_and_cancelled);
async fn orders_are_watched_filtered_held_and_cancelled(stack: StackBuilder) {
    let stack = stack.delay("1h").start().await;
    let client = stack.client();
    let soup = client.create_meal("Soup", &["water"]).await;
    let nova = client.create_hero("Nova", &[]).await;
    let evil = client.create_hero("\u{200b}live\u{ad}", &["water"]).await;
    let earlier = id(&client.place(nova, soup).await);
    let mut screen = watch(&client, &[], &[]);
    screen.shows("● live  every hero at http://127.0.0.1:").await;
    let row = |id: i64, rest: &str| {
        let words = format!("{id} {rest}");
        move |screen: &vt100::Screen| {
            let line = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
            screen
                .contents()
                .lines()
                .any(|shown| line(shown.trim_start_matches('›')).starts_with(&words))
        }
    };
    screen.until("an order from before", row(earlier, "Nova Soup ◐ in progress")).await;
    let allergic = id(&client.place(evil, soup).await);
    screen.until("a hostile name", row(allergic, "·live· Soup ✕ cancelled")).await;
    screen.shows("✕ cancelled 1").await;

    screen.press("/hero:nova\r");
    screen
        .until("the filter", |screen| !row(allergic, "")(screen) && row(earlier, "Nova")(screen))
        .await;
    screen.press("/\x1b");
    screen.until("everything", row(allergic, "")).await;

    screen.press("p");
    screen.shows("paused, 0 wait").await;
    let later = id(&client.place(nova, soup).await);
    screen.shows("◐ in progress 2").await;
    let held = screen
        .until("what waits", |screen| {
            screen.contents().contains("paused, ") && !screen.contents().contains("paused, 0")
        })
        .await;
    assert!(!row(later, "")(&held), "{}", held.contents());
    screen.press(" ");
    screen.until("what waited", row(later, "Nova Soup ◐ in progress")).await;

    screen.press("\x1b[B\x1b[B\x1b[B\x1b[A\x1b[B");
    screen
        .until("the selection", |screen| screen.contents().contains(&format!("›{earlier} ")))
        .await;
    screen.press("cchanged my minx\x7fd\r");
    screen.shows(&format!("order {earlier} is cancelled")).await;
    let cancelled = client.order(earlier).await;
    assert_eq!(
        (text(&cancelled, "status"), text(&cancelled, "message")),
        ("CANCELLED", "changed my mind")
    );
    screen.until("a cancelled order", row(earlier, "Nova Soup ✕ cancelled")).await;
    screen.press("c");
    screen.shows(&format!("order {earlier} has ended")).await;
    screen.resize(40, 10);
    screen
        .until("a small screen", |screen| {
            screen.contents().lines().nth(5).is_some_and(|line| line.contains("in progress"))
        })
        .await;
    screen.press("q");
    assert!(screen.exit().await.success());
}

#[tokio::test]
async fn a_terminal_is_given_back_whatever_ends_the_program() {
    let stack = TestStack::embedded().start().await;
    let (proxy, client) = stack.proxied().await;
    let hero = client.create_hero("Zoé", &[]).await.to_string();
    for end in ["q", "\u{3}", "TERM", "INT", "QUIT", "HUP", "gone"] {
        let mut screen = watch(&client, &["--hero", &hero], &[]);
        let before = screen.settings();
        let live =
            screen.until("a connection", |screen| screen.contents().contains("● live  Zoé")).await;
        let is_set = screen.settings() != before;
        assert!(live.alternate_screen() && is_set, "{end}: {is_set}, {}", live.contents());
        match end {
            "TERM" => screen.signal(Signal::TERM),
            "INT" => screen.signal(Signal::INT),
            "QUIT" => screen.signal(Signal::QUIT),
            "HUP" => screen.signal(Signal::HUP),
            "gone" => {
                client.delete(&format!("/heroes/{hero}")).await.is(204);
                proxy.cut();
            }
            key => screen.press(key),
        }
        let status = screen.exit().await;
        if end == "gone" {
            let last = screen.shows(&format!("there is no hero {hero}")).await;
            assert!(
                status.code() == Some(3)
                    && last.starts_with("error: ")
                    && last.lines().count() == 1,
                "{last}"
            );
        } else {
            assert!(status.success(), "{end}: {status}");
            given_back(&mut screen, &before).await;
        }
        assert_eq!(screen.settings(), before, "{end}");
    }
}

#[tokio::test]
async fn a_lost_connection_is_told_with_its_reason_and_a_countdown() {
    let stack = TestStack::embedded().start().await;
    let (proxy, client) = stack.proxied().await;
    let mut screen = watch(&client, &[], &[("NO_COLOR", "1")]);
    let live = screen.until("a connection", |screen| screen.contents().contains("● live")).await;
    let cells = (0..SIZE.1).flat_map(|row| (0..SIZE.0).map(move |column| (row, column)));
    let coloured = cells
        .filter_map(|(row, column)| live.cell(row, column))
        .filter(|cell| cell.fgcolor() != vt100::Color::Default);
    assert_eq!(coloured.count(), 0, "NO_COLOR");
    proxy.cut();
    let (hero, meal) = stack.client().create_hero_and_meal().await;
    stack.client().place(hero, meal).await;
    screen.shows("Soup").await;
    drop(proxy);
    screen.shows("connection refused").await;
    let left = |screen: &vt100::Screen| -> Option<f64> {
        screen.contents().split_once("○ retry in ")?.1.split_once(" s ")?.0.parse().ok()
    };
    let before = Cell::new(0.0);
    screen
        .until("a countdown", |screen| {
            // Another attempt begins another countdown.
            let left = left(screen).unwrap_or(0.0);
            0.0 < left && left < before.replace(left)
        })
        .await;
    screen.press("q");
    assert!(screen.exit().await.success());
}

#[tokio::test]
async fn lines_may_be_had_on_a_terminal_too() {
    let (_stack, client, hero, meal) =
        TestStack::embedded().delay("0s").start_with_hero_and_meal().await;
    let mut screen = watch(&client, &["--lines"], &[]);
    screen.shows("watching the orders of every hero").await;
    let order = id(&client.place(hero, meal).await);
    let shown = screen
        .until("a line", |screen| screen.contents().contains(&format!("order {order} v3")))
        .await;
    assert!(!shown.alternate_screen());
}

/// The orders: more than a screen loads by itself.
const MANY: usize = 620;

#[tokio::test]
async fn a_filter_finds_orders_that_were_not_loaded() {
    let stack = TestStack::embedded().delay("0s").start().await;
    let client = stack.client();
    let (zebra, soup) =
        (client.create_meal("Zebra pie", &[]).await, client.create_meal("Soup", &[]).await);
    let (nova, zoe) = (client.create_hero("Nova", &[]).await, client.create_hero("Zoé", &[]).await);
    let oldest = id(&client.place(zoe, zebra).await);
    for _ in 0..MANY {
        client.place(nova, soup).await;
    }
    client.until_none(&["PENDING", "IN_PROGRESS"]).await;
    let newest = client.all("/orders").await.len();
    let mut screen = watch(&client, &[], &[]);
    let row = |id: usize| {
        let words = format!("{id} ");
        move |screen: &vt100::Screen| {
            screen.contents().lines().any(|line| line.trim_start().starts_with(&words))
        }
    };
    screen.until("the newest order", row(newest)).await;
    for filter in ["meal:zebra", "zebra", "hero:zoe", "hero:zoe meal:zebra status:completed"] {
        screen.press(&format!("/{filter}\r"));
        let found = screen.until(filter, row(usize::try_from(oldest).expect("small"))).await;
        assert!(!row(newest)(&found), "{filter}: {}", found.contents());
        let new = id(&client.place(zoe, zebra).await);
        screen.until("a new order that fits", row(usize::try_from(new).expect("small"))).await;
        screen.press("/\x1b");
        screen.until("everything again", row(newest)).await;
    }
    screen.press("/meal:lobster\r");
    screen.shows("no order fits the filter").await;
    screen.press("q");
    assert!(screen.exit().await.success());
}
