//! `ETag`, `If-Match` and `If-None-Match` (RFC 9110 section 13). The entity tag of a state is its
//! version.

use std::future::Future;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};
use galley_protocol::{Problem, Sentence, Version};
use utoipa::IntoParams;

use crate::web::Refusal;

/// The most entity tags in one condition.
const MAX_TAGS: usize = 16;
/// A version that no state has.
const NO_VERSION: Version = Version(0);

/// The versions to which a change may be made.
#[derive(Debug, PartialEq, Eq)]
pub struct IfMatch(Condition);

/// The versions that the caller already has.
#[derive(Debug, PartialEq, Eq)]
pub struct IfNoneMatch(Condition);

/// The header of [`IfMatch`], for the document.
#[derive(IntoParams)]
#[expect(dead_code, reason = "it describes, and holds nothing")]
#[into_params(parameter_in = Header)]
pub struct IfMatchHeader {
    /// Only when it has this version: `"3"`.
    #[param(rename = "If-Match")]
    if_match: Option<String>,
}

/// The header of [`IfNoneMatch`], for the document.
#[derive(IntoParams)]
#[expect(dead_code, reason = "it describes, and holds nothing")]
#[into_params(parameter_in = Header)]
pub struct IfNoneMatchHeader {
    /// Versions that the caller has: `"3"`.
    #[param(rename = "If-None-Match")]
    if_none_match: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
enum Condition {
    Absent,
    Any,
    Tags(Vec<Tag>),
}

/// The opaque part of an entity tag. Whether a tag is weak makes no difference, in `If-Match`
/// either: a state has one tag, and who compresses an answer on its way weakens it.
#[derive(Debug, PartialEq, Eq)]
struct Tag(String);

impl IfMatch {
    /// Returns this condition for an order. The tag of an order may end with a version of its hero,
    /// which is cut off: a change of the hero is not a change of the order, and fails no guard.
    pub fn of_order(mut self) -> Self {
        if let Condition::Tags(tags) = &mut self.0 {
            for tag in tags {
                if let Some((order, hero)) = tag.0.split_once('.')
                    && hero.bytes().all(|byte| byte.is_ascii_digit())
                {
                    tag.0.truncate(order.len());
                }
            }
        }
        self
    }

    /// Tries a change with each version that satisfies the condition as its expected version, until
    /// one attempt is not stale.
    pub async fn guard<T, E, F>(
        &self,
        is_stale: impl Fn(&E) -> bool,
        attempt: impl Fn(Option<Version>) -> F,
    ) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        let (first, others) = self.expected();
        let mut outcome = attempt(first).await;
        for version in others {
            match &outcome {
                Err(error) if is_stale(error) => outcome = attempt(Some(version)).await,
                _ => break,
            }
        }
        outcome
    }

    /// Returns true if a change may be made to every version.
    pub fn is_open(&self) -> bool {
        matches!(self.0, Condition::Absent | Condition::Any)
    }

    /// Returns true if a change may be made to this version.
    pub fn admits(&self, version: Version) -> bool {
        let Condition::Tags(tags) = &self.0 else { return true };
        tags.iter().any(|tag| tag.version() == Some(version))
    }

    /// The first version to expect, and the further ones, rising: no change between two is missed.
    /// The first is `None` if every version satisfies the condition, [`NO_VERSION`] if none does.
    fn expected(&self) -> (Option<Version>, Vec<Version>) {
        let Condition::Tags(tags) = &self.0 else {
            return (None, Vec::new());
        };
        let mut versions: Vec<Version> = tags.iter().filter_map(Tag::version).collect();
        versions.sort_unstable();
        versions.dedup();
        if versions.is_empty() {
            return (Some(NO_VERSION), versions);
        }
        (Some(versions.remove(0)), versions)
    }
}

