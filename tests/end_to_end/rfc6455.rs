//! The socket follows RFC 6455: opening handshake, frames, fragments, control frames, closing and
//! UTF-8, tested in bare bytes.
//!
//! Ping commands of the service show that a message was understood. A protocol error ends a socket,
//! an error in a message never does.

use galley_tests::raw_connection::{RawOpcode, UPGRADE, frame, head};
use galley_tests::{RawConnection, TestStack, within};
use serde_json::json;

/// The FIN bit, set in the last frame of a message.
const FIN: u8 = 0x80;
const BAD_PROTOCOL: Option<u16> = Some(1002);
const NOT_TEXT: Option<u16> = Some(1003);
const NOT_UTF_8: Option<u16> = Some(1007);
const TOO_BIG: Option<u16> = Some(1009);
const MAX_MESSAGE: usize = 16 * 1_024;

async fn stack() -> TestStack {
    TestStack::embedded().start().await
}

/// Opens a socket of staff and reads its welcome.
async fn open(stack: &TestStack) -> RawConnection {
    let mut socket = RawConnection::open(&stack.gateways[0].url).await;
    socket.upgrade("", "").await;
    socket.frame_of_type("welcome").await;
    socket
}

/// Expects that the socket is alive and has processed everything so far.
async fn assert_alive(socket: &mut RawConnection) {
    socket.send_frame(RawOpcode::TEXT, br#"{"type":"ping","id":"alive"}"#).await;
    assert_eq!(socket.frame_of_type("pong").await["id"], "alive");
}

/// The close code of a fresh socket that sends these bytes.
async fn closed_by(stack: &TestStack, bytes: &[u8]) -> Option<u16> {
    let mut socket = open(stack).await;
    socket.send(bytes).await;
    socket.close_code().await
}

fn text(payload: &[u8]) -> Vec<u8> {
    frame(FIN | RawOpcode::TEXT.0, payload)
}

/// A ping of the service with this length.
fn long_ping(length: usize) -> Vec<u8> {
    let ping = br#"{"type":"ping","id":7}"#;
    [ping.to_vec(), vec![b' '; length - ping.len()]].concat()
}

#[tokio::test]
async fn a_whole_handshake_is_accepted_as_the_rfc_computes_it() {
    let stack = stack().await;
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    for (headers, protocol) in [
        (UPGRADE.to_owned(), None),
        (
            format!(
                "CONNECTION: keep-alive, UPGRADE\r\nUPGRADE: WebSocket\r\nSEC-WEBSOCKET-VERSION: 13\r\n{key}\r\n"
            ),
            None,
        ),
        (format!("{UPGRADE}Sec-WebSocket-Protocol: other, galley.v1\r\n"), Some("galley.v1")),
        (format!("{UPGRADE}Sec-WebSocket-Protocol: other\r\n"), None),
        (
            format!(
                "{UPGRADE}Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
            ),
            None,
        ),
    ] {
        let mut socket = RawConnection::open(&stack.gateways[0].url).await;
        socket
            .send(format!("GET /ws HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n").as_bytes())
            .await;
        let answer = socket.answer().await;
        assert_eq!(answer.status, 101, "{headers}: {answer:?}");
        assert_eq!(answer.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        assert!(
            answer
                .header("upgrade")
                .is_some_and(|upgrade| upgrade.eq_ignore_ascii_case("websocket")),
            "{answer:?}"
        );
        assert!(
            answer
                .header("connection")
                .is_some_and(|connection| connection.eq_ignore_ascii_case("upgrade")),
            "{answer:?}"
        );
        assert_eq!(
            answer.header("sec-websocket-protocol"),
            protocol,
            "a protocol is chosen of those that were offered"
        );
        assert_eq!(answer.header("sec-websocket-extensions"), None, "no extension is spoken");
        socket.frame_of_type("welcome").await;
    }
}

#[tokio::test]
async fn a_handshake_that_lacks_a_part_is_refused_before_the_upgrade() {
    let stack = stack().await;
    let without = |part: &str| {
        let lines = UPGRADE.split_inclusive("\r\n").filter(|line| !line.starts_with(part));
        format!("GET /ws HTTP/1.1\r\nHost: localhost\r\n{}\r\n", lines.collect::<String>())
    };
    let instead = |part: &str, other: &str| {
        without(part).replacen("Host: localhost\r\n", &format!("Host: localhost\r\n{other}\r\n"), 1)
    };
    for (request, status) in [
        (without("Upgrade"), 426),
        (instead("Upgrade", "Upgrade: h2c"), 426),
        (without("Nothing").replacen("GET", "POST", 1), 426),
        (without("Connection"), 400),
        (instead("Connection", "Connection: close"), 400),
        (without("Sec-WebSocket-Version"), 400),
        (instead("Sec-WebSocket-Version", "Sec-WebSocket-Version: 8"), 400),
        (without("Sec-WebSocket-Key"), 400),
        (instead("Sec-WebSocket-Key", "Sec-WebSocket-Key: c2hvcnQ="), 400),
        (instead("Sec-WebSocket-Key", "Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!=="), 400),
        (instead("Nothing", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="), 400),
        (without("Nothing").replacen("HTTP/1.1", "HTTP/1.0", 1), 400),
    ] {
        let mut socket = RawConnection::open(&stack.gateways[0].url).await;
        socket.send(request.as_bytes()).await;
        let answer = socket.answer().await;
        assert_eq!(answer.status, status, "{request}: {answer:?}");
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json"),
            "{request}: {answer:?}"
        );
        assert_eq!(
            answer.header("sec-websocket-version"),
            Some("13"),
            "it says what it would speak: {answer:?}"
        );
    }
}

#[tokio::test]
async fn what_follows_the_handshake_in_the_same_packet_is_heard() {
    let stack = stack().await;
    let mut socket = RawConnection::open(&stack.gateways[0].url).await;
    let handshake = format!("GET /ws HTTP/1.1\r\nHost: localhost\r\n{UPGRADE}\r\n");
    socket
        .send(&[handshake.as_bytes(), &text(&long_ping(100)), &text(&long_ping(200))].concat())
        .await;
    assert_eq!(socket.answer().await.status, 101);
    for _ in 0..2 {
        assert_eq!(socket.frame_of_type("pong").await["id"], 7);
    }
}

#[tokio::test]
async fn a_message_may_come_byte_by_byte_and_in_each_of_the_three_lengths() {
    let stack = stack().await;
    let mut socket = open(&stack).await;
    for byte in text(&long_ping(130)) {
        socket.send(&[byte]).await;
    }
    assert_eq!(socket.frame_of_type("pong").await["id"], 7);
    for length in [125, 126, 127, 1_000, MAX_MESSAGE] {
        socket.send(&text(&long_ping(length))).await;
        assert_eq!(socket.frame_of_type("pong").await["id"], 7, "{length}");
    }
}

#[tokio::test]
async fn a_message_may_come_in_fragments_with_control_frames_between() {
    let stack = stack().await;
    let mut socket = open(&stack).await;
    let message = br#"{"type":"ping","id":"in parts"}"#;
    for size in [1, 2, 7, message.len()] {
        socket.send(&frame(RawOpcode::TEXT.0, b"")).await;
        for (at, part) in message.chunks(size).enumerate() {
            socket.send(&frame(RawOpcode::CONTINUATION.0, part)).await;
            if at % 3 == 0 {
                let question = at.to_be_bytes();
                socket.send_frame(RawOpcode::PING, &question).await;
                socket.send_frame(RawOpcode::PONG, b"unasked").await;
                let answer = within("a pong in the middle of a message", socket.frame()).await;
                assert_eq!(answer, Some((RawOpcode::PONG, question.to_vec())));
            }
        }
        socket.send(&frame(FIN | RawOpcode::CONTINUATION.0, b"")).await;
        assert_eq!(socket.frame_of_type("pong").await["id"], "in parts", "{size}");
    }
}

#[tokio::test]
async fn a_character_may_be_split_over_fragments() {
    let stack = stack().await;
    let mut socket = open(&stack).await;
    let message = json!({"type": "ping", "id": "é€😀\u{10FFFF}"}).to_string();
    for at in 0..=message.len() {
        let (first, rest) = message.as_bytes().split_at(at);
        socket.send(&frame(RawOpcode::TEXT.0, first)).await;
        socket.send(&frame(FIN | RawOpcode::CONTINUATION.0, rest)).await;
        assert_eq!(socket.frame_of_type("pong").await["id"], "é€😀\u{10FFFF}", "split at {at}");
    }
}

#[tokio::test]
async fn what_is_not_utf_8_ends_the_socket() {
    let stack = stack().await;
    for wrong in [
        &b"\xFF"[..],
        b"\x80",
        b"\xC3",
        b"\xC0\xAF",
        b"\xE0\x80\xAF",
        b"\xED\xA0\x80",
        b"\xF4\x90\x80\x80",
        b"\xF0\x9F\x98",
        b"\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5\xED\xA0\x80\x65\x64",
    ] {
        assert_eq!(closed_by(&stack, &text(wrong)).await, NOT_UTF_8, "{wrong:x?}");
        let (first, rest) = wrong.split_at(wrong.len() / 2);
        let parts = [frame(RawOpcode::TEXT.0, first), frame(FIN | RawOpcode::CONTINUATION.0, rest)]
            .concat();
        assert_eq!(closed_by(&stack, &parts).await, NOT_UTF_8, "{wrong:x?} in fragments");
    }
}

#[tokio::test]
async fn fragments_out_of_order_end_the_socket() {
    let stack = stack().await;
    for (what, bytes) in [
        ("a continuation of nothing", frame(RawOpcode::CONTINUATION.0, b"x")),
        ("an end of nothing", frame(FIN | RawOpcode::CONTINUATION.0, b"x")),
        ("a text in a text", [frame(RawOpcode::TEXT.0, b"a"), text(b"b")].concat()),
        (
            "bytes in a text",
            [frame(RawOpcode::TEXT.0, b"a"), frame(FIN | RawOpcode::BINARY.0, b"b")].concat(),
        ),
        (
            "a continuation after the end",
            [text(b"help"), frame(FIN | RawOpcode::CONTINUATION.0, b"x")].concat(),
        ),
    ] {
        assert_eq!(closed_by(&stack, &bytes).await, BAD_PROTOCOL, "{what}");
    }
}

#[tokio::test]
async fn reserved_bits_and_opcodes_end_the_socket() {
    let stack = stack().await;
    for reserved in [0x40, 0x20, 0x10, 0x70] {
        assert_eq!(
            closed_by(&stack, &frame(FIN | reserved | RawOpcode::TEXT.0, b"help")).await,
            BAD_PROTOCOL,
            "{reserved:x}"
        );
    }
    for opcode in [0x3, 0x4, 0x5, 0x6, 0x7, 0xB, 0xC, 0xD, 0xE, 0xF] {
        assert_eq!(
            closed_by(&stack, &frame(FIN | opcode, b"help")).await,
            BAD_PROTOCOL,
            "{opcode:x}"
        );
    }
}

#[tokio::test]
async fn a_frame_without_a_mask_ends_the_socket() {
    let stack = stack().await;
    for opcode in [RawOpcode::TEXT, RawOpcode::PING, RawOpcode::CLOSE] {
        let bytes = [head(FIN | opcode.0, false, 0), Vec::new()].concat();
        assert_eq!(closed_by(&stack, &bytes).await, BAD_PROTOCOL, "{opcode:?}");
    }
}

#[tokio::test]
async fn bytes_that_are_no_text_end_the_socket() {
    let stack = stack().await;
    assert_eq!(closed_by(&stack, &frame(FIN | RawOpcode::BINARY.0, b"\x00\x01")).await, NOT_TEXT);
    assert_eq!(closed_by(&stack, &frame(FIN | RawOpcode::BINARY.0, b"")).await, NOT_TEXT);
}

#[tokio::test]
async fn a_ping_is_answered_with_its_own_payload_and_a_pong_with_nothing() {
    let stack = stack().await;
    let mut socket = open(&stack).await;
    for length in [0, 1, 124, 125] {
        let payload = vec![0xFE; length];
        socket.send_frame(RawOpcode::PONG, &payload).await;
        socket.send_frame(RawOpcode::PING, &payload).await;
        assert_eq!(
            within("a pong", socket.frame()).await,
            Some((RawOpcode::PONG, payload)),
            "{length}"
        );
    }
    assert_alive(&mut socket).await;
}

#[tokio::test]
async fn a_control_frame_that_is_long_or_in_parts_ends_the_socket() {
    let stack = stack().await;
    for opcode in [RawOpcode::PING, RawOpcode::PONG, RawOpcode::CLOSE] {
        assert_eq!(
            closed_by(&stack, &frame(FIN | opcode.0, &[b'x'; 126])).await,
            BAD_PROTOCOL,
            "a long {opcode:?}"
        );
        assert_eq!(
            closed_by(&stack, &frame(opcode.0, b"")).await,
            BAD_PROTOCOL,
            "a part of {opcode:?}"
        );
    }
}

#[tokio::test]
async fn a_close_is_answered_and_then_the_gateway_hangs_up() {
    let stack = stack().await;
    let close = |code: u16, reason: &str| {
        frame(FIN | RawOpcode::CLOSE.0, &[&code.to_be_bytes(), reason.as_bytes()].concat())
    };
    let longest = "x".repeat(123);
    for (code, reason) in [
        (1000, ""),
        (1000, "bye"),
        (1001, ""),
        (1003, ""),
        (1007, ""),
        (1011, ""),
        (3000, "é"),
        (4999, &longest),
    ] {
        assert_eq!(closed_by(&stack, &close(code, reason)).await, Some(code), "{code}");
    }
    let mut socket = open(&stack).await;
    socket.send_frame(RawOpcode::CLOSE, b"").await;
    let answered = within("the close", socket.frame()).await;
    assert!(matches!(answered, Some((RawOpcode::CLOSE, _))), "{answered:?}");
    within("the end", socket.until_gone()).await;

    // Frames after the close are ignored.
    let mut socket = open(&stack).await;
    socket.send(&[close(1000, ""), text(&long_ping(50))].concat()).await;
    assert!(matches!(within("the close", socket.frame()).await, Some((RawOpcode::CLOSE, _))));
    assert_eq!(within("the end", socket.frame()).await, None);
}

#[tokio::test]
async fn a_close_that_must_not_be_sent_is_answered_as_a_violation() {
    let stack = stack().await;
    for code in [0_u16, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
        let answer = closed_by(&stack, &frame(FIN | RawOpcode::CLOSE.0, &code.to_be_bytes())).await;
        assert_eq!(answer, BAD_PROTOCOL, "{code}");
    }
    for (what, payload, code) in [
        ("half a code", &b"\x03"[..], BAD_PROTOCOL),
        ("a reason that is no text", b"\x03\xE8\xC3\x28", NOT_UTF_8),
    ] {
        let answer = closed_by(&stack, &frame(FIN | RawOpcode::CLOSE.0, payload)).await;
        assert_eq!(answer, code, "{what}");
    }
}

#[tokio::test]
async fn a_message_beyond_the_bound_ends_the_socket_before_it_has_come() {
    let stack = stack().await;
    for announced in [MAX_MESSAGE as u64 + 1, 1 << 32, (1 << 63) - 1, 1 << 63, u64::MAX] {
        for opcode in [RawOpcode::TEXT, RawOpcode::BINARY] {
            let code =
                closed_by(&stack, &[head(FIN | opcode.0, true, announced), vec![0; 4]].concat())
                    .await;
            assert_eq!(code, TOO_BIG, "{announced} bytes of {opcode:?}");
        }
    }
    let half = vec![b' '; MAX_MESSAGE / 2];
    let parts = [
        frame(RawOpcode::TEXT.0, &half),
        frame(RawOpcode::CONTINUATION.0, &half),
        frame(RawOpcode::CONTINUATION.0, b" "),
    ];
    assert_eq!(closed_by(&stack, &parts.concat()).await, TOO_BIG, "in fragments");
}

/// The endpoint for third-party suites.
#[cfg(feature = "conformance")]
#[tokio::test]
async fn the_echo_answers_each_message_with_itself() {
    let stack = stack().await;
    let mut socket = RawConnection::open(&stack.gateways[0].url).await;
    socket.send(format!("GET /echo HTTP/1.1\r\nHost: localhost\r\n{UPGRADE}\r\n").as_bytes()).await;
    assert_eq!(socket.answer().await.status, 101);
    for payload in ["é", "", "no command"].map(str::as_bytes) {
        let (first, rest) = payload.split_at(payload.len() / 2);
        socket
            .send(
                &[frame(RawOpcode::TEXT.0, first), frame(FIN | RawOpcode::CONTINUATION.0, rest)]
                    .concat(),
            )
            .await;
        assert_eq!(
            within("the echo", socket.frame()).await,
            Some((RawOpcode::TEXT, payload.to_vec()))
        );
    }
    socket.send(&text(b"\xFF")).await;
    assert_eq!(socket.close_code().await, NOT_UTF_8);
}

/// The shipped programs have no `/echo`: the gate searches the programs for it, and this test
/// requests it.
#[cfg(not(feature = "conformance"))]
#[tokio::test]
async fn there_is_no_echo() {
    stack().await.client().get("/echo").await.problem(404, "not-found");
}

#[tokio::test]
async fn many_messages_in_one_packet_are_answered_in_their_order() {
    let stack = stack().await;
    let mut socket = open(&stack).await;
    let messages: Vec<u8> = (0..50)
        .flat_map(|id| text(json!({"type": "ping", "id": id}).to_string().as_bytes()))
        .collect();
    socket.send(&messages).await;
    for id in 0..50 {
        assert_eq!(socket.frame_of_type("pong").await["id"], id);
    }
    assert_alive(&mut socket).await;
}
