//! The opening of a session: the client is admitted and welcomed, or refused.
//!
//! A WebSocket begins with its [`handshake`], an event stream with its request ([`sse_session`]).
//! Both pass the [`admission`]. A WebSocket may be opened without a token: its [`arrival`] then
//! waits for the [`authentication`] before the admission. The [`welcome`] is the first frame.

pub mod admission;
mod arrival;
pub mod authentication;
pub mod handshake;
pub mod sse_session;
mod welcome;
