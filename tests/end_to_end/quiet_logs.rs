//! Callers cannot fill the log, and nothing in it controls a terminal.

use std::time::{Duration, Instant};

use galley_tests::{RawConnection, TestSocket, TestStack, signed_token};
use serde_json::Value;

/// The time for which callers are refused: long enough for several lines.
const FLOOD: Duration = Duration::from_secs(3);

/// The lines with this cause, and the number of refusals that they tell of.
fn told(log: &str, cause: &str) -> (u64, u64) {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let lines: Vec<Value> = lines.filter(|line| line["cause"] == cause).collect();
    let left_out: u64 = lines.iter().map(|line| line["more"].as_u64().expect("a number")).sum();
    let count = u64::try_from(lines.len()).expect("a few");
    (count, count + left_out)
}

#[tokio::test]
async fn each_cause_of_refusals_is_one_line_a_second_with_the_number_of_the_others() {
    let stack = TestStack::embedded().with_tokens().start().await;
    let (nobody, staff) = (stack.client(), stack.staff());
    let garbage = nobody.with_token("garbage");
    let began = Instant::now();
    let mut refused = 0;
    while began.elapsed() < FLOOD {
        nobody.get("/orders").await.problem(401, "unauthorized");
        assert_eq!(garbage.refused("").await.0, 401);
        let foreign = nobody.get("/orders").header("Origin", "http://evil.test").await;
        foreign.problem(403, "forbidden");
        nobody.get("/nothing").await.problem(404, "not-found");
        refused += 1;
    }
    let most = began.elapsed().as_secs() + 2;
    let log = stack.gateways[0].program.log();
    for cause in ["no-token", "bad-signature", "foreign-origin"] {
        let (lines, sum) = told(&log, cause);
        assert!(
            (2..=most).contains(&lines) && sum <= refused,
            "{cause}: {lines}, {sum} of {refused}"
        );
        let counted = staff.metric(&format!("galley_refusals_total{{cause=\"{cause}\"}}")).await;
        assert_eq!(counted, refused, "{cause}");
    }
    let lines = u64::try_from(log.lines().count()).expect("a few");
    assert!(lines < 3 * most + 20, "{lines} lines for {refused} refusals of each kind:\n{log}");
}

#[tokio::test]
async fn connections_that_end_early_or_speak_nonsense_write_nothing() {
    let stack = TestStack::embedded().with_tokens().start().await;
    let (client, before) = (stack.client(), stack.gateways[0].program.log().len());
    for _ in 0..50 {
        let mut nonsense = RawConnection::open(client.base()).await;
        nonsense.send(b"\x16\x03\x01 nonsense \x1b[2J\r\n\r\n").await;
        drop(nonsense);
        drop(TestSocket::knock(client.handshake("")).await.expect("an open socket"));
    }
    let token = signed_token::staff(60);
    assert_eq!(client.with_token(&token).get("/meals").await.status, 200);
    let log = stack.gateways[0].program.log();
    assert!(log.len() - before < 2_000, "{log}");
}

#[tokio::test]
async fn a_line_holds_no_character_that_a_terminal_obeys() {
    for format in ["json", "pretty"] {
        let mut stack = TestStack::embedded()
            .set("GALLEY_LOG", "debug")
            .set("GALLEY_LOG_FORMAT", format)
            .start()
            .await;
        let client = stack.client();
        let mut raw = RawConnection::open(client.base()).await;
        let path = "/a\u{9b}2J\u{202e}\u{2066}\u{e0041}\u{2028}\u{7f}z";
        raw.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await;
        raw.answer().await;
        client.get("/%0a%1b[2Jforged").await.problem(404, "not-found");
        stack.gateways[0].program.line("forged").await;
        let log = stack.gateways[0].program.log();
        let obeyed = |letter: char| {
            (letter.is_control() && letter != '\n')
                || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
                || matches!(letter, '\u{2028}' | '\u{2029}' | '\u{e0000}'..='\u{e007f}')
        };
        assert!(!log.contains(obeyed), "{format}: {log:?}");
    }
}
