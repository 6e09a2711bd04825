//! Support for the end-to-end tests: a [`Stack`] of real processes over a real `PostgreSQL` and
//! Redis, and a [`Client`] for it. The tests use only the public interface of the service.
//!
//! `GALLEY_TEST_POSTGRES` names a `PostgreSQL` in which databases may be created,
//! `GALLEY_TEST_REDIS` a Redis; both are shared by all tests, each of which has a database and a
//! key prefix of its own. Tests that break `PostgreSQL` or Redis start their own.

pub mod answer;
pub mod caddy;
pub mod client;
pub mod command_line;
pub mod database;
pub mod dispatch_queue;
pub mod events;
pub mod faults;
pub mod follower;
pub mod haproxy;
pub mod json;
pub mod lying_gateway;
pub mod namespace;
pub mod nginx;
pub mod patience;
pub mod picture;
pub mod pooler;
pub mod port;
pub mod postgres_server;
pub mod program;
pub mod proxy;
pub mod raw_connection;
pub mod raw_socket;
pub mod readme;
pub mod redis_cluster;
pub mod redis_server;
pub mod screen;
pub mod socket;
pub mod stack;
pub mod terminal;
pub mod token;
pub mod traffic;
pub mod truth;
pub mod wire;

pub use answer::Answer;
pub use caddy::Caddy;
pub use client::Client;
pub use dispatch_queue::DispatchQueue;
pub use events::Events;
pub use follower::Follower;
pub use haproxy::HaProxy;
pub use lying_gateway::{Lie, LyingGateway};
pub use nginx::Nginx;
pub use patience::{until, within};
pub use picture::Picture;
pub use pooler::Pooler;
pub use postgres_server::PostgresServer;
pub use program::Program;
pub use proxy::Proxy;
pub use raw_connection::RawConnection;
pub use raw_socket::RawSocket;
pub use redis_cluster::RedisCluster;
pub use redis_server::RedisServer;
pub use screen::Screen;
pub use socket::Socket;
pub use stack::{Stack, StackBuilder};
pub use truth::Truth;
