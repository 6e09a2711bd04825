//! Pages of lists: the limit, the cursor, and the link to the next page.

use axum::http::{HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use galley_protocol::command::{DEFAULT_LIMIT, MAX_LIMIT};
use galley_protocol::frame::Page;
use galley_protocol::{NamePart, PageCursor, Problem, Sentence};
use galley_store::ListPage;
use utoipa::IntoParams;

use crate::web::query::{FromPairs, Pairs, without};

/// Which heroes or meals to list.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListParams {
    /// At most so many entries.
    #[param(required = false, format = Int32, minimum = 1, maximum = 100, default = 50)]
    limit: usize,
    /// The `next_cursor` of the page before.
    cursor: Option<PageCursor>,
    /// Only those whose name contains this; case, accents, runs of white space and invisible
    /// characters do not matter.
    #[param(inline, value_type = Option<NamePart>)]
    q: Option<String>,
}

impl FromPairs for ListParams {
    fn from_pairs(mut pairs: Pairs) -> Result<Self, Problem> {
        let limit = limit(&mut pairs);
        let cursor = pairs.one("cursor", str::parse);
        let q = pairs.one("q", |text| NamePart::parse(text).map(String::from));
        pairs.finish(|| Some(Self { limit, cursor, q }))
    }
}

impl ListParams {
    /// Returns the page to read from the store.
    pub fn into_store(self) -> ListPage {
        ListPage { limit: self.limit, after: self.cursor, name_contains: self.q }
    }
}

pub fn limit(pairs: &mut Pairs) -> usize {
    let parse = |text: &str| {
        let canonical = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
        let number =
            text.parse().ok().filter(|number| canonical && (1..=MAX_LIMIT).contains(number));
        number.ok_or(Sentence::NotFromOneTo(MAX_LIMIT.try_into().unwrap_or(i64::MAX)))
    };
    pairs.one("limit", parse).unwrap_or(DEFAULT_LIMIT)
}

/// Answers with a page, and links to the next page of the same list, if there is one.
pub fn linked<T, A: IntoResponse>(page: Page<T>, uri: &Uri, answer: fn(Page<T>) -> A) -> Response {
    let next_cursor = page.next_cursor;
    let mut response = answer(page).into_response();
    if let Some(cursor) = next_cursor {
        response.headers_mut().insert(header::LINK, link(uri, cursor));
    }
    response
}

/// Returns the `Link` (RFC 8288) to the next page, with the filters of this one as they came.
fn link(uri: &Uri, cursor: PageCursor) -> HeaderValue {
    let mut query = without(uri.query().unwrap_or_default(), "cursor");
    if !query.is_empty() {
        query.push('&');
    }
    let link = format!("<{}?{query}cursor={cursor}>; rel=\"next\"", uri.path());
    HeaderValue::try_from(link).expect("a URI holds no control characters")
}
