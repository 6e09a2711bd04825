//! One event stream, from its welcome to its end.

use std::time::Duration;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use galley_protocol::close::CloseCode;
use galley_protocol::{HeroId, Problem, ResumeCursor, Watch};
use rand::RngExt as _;
use tokio_util::sync::CancellationToken;

use super::entrance::{enter, outbox, seat};
use super::event_stream::EventStream;
use super::stream::Stream;
use super::welcome::watching;
use super::wire::{Closed, Frame, say};
use crate::limits::Address;
use crate::state::AppState;
use crate::web::Caller;
use crate::web::refused_stream::UNBUFFERED;

/// The time after which a client reconnects when its stream is cut, in milliseconds. It is random,
/// so that the clients of a gateway that died do not all return at once.
const RETRY_MS: std::ops::Range<u64> = 1_000..3_000;
/// The subject of an event stream.
#[derive(Debug)]
pub enum Subject {
    /// The orders of a hero, from a cursor on.
    Hero(HeroId, Option<ResumeCursor>),
    /// The staff feed.
    All(Watch),
}

/// Opens an event stream. `cut` cuts its connection, which is necessary once the peer takes nothing
/// any more.
///
/// # Errors
/// Every reason to refuse a client.
pub async fn open(
    state: AppState,
    address: Address,
    caller: Caller,
    subject: Subject,
    cut: CancellationToken,
) -> Result<Response, Problem> {
    let (hero_id, since, watch) = match subject {
        Subject::Hero(hero_id, since) => (Some(hero_id), since, None),
        Subject::All(watch) => (None, None, Some(watch)),
    };
    let seat = seat(&state, address)?;
    let entered = enter(&state, seat, caller, hero_id, since, outbox(&state)).await?;
    let (mut wire, body) = EventStream::open(entered.place.outbox().clone());
    let (mut stream, mut welcome) = Stream::begin(state.clone(), entered);
    if let Some(watch) = watch {
        let (resume, cursor) = stream.watch(watch, None).await;
        welcome = watching(resume, cursor);
    }
    state.sockets.spawn(async move {
        let closed = run(stream, welcome, &mut wire).await;
        closed.count();
        // After a goodbye the body just ends. A stuck connection would never reach the end of the
        // body.
        if !matches!(closed, Closed::With(CloseCode::Restart | CloseCode::TokenExpired))
            && !wire.is_gone()
        {
            cut.cancel();
        }
    });
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    let fresh = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(([kind, fresh, UNBUFFERED], body).into_response())
}

async fn run(mut stream: Stream, welcome: Frame, wire: &mut EventStream) -> Closed {
    let retry = Duration::from_millis(rand::rng().random_range(RETRY_MS));
    let mut said = say(wire, Frame { retry: Some(retry), ..welcome }).await;
    loop {
        if let Err(closed) = said {
            return closed;
        }
        said = tokio::select! {
            () = wire.gone() => Err(Closed::Gone),
            event = stream.next() => stream.say(event, wire).await,
        };
    }
}
