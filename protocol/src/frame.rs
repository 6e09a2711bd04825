//! The frames of the WebSocket, one JSON object on one line each.

pub mod client;
pub mod received;
pub mod server;

pub use client::{ClientFrame, Command, CommandId, Place, Watch};
pub use received::Received;
pub use server::{Feed, Page, Reply, Resume, ServerFrame, Totals, Welcome};
