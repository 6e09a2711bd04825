//! What every bus promises, in process and on Redis, and what the one on Redis survives.
//!
//! `GALLEY_TEST_REDIS` names a Redis that may be written to; tests that break Redis start
//! `redis-server` themselves.

mod bus_census;
mod bus_faults;
mod bus_stage;
mod heal;
mod promises;
mod redis_process;
