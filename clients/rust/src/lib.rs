//! A client of Galley for tokio: it connects, resumes, and never orders twice.
//!
//! ```no_run
//! use galley_client::{ClientOptions, GalleyClient};
//! use galley_protocol::{HeroId, MealId};
//!
//! # async fn order() -> Result<(), Box<dyn std::error::Error>> {
//! let mut options = ClientOptions::new("http://127.0.0.1:8080");
//! options.hero = Some(HeroId::new(4)?);
//! let galley = GalleyClient::connect(options).await?;
//! let order = galley.place(MealId::new(12)?).await?;
//! galley.cancel(order.id, "changed my mind").await?;
//! galley.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! [`SocketTarget`], [`SocketVerdict`] and [`ReconnectPause`] are its parts for programs that hold
//! their sockets themselves, as `galley watch` and `galley-load` do.

mod client_core;
mod client_error;
mod client_event;
mod client_options;
mod galley_client;
mod kept_placements;
mod reconnect_pause;
mod sent_commands;
mod socket_loop;
mod socket_target;
mod socket_verdict;

pub use client_error::ClientError;
pub use client_event::{ClientEvent, ClientEvents, ClientState, EndCause, EndReason};
pub use client_options::{ClientOptions, TokenProvider};
pub use galley_client::GalleyClient;
pub use kept_placements::{KeptInFile, KeptInMemory, KeptPlacement, PlacementKeeper};
pub use reconnect_pause::ReconnectPause;
pub use socket_target::{ClientSocket, OpenError, SocketTarget, trusting};
pub use socket_verdict::SocketVerdict;
