//! Tests the life of orders in a worker, with a store that fails on command and the in-process bus.

mod on_sqlite;
mod ordinary;
mod outages;
mod shelf;
mod worker_scene;
