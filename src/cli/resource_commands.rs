//! The requests that the commands for heroes and for meals have in common.

use galley_protocol::Resource;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use super::api::Api;
use super::error::CommandError;
use super::named::{Named, NamedId};
use super::paging::Paging;

/// Prints the part of the list whose names contain `query`.
pub async fn list<T: Resource>(
    api: &Api,
    paging: &Paging,
    query: Option<String>,
    show_all: fn(Vec<T>) -> String,
) -> Result<(), CommandError> {
    let request = api.request(Method::GET, &format!("/{}", T::WORDS));
    let request = if let Some(query) = query { request.query(&[("q", query)]) } else { request };
    paging.print(api, request, show_all).await
}

/// Prints one.
pub async fn get<Id: NamedId>(
    api: &Api,
    named: &Named<Id>,
    show: fn(Id::Thing) -> String,
) -> Result<(), CommandError> {
    let path = path(named.resolve(api).await?);
    print(api, api.request(Method::GET, &path), show).await
}

/// Creates one, and prints it.
pub async fn create<T: Resource>(
    api: &Api,
    new: &T::New,
    show: fn(T) -> String,
) -> Result<(), CommandError> {
    print(api, api.request(Method::POST, &format!("/{}", T::WORDS)).json(new), show).await
}

/// Changes some fields of one, and prints it.
pub async fn update<Id: NamedId>(
    api: &Api,
    named: &Named<Id>,
    (changes, if_version): (Value, Option<i32>),
    show: fn(Id::Thing) -> String,
) -> Result<(), CommandError> {
    let path = path(named.resolve(api).await?);
    print(api, api.guarded(Method::PATCH, &path, if_version).json(&changes), show).await
}

/// Deletes one, and prints a message.
pub async fn delete<Id: NamedId>(
    api: &Api,
    named: &Named<Id>,
    if_version: Option<i32>,
    message: fn(Id) -> String,
) -> Result<(), CommandError> {
    let id = named.resolve(api).await?;
    let request = api.guarded(Method::DELETE, &path(id), if_version);
    api.ask(request).await?.done(&message(id))
}

fn path<Id: NamedId>(id: Id) -> String {
    format!("/{}/{id}", Id::Thing::WORDS)
}

async fn print<T: Resource>(
    api: &Api,
    request: RequestBuilder,
    show: fn(T) -> String,
) -> Result<(), CommandError> {
    api.ask(request).await?.print(show)
}
