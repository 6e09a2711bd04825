//! Redis is not trusted: messages that no process of the service signed change nothing, hide
//! nothing and are counted.

use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::StreamExt as _;
use galley_tests::json::id;
use galley_tests::{
    DispatchQueue, MessageSigner, TestClient, TestSocket, TestStack, until, within,
};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

/// The class of the lock that shows that a publisher lives.
const PUBLISHER: i32 = i32::from_be_bytes(*b"GALP");

/// A gateway and a worker, a hero's socket on which an order has ended, and the last state of it.
struct ForgeryScene {
    stack: TestStack,
    client: TestClient,
    socket: TestSocket,
    queue: DispatchQueue,
    signer: MessageSigner,
    hero: i64,
    meal: i64,
    order: Value,
}

impl ForgeryScene {
    async fn begin() -> Self {
        let (stack, client, hero, meal) =
            TestStack::distributed().delay("0s").start_with_hero_and_meal().await;
        let mut socket = client.connect(hero).await;
        let first = id(&client.place(hero, meal).await);
        let order = socket.until_status(first, "PENDING").await;
        socket.until_status(first, "COMPLETED").await;
        let queue = stack.dispatch_queue().await;
        let signer = MessageSigner::of(stack.database_url()).await;
        Self { stack, client, socket, queue, signer, hero, meal, order }
    }

    /// A message of this publisher about an order that does not exist.
    fn update(&self, publisher: i64, number: u64, order_id: i64) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
        let mut order = self.order.clone();
        order["id"] = json!(order_id);
        let frame = json!({"type": "order", "order": order});
        format!("galley3 {publisher} {number}\n{} {order_id} 1 PENDING {now} {frame}\n", self.hero)
    }

    /// Places an order and expects its frames, and none of an order that does not exist.
    async fn assert_undisturbed(&mut self) {
        let placed = id(&self.client.place(self.hero, self.meal).await);
        let is_end = |frame: &Value| {
            let order = &frame["order"];
            assert!(order["id"].as_i64().is_none_or(|id| id < 1_000), "{frame}");
            order["id"] == placed && order["status"] == "COMPLETED"
        };
        self.socket.until("the end of the true order", is_end).await;
    }

    async fn count(&self, metric: &str) -> u64 {
        self.client.metric(metric).await
    }

    /// The name of a publisher that lives.
    async fn living(&self) -> i64 {
        let client = redis::Client::open(self.stack.setting("REDIS_URL").expect("a Redis"));
        let mut messages = client.expect("a URL").get_async_pubsub().await.expect("Redis answers");
        messages.subscribe(self.queue.channel()).await.expect("a channel");
        let beat = within("a heartbeat", messages.on_message().next()).await.expect("a message");
        let text: String = beat.get_payload().expect("text");
        text.split(' ').nth(1).and_then(|id| id.parse().ok()).expect("a publisher")
    }
}

#[tokio::test]
async fn what_the_service_did_not_sign_reaches_no_socket_and_is_counted() {
    let mut scene = ForgeryScene::begin().await;
    let (living, channel) = (scene.living().await, scene.queue.channel().to_owned());
    let foreign = scene.signer.sign("another channel", &scene.update(7, 1, 1_001));
    let forged = [
        scene.update(7, 1, 1_002),
        scene.update(living, 1_000_000, 1_003),
        scene
            .update(living, u64::from(u32::MAX), 1_004)
            .replace('\n', " mac=AAAAAAAAAAAAAAAAAAAAAA\n"),
        foreign,
        format!("galley3-beat {living} 9 -"),
        format!("galley3-bye {living} 9 - mac="),
    ];
    for message in &forged {
        scene.queue.publish(message).await;
    }
    scene.assert_undisturbed().await;
    let counted = u64::try_from(forged.len()).expect("a few");
    until("all are counted", async || {
        (scene.count("galley_bus_forged_total").await == counted).then_some(())
    })
    .await;
    scene.stack.gateways[0].program.line("is not signed by this service").await;
    let tampered = scene.signer.sign(&channel, &scene.update(7, 1, 1_005)).replace("1005", "1006");
    scene.queue.publish(&tampered).await;
    scene.assert_undisturbed().await;
    assert_eq!(scene.count("galley_bus_malformed_total").await, 0);
}

#[tokio::test]
async fn impossible_numbers_are_refused_whoever_signed_them() {
    let mut scene = ForgeryScene::begin().await;
    let channel = scene.queue.channel().to_owned();
    for message in [
        scene.update(7, u64::MAX, 1_001),
        format!("galley3-beat 7 {} -", u64::MAX),
        scene.update(7, 1, 1_002).replace("\"version\":1", "\"version\":2147483647"),
    ] {
        let signed = scene.signer.sign(&channel, &message);
        scene.queue.publish(&signed).await;
    }
    scene.assert_undisturbed().await;
    until("all are counted", async || {
        (scene.count("galley_bus_malformed_total").await == 3).then_some(())
    })
    .await;
    assert_eq!(scene.count("galley_bus_forged_total").await, 0);
}

#[tokio::test]
async fn a_publisher_of_the_version_before_needs_no_signature_while_it_lives() {
    const OLD: i32 = 77;
    let mut scene = ForgeryScene::begin().await;
    let mut database =
        PgConnection::connect(scene.stack.database_url()).await.expect("the database answers");
    let lives = sqlx::query("select pg_advisory_lock($1, $2)").bind(PUBLISHER).bind(OLD);
    lives.execute(&mut database).await.expect("a lock");
    let mut number = 0;
    until("an unsigned update of a living publisher", async || {
        number += 1;
        let message = scene.update(OLD.into(), number, 1_001);
        scene.queue.publish(&message).await;
        scene.socket.try_next().filter(|frame| frame["order"]["id"] == 1_001)
    })
    .await;
    database.close().await.expect("the end of the connection");
    let before = scene.count("galley_bus_forged_total").await;
    until("a refusal of the same, once it is dead", async || {
        number += 1;
        let message = scene.update(OLD.into(), number, 1_001);
        scene.queue.publish(&message).await;
        (scene.count("galley_bus_forged_total").await > before).then_some(())
    })
    .await;
}
