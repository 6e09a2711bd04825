//! Support for the end-to-end tests: a [`TestStack`] of real processes over a real `PostgreSQL` and
//! Redis, and a [`TestClient`] for it. The tests use only the public interface of the service.
//!
//! `GALLEY_TEST_POSTGRES` names a `PostgreSQL` in which databases may be created,
//! `GALLEY_TEST_REDIS` a Redis; both are shared by all tests, each of which has a database and a
//! key prefix of its own. Tests that break `PostgreSQL` or Redis start their own.

pub mod answer;
pub mod balancer;
pub mod command_output;
pub mod dispatch_queue;
pub mod faults;
pub mod follower;
pub mod foreign_tokens;
pub mod hero_view;
pub mod json;
pub mod key_server;
pub mod load_run;
pub mod lying_gateway;
pub mod message_signer;
pub mod namespace;
pub mod patience;
pub mod pooler;
pub mod port;
pub mod postgres_server;
pub mod program;
pub mod prometheus_server;
pub mod proxy;
pub mod raw_connection;
pub mod raw_socket;
pub mod readme_blocks;
pub mod redis_cluster;
pub mod redis_sentinels;
pub mod redis_server;
pub mod signed_token;
pub mod test_authority;
pub mod test_client;
pub mod test_database;
pub mod test_events;
pub mod test_screen;
pub mod test_socket;
pub mod test_stack;
pub mod test_terminal;
pub mod tls_front;
pub mod trace_collector;
pub mod traffic;
pub mod truth;
pub mod wire_check;

pub use answer::TestAnswer;
pub use balancer::Balancer;
pub use dispatch_queue::DispatchQueue;
pub use follower::Follower;
pub use hero_view::HeroView;
pub use load_run::LoadRun;
pub use lying_gateway::{Lie, LyingGateway};
pub use message_signer::MessageSigner;
pub use patience::{until, within};
pub use pooler::Pooler;
pub use postgres_server::PostgresServer;
pub use program::TestProgram;
pub use prometheus_server::PrometheusServer;
pub use proxy::Proxy;
pub use raw_connection::RawConnection;
pub use raw_socket::RawSocket;
pub use redis_cluster::RedisCluster;
pub use redis_server::RedisServer;
pub use test_authority::{TestAuthority, TestCertificate, install_tls_provider};
pub use test_client::TestClient;
pub use test_events::Events;
pub use test_screen::Screen;
pub use test_socket::TestSocket;
pub use test_stack::{StackBuilder, TestStack};
pub use trace_collector::TraceCollector;
pub use truth::Truth;
