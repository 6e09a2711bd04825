//! Tickets: each opens one socket or event stream for the caller of a token, within half a minute.
//! They are for pages, whose `EventSource` and `WebSocket` cannot set headers.
//!
//! A ticket may stand in a query, and so in the log of a proxy, because it is worth nothing after
//! its use. The database keeps its digest alone, so that every gateway takes it, and takes it once.

use std::fmt::Write as _;

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use galley_protocol::jwt::Who;
use galley_store::{Store, StoreError, Ticket};
use rand::Rng as _;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::{Claims, TokenRejection, Verifier};

/// The parameter of a query that holds a ticket.
pub const TICKET: &str = "ticket";
/// The random bytes of a ticket.
const BYTES: usize = 32;

/// The reason why a ticket did not do.
#[derive(Debug, Error)]
pub enum TicketError {
    /// It does not stand for a caller.
    #[error(transparent)]
    Refused(#[from] TokenRejection),
    /// The database could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a ticket for the caller of a token, which a page of this origin may use.
///
/// # Errors
/// The database could not keep it.
pub async fn issue(
    verifier: &Verifier,
    store: &dyn Store,
    claims: Claims,
    headers: &HeaderMap,
) -> Result<String, StoreError> {
    let text = new_text();
    let ticket = Ticket {
        hero_id: match claims.who {
            Who::Hero(id) => Some(id),
            Who::Staff => None,
        },
        subject: claims.subject,
        name: verifier.name_of_staff(claims.subject).to_string(),
        issued: claims.issued,
        token_expires: claims.expires,
        origin: origin(headers).map(str::to_owned),
    };
    store.keep_ticket(&digest(&text), &ticket).await?;
    Ok(text)
}

/// Returns the text of a ticket that nobody has.
#[must_use]
pub fn new_text() -> String {
    let mut bytes = [0; BYTES];
    rand::rng().fill_bytes(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Takes a ticket, and returns the claims of the token for which it was made.
///
/// # Errors
/// The ticket is unknown, was used, has ended or is another page's; its token has ended; or the
/// database could not be asked.
pub async fn redeem(
    verifier: &Verifier,
    store: &dyn Store,
    text: &str,
    headers: &HeaderMap,
) -> Result<Claims, TicketError> {
    let ticket = store.take_ticket(&digest(text)).await?.ok_or(TokenRejection::Ticket)?;
    // A browser leaves the origin out where the page reads from its own.
    let is_own = match origin(headers) {
        Some(origin) => ticket.origin.as_deref() == Some(origin),
        None => header_text(headers, "sec-fetch-site").is_none_or(|site| site == "same-origin"),
    };
    if !is_own {
        return Err(TokenRejection::Ticket.into());
    }
    let Ticket { hero_id, subject, name, issued, token_expires: expires, .. } = ticket;
    let claims = Claims { who: hero_id.map_or(Who::Staff, Who::Hero), subject, issued, expires };
    Ok(verifier.check_again(claims, &name)?)
}

fn origin(headers: &HeaderMap) -> Option<&str> {
    header_text(headers, header::ORIGIN.as_str())
}

fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or_default())
}

fn digest(text: &str) -> String {
    Sha256::digest(text).iter().fold(String::new(), |mut digits, byte| {
        write!(digits, "{byte:02x}").expect("writing to memory does not fail");
        digits
    })
}
