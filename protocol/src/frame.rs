//! The frames of the WebSocket and of the event streams, one JSON object on one line each.

pub mod client;
pub mod received;
pub mod server;

pub use client::{ClientFrame, Command, CommandId};
pub use received::Received;
pub use server::{Feed, OrderJson, Page, Reply, Resume, ServerFrame, Totals, Welcome};
