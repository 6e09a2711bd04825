//! The opening of an event stream.

use std::time::Duration;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use galley_protocol::{HeroId, Problem, ResumeCursor, Watch};
use rand::RngExt as _;
use tokio_util::sync::CancellationToken;

use super::admission::{enter, outbox, seat};
use super::welcome::{self, watching};
use crate::limits::Address;
use crate::session::running::run_events;
use crate::session::wire::WireFrame;
use crate::session::wire::sse_wire::EventStream;
use crate::state::AppState;
use crate::web::Caller;
use crate::web::refused_stream::UNBUFFERED;

/// The time after which a client reconnects when its stream is cut, in milliseconds. It is random,
/// so that the clients of a gateway that died do not all return at once.
const RETRY_MS: std::ops::Range<u64> = 1_000..3_000;

#[derive(Debug)]
pub enum StreamSubject {
    /// The orders of a hero, from a cursor on.
    Hero(HeroId, Option<ResumeCursor>),
    /// The staff feed.
    All(Watch),
}

/// `cut` cuts the connection if the peer takes no more bytes.
pub async fn open(
    state: AppState,
    address: Address,
    caller: Caller,
    subject: StreamSubject,
    cut: CancellationToken,
) -> Result<Response, Problem> {
    let (hero_id, since, watch) = match subject {
        StreamSubject::Hero(hero_id, since) => (Some(hero_id), since, None),
        StreamSubject::All(watch) => (None, None, Some(watch)),
    };
    let seat = seat(&state, address)?;
    let entered = enter(&state, seat, caller, hero_id, since, outbox(&state)).await?;
    let (wire, body) = EventStream::open(entered.place.outbox().clone());
    let (mut stream, mut welcome) = welcome::begin(state.clone(), entered);
    if let Some(watch) = watch {
        let (resume, cursor) = stream.watch(watch, None).await;
        welcome = watching(resume, cursor, stream.outbox().language());
    }
    let retry = Duration::from_millis(rand::rng().random_range(RETRY_MS));
    let welcome = WireFrame { retry: Some(retry), ..welcome };
    state.sockets.spawn(run_events(stream, welcome, wire, cut));
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    let fresh = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(([kind, fresh, UNBUFFERED], body).into_response())
}
