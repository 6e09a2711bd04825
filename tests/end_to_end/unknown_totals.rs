//! An unknown figure is not shown, nor a zero in its place.

use galley_protocol::frame::Totals;
use galley_tests::json::text;
use galley_tests::{PostgresServer, TestStack, until, within};
use serde_json::{Value, json};

#[tokio::test]
async fn totals_are_absent_until_they_can_be_counted() {
    let mut postgres = PostgresServer::start().await;
    let stack = TestStack::distributed().postgres(postgres.url()).delay("1h");
    let (_stack, client, hero, meal) = stack.start_with_hero_and_meal().await;
    client.place_until(hero, meal, "IN_PROGRESS").await;
    let mut first = client.connect_with("").await;
    let mut second = client.connect_with("").await;

    postgres.stop().await;
    let began = std::time::Instant::now();
    let (one, two) =
        tokio::join!(first.reply(json!({"type": "watch"})), second.reply(json!({"type": "watch"})));
    assert!(began.elapsed().as_secs() < 10, "watchers do not wait for one another");
    for reply in [one, two] {
        assert_eq!((&reply["watching"], reply.get("totals")), (&json!(true), None), "{reply}");
    }

    postgres.restart().await;
    let counted: Value = within(
        "the totals",
        first.until("a feed frame with totals", |frame| frame.get("totals").is_some()),
    )
    .await;
    assert_eq!(counted["totals"], json!(Totals { in_progress: 1, ..Totals::default() }));
    assert_eq!(text(&counted, "type"), "feed");
    until("a ready gateway", async || {
        Some(client.get("/readyz").await).filter(|ready| ready.status == 200)
    })
    .await;
}
