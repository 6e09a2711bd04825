//! Random faults, and a check that none broke a promise.
//!
//! A [`round`] starts a [`fault_stage`] of real processes and [`servers`], runs a [`crowd`] of clients
//! against it, and breaks it by the [`fault_schedule`] of a seed. Every request, answer and frame is
//! [`record`]ed; an [`auditor`] adds the changes of the database. Then all faults end, the crowd
//! must become quiet, and the [`checker`] compares the record with the [`stored`] orders.

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
pub mod fault_schedule;
pub mod fault_stage;
pub mod faulty_postgres;
pub mod faulty_redis;
pub mod feed_view;
pub mod hero_listener;
pub mod known_orders;
pub mod meddler;
mod process;
pub mod record;
pub mod round;
pub mod servers;
pub mod sighting;
pub mod staff_watcher;
pub mod stored;

pub use deployment::FaultDeployment;
