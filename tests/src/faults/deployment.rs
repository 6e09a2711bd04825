//! The ways in which a round may deploy the service.

use clap::ValueEnum;

/// A way to deploy the service under faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub enum FaultDeployment {
    /// `galley` with `SQLite`
    Embedded,
    /// Gateways and workers with one `PostgreSQL` and one Redis
    Distributed,
    /// The same with a Redis Cluster of three masters and three replicas
    Cluster,
    /// The same with a Redis behind a name that is demoted now and then
    Demoted,
    /// The same with a synchronous standby of `PostgreSQL`
    Standby,
    /// The same with `PgBouncer` in session mode
    Pooled,
}

impl FaultDeployment {
    /// The deployment that a seed chooses: seeds in a row have all of them.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        let all = Self::value_variants();
        let at = usize::try_from(seed % all.len() as u64).expect("there are few");
        all[at]
    }
}
