//! The life of orders in a worker's hands, against a store whose faults are at command and the bus
//! within the process.

mod on_sqlite;
mod ordinary;
mod outages;
mod scene;
mod shelf;
