//! Faults at random, and proof that none broke a promise.
//!
//! A [`round`] starts a [`stage`] of real processes and [`servers`], lets a [`crowd`] of clients
//! loose on it, and breaks it as the [`schedule`] of a seed says. Every request, answer and frame
//! is [`record`]ed; an [`auditor`] adds when the database changed. Then everything is mended, the
//! crowd must become quiet, and the [`checker`] holds the record against the [`stored`] orders.

pub mod action;
pub mod actor;
pub mod auditor;
pub mod breaker;
pub mod browser;
pub mod checker;
pub mod crowd;
pub mod deployment;
pub mod disk;
pub mod event_source;
pub mod feed_view;
pub mod listener;
pub mod meddler;
pub mod picture;
pub mod postgres;
mod process;
pub mod record;
pub mod redis;
pub mod round;
pub mod schedule;
pub mod servers;
pub mod sighting;
pub mod stage;
pub mod stored;
pub mod watcher;

pub use deployment::Deployment;
