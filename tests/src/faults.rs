//! Faults at random, and proof that none broke a promise.
//!
//! A [`round`] starts a [`stage`] of real processes, lets a [`crowd`] of clients loose on it, and breaks it as the
//! [`schedule`] of a seed says. Every request, answer and frame is [`record`]ed. Then everything is mended, the crowd must become
//! quiet, and the [`checker`] holds the record against the [`stored`] orders.

pub mod action;
pub mod actor;
pub mod breaker;
pub mod checker;
pub mod crowd;
pub mod disk;
pub mod listener;
pub mod meddler;
pub mod picture;
mod process;
pub mod record;
pub mod round;
pub mod schedule;
pub mod sighting;
pub mod stage;
pub mod stored;

/// How an order is deployed under faults.
pub use crate::stack::Deployment;
