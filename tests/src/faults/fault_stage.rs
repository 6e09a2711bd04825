//! The processes of a round, with their own servers, controlled by the breaker.
//!
//! A process keeps its address across restarts. If one ends by itself that is a failure, regardless
//! of the faults of others. The last worker's clock is an hour ahead if `libfaketime` is installed:
//! all times come from the database, so nothing may depend on that clock.

use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use super::FaultDeployment;
use super::action::Component;
use super::disk::Disk;
use super::process::Process;
use super::servers::Servers;
use crate::TestClient;
use crate::command_output::run;
use crate::patience::until;
use crate::program::Signal;

const GATEWAYS: usize = 2;
const WORKERS: usize = 2;

/// Running programs and servers; all ended when dropped, programs first.
#[derive(Debug)]
pub struct FaultStage {
    gateways: Vec<Process>,
    workers: Vec<Process>,
    /// The servers; `None` for an embedded service.
    pub servers: Option<Servers>,
    /// The disk of the database.
    pub disk: Disk,
    database: String,
    /// The time that the slowest program took to become ready without faults, a measure of this
    /// machine.
    pub slowest_start: Duration,
}

impl FaultStage {
    /// Starts everything, and waits until every gateway is ready. The logs are written to this
    /// folder.
    pub async fn start(deployment: FaultDeployment, folder: &Path) -> Self {
        let disk = Disk::mount();
        let mut stage = if deployment == FaultDeployment::Embedded {
            let database = format!("sqlite://{}", disk.path().join("galley.db").display());
            let gateways =
                vec![Process::new("galley", 0, folder, &[("DATABASE_URL", database.clone())])];
            Self {
                gateways,
                workers: Vec::new(),
                servers: None,
                disk,
                database,
                slowest_start: Duration::ZERO,
            }
        } else {
            let (gateways, workers) =
                ((0..GATEWAYS).map(Component::Gateway), (0..WORKERS).map(Component::Worker));
            let parts: Vec<Component> = gateways.chain(workers).collect();
            let servers = Servers::start(deployment, &parts, disk.path()).await;
            let database = servers.postgres.url();
            let migrated = run("galley", &["migrate", "--database-url", &database], &[]).await;
            assert_eq!(migrated.code, 0, "{migrated:?}");
            let process =
                |name, number, part| Process::new(name, number, folder, &servers.variables(part));
            let gateway = |number| process("galley-gateway", number, Component::Gateway(number));
            let worker = |number| process("galley-worker", number, Component::Worker(number));
            let gateways = (0..GATEWAYS).map(gateway).collect();
            let mut workers: Vec<_> = (0..WORKERS).map(worker).collect();
            workers.last_mut().expect("there are workers").shift_clock();
            Self {
                gateways,
                workers,
                servers: Some(servers),
                disk,
                database,
                slowest_start: Duration::ZERO,
            }
        };
        for number in 0..stage.gateways.len() {
            let began = Instant::now();
            stage.gateways[number].start();
            let client = TestClient::new(&stage.urls()[number]);
            let ready = async || {
                client.get("/readyz").try_send().await.ok().filter(|answer| answer.status == 200)
            };
            until("a ready gateway", ready).await;
            stage.slowest_start = stage.slowest_start.max(began.elapsed());
        }
        stage.workers.iter_mut().for_each(Process::start);
        stage
    }

    /// The URLs of the gateways.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.gateways.iter().filter_map(|gateway| gateway.url.clone()).collect()
    }

    /// The URL of the database, through no proxy that is ever stalled.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Kills a process with -9.
    pub fn kill(&mut self, part: Component) {
        self.process(part).end();
    }

    /// Starts a process; if it still runs it is killed first.
    pub fn start_again(&mut self, part: Component) {
        let process = self.process(part);
        process.end();
        process.start();
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// If the process has ended.
    pub fn signal(&mut self, part: Component, signal: Signal) -> Result<(), String> {
        let process = self.process(part);
        if !process.is_running() {
            return Err(format!("{} has ended", process.name));
        }
        process.signal(signal);
        Ok(())
    }

    /// Restores every process to running: paused ones continue, ended ones are restarted.
    ///
    /// # Errors
    /// The processes that ended by themselves.
    pub fn revive(&mut self) -> Result<(), String> {
        let mut ended = Vec::new();
        for process in self.gateways.iter_mut().chain(&mut self.workers) {
            if process.is_wanted() {
                process.signal(Signal::CONT);
                continue;
            }
            if process.has_failed() {
                ended.push(process.name.clone());
            }
            process.end();
            process.start();
        }
        if ended.is_empty() {
            Ok(())
        } else {
            Err(format!("{} ended without being asked to", ended.join(", ")))
        }
    }

    /// Appends the output of the programs to their logs.
    pub fn keep_logs(&mut self) {
        self.gateways.iter_mut().chain(&mut self.workers).for_each(Process::keep_log);
    }

    fn process(&mut self, part: Component) -> &mut Process {
        match part {
            Component::Gateway(number) => &mut self.gateways[number],
            Component::Worker(number) => &mut self.workers[number],
            Component::Node(_) | Component::Pooler => unreachable!("servers have them"),
        }
    }
}
