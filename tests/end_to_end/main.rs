//! Tests of the whole service from outside: real processes, used over HTTP and `WebSocket`s, and
//! broken on purpose.

/// Makes a test of this name for each deployment: `name::embedded` and `name::distributed`.
macro_rules! on_both_deployments {
    ($test:ident) => {
        mod $test {
            #[tokio::test]
            async fn embedded() {
                super::$test(galley_tests::TestStack::embedded()).await;
            }
            #[tokio::test]
            async fn distributed() {
                super::$test(galley_tests::TestStack::distributed()).await;
            }
        }
    };
}

mod allergies;
#[cfg(feature = "conformance")]
mod autobahn;
mod backups;
mod base_path_requests;
mod before_the_close;
mod behind_haproxy;
mod bounded_answers;
mod cancelling;
mod checks;
mod command_line;
mod content_codings;
mod crashes;
mod cut_off;
mod database_connections;
mod database_hosts;
mod database_tls;
mod database_troubles;
mod deaf;
mod describing;
mod differential;
mod documented_proxies;
mod documented_types;
mod draining;
mod edges;
mod empty_variables;
mod event_streams;
mod exit_codes;
mod fair_callers;
mod feed_gaps;
mod flooding_sockets;
mod followed_orders;
mod foreign_hosts;
mod forged_messages;
mod forwarded_callers;
mod gateways;
mod generated_clients;
mod gone_heroes;
mod heartbeats;
mod hostile;
mod idempotency;
mod identity_providers;
mod in_order;
mod index_beside_writers;
mod kept_meals;
mod languages;
mod leaving_many;
mod life;
mod listening;
mod load;
mod load_agents;
mod load_reports;
mod load_shapes;
mod logging;
mod many;
mod message_exchange;
mod metrics_of_programs;
mod mounted_secrets;
mod names_for_ids;
mod neighbours;
mod notified_supervisor;
mod observed;
mod openapi;
mod operations_report;
mod origins;
mod over_tls;
mod plain_words;
mod pooled_database;
mod postgres_away;
mod preparing;
mod privacy;
mod pubsub_cut;
mod pushed_menu;
mod quiet_logs;
mod racing;
mod reached_limits;
mod read_settings;
mod readme;
mod redis_addresses;
mod redis_away;
mod refused_streams;
mod repeated_keys;
mod resources;
mod resume_cursors;
mod resuming;
mod resyncing;
mod rfc6455;
mod roles;
mod rolling_restart;

mod secrets;
mod sentinel;
mod sharing_a_port;
mod signing_in;
mod signing_out;
mod silent_node;
mod slow_socket;
mod socket_age;
mod socket_commands;
mod staff_feed;
mod start_errors;
mod starting;
mod stopping;
mod storage;
mod strange_entries;
mod supervision;
mod texts;
mod tickets;
mod tokens;
mod under_faults;
mod unknown_totals;
mod unread_documents;
mod upgrades;
mod validation;
mod waiting_for_an_order;
mod watching;
mod websocat;
mod whole_lists;
mod wrong_fields;
