//! The targets.

use std::fmt::Display;
use std::str::FromStr;

use bytes::Bytes;
use galley_protocol::Audience;
use galley_protocol::frame::received::Received;
use galley_protocol::frame::{ClientFrame, Command};
use galley_protocol::{
    Allergy, CursorKey, Description, HeroName, HeroPatch, IdempotencyKey, Ingredient, MealName,
    MealPatch, NewHero, NewMeal, PageCursor, Planet, Price, Problem, ReasonText, ResumeCursor,
    UpdateBatch, allergy, words,
};
use serde_json::Value;

/// A function that must not panic.
#[derive(Clone, Copy, Debug)]
pub struct FuzzTarget {
    /// The name of the target and of its corpus.
    pub name: &'static str,
    /// The function under test.
    pub feed: fn(&[u8]),
}

/// Every target.
pub const TARGETS: &[FuzzTarget] = &[
    FuzzTarget { name: "frames", feed: frames },
    FuzzTarget { name: "words", feed: plain_words },
    FuzzTarget { name: "cursors", feed: cursors },
    FuzzTarget { name: "bus", feed: bus },
    FuzzTarget { name: "names", feed: names },
    FuzzTarget { name: "prices", feed: prices },
    FuzzTarget { name: "bodies", feed: bodies },
];

/// Frames that a client sends.
fn frames(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match ClientFrame::parse(text, Audience::Hero) {
        Ok(frame) => {
            let written = serde_json::to_string(&frame).expect("a frame has only string keys");
            let again = ClientFrame::parse(&written, Audience::Hero)
                .unwrap_or_else(|(_, problem)| panic!("{written}: {problem:?}"));
            assert_eq!(again, frame, "{written}");
        }
        Err((_, problem)) => check(&problem),
    }
    // Frames of a gateway, as clients in Rust read them.
    if let Ok(received) = serde_json::from_str::<Received>(text) {
        let _ = (received.cursor(), received.orders(), received.deleted());
    }
}

/// Typed commands.
fn plain_words(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match words::parse(text, Audience::Staff) {
        Ok(command) => assert!(
            !matches!(command, Command::Place(place) if place.key.is_some()),
            "words have no key"
        ),
        Err(problem) => check(&problem),
    }
}

/// Cursors from clients, valid or forged.
fn cursors(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    leads_back::<PageCursor>(text);
    leads_back::<ResumeCursor>(text);
    assert!(CursorKey::new(1, b"a secret of nobody").read(text).is_err(), "nobody has signed it");
}

/// Messages of the bus, from anyone who can publish there.
fn bus(input: &[u8]) {
    let Ok(batch) = UpdateBatch::decode(&Bytes::copy_from_slice(input)) else { return };
    for update in &batch.updates {
        if let Some(order) = update.order_json() {
            assert!(
                update.frame.windows(order.len()).any(|part| part == order),
                "the order is a part of the frame"
            );
        }
    }
    let again = UpdateBatch::encode(batch.publisher, batch.number, &batch.updates);
    assert_eq!(UpdateBatch::decode(&again.into()).as_ref(), Ok(&batch));
}

/// Names and other texts typed by people.
fn names(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    macro_rules! stays {
        ($($name:ident)*) => {$(
            if let Ok(parsed) = $name::parse(text) {
                assert_eq!($name::parse(parsed.as_str()).as_ref(), Ok(&parsed), "what was accepted is accepted again, and stays");
            }
        )*};
    }
    stays!(HeroName MealName Planet Ingredient Allergy Description ReasonText IdempotencyKey);
    let folded = allergy::fold(text);
    assert_eq!(allergy::fold(&folded), folded, "folding twice is folding once");
}

/// Prices as JSON numbers.
fn prices(input: &[u8]) {
    let Ok(price) = serde_json::from_slice::<Price>(input) else { return };
    let written = serde_json::to_string(&price).expect("a number");
    assert_eq!(serde_json::from_str::<Price>(&written).ok(), Some(price), "{written}");
    assert_eq!(price.to_string().parse::<f64>().ok(), Some(price.to_number()), "{price}");
}

/// Bodies of requests.
fn bodies(input: &[u8]) {
    let Ok(body) = serde_json::from_slice::<Value>(input) else { return };
    for refused in [
        NewHero::from_json(body.clone()).err(),
        NewMeal::from_json(body.clone()).err(),
        HeroPatch::from_json(body.clone()).err(),
        MealPatch::from_json(body).err(),
    ] {
        refused.iter().for_each(check);
    }
}

/// Checks that a problem has a detail, and that the detail is bounded.
fn check(problem: &Problem) {
    let detail = problem.detail.to_string();
    assert!(!detail.is_empty() && detail.len() < 4_096, "{problem:?}");
}

fn leads_back<T: FromStr + Display>(text: &str) {
    if let Ok(parsed) = text.parse::<T>() {
        assert_eq!(parsed.to_string(), text, "there is one way to write it");
    }
}
