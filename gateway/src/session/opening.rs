//! The opening of a session: the client is admitted and welcomed, or refused.
//!
//! A WebSocket begins with its [`handshake`], an event stream with its request ([`events`]). The
//! [`entrance`] admits both. A WebSocket may come without a token: its [`visit`] then waits for the
//! [`proof`] before it enters. The [`welcome`] is the first frame.

pub mod admission;
mod arrival;
pub mod authentication;
pub mod handshake;
pub mod sse_session;
mod welcome;
