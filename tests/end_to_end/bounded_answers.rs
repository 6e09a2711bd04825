//! An answer costs a bounded time and a bounded memory, whatever the database holds and however
//! slowly its client reads. Meanwhile a neighbour orders as before.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use galley_protocol::frame::Resume;
use galley_tests::json::{id, list};
use galley_tests::{RawConnection, StackBuilder, TestClient, TestSocket, TestStack, until};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};

const MIB: u64 = 1_024 * 1_024;
/// Many times what a bounded answer takes on a busy machine, and a fraction of an unbounded one.
const SOON: Duration = Duration::from_secs(3);
/// The most orders of a welcome.
const MAX_ACTIVE: usize = 2_000;
/// The most bytes of the entries of a page.
const MAX_PAGE: usize = 256 * 1_024;

/// Adds orders of a hero to the database at once.
async fn add_orders(stack: &TestStack, hero: i64, meal: i64, count: usize, are_active: bool) {
    let url = stack.database_url();
    let (now, later) = if url.starts_with("sqlite:") {
        ("unixepoch() * 1000", "unixepoch() * 1000 + 3600000")
    } else {
        ("now()", "now() + interval '1 hour'")
    };
    // Active ones are in progress, so that no worker changes them.
    let (last, values) = if are_active {
        ("due_at", format!("1, 2, {now}, {now}, {later}"))
    } else {
        ("completed_time", format!("2, 3, {now}, {now}, {now}"))
    };
    let statement = AssertSqlSafe(format!(
        "insert into orders (hero_id, meal_id, status, version, order_time, started_time, {last})
         with recursive numbers(number) as (select 1 union all select number + 1 from numbers where number < {count})
         select {hero}, {meal}, {values} from numbers"
    ));
    if url.starts_with("sqlite:") {
        let mut connection = SqliteConnection::connect(url).await.expect("a connection");
        sqlx::query(statement).execute(&mut connection).await.expect("orders");
    } else {
        let mut connection = PgConnection::connect(url).await.expect("a connection");
        sqlx::query(statement).execute(&mut connection).await.expect("orders");
    }
}

/// Follows a list to its end. Returns its entries and the longest time of a page.
async fn follow(client: &TestClient, path: &str) -> (Vec<Value>, Duration) {
    let (mut items, mut cursor, mut longest) = (Vec::new(), String::new(), Duration::ZERO);
    loop {
        let began = Instant::now();
        let page = client.get(&format!("{path}{cursor}")).await.is(200);
        longest = longest.max(began.elapsed());
        items.extend_from_slice(list(&page, "items"));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return (items, longest),
        }
    }
}

on_both_deployments!(lists_of_a_long_history_leave_the_neighbour_alone);
async fn lists_of_a_long_history_leave_the_neighbour_alone(stack: StackBuilder) {
    const ASKING: usize = 64;
    let (stack, client, hero, meal) = stack.delay("0s").start_with_hero_and_meal().await;
    let neighbour = client.create_hero("Neighbour", &[]).await;
    add_orders(&stack, hero, meal, 50_000, false).await;
    let paths = [
        format!("/orders?hero_id={hero}&status=CANCELLED"),
        "/orders?meal_id=999&status=CANCELLED".to_owned(),
        "/orders?status=CANCELLED".to_owned(),
    ];
    let lists = (0..ASKING).map(|asking| follow(&client, &paths[asking % paths.len()]));
    let ordering = async {
        let mut longest = Duration::ZERO;
        for _ in 0..20 {
            let began = Instant::now();
            client.place(neighbour, meal).await;
            client.connect(neighbour).await.close().await;
            client.get("/healthz").await.is(200);
            longest = longest.max(began.elapsed());
        }
        longest
    };
    let (lists, longest) = tokio::join!(join_all(lists), ordering);
    assert!(lists.iter().all(|(items, _)| items.is_empty()), "nothing is cancelled");
    let slowest = lists.iter().map(|(_, page)| *page).max().unwrap_or_default();
    println!("the slowest page took {slowest:?}, the neighbour waited {longest:?} at most");
    assert!(longest < SOON, "the neighbour waited {longest:?}");
}

