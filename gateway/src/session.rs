//! One connected client, from its handshake to its end, on a WebSocket or an event stream.
//!
//! Three parts, by time: [`opening`] admits the client and welcomes it, or refuses it; [`running`]
//! serves it from its welcome to its end; the [`wire`] carries all its frames. `opening` hands the
//! client over to `running`, so it uses `running`, and both use `wire`.

#[cfg(feature = "conformance")]
pub mod echo;
pub mod opening;
mod running;
mod wire;
