//! However a history is told, it leads to the same picture.

use galley_protocol::frame::{Received, ServerFrame};
use galley_protocol::picture::PictureChanges;
use galley_protocol::{
    CursorKey, Deleted, HeroId, MealId, Order, OrderId, Picture, PlaceOrder, Reason, ResumeCursor,
    SignedCursor, Status, Timestamp, Version,
};
use proptest::prelude::*;
use serde_json::json;

/// One state in the life of an order; nothing when it is the deletion.
#[derive(Clone, Debug)]
struct ToldState {
    order_id: OrderId,
    version: Version,
    order: Option<Order>,
    cursor: SignedCursor,
}

/// How a life goes, as far as it is told.
#[derive(Clone, Copy, Debug)]
struct ToldLife {
    cancelled_early: bool,
    cancelled: bool,
    deleted: bool,
    told: usize,
}

fn time(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis).expect("in range")
}

/// A cursor of this moment.
fn cursor(time: Timestamp) -> SignedCursor {
    CursorKey::new(1, b"secret").sign(ResumeCursor { time, ..ResumeCursor::EXPIRED })
}

fn order_id(number: usize) -> OrderId {
    OrderId::new(i64::try_from(number).expect("small") + 1).expect("an id")
}

/// The states of one order, oldest first.
fn states(number: usize, life: ToldLife) -> Vec<ToldState> {
    let id = order_id(number);
    let begun = 1_000 * i64::try_from(number).expect("small");
    let pending = Order::placed(
        id,
        HeroId::new(1).expect("an id"),
        &PlaceOrder::of(MealId::new(2).expect("an id")),
        time(begun),
    );
    let started = Order {
        status: Status::InProgress,
        version: Version(2),
        started_time: Some(time(begun + 1)),
        ..pending.clone()
    };
    let last = if life.cancelled_early { pending.clone() } else { started.clone() };
    let version = last.version.next();
    let end = if life.cancelled || life.cancelled_early {
        Order {
            status: Status::Cancelled,
            reason: Some(Reason::HeroRequest),
            version,
            completed_time: Some(time(begun + 2)),
            ..last
        }
    } else {
        Order { status: Status::Completed, version, completed_time: Some(time(begun + 2)), ..last }
    };
    let orders =
        if life.cancelled_early { vec![pending, end] } else { vec![pending, started, end] };
    let state = |order: Order| ToldState {
        order_id: id,
        version: order.version,
        cursor: cursor(order.changed_time()),
        order: Some(order),
    };
    let mut states: Vec<ToldState> = orders.into_iter().map(state).collect();
    if life.deleted {
        states.push(ToldState {
            order_id: id,
            version: version.next(),
            order: None,
            cursor: cursor(time(begun + 3)),
        });
    }
    states.truncate(life.told.max(1));
    states
}

/// A frame that tells some states at once, through its JSON; `how` chooses its type.
fn frame(told: &[ToldState], how: u8) -> Received {
    let cursor = told.last().expect("a frame tells something").cursor;
    let orders: Vec<Order> = told.iter().filter_map(|state| state.order.clone()).collect();
    let gone = told.iter().filter(|state| state.order.is_none());
    let deleted: Vec<Deleted> =
        gone.map(|state| Deleted { order_id: state.order_id, version: state.version }).collect();
    let text = match (told, orders.as_slice(), deleted.as_slice()) {
        ([_], [order], []) if how < 3 => ServerFrame::Order { order, cursor }.encode(),
        ([_], [], [Deleted { order_id, version }]) if how < 3 => {
            ServerFrame::Deleted { order_id: *order_id, version: *version, cursor }.encode()
        }
        _ if how.is_multiple_of(2) => ServerFrame::Resync { orders, deleted, cursor }.encode(),
        _ => json!({"type": "welcome", "resume": "resumed", "orders": orders, "deleted": deleted, "cursor": cursor, "help": ""})
            .to_string(),
    };
    serde_json::from_str(&text).expect("a frame")
}

fn life() -> impl Strategy<Value = ToldLife> {
    let told = 1_usize..=4;
    (any::<bool>(), any::<bool>(), any::<bool>(), told).prop_map(
        |(cancelled_early, cancelled, deleted, told)| ToldLife {
            cancelled_early,
            cancelled,
            deleted,
            told,
        },
    )
}

/// A history, and one way to tell it: shuffled, some of it twice, cut into frames.
fn telling() -> impl Strategy<Value = (Vec<Vec<ToldState>>, Vec<Received>)> {
    proptest::collection::vec(life(), 1..8).prop_flat_map(|lives| {
        let history: Vec<Vec<ToldState>> =
            lives.into_iter().enumerate().map(|(number, life)| states(number, life)).collect();
        let all: Vec<ToldState> = history.iter().flatten().cloned().collect();
        let again = proptest::sample::subsequence(all.clone(), 0..=all.len());
        let shuffled = again
            .prop_map(move |again| all.iter().cloned().chain(again).collect::<Vec<ToldState>>())
            .prop_shuffle();
        let cuts = proptest::collection::vec((1_usize..5, 0_u8..6), 64);
        (Just(history), shuffled, cuts).prop_map(|(history, shuffled, cuts)| {
            let mut rest = shuffled.as_slice();
            let frames = cuts.into_iter().map_while(|(length, how)| {
                let (told, later) = rest.split_at(length.min(rest.len()));
                rest = later;
                (!told.is_empty()).then(|| frame(told, how))
            });
            let frames = frames.collect();
            (history, frames)
        })
    })
}