on_both_deployments!(a_welcome_of_many_active_orders_is_bounded_and_the_others_follow);
async fn a_welcome_of_many_active_orders_is_bounded_and_the_others_follow(stack: StackBuilder) {
    const MANY: usize = 20_000;
    let (stack, client, hero, meal) = stack.workers(0).delay("1h").start_with_hero_and_meal().await;
    add_orders(&stack, hero, meal, MANY, true).await;
    let program = &stack.gateways[0].program;
    let before = program.resident();
    // These read nothing but their welcomes.
    let idle = join_all((0..10).map(|_| client.connect(hero))).await;
    let mut socket = client.connect(hero).await;
    assert_eq!(socket.welcome["resume"], json!(Resume::Fresh));
    assert_eq!(list(&socket.welcome, "orders").len(), MAX_ACTIVE);
    while socket.picture.orders().count() < MANY {
        let frame = socket.next().await;
        assert!(frame["orders"].as_array().is_none_or(|orders| orders.len() <= 200));
    }
    let grown = program.resident().saturating_sub(before);
    println!("ten handshakes with {MANY} active orders: {} MiB", grown / MIB);
    assert!(grown < 128 * MIB, "{grown} bytes");
    drop(idle);
    missing_after_a_cut(&client, hero, MANY).await;
}

/// A client that leaves before the last page comes back with its cursor and misses nothing.
async fn missing_after_a_cut(client: &TestClient, hero: i64, many: usize) {
    let mut left: TestSocket = client.connect(hero).await;
    let early = left.until_type("resync").await["cursor"].as_str().expect("a cursor").to_owned();
    left.close().await;
    let mut back = client.resume(hero, &early).await;
    while back.picture.orders().count() < many {
        back.next().await;
    }
}

on_both_deployments!(a_page_of_large_entries_ends_early);
async fn a_page_of_large_entries_ends_early(stack: StackBuilder) {
    const MEALS: usize = 30;
    let stack = stack.start().await;
    let client = stack.client();
    let long: Vec<String> =
        (0..100).map(|number| format!("{number:03}{}", "é".repeat(197))).collect();
    let long: Vec<&str> = long.iter().map(String::as_str).collect();
    for number in 0..MEALS {
        client.create_meal(&format!("Feast {number}"), &long).await;
    }
    let page = client.get("/meals?limit=100").await;
    assert!(page.text.len() < MAX_PAGE + 1_024, "{} bytes", page.text.len());
    assert!(!page.header("link").is_empty(), "it goes on");
    assert_eq!(client.all("/meals").await.len(), MEALS, "all follow");
    let mut socket = client.connect_with("").await;
    let (mut meals, mut cursor) = (0, Value::Null);
    loop {
        let menu = match cursor.as_str() {
            Some(cursor) => json!({"type": "menu", "cursor": cursor}),
            None => json!({"type": "menu"}),
        };
        let page = socket.reply(menu).await;
        assert!(page.to_string().len() < MAX_PAGE + 1_024);
        meals += list(&page, "items").len();
        cursor = page["next_cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!(meals, MEALS);
}

#[tokio::test]
async fn who_does_not_read_an_answer_is_cut() {
    const MANY: usize = 50;
    let stack = TestStack::embedded().start().await;
    let gateway = &stack.gateways[0];
    let client = stack.client();
    let mut connections = Vec::new();
    for path in ["/docs/swagger-ui-bundle.js"; MANY] {
        let mut connection = RawConnection::open_narrow(&gateway.url, 4_096).await;
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        connection.send(head.as_bytes()).await;
        connections.push(connection);
    }
    let cut = r#"galley_limits_reached_total{limit="answer-time"}"#;
    until("the end of all connections", async || {
        (client.metric(cut).await == MANY as u64).then_some(())
    })
    .await;
    drop(connections);
}

#[tokio::test]
async fn a_list_by_time_is_bounded_and_wrong_times_are_named() {
    let (stack, client, hero, meal) =
        TestStack::embedded().workers(0).delay("1h").start_with_hero_and_meal().await;
    add_orders(&stack, hero, meal, 30_000, false).await;
    let order = client.place(hero, meal).await;
    let time = order["order_time"].as_str().expect("a time");
    let (found, longest) = follow(&client, &format!("/orders?limit=100&from={time}")).await;
    assert!(found.iter().any(|found| found["id"] == order["id"]) && longest < SOON);
    let (found, _) = follow(&client, "/orders?limit=100&to=2001-01-01T00:00:00Z").await;
    assert_eq!(found.len(), 0);
    let wrong = client.get("/orders?from=yesterday&to=2030-13-01T00:00:00Z").await;
    let wrong = wrong.problem(400, "invalid-parameter");
    let named: Vec<&Value> = list(&wrong, "errors").iter().map(|error| &error["pointer"]).collect();
    assert_eq!(named, ["?from", "?to"]);
    let path = format!("/heroes/{hero}/orders?from={time}&status=PENDING&status=IN_PROGRESS");
    let (found, _) = follow(&client, &path).await;
    assert_eq!(found.iter().map(id).collect::<Vec<_>>(), [id(&order)]);
}
