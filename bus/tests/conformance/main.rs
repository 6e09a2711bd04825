//! What every bus promises, in process and on Redis, and what the one on Redis survives.
//!
//! `GALLEY_TEST_REDIS` names a Redis that may be written to; tests that break Redis start
//! `redis-server` themselves.

mod census;
mod faults;
mod heal;
mod promises;
mod server;
mod stage;