#[test]
fn a_history_told_in_any_order_and_any_frames_ends_in_its_last_states() {
    proptest!(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() }, |((history, frames) in telling())| {
        let mut picture = Picture::new(1_000);
        let mut total = 0;
        for frame in &frames {
            let before = picture.clone();
            let changes = picture.apply(frame);
            let PictureChanges { new, next, skipped, duplicate, older, contradicting } = changes;
            total += new + next + skipped + duplicate + older;
            prop_assert_eq!(contradicting, 0);
            prop_assert_eq!(new + next + skipped + duplicate + older, frame.orders().len() + frame.deleted().len());
            prop_assert_eq!(changes.any(), !picture.orders().eq(before.orders()) || deletions(&picture, &history) != deletions(&before, &history));
            let again = picture.apply(frame);
            prop_assert!(!again.any(), "telling it again changes nothing");
        }
        prop_assert!(total >= history.iter().map(Vec::len).sum(), "all of it was told");
        for last in history.iter().map(|states| states.last().expect("a life has a state")) {
            prop_assert_eq!(picture.order(last.order_id), last.order.as_ref());
            prop_assert_eq!(picture.is_deleted(last.order_id), last.order.is_none());
        }
        prop_assert_eq!(picture.orders().count(), history.iter().filter(|states| states.last().is_some_and(|last| last.order.is_some())).count());
        prop_assert_eq!(picture.cursor(), frames.last().and_then(Received::cursor));
    });
}

fn deletions(picture: &Picture, history: &[Vec<ToldState>]) -> usize {
    (0..history.len()).filter(|number| picture.is_deleted(order_id(*number))).count()
}

#[test]
fn what_a_frame_did_is_told() {
    let life = ToldLife { cancelled_early: false, cancelled: false, deleted: true, told: 4 };
    let states = states(0, life);
    let mut picture = Picture::new(10);
    let mut tell = |state: usize| picture.apply(&frame(&states[state..=state], 0));
    assert_eq!(tell(0), PictureChanges { new: 1, ..PictureChanges::default() });
    assert_eq!(tell(0), PictureChanges { duplicate: 1, ..PictureChanges::default() });
    assert_eq!(tell(2), PictureChanges { skipped: 1, ..PictureChanges::default() });
    assert_eq!(tell(1), PictureChanges { older: 1, ..PictureChanges::default() });
    assert_eq!(tell(3), PictureChanges { next: 1, ..PictureChanges::default() });
    assert_eq!(tell(2), PictureChanges { older: 1, ..PictureChanges::default() });
    assert_eq!(tell(3), PictureChanges { duplicate: 1, ..PictureChanges::default() });
}

#[test]
fn two_states_of_one_version_contradict_each_other_and_the_first_is_kept() {
    let told = |cancelled| {
        states(0, ToldLife { cancelled_early: false, cancelled, deleted: false, told: 3 })
    };
    let (completed, cancelled) = (told(false), told(true));
    let mut picture = Picture::new(10);
    picture.apply(&frame(&completed, 0));
    assert_eq!(
        picture.apply(&frame(&cancelled[2..], 0)),
        PictureChanges { contradicting: 1, ..PictureChanges::default() }
    );
    assert_eq!(picture.order(order_id(0)), completed[2].order.as_ref());
}

#[test]
fn ended_orders_are_forgotten_at_the_bound_and_active_ones_never() {
    let mut picture = Picture::new(2);
    for number in 0..5 {
        let told = if number == 1 { 2 } else { 3 };
        let life = ToldLife { cancelled_early: false, cancelled: false, deleted: false, told };
        picture.apply(&frame(&states(number, life), 0));
    }
    let ids: Vec<OrderId> = picture.orders().map(|order| order.id).collect();
    assert_eq!(ids, [order_id(1), order_id(3), order_id(4)]);
}

#[test]
fn active_orders_are_forgotten_when_they_are_asked_to_be_and_count_as_new_then() {
    let life = ToldLife { cancelled_early: false, cancelled: false, deleted: false, told: 1 };
    let told: Vec<ToldState> = (0..5).map(|number| states(number, life)[0].clone()).collect();
    let mut picture = Picture::new(10);
    picture.apply(&frame(&told, 2));
    picture.forget_active(5);
    assert_eq!(picture.orders().count(), 5);
    picture.forget_active(2);
    assert_eq!(
        picture.orders().map(|order| order.id).collect::<Vec<_>>(),
        [order_id(3), order_id(4)]
    );
    assert_eq!(
        picture.apply(&frame(&told, 2)),
        PictureChanges { new: 3, duplicate: 2, ..PictureChanges::default() }
    );
}
