//! The handlers that heroes and meals share, and the answers that show a resource and its version.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use galley_protocol::{Problem, ProblemType, Resource, Sentence, Version};
use galley_store::{ChangeError, Menu, Store};
use serde::Serialize;

use super::idempotency_header::{IdempotencyHeader, created_once};
use super::page::{self, ListParams};
use super::path_id::Id;
use super::read_back::{ReadBack, other_version};
use crate::limits::CallerKey;
use crate::page_size::bounded;
use crate::state::AppState;
use crate::web::Refusal;
use crate::web::conditions::{IfMatch, IfNoneMatch};
use crate::web::query::Params;
use crate::web::spoken::Spoken;

/// A hero or a meal.
pub trait Served: Resource {
    /// Returns the part of the store that holds these resources.
    fn menu(store: &dyn Store) -> &dyn Menu<Self>;

    /// The sentence for a key that created another one.
    const KEY_REUSED: Sentence;

    /// Returns the sentence for an identifier that none has.
    fn missing(id: Self::Id) -> Sentence;

    /// Returns the sentence for one that has another version now.
    fn changed(id: Self::Id) -> Sentence;

    /// Returns the sentence for the active orders that prevent the deletion of this one.
    fn active_orders(id: Self::Id) -> Sentence;
}

pub type CreateRequest = (State<AppState>, Params<()>, IdempotencyHeader);
pub type ListRequest = (State<AppState>, CallerKey, Uri, Params<ListParams>);
pub type ReadRequest<R> =
    (State<AppState>, CallerKey, Id<<R as Resource>::Id>, Params<()>, IfNoneMatch);
pub type ChangeRequest<R> = (State<AppState>, Id<<R as Resource>::Id>, Params<()>, IfMatch);
pub type HandlerResult = Result<Response, Refusal>;

/// Creates a hero or a meal. Answers 201 with its location.
pub async fn create<R: Served>(
    (State(state), _, IdempotencyHeader(key)): CreateRequest,
    new: R::New,
) -> HandlerResult {
    let created = menu::<R>(&state).create_once(&new, key.as_ref()).await?;
    state.bus.announce_menu();
    created_once(created, R::KEY_REUSED, |created| {
        let mut response = tagged(StatusCode::CREATED, &created);
        response.headers_mut().insert(header::LOCATION, location(&R::path(created.id())));
        response
    })
}

/// Answers with a page of heroes or meals.
pub async fn list<R: Served>(
    (State(state), key, uri, Params(params)): ListRequest,
) -> HandlerResult {
    let page = params.into_store();
    let turn = state.limits.reads.take(key).await?;
    let read = async move |store: Arc<dyn Store>| R::menu(&*store).list(&page).await;
    let page = state.commands.read(turn, read).await?;
    Ok(page::linked(bounded(page, |one| one.id().into()), &uri, Json))
}

/// Answers with a hero or a meal, or 304 without a body if the caller has this version.
pub async fn get<R: Served>(
    (State(state), key, Id(id), _, known): ReadRequest<R>,
) -> HandlerResult {
    let read: R = find(&state, key, id).await?;
    Ok(read_tagged(&known, &read.version().etag(), Json(read)))
}

pub async fn find<R: Served>(state: &AppState, key: CallerKey, id: R::Id) -> Result<R, Refusal> {
    let turn = state.limits.reads.take(key).await?;
    let read = async move |store: Arc<dyn Store>| R::menu(&*store).get(id).await;
    state.commands.read(turn, read).await?.ok_or_else(|| unknown::<R>(id).into())
}

/// Sets the fields of the body. Answers 200 with the new state.
pub async fn update<R: Served, T: Into<R::Patch>>(
    (State(state), Id(id), _, guard): ChangeRequest<R>,
    body: ReadBack<T>,
) -> HandlerResult {
    let (fields, read) = body.of::<R>(id, &guard)?;
    let patch = fields.into();
    let attempt = |expected| menu::<R>(&state).update(id, &patch, expected);
    let updated = match read {
        None => guard.guard(is_stale, attempt).await,
        Some(version) => match attempt(Some(version)).await {
            Err(ChangeError::Stale) if guard.is_open() => return Err(other_version().into()),
            outcome => outcome,
        },
    };
    let updated = updated.map_err(refused::<R>(id))?;
    state.bus.announce_menu();
    Ok(tagged(StatusCode::OK, &updated))
}

/// Deletes a hero or a meal. Answers 204.
pub async fn remove<R: Served>(
    (State(state), Id(id), _, guard): ChangeRequest<R>,
) -> HandlerResult {
    let attempt = |expected| menu::<R>(&state).remove(id, expected);
    guard.guard(is_stale, attempt).await.map_err(refused::<R>(id))?;
    state.bus.announce_menu();
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn menu<R: Served>(state: &AppState) -> &dyn Menu<R> {
    R::menu(state.commands.store().as_ref())
}

fn unknown<R: Served>(id: R::Id) -> Problem {
    Problem::new(R::NOT_FOUND).with_detail(R::missing(id))
}

fn is_stale(error: &ChangeError) -> bool {
    matches!(error, ChangeError::Stale)
}

fn refused<R: Served>(id: R::Id) -> impl Fn(ChangeError) -> Refusal {
    move |error| match error {
        ChangeError::NotFound => unknown::<R>(id).into(),
        ChangeError::Stale => {
            Problem::new(ProblemType::VersionMismatch).with_detail(R::changed(id)).into()
        }
        ChangeError::HasActiveOrders => {
            Problem::new(ProblemType::HasActiveOrders).with_detail(R::active_orders(id)).into()
        }
        ChangeError::Store(error) => error.into(),
    }
}

/// Answers with an order, or 304 without a body if the caller has this version. The answer shows
/// the name of the hero, so a change of the hero needs another entity tag. Until the hero is
/// changed, the tag is only the version of the order.
pub fn read_with_hero(
    known: &IfNoneMatch,
    version: Version,
    hero: Version,
    order: &impl Serialize,
) -> Response {
    let tag = if hero == Version::FIRST { version.etag() } else { format!("\"{version}.{hero}\"") };
    read_tagged(known, &tag, Spoken(order))
}

fn read_tagged(known: &IfNoneMatch, tag: &str, body: impl IntoResponse) -> Response {
    let tagged = [(header::ETAG, HeaderValue::try_from(tag).expect("an entity tag is ASCII"))];
    if known.has(tag) {
        return (StatusCode::NOT_MODIFIED, tagged).into_response();
    }
    (tagged, body).into_response()
}

pub fn location(path: &str) -> HeaderValue {
    HeaderValue::try_from(path).expect("our paths are ASCII")
}

fn tagged(status: StatusCode, body: &impl Resource) -> Response {
    let etag = HeaderValue::try_from(body.version().etag()).expect("an entity tag is ASCII");
    (status, [(header::ETAG, etag)], Json(body)).into_response()
}
