//! The content coding of answers (RFC 9110 section 8.4): texts are sent with gzip to clients that
//! accept it.
//!
//! A body is coded on the task of the connection that asked for it, with the fastest level. A long
//! one is coded in steps, each when the connection has room for it, so that a client that does not
//! read costs nothing. A body that is the same for everybody is coded once ([`CodedOnce`]).

use std::io::Write as _;
use std::sync::{Arc, OnceLock};

use axum::body::{Body, Bytes, HttpBody as _, to_bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream;

use crate::http::header_list::tokens;

/// The shortest body that is coded, in bytes: a shorter one fits into one packet anyway.
const SHORTEST: usize = 1_024;
/// The bytes that are coded at once.
const STEP: usize = 64 * 1_024;

/// The coding of a body that is the same for everybody. It is made when it is first asked for; as
/// an extension of an answer it takes the place of a coding of its own.
#[derive(Clone, Debug, Default)]
pub struct CodedOnce(Arc<OnceLock<Bytes>>);

/// The codings that a client accepts, as far as there is a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcceptedCoding {
    Identity,
    Gzip,
    /// Gzip, and nothing uncoded however short.
    GzipOnly,
}

impl AcceptedCoding {
    /// Reads `Accept-Encoding` (RFC 9110 section 12.5.3). If it accepts nothing that there is, the
    /// answer is not coded.
    pub fn read(headers: &HeaderMap) -> Self {
        let (mut gzip, mut identity, mut any) = (None, None, None);
        for entry in tokens(headers, &header::ACCEPT_ENCODING) {
            let mut parts = entry.split(';').map(str::trim);
            let coding = parts.next().unwrap_or_default().to_ascii_lowercase();
            let Some(quality) = quality(parts.next()) else { continue };
            match coding.as_str() {
                "gzip" | "x-gzip" => gzip = Some(quality),
                "identity" => identity = Some(quality),
                "*" => any = Some(quality),
                _ => {}
            }
        }
        let gzip = gzip.or(any).unwrap_or(0.0);
        match identity.or(any) {
            _ if gzip == 0.0 => Self::Identity,
            Some(0.0) => Self::GzipOnly,
            Some(identity) if identity > gzip => Self::Identity,
            Some(_) | None => Self::Gzip,
        }
    }
}

/// Returns the weight of a coding; `None` if it is malformed.
fn quality(parameter: Option<&str>) -> Option<f32> {
    let Some(parameter) = parameter else { return Some(1.0) };
    let (name, value) = parameter.split_once('=')?;
    let quality = value.trim().parse().ok().filter(|quality| (0.0..=1.0).contains(quality));
    if name.trim().eq_ignore_ascii_case("q") { quality } else { None }
}

/// Codes the body of an answer, if it is a text and the client accepts that. Says that the answer
/// depends on what the client accepts.
pub async fn encode(accepted: AcceptedCoding, mut response: Response) -> Response {
    if response.status() == StatusCode::NOT_MODIFIED || is_plain_text(response.headers()) {
        let vary = HeaderValue::from_static("accept-encoding");
        response.headers_mut().append(header::VARY, vary);
    }
    // The length is known of every answer but event streams and what is coded already.
    let length = response.body().size_hint().exact().and_then(|length| length.try_into().ok());
    let shortest = match accepted {
        AcceptedCoding::Identity => return response,
        AcceptedCoding::Gzip => SHORTEST,
        AcceptedCoding::GzipOnly => 1,
    };
    if !is_plain_text(response.headers()) || length.is_none_or(|length: usize| length < shortest) {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.expect("a body of known length is in memory");
    let body = match head.extensions.remove::<CodedOnce>() {
        Some(CodedOnce(coded)) => {
            coded.get_or_init(|| gzip(&body, Compression::default())).clone().into()
        }
        None if body.len() <= STEP => gzip(&body, Compression::fast()).into(),
        None => in_steps(body),
    };
    head.headers.remove(header::CONTENT_LENGTH);
    head.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    weaken(&mut head.headers);
    Response::from_parts(head, body)
}

/// Returns true for a text that is not coded and not an endless stream.
fn is_plain_text(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    let is_text = kind.starts_with("text/") && kind != "text/event-stream"
        || kind.ends_with("json")
        || kind.ends_with("javascript")
        || kind.ends_with("xml");
    is_text && !headers.contains_key(header::CONTENT_ENCODING)
}

/// A coded answer is not the same bytes: its entity tag is weak (RFC 9110 section 8.8.1).
fn weaken(headers: &mut HeaderMap) {
    if let Some(tag) = headers.get_mut(header::ETAG)
        && tag.as_bytes().starts_with(b"\"")
    {
        *tag = HeaderValue::try_from([b"W/", tag.as_bytes()].concat()).expect("a header value");
    }
}

fn gzip(body: &[u8], level: Compression) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), level);
    encoder.write_all(body).and_then(|()| encoder.finish()).expect(IN_MEMORY).into()
}

fn in_steps(body: Bytes) -> Body {
    let encoder = GzEncoder::new(Vec::new(), Compression::fast());
    Body::from_stream(stream::unfold((body, Some(encoder)), async |(mut remainder, encoder)| {
        let mut encoder = encoder?;
        loop {
            let step = remainder.split_to(STEP.min(remainder.len()));
            encoder.write_all(&step).expect(IN_MEMORY);
            if remainder.is_empty() {
                let last = encoder.finish().expect(IN_MEMORY);
                return Some((Ok::<_, std::io::Error>(Bytes::from(last)), (remainder, None)));
            }
            let coded = std::mem::take(encoder.get_mut());
            if !coded.is_empty() {
                return Some((Ok(coded.into()), (remainder, Some(encoder))));
            }
        }
    }))
}

const IN_MEMORY: &str = "writing to memory does not fail";

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, header};

    use super::AcceptedCoding;

    #[test]
    fn a_client_says_what_it_accepts() {
        use AcceptedCoding::{Gzip, GzipOnly, Identity};
        for (line, accepted) in [
            ("gzip", Gzip),
            ("deflate, GZIP ;q=0.5, br", Gzip),
            ("x-gzip", Gzip),
            ("*", Gzip),
            ("gzip;q=0.5, identity;q=0.5", Gzip),
            ("gzip, identity;q=0", GzipOnly),
            ("gzip, *;q=0", GzipOnly),
            ("*;q=0.5, identity;q=0", GzipOnly),
            ("", Identity),
            ("br", Identity),
            ("identity", Identity),
            ("gzip;q=0", Identity),
            ("gzip;q=0.000, *", Identity),
            ("*;q=0", Identity),
            ("identity;q=0", Identity),
            ("gzip;q=0.5, identity", Identity),
            ("gzip;q=0.1, *;q=0.5", Identity),
            ("gzip;q=2", Identity),
            ("gzip;q=nan", Identity),
            ("gzip;level=1", Identity),
            ("gzippy", Identity),
        ] {
            let line = (header::ACCEPT_ENCODING, HeaderValue::from_static(line));
            assert_eq!(
                AcceptedCoding::read(&HeaderMap::from_iter([line.clone()])),
                accepted,
                "{line:?}"
            );
        }
        assert_eq!(AcceptedCoding::read(&HeaderMap::new()), Identity);
    }
}
