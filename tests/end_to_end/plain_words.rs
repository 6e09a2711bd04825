//! Commands typed as plain words.

use galley_tests::StackBuilder;
use galley_tests::json::{id, list, text};
use serde_json::Value;

on_both_deployments!(every_word_says_the_same_as_its_frame);
async fn every_word_says_the_same_as_its_frame(stack: StackBuilder) {
    let (_stack, client, hero, meal) = stack.delay("1h").start_with_hero_and_meal().await;
    let mut socket = client.connect(hero).await;
    socket.say("menu\n").await;
    assert_eq!(id(&list(&socket.until_type("reply").await, "items")[0]), meal);
    socket.say(&format!("Order   {meal}")).await;
    let order = id(&socket.until_type("reply").await["order"]);
    socket.until_status(order, "IN_PROGRESS").await;
    socket.say("orders").await;
    assert_eq!(id(&list(&socket.until_type("reply").await, "items")[0]), order);
    socket.say(&format!("get {order}")).await;
    assert_eq!(text(&socket.until_type("reply").await["order"], "status"), "IN_PROGRESS");
    socket.say(&format!("cancel {order} changed my mind")).await;
    let cancelled = socket.until_type("reply").await;
    assert_eq!(
        (text(&cancelled["order"], "status"), text(&cancelled["order"], "message")),
        ("CANCELLED", "changed my mind")
    );
    socket.say(&format!("delete {order}")).await;
    assert_eq!(socket.until_type("reply").await["deleted"], true);
    socket.say("help").await;
    assert_eq!(
        text(&socket.until_type("reply").await, "help"),
        galley_protocol::Language::default().help(galley_protocol::Audience::Hero)
    );
    socket.say("ping").await;
    socket.until_type("pong").await;
    socket.say("watch").await;
    assert_eq!(text(&socket.until_type("error").await["problem"], "type"), "/problems/forbidden");
    let mut staff = client.connect_with("").await;
    staff.say("watch").await;
    assert_eq!(staff.until_type("reply").await["watching"], true);
}

on_both_deployments!(a_typo_is_answered_with_the_nearest_command);
async fn a_typo_is_answered_with_the_nearest_command(stack: StackBuilder) {
    let (_stack, client, hero, _) = stack.start_with_hero_and_meal().await;
    let mut socket = client.connect(hero).await;
    for (typed, hint) in [
        ("ordr 2", "did you mean `order`?"),
        ("cancle 7", "did you mean `cancel`?"),
        ("mneu", "did you mean `menu`?"),
        ("xyzzyxyzzy", "type: menu"),
        ("order soup", "order 2"),
        ("cancel", "cancel 7"),
        ("menu please", "usage: menu (no arguments)"),
        ("", "type: menu"),
    ] {
        socket.say(typed).await;
        let answer = socket.until_type("error").await;
        assert!(text(&answer["problem"], "detail").contains(hint), "{typed:?}: {answer}");
        assert_eq!(answer["id"], Value::Null);
    }
}
