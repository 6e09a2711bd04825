//! The whole service from outside: real processes, spoken to over HTTP and `WebSocket`s, and broken on purpose.

/// Runs each test on both deployments.
macro_rules! on_both_deployments {
    ($($test:ident),* $(,)?) => {
        mod embedded {
            $(#[tokio::test] async fn $test() { super::$test(galley_tests::Stack::embedded()).await; })*
        }
        mod distributed {
            $(#[tokio::test] async fn $test() { super::$test(galley_tests::Stack::distributed()).await; })*
        }
    };
}

mod allergies;
mod cancelling;
mod command_line;
mod commands;
mod crashes;
mod deaf;
mod describing;
mod differential;
mod draining;
mod edges;
mod event_streams;
mod feed;
mod fields;
mod gateways;
mod heartbeats;
mod hostile;
mod idempotency;
mod leaving_many;
mod life;
mod limits;
mod load;
mod many;
mod openapi;
mod origins;
mod plain_words;
mod postgres_away;
mod preparing;
mod privacy;
mod pubsub_cut;
mod racing;
mod readme;
mod redis_away;
mod resources;
mod resuming;
mod resyncing;
mod rfc6455;
mod roles;
mod secrets;
mod settings;
mod sharing_a_port;
mod slow_socket;
mod starting;
mod strange_entries;
mod tokens;
mod under_faults;
mod validation;
mod watching;
mod websocat;
