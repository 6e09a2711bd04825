//! The start and the end of Galley's programs: the command line, logs, signals, exit codes, waiting
//! for the database and the bus.
//!
//! Every `main.rs` is the same three steps: [`parse`], [`run`], and a body that opens its
//! [`BackendArguments`] and serves.

mod announce;
mod backend_arguments;
mod check;
mod duration;
mod exit_failure;
mod goodbye;
mod health;
mod hidden;
mod inspection;
mod jwt_secret;
mod listen;
mod log;
mod parse;
mod redis_tls_arguments;
mod renewed_logins;
mod run;
mod scrape;
mod secret_files;
mod service_manager;
mod signals;
mod supervisor;
mod tls;
mod token_rules;
mod trace_arguments;
mod wait;

pub use announce::announce;
pub use backend_arguments::{
    BackendArguments, DatabaseConnections, Namespace, migrate, open_bus, open_store, schema,
    tell_start,
};
pub use check::{CheckConfig, CheckReport, check};
pub use duration::{parse_age, parse_duration};
pub use exit_failure::Failure;
pub use goodbye::{close_store, leave, leave_bus};
pub use health::{HealthConfig, fresh};
pub use hidden::Hidden;
pub use inspection::{Inspection, InspectionConfig, inspection_of};
pub use jwt_secret::{Secret, SecretArguments, Secrets};
pub use listen::{
    Accepted, BadAddress, ListenAddress, ListenError, Listener, ReachedAt, Transport,
};
pub use log::{LogConfig, LogFormat, LogRules};
pub use parse::{one_line, parse, parse_with_sources, try_parse, try_parse_from};
pub use redis_tls_arguments::RedisTlsArguments;
pub use renewed_logins::renew_logins;
pub use run::run;
pub use scrape::Scrape;
pub use service_manager::tell_ready;
pub use signals::Hangups;
pub use supervisor::{StopOrder, Supervisor, TaskDied};
pub use tls::{client_of_service, install_tls_provider, no_tls, tls_client};
pub use token_rules::TokenRules;
pub use trace_arguments::TraceArguments;
pub use wait::{NotYet, Patience, WaitConfig};
