//! Commands received before a close are answered before the close, however the socket ends.

use galley_tests::program::Signal;
use galley_tests::raw_connection::{RawOpcode, UPGRADE, frame};
use galley_tests::{RawConnection, StackBuilder, within};
use serde_json::{Value, json};

const FIN: u8 = 0x80;
/// A close with the code 1000.
const GOODBYE: [u8; 2] = [0x03, 0xE8];

fn text(command: &Value) -> Vec<u8> {
    frame(FIN | RawOpcode::TEXT.0, command.to_string().as_bytes())
}

fn close() -> Vec<u8> {
    frame(FIN | RawOpcode::CLOSE.0, &GOODBYE)
}

async fn open(gateway: &str, hero: i64) -> RawConnection {
    let mut socket = RawConnection::open(gateway).await;
    socket.upgrade(&format!("?hero_id={hero}"), "").await;
    socket.frame_of_type("welcome").await;
    socket
}

/// Reads to the end; returns the ids of the answers, and the payload of the close, if any.
async fn answers(socket: &mut RawConnection) -> (Vec<Value>, Option<Vec<u8>>) {
    within("the end", async {
        let mut ids = Vec::new();
        while let Some((opcode, payload)) = socket.frame().await {
            match opcode {
                RawOpcode::CLOSE => return (ids, Some(payload)),
                RawOpcode::TEXT => {
                    let frame: Value = serde_json::from_slice(&payload).expect("JSON");
                    ids.extend(frame.get("id").cloned());
                }
                _ => {}
            }
        }
        (ids, None)
    })
    .await
}

on_both_deployments!(a_command_in_the_segment_of_the_close_is_answered);
async fn a_command_in_the_segment_of_the_close_is_answered(stack: StackBuilder) {
    let (stack, _, hero, meal) = stack.delay("1h").start_with_hero_and_meal().await;
    for number in 0..60 {
        let mut socket = open(&stack.gateways[0].url, hero).await;
        socket
            .send(
                &[text(&json!({"type": "place", "id": number, "meal_id": meal})), close()].concat(),
            )
            .await;
        assert_eq!(answers(&mut socket).await, (vec![json!(number)], Some(GOODBYE.to_vec())));
    }
    assert_eq!(stack.client().all("/orders").await.len(), 60);
}

on_both_deployments!(many_commands_before_one_close_are_answered_in_their_order);
async fn many_commands_before_one_close_are_answered_in_their_order(stack: StackBuilder) {
    let (stack, _, hero, meal) =
        stack.delay("1h").set("GALLEY_COMMAND_RATE", "1000/s").start_with_hero_and_meal().await;
    let mut socket = open(&stack.gateways[0].url, hero).await;
    let commands = (0..300).flat_map(|number| match number % 3 {
        0 => text(&json!({"type": "place", "id": number, "meal_id": meal})),
        1 => text(&json!({"type": "orders", "id": number, "limit": 1})),
        _ => text(&json!({"type": "ping", "id": number})),
    });
    let bytes: Vec<u8> = commands.chain(close()).collect();
    socket.send(&bytes).await;
    let expected: Vec<Value> = (0..300).map(Value::from).collect();
    assert_eq!(answers(&mut socket).await, (expected, Some(GOODBYE.to_vec())));
}

on_both_deployments!(a_client_that_only_stops_sending_is_answered);
async fn a_client_that_only_stops_sending_is_answered(stack: StackBuilder) {
    let (stack, _, hero, meal) = stack.delay("1h").start_with_hero_and_meal().await;
    for number in 0..20 {
        let mut socket = open(&stack.gateways[0].url, hero).await;
        let commands = [
            json!({"type": "place", "id": number, "meal_id": meal}),
            json!({"type": "menu", "id": "menu"}),
        ];
        socket.send(&commands.iter().flat_map(text).collect::<Vec<_>>()).await;
        socket.send_nothing_more().await;
        assert_eq!(answers(&mut socket).await, (vec![json!(number), json!("menu")], None));
    }
}

on_both_deployments!(a_command_in_the_segment_of_the_handshake_and_of_the_close_is_answered);
async fn a_command_in_the_segment_of_the_handshake_and_of_the_close_is_answered(
    stack: StackBuilder,
) {
    let (stack, _, hero, meal) = stack.delay("1h").start_with_hero_and_meal().await;
    let mut socket = RawConnection::open(&stack.gateways[0].url).await;
    let handshake =
        format!("GET /ws?hero_id={hero} HTTP/1.1\r\nHost: localhost\r\n{UPGRADE}\r\n").into_bytes();
    socket
        .send(
            &[handshake, text(&json!({"type": "place", "id": 1, "meal_id": meal})), close()]
                .concat(),
        )
        .await;
    assert_eq!(socket.answer().await.status, 101);
    assert_eq!(answers(&mut socket).await, (vec![json!(1)], Some(GOODBYE.to_vec())));
}

on_both_deployments!(commands_before_what_breaks_the_protocol_are_answered);
async fn commands_before_what_breaks_the_protocol_are_answered(stack: StackBuilder) {
    let (stack, _, hero, meal) = stack.delay("1h").start_with_hero_and_meal().await;
    let place = text(&json!({"type": "place", "id": 1, "meal_id": meal}));
    for wrong in [
        frame(FIN | RawOpcode::BINARY.0, b"x"),
        frame(FIN | RawOpcode::TEXT.0, b"\xff"),
        frame(FIN | 0x3, b""),
    ] {
        let mut socket = open(&stack.gateways[0].url, hero).await;
        socket.send(&[place.clone(), wrong].concat()).await;
        let (ids, code) = answers(&mut socket).await;
        assert_eq!(ids, [json!(1)]);
        assert!(code.is_some_and(|code| code != GOODBYE));
    }
}

on_both_deployments!(a_gateway_that_leaves_answers_what_came_before_the_close);
async fn a_gateway_that_leaves_answers_what_came_before_the_close(stack: StackBuilder) {
    let (mut stack, _, hero, meal) =
        stack.delay("1h").set("GALLEY_DRAIN", "30s").start_with_hero_and_meal().await;
    let mut sockets = Vec::new();
    for _ in 0..20 {
        sockets.push(open(&stack.gateways[0].url, hero).await);
    }
    stack.gateways[0].program.signal(Signal::TERM);
    for (number, socket) in sockets.iter_mut().enumerate() {
        socket.frame_of_type("reconnect").await;
        let commands = [
            json!({"type": "place", "id": number, "meal_id": meal}),
            json!({"type": "menu", "id": "menu"}),
        ];
        socket.send(&commands.iter().flat_map(text).chain(close()).collect::<Vec<_>>()).await;
    }
    for (number, socket) in sockets.iter_mut().enumerate() {
        let (ids, close) = answers(socket).await;
        // A socket that the gateway closed just then gets its close code instead; its commands were
        // not read.
        if close.as_deref() == Some(&GOODBYE) {
            assert_eq!(ids, [json!(number), json!("menu")]);
        }
    }
}
