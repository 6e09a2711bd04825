//! The processes of a round, over servers of their own, in the hands of the breaker.
//!
//! A process keeps its address when it is started again. One that ends by itself is remembered: that is a failure, whatever
//! was done to the others. The last worker's clock is an hour ahead where `libfaketime` is installed: times come from the
//! database alone, so nothing may depend on it.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use super::Deployment;
use super::disk::Disk;
use super::schedule::{Link, Part};
use crate::command_line::run;
use crate::patience::until;
use crate::port;
use crate::program::{Signal, command, path_of};
use crate::{Client, PostgresServer, Program, Proxy, RedisServer};

const GATEWAYS: usize = 2;
const WORKERS: usize = 2;
const DELAY: &str = "0ms..300ms";

/// Running programs and servers; all gone when dropped, programs first.
#[derive(Debug)]
pub struct Stage {
    gateways: Vec<Process>,
    workers: Vec<Process>,
    /// None in an embedded service.
    pub servers: Option<Servers>,
    /// Where the database is.
    pub disk: Disk,
    database: String,
    /// How long the slowest program took to become ready, when nothing was broken: how fast this machine is.
    pub slowest_start: Duration,
}

/// What gateways and workers need, with a proxy between each pair.
#[derive(Debug)]
pub struct Servers {
    /// The database.
    pub postgres: PostgresServer,
    /// The bus.
    pub redis: RedisServer,
    links: [Proxy; 4],
}

#[derive(Debug)]
struct Process {
    name: String,
    program: &'static str,
    variables: Vec<(String, String)>,
    url: Option<String>,
    log: PathBuf,
    running: Option<Program>,
    /// It was asked to leave: it may end.
    leaving: bool,
}

