//! Files that are the same for everybody: the dashboard, the page and the documents about this
//! service. They are sent from where they are, coded once, and not at all to who has them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use axum::body::Bytes;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest as _, Sha256};

use super::conditions::IfNoneMatch;
use super::content_coding::CodedOnce;

/// How long clients may use a file without asking.
#[derive(Clone, Copy, Debug)]
pub enum Freshness {
    /// For good: its name changes with its content.
    Immutable,
    /// Not at all: with the entity tag it costs them a few bytes to never show an old release.
    Asked,
}

#[derive(Clone, Debug)]
pub struct StaticFile {
    body: Bytes,
    coded: CodedOnce,
    /// The entity tag.
    tag: HeaderValue,
    kind: HeaderValue,
    freshness: Freshness,
}

/// The files that have been asked for, by name.
#[derive(Debug, Default)]
pub struct StaticFiles(Mutex<HashMap<String, StaticFile>>);

impl StaticFiles {
    /// Returns the file of this name. `load` makes it the first time; its names must be bounded.
    pub fn get<E>(
        &self,
        name: &str,
        load: impl FnOnce() -> Result<StaticFile, E>,
    ) -> Result<StaticFile, E> {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = files.get(name) {
            return Ok(file.clone());
        }
        let file = load()?;
        files.insert(name.to_owned(), file.clone());
        Ok(file)
    }
}

impl StaticFile {
    /// Takes a file, without a copy if it is embedded: copies for clients that do not read would
    /// fill the memory.
    pub fn new(file: Cow<'static, [u8]>, kind: HeaderValue, freshness: Freshness) -> Self {
        let body = match file {
            Cow::Borrowed(embedded) => Bytes::from_static(embedded),
            Cow::Owned(read) => read.into(),
        };
        let mut tag = String::from("\"");
        for byte in Sha256::digest(&body) {
            write!(tag, "{byte:02x}").expect("writing to memory does not fail");
        }
        let tag = HeaderValue::try_from(tag + "\"").expect("hexadecimal digits in quotes");
        Self { body, coded: CodedOnce::default(), tag, kind, freshness }
    }

    /// Returns the file as an answer, without its body if the client has it.
    pub fn answer(self, known: &IfNoneMatch) -> Response {
        let has = self.tag.to_str().is_ok_and(|tag| known.has(tag));
        let mut response = if has {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            let mut response = self.body.into_response();
            response.extensions_mut().insert(self.coded);
            response.headers_mut().insert(header::CONTENT_TYPE, self.kind);
            response
        };
        let fresh = HeaderValue::from_static(match self.freshness {
            Freshness::Immutable => "public, max-age=31536000, immutable",
            Freshness::Asked => "no-cache",
        });
        response.headers_mut().insert(header::ETAG, self.tag);
        response.headers_mut().insert(header::CACHE_CONTROL, fresh);
        response
    }
}
