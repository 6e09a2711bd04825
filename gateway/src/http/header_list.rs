//! Headers that are lists.

use axum::http::{HeaderMap, HeaderName};

/// Returns the entries of a header that is a list, without the white space around them.
pub fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}
