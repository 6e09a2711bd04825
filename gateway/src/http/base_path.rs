//! The path under which a gateway serves everything, behind a proxy that serves other things too.

use std::str::FromStr;

use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderValue, Uri, header};

/// Paths that are served without the base path too, because balancers ask for them there.
pub const HEALTH_CHECKS: [&str; 2] = ["/healthz", "/readyz"];

/// A path without a slash at its end; empty for none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BasePath(String);

/// Where a request leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// To something of the gateway.
    Within,
    /// To the base path without its last slash, on which relative links depend.
    Bare,
    Elsewhere,
}

impl FromStr for BasePath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let is_segment = |part: &str| !matches!(part, "" | "." | "..") && part.bytes().all(letter);
        let path = text.strip_suffix('/').unwrap_or(text);
        match path.strip_prefix('/') {
            None if path.is_empty() => Ok(Self::default()),
            Some(rest) if rest.split('/').all(is_segment) => Ok(Self(path.to_owned())),
            None | Some(_) => Err("must be a path such as /galley or /apps/galley".to_owned()),
        }
    }
}

impl BasePath {
    /// The path without a slash at its end; empty for none.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes the base path off a request. `is_stripped` says that a proxy did so before.
    pub fn enter(&self, uri: &mut Uri, is_stripped: bool) -> Place {
        if self.0.is_empty() {
            return Place::Within;
        }
        let asked = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        match asked.strip_prefix(&self.0) {
            Some(rest) if rest.starts_with('/') => {
                let rest =
                    PathAndQuery::try_from(rest).expect("a part of a path from its slash on");
                *uri = Uri::from(rest);
                Place::Within
            }
            Some(rest) if rest.is_empty() || rest.starts_with('?') => Place::Bare,
            Some(_) | None if is_stripped || HEALTH_CHECKS.contains(&uri.path()) => Place::Within,
            Some(_) | None if uri.path() == "*" => Place::Within,
            Some(_) | None => Place::Elsewhere,
        }
    }

    /// Puts the base path into the links of an answer.
    pub fn leave(&self, headers: &mut HeaderMap) {
        if self.0.is_empty() {
            return;
        }
        for (name, before) in [(header::LOCATION, ""), (header::LINK, "<")] {
            let Some(value) = headers.get_mut(&name) else { continue };
            let path = value.to_str().ok().and_then(|value| value.strip_prefix(before));
            if let Some(path) = path.filter(|path| path.starts_with('/')) {
                *value = HeaderValue::try_from(format!("{before}{}{path}", self.0))
                    .expect("a path and a header value make a header value");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, Uri, header};

    use super::{BasePath, Place};

    #[test]
    fn a_base_path_has_plain_segments() {
        for (text, path) in [("/", ""), ("", ""), ("/galley", "/galley"), ("/a/b-c/", "/a/b-c")] {
            assert_eq!(text.parse::<BasePath>().as_ref().map(BasePath::as_str), Ok(path));
        }
        for wrong in ["galley", "//", "/a//b", "/a b", "/a?b", "/../a", "/%61", "http://a/b"] {
            assert!(wrong.parse::<BasePath>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn requests_lose_the_base_path_and_links_get_it() {
        let base: BasePath = "/galley".parse().expect("a path");
        for (asked, is_stripped, place, left) in [
            ("/galley/", false, Place::Within, "/"),
            ("/galley/meals?q=a", false, Place::Within, "/meals?q=a"),
            ("/galley/meals", true, Place::Within, "/meals"),
            ("/galley//meals", false, Place::Within, "//meals"),
            ("/galley?a", false, Place::Bare, "/galley?a"),
            ("/galleys/meals", false, Place::Elsewhere, "/galleys/meals"),
            ("/meals", false, Place::Elsewhere, "/meals"),
            ("/meals", true, Place::Within, "/meals"),
            ("/readyz", false, Place::Within, "/readyz"),
        ] {
            let mut uri: Uri = asked.parse().expect("a URI");
            assert_eq!(base.enter(&mut uri, is_stripped), place, "{asked}");
            assert_eq!(uri.to_string(), left, "{asked}");
        }
        let mut headers = HeaderMap::from_iter([
            (header::LOCATION, HeaderValue::from_static("/orders/7")),
            (header::LINK, HeaderValue::from_static("</meals?cursor=p1>; rel=\"next\"")),
        ]);
        base.leave(&mut headers);
        assert_eq!(headers[header::LOCATION], "/galley/orders/7");
        assert_eq!(headers[header::LINK], "</galley/meals?cursor=p1>; rel=\"next\"");
    }
}
