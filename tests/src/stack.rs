//! A running service, in one of its two deployments.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::database::Database;
use crate::namespace::{Namespace, shared_redis};
use crate::patience::until;
use crate::program::{command, path_of};
use crate::{Client, Program};

/// How the service is deployed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deployment {
    /// `galley` with `SQLite`.
    Embedded,
    /// Gateways and workers with `PostgreSQL` and Redis.
    Distributed,
}

/// What to start.
#[derive(Clone, Debug)]
pub struct StackBuilder {
    /// How the service is deployed.
    pub deployment: Deployment,
    gateways: usize,
    workers: usize,
    seeded: bool,
    postgres: Option<String>,
    redis: Option<String>,
    settings: Vec<(String, String)>,
}

/// Running programs over a database of their own; all gone when dropped.
#[derive(Debug)]
pub struct Stack {
    /// The gateways; the first is all there is of an embedded service.
    pub gateways: Vec<Gateway>,
    /// The workers.
    pub workers: Vec<Program>,
    builder: StackBuilder,
    backends: Vec<(String, String)>,
    _database: Option<Database>,
    _namespace: Option<Namespace>,
    folder: TempDir,
}

/// A gateway with its address.
#[derive(Debug)]
pub struct Gateway {
    /// The process.
    pub program: Program,
    /// Where it listens.
    pub url: String,
}

impl StackBuilder {
    /// How many gateways.
    #[must_use]
    pub fn gateways(self, gateways: usize) -> Self {
        Self { gateways, ..self }
    }

    /// How many workers.
    #[must_use]
    pub fn workers(self, workers: usize) -> Self {
        Self { workers, ..self }
    }

    /// How long the preparation of an order takes.
    #[must_use]
    pub fn delay(self, delay: &str) -> Self {
        self.set("GALLEY_PROCESSING_DELAY", delay)
    }

    /// With the demo menu and its heroes.
    #[must_use]
    pub fn seeded(self) -> Self {
        Self { seeded: true, ..self }
    }

    /// On this `PostgreSQL` instead of the shared one.
    #[must_use]
    pub fn postgres(self, admin: String) -> Self {
        Self { postgres: Some(admin), ..self }
    }

    /// On this Redis instead of the shared one.
    #[must_use]
    pub fn redis(self, url: String) -> Self {
        Self { redis: Some(url), ..self }
    }

    /// With a setting.
    #[must_use]
    pub fn set(mut self, variable: &str, value: &str) -> Self {
        self.settings.push((variable.to_owned(), value.to_owned()));
        self
    }

    /// Starts it, and waits until every gateway is ready.
    pub async fn start(self) -> Stack {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut database, mut namespace) = (None, None);
        let backends = match self.deployment {
            Deployment::Embedded => {
                vec![("DATABASE_URL".to_owned(), format!("sqlite://{}", folder.path().join("galley.db").display()))]
            }
            Deployment::Distributed => {
                let made = match &self.postgres {
                    Some(admin) => Database::on(admin).await,
                    None => Database::fresh().await,
                };
                let url = self.redis.clone().unwrap_or_else(shared_redis);
                let prefix = Namespace::fresh(&url);
                let backends = vec![
                    ("DATABASE_URL".to_owned(), database.insert(made).url.clone()),
                    ("REDIS_URL".to_owned(), url),
                    ("GALLEY_NAMESPACE".to_owned(), namespace.insert(prefix).name.clone()),
                ];
                if self.redis.is_some() {
                    namespace = None; // it goes away with its server
                }
                backends
            }
        };
        let (gateways, workers) = (self.gateways, self.workers);
        let mut stack = Stack {
            gateways: Vec::new(),
            workers: Vec::new(),
            builder: self,
            backends,
            _database: database,
            _namespace: namespace,
            folder,
        };
        for _ in 0..gateways {
            stack.start_gateway().await;
        }
        for _ in 0..workers {
            stack.start_worker();
        }
        stack
    }
}

impl Stack {
    /// Everything in one process, without orders, heroes and meals.
    #[must_use]
    pub fn embedded() -> StackBuilder {
        StackBuilder::of(Deployment::Embedded, 0)
    }

    /// A gateway and a worker, without orders, heroes and meals.
    #[must_use]
    pub fn distributed() -> StackBuilder {
        StackBuilder::of(Deployment::Distributed, 1)
    }

    /// A client of the first gateway.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client_of(0)
    }

    /// A client of this gateway.
    #[must_use]
    pub fn client_of(&self, gateway: usize) -> Client {
        Client::new(&self.gateways[gateway].url)
    }

    /// Gives the programs that are started from now on another setting.
    pub fn set(&mut self, variable: &str, value: &str) {
        self.builder.settings.push((variable.to_owned(), value.to_owned()));
    }

    /// Starts one more gateway – for an embedded service, the whole of it – and gives its client.
    pub async fn start_gateway(&mut self) -> Client {
        let mut program = self.launch_gateway();
        let line = program.line("listening on http://").await;
        let (_, address) = line.split_once("listening on ").expect("the line contains it");
        let url = address.split('"').next().unwrap_or_default().to_owned(); // or a log line in JSON
        self.gateways.push(Gateway { program, url });
        let client = self.client_of(self.gateways.len() - 1);
        until("a ready gateway", async || Some(client.get("/readyz").await).filter(|answer| answer.status == 200)).await;
        client
    }

    /// Starts one more gateway that need not become ready.
    #[must_use]
    pub fn launch_gateway(&self) -> Program {
        match self.builder.deployment {
            Deployment::Embedded => {
                let seed: &[&str] = if self.builder.seeded { &[] } else { &["--no-seed"] };
                Program::start("galley", self.command("galley").args(seed))
            }
            Deployment::Distributed => Program::start("galley-gateway", &mut self.command("galley-gateway")),
        }
    }

    /// Starts one more worker.
    pub fn start_worker(&mut self) {
        self.workers.push(Program::start("galley-worker", &mut self.command("galley-worker")));
    }

    /// A folder that goes away with the stack.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The URL of its database.
    #[must_use]
    pub fn database_url(&self) -> &str {
        let (_, url) = self.backends.iter().find(|(variable, _)| variable == "DATABASE_URL").expect("each stack has one");
        url
    }

    fn command(&self, program: &str) -> Command {
        let mut command = command(path_of(program));
        command.current_dir(self.folder.path()).env("GALLEY_LISTEN", "127.0.0.1:0").env("GALLEY_DRAIN", "200ms");
        for (variable, value) in self.backends.iter().chain(&self.builder.settings) {
            command.env(variable, value);
        }
        command
    }
}

impl StackBuilder {
    fn of(deployment: Deployment, workers: usize) -> Self {
        Self { deployment, gateways: 1, workers, seeded: false, postgres: None, redis: None, settings: Vec::new() }
    }
}