impl Stage {
    /// Starts everything, and waits until every gateway is ready. The programs' logs go to this folder.
    pub async fn start(deployment: Deployment, folder: &Path) -> Self {
        let disk = Disk::mount();
        let mut stage = match deployment {
            Deployment::Embedded => {
                let database = format!("sqlite://{}", disk.path().join("galley.db").display());
                let gateways = vec![Process::new("galley", 0, folder, &[("DATABASE_URL", &database)])];
                Self { gateways, workers: Vec::new(), servers: None, disk, database, slowest_start: Duration::ZERO }
            }
            Deployment::Distributed => {
                let servers = Servers::start(disk.path()).await;
                let database = servers.postgres.url();
                let migrated = run("galley", &["migrate", "--database-url", &database], &[]).await;
                assert_eq!(migrated.code, 0, "{migrated:?}");
                let variables = |[postgres, redis]: [Link; 2]| {
                    let urls = [servers.link(postgres).port(), servers.link(redis).port()];
                    (format!("postgres://postgres@127.0.0.1:{}/postgres", urls[0]), format!("redis://127.0.0.1:{}", urls[1]))
                };
                let process = |program, number, links| {
                    let (postgres, redis) = variables(links);
                    Process::new(program, number, folder, &[("DATABASE_URL", &postgres), ("REDIS_URL", &redis)])
                };
                let gateway = |number| process("galley-gateway", number, [Link::GatewaysToPostgres, Link::GatewaysToRedis]);
                let worker = |number| process("galley-worker", number, [Link::WorkersToPostgres, Link::WorkersToRedis]);
                let (gateways, mut workers) =
                    ((0..GATEWAYS).map(gateway).collect(), (0..WORKERS).map(worker).collect::<Vec<_>>());
                workers.last_mut().expect("there are workers").shift_clock();
                Self { gateways, workers, servers: Some(servers), disk, database, slowest_start: Duration::ZERO }
            }
        };
        for number in 0..stage.gateways.len() {
            let began = Instant::now();
            stage.gateways[number].start();
            let client = Client::new(&stage.urls()[number]);
            let ready = async || client.get("/readyz").try_send().await.ok().filter(|answer| answer.status == 200);
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

    /// Where the database is, without a proxy.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Kills a process with -9.
    pub fn kill(&mut self, part: Part) {
        self.process(part).end();
    }

    /// Starts a process; whatever still runs of it is killed first.
    pub fn start_again(&mut self, part: Part) {
        let process = self.process(part);
        process.end();
        process.start();
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When the process has ended.
    pub fn signal(&mut self, part: Part, signal: Signal) -> Result<(), String> {
        let process = self.process(part);
        if !process.is_running() {
            return Err(format!("{} has ended", process.name));
        }
        process.running.iter_mut().for_each(|program| program.signal(signal));
        process.leaving |= signal == Signal::TERM;
        Ok(())
    }

    /// Lets every process run: those that are stopped go on, those that were ended begin anew.
    ///
    /// # Errors
    /// The processes that ended by themselves.
    pub fn revive(&mut self) -> Result<(), String> {
        let mut ended = Vec::new();
        for process in self.gateways.iter_mut().chain(&mut self.workers) {
            if process.is_running() && !process.leaving {
                process.running.iter_mut().for_each(|program| program.signal(Signal::CONT));
                continue;
            }
            if process.running.is_some() && !process.leaving {
                ended.push(process.name.clone());
            }
            process.end();
            process.start();
        }
        if ended.is_empty() { Ok(()) } else { Err(format!("{} ended without being asked to", ended.join(", "))) }
    }

    /// Writes down what the programs said.
    pub fn keep_logs(&mut self) {
        self.gateways.iter_mut().chain(&mut self.workers).for_each(Process::keep_log);
    }

    fn process(&mut self, part: Part) -> &mut Process {
        match part {
            Part::Gateway(number) => &mut self.gateways[number],
            Part::Worker(number) => &mut self.workers[number],
        }
    }
}

impl Servers {
    async fn start(disk: &Path) -> Self {
        let (postgres, redis) = (PostgresServer::start_in(disk).await, RedisServer::start().await);
        let (to_postgres, to_redis) = (postgres.port(), redis.port());
        let links = [
            Proxy::start(to_postgres).await,
            Proxy::start(to_postgres).await,
            Proxy::start(to_redis).await,
            Proxy::start(to_redis).await,
        ];
        Self { postgres, redis, links }
    }

    /// The proxy of a link.
    #[must_use]
    pub fn link(&self, link: Link) -> &Proxy {
        match link {
            Link::GatewaysToPostgres => &self.links[0],
            Link::WorkersToPostgres => &self.links[1],
            Link::GatewaysToRedis => &self.links[2],
            Link::WorkersToRedis => &self.links[3],
        }
    }
}

impl Process {
    fn new(program: &'static str, number: usize, folder: &Path, variables: &[(&str, &str)]) -> Self {
        let mut variables: Vec<(String, String)> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        variables.push(("GALLEY_PROCESSING_DELAY".to_owned(), DELAY.to_owned()));
        variables.push(("GALLEY_DRAIN".to_owned(), "500ms".to_owned()));
        let address = (program != "galley-worker").then(|| format!("127.0.0.1:{}", port::free()));
        variables.extend(address.iter().map(|address| ("GALLEY_LISTEN".to_owned(), address.clone())));
        let name = format!("{program}-{number}");
        let log = folder.join(format!("{name}.log"));
        let url = address.map(|address| format!("http://{address}"));
        Self { name, program, variables, url, log, running: None, leaving: false }
    }

    fn start(&mut self) {
        let mut command = command(path_of(self.program));
        if self.program == "galley" {
            command.arg("--no-seed");
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        self.running = Some(Program::start(&self.name, &mut command));
        self.leaving = false;
    }

    fn is_running(&mut self) -> bool {
        self.running.as_mut().is_some_and(Program::is_running)
    }

    fn end(&mut self) {
        self.keep_log();
        if let Some(mut program) = self.running.take() {
            program.kill();
        }
    }

    fn keep_log(&mut self) {
        let Some(program) = &self.running else { return };
        let file = OpenOptions::new().create(true).append(true).open(&self.log);
        let kept = file.and_then(|mut file| writeln!(file, "{}", program.log()));
        kept.unwrap_or_else(|error| panic!("{}: {error}", self.log.display()));
    }

    fn shift_clock(&mut self) {
        let libraries = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
        let mut libraries = libraries.map(|entry| entry.path().join("faketime/libfaketimeMT.so.1"));
        let Some(library) = libraries.find(|path| path.exists()) else {
            println!("there is no libfaketime: every clock is right");
            return;
        };
        for (name, value) in [
            ("LD_PRELOAD", library.display().to_string()),
            ("FAKETIME", "+1h".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ] {
            self.variables.push((name.to_owned(), value));
        }
    }
}