impl IfNoneMatch {
    /// Returns true if the caller already has the state with this entity tag.
    pub fn has(&self, etag: &str) -> bool {
        match &self.0 {
            Condition::Absent => false,
            Condition::Any => true,
            Condition::Tags(tags) => tags.iter().any(|tag| etag.trim_matches('"') == tag.0),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        Ok(Self(Condition::read(&parts.headers, &header::IF_MATCH, "If-Match")?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfNoneMatch {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        Ok(Self(Condition::read(&parts.headers, &header::IF_NONE_MATCH, "If-None-Match")?))
    }
}

impl Condition {
    fn read(headers: &HeaderMap, header: &HeaderName, name: &str) -> Result<Self, Problem> {
        let lines: Vec<&[u8]> =
            headers.get_all(header).iter().map(axum::http::HeaderValue::as_bytes).collect();
        if lines.is_empty() {
            return Ok(Self::Absent);
        }
        let wrong = || Problem::invalid_parameter(name, Sentence::NotTags(MAX_TAGS));
        // Several lines are one list (RFC 9110 section 5.3).
        let whole = lines.join(&b", "[..]);
        std::str::from_utf8(&whole).ok().and_then(Self::parse).ok_or_else(wrong)
    }

    fn parse(text: &str) -> Option<Self> {
        if text.trim() == "*" {
            return Some(Self::Any);
        }
        let mut tags = Vec::new();
        let mut rest = text;
        loop {
            // Empty elements of a list are allowed (RFC 9110 section 5.6.1.2).
            rest = rest.trim_start_matches([' ', '\t', ',']);
            if rest.is_empty() {
                break;
            }
            let (tag, after) = Tag::parse(rest)?;
            rest = after.trim_start_matches([' ', '\t']);
            tags.push(tag);
            if tags.len() > MAX_TAGS || !(rest.is_empty() || rest.starts_with(',')) {
                return None;
            }
        }
        if tags.is_empty() { None } else { Some(Self::Tags(tags)) }
    }
}

impl Tag {
    /// Splits the first entity tag off the text (RFC 9110 section 8.8.3).
    fn parse(text: &str) -> Option<(Self, &str)> {
        let text = text.strip_prefix("W/").unwrap_or(text);
        let (tag, rest) = text.strip_prefix('"')?.split_once('"')?;
        let allowed = tag.chars().all(|character| character > ' ' && character != '\u{7f}');
        allowed.then(|| (Self(tag.to_owned()), rest))
    }

    /// The version of this tag, if it is spelled exactly as the gateway spells it.
    fn version(&self) -> Option<Version> {
        let version = Version(self.0.parse().ok()?);
        (version >= Version::FIRST && version.to_string() == self.0).then_some(version)
    }
}

#[cfg(test)]
mod tests {
    use galley_protocol::Version;

    use super::{Condition, IfMatch, IfNoneMatch, MAX_TAGS};

    fn expected(text: &str) -> Vec<i32> {
        let (first, others) = IfMatch(Condition::parse(text).expect("a condition")).expected();
        first.into_iter().chain(others).map(|version| version.0).collect()
    }

    #[test]
    fn only_a_tag_of_a_version_allows_a_change() {
        assert_eq!(expected("\"3\""), [3]);
        assert_eq!(expected("W/\"3\""), [3]);
        assert_eq!(expected("*"), [0; 0]);
        assert_eq!(expected(" , \"7\",,\t\"3\" , W/\"5\", \"a,b\", \"3\","), [3, 5, 7]);
        for no_version in
            ["W/\"x\"", "\"abc\"", "\"\"", "\"03\"", "\"+3\"", "\"0\"", "\"-1\"", "\"99999999999\""]
        {
            assert_eq!(expected(no_version), [0], "{no_version}");
        }
    }

    #[test]
    fn a_guard_of_an_order_looks_at_its_own_version_only() {
        let of_order = |text: &str| {
            let condition = Condition::parse(text).expect("a condition");
            IfMatch(condition).of_order().expected().0.map(|version| version.0)
        };
        assert_eq!(of_order("\"3.7\""), Some(3));
        assert_eq!(of_order("\"3\""), Some(3));
        assert_eq!(of_order("\"3.x\""), Some(0));
        assert_eq!(of_order("*"), None);
    }

    #[test]
    fn a_weak_tag_is_enough_to_know_a_state() {
        let has = |text: &str, version| {
            IfNoneMatch(Condition::parse(text).expect("a condition")).has(&Version(version).etag())
        };
        assert!(has("W/\"3\"", 3));
        assert!(has("\"2\", \"3\"", 3));
        assert!(has("*", 9));
        assert!(!has("\"3\"", 4));
    }

    #[test]
    fn garbage_is_refused() {
        let too_many = vec!["\"1\""; MAX_TAGS + 1].join(",");
        for garbage in [
            "",
            ",",
            "3",
            "\"3",
            "3\"",
            "\"3\" \"4\"",
            "w/\"3\"",
            "\"3\", *",
            "\"a b\"",
            "W/",
            "\"3\"4",
            too_many.as_str(),
        ] {
            assert_eq!(Condition::parse(garbage), None, "{garbage}");
        }
    }
}
