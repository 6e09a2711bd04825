//! Tests of the whole service from outside: real processes, used over HTTP and `WebSocket`s, and
//! broken on purpose.

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
mod backups;
mod before_the_close;
mod behind_haproxy;
mod cancelling;
mod command_line;
mod commands;
mod crashes;
mod cursors;
mod cut_off;
mod database_troubles;
mod deaf;
mod describing;
mod differential;
mod draining;
mod edges;
mod empty_variables;
mod event_streams;
mod exit_codes;
mod feed;
mod feed_gaps;
mod fields;
mod gateways;
mod heartbeats;
mod hostile;
mod idempotency;
mod in_order;
mod kept_meals;
mod leaving_many;
mod life;
mod limits;
mod listening;
mod load;
mod logging;
mod many;
mod names;
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
mod refused_streams;
mod repeated_keys;
mod resources;
mod resuming;
mod resyncing;
mod rfc6455;
mod roles;
mod rolling_restart;
mod secrets;
mod settings;
mod sharing_a_port;
mod silent_node;
mod slow_socket;
mod socket_age;
mod start_errors;
mod starting;
mod stopping;
mod storage;
mod strange_entries;
mod supervision;
mod texts;
mod tokens;
mod under_faults;
mod unknown_totals;
mod unread_documents;
mod validation;
mod waiting_for_an_order;
mod watching;
mod websocat;
mod whole_lists;
