//! A running service, in one of its two deployments.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::dispatch_queue::DispatchQueue;
use crate::namespace::{TestNamespace, shared_redis};
use crate::patience::until;
use crate::program::{command, path_of};
use crate::test_database::TestDatabase;
use crate::{Proxy, TestClient, TestProgram, signed_token};

/// The variable that chooses a fail point.
const FAIL_POINT: &str = "GALLEY_FAIL_POINT";
/// The log text of a program that was built with fail points.
const ARMED: &str = "built with --features fail-points";

/// The deployment of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deployment {
    /// `galley` with `SQLite`.
    Embedded,
    /// Gateways and workers with `PostgreSQL` and Redis.
    Distributed,
}

/// The processes and settings of a stack to start.
#[derive(Clone, Debug)]
pub struct StackBuilder {
    /// The deployment.
    pub deployment: Deployment,
    gateways: usize,
    workers: usize,
    seeded: bool,
    postgres: Option<String>,
    redis: Option<String>,
    files: Option<u32>,
    settings: Vec<(String, String)>,
}

/// Running programs with their own database; all removed when dropped.
#[derive(Debug)]
pub struct TestStack {
    /// The gateways; an embedded service has only the first.
    pub gateways: Vec<TestGateway>,
    /// The workers.
    pub workers: Vec<TestProgram>,
    builder: StackBuilder,
    backends: Vec<(String, String)>,
    _database: Option<TestDatabase>,
    _namespace: Option<TestNamespace>,
    folder: TempDir,
}

/// A gateway with its address.
#[derive(Debug)]
pub struct TestGateway {
    /// The process.
    pub program: TestProgram,
    /// The URL that it listens on.
    pub url: String,
}

impl StackBuilder {
    /// Sets the number of gateways.
    #[must_use]
    pub fn gateways(self, gateways: usize) -> Self {
        Self { gateways, ..self }
    }

    /// Sets the number of workers.
    #[must_use]
    pub fn workers(self, workers: usize) -> Self {
        Self { workers, ..self }
    }

    /// Sets the preparation time of an order.
    #[must_use]
    pub fn delay(self, delay: &str) -> Self {
        self.set("GALLEY_PROCESSING_DELAY", delay)
    }

    /// Adds the demo menu and its heroes.
    #[must_use]
    pub fn seeded(self) -> Self {
        Self { seeded: true, ..self }
    }

    /// Uses this `PostgreSQL` instead of the shared one.
    #[must_use]
    pub fn postgres(self, admin: String) -> Self {
        Self { postgres: Some(admin), ..self }
    }

    /// Uses this Redis instead of the shared one.
    #[must_use]
    pub fn redis(self, url: String) -> Self {
        Self { redis: Some(url), ..self }
    }

    /// Sets the most files that each process may open.
    #[must_use]
    pub fn files(self, files: u32) -> Self {
        Self { files: Some(files), ..self }
    }

    /// Requires tokens.
    #[must_use]
    pub fn with_tokens(self) -> Self {
        self.set("GALLEY_AUTH", "jwt").set("GALLEY_JWT_SECRET", signed_token::SECRET)
    }

    /// Adds a setting.
    #[must_use]
    pub fn set(mut self, variable: &str, value: &str) -> Self {
        self.settings.push((variable.to_owned(), value.to_owned()));
        self
    }

    /// Starts the stack, and creates a hero and a meal with a client of its first gateway, which
    /// has the token of staff if tokens are needed.
    pub async fn start_with_hero_and_meal(self) -> (TestStack, TestClient, i64, i64) {
        let with_tokens = self.settings.iter().any(|(name, _)| name == "GALLEY_AUTH");
        let stack = self.start().await;
        let client = if with_tokens { stack.staff() } else { stack.client() };
        let (hero, meal) = client.create_hero_and_meal().await;
        (stack, client, hero, meal)
    }

    /// Starts the stack, and waits until every gateway is ready.
    pub async fn start(self) -> TestStack {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut database, mut namespace) = (None, None);
        let backends = match self.deployment {
            Deployment::Embedded => {
                vec![(
                    "DATABASE_URL".to_owned(),
                    format!("sqlite://{}", folder.path().join("galley.db").display()),
                )]
            }
            Deployment::Distributed => {
                let made = match &self.postgres {
                    Some(admin) => TestDatabase::on(admin).await,
                    None => TestDatabase::fresh().await,
                };
                let url = self.redis.clone().unwrap_or_else(shared_redis);
                let prefix = TestNamespace::fresh(&url);
                let backends = vec![
                    ("DATABASE_URL".to_owned(), database.insert(made).url.clone()),
                    ("REDIS_URL".to_owned(), url),
                    ("GALLEY_NAMESPACE".to_owned(), namespace.insert(prefix).name.clone()),
                ];
                if self.redis.is_some() {
                    namespace = None; // it is removed with its server
                }
                backends
            }
        };
        let (gateways, workers) = (self.gateways, self.workers);
        let mut stack = TestStack {
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

impl TestStack {
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
    pub fn client(&self) -> TestClient {
        self.client_of(0)
    }

    /// A client of the first gateway with the token of a hero.
    #[must_use]
    pub fn hero(&self, id: i64) -> TestClient {
        self.client().with_token(&signed_token::hero(id, 3_600))
    }

    /// A client of the first gateway with the token of staff.
    #[must_use]
    pub fn staff(&self) -> TestClient {
        self.client().with_token(&signed_token::staff(3_600))
    }

    /// A client of this gateway.
    #[must_use]
    pub fn client_of(&self, gateway: usize) -> TestClient {
        TestClient::new(&self.gateways[gateway].url)
    }

    /// The port of the first gateway.
    #[must_use]
    pub fn port(&self) -> u16 {
        let port = self.gateways[0].url.rsplit(':').next().and_then(|port| port.parse().ok());
        port.expect("a port")
    }

    /// Starts a proxy in front of the first gateway; returns it with a client of it.
    pub async fn proxied(&self) -> (Proxy, TestClient) {
        let proxy = Proxy::start(self.port()).await;
        let client = TestClient::new(&format!("http://127.0.0.1:{}", proxy.port()));
        (proxy, client)
    }

    /// Adds a setting for programs that are started from now on.
    pub fn set(&mut self, variable: &str, value: &str) {
        self.builder.settings.push((variable.to_owned(), value.to_owned()));
    }

    /// Starts one more gateway – for an embedded service, all of it – and returns its client.
    pub async fn start_gateway(&mut self) -> TestClient {
        let program = self.launch_gateway();
        self.admit(program).await
    }

    /// Like [`TestStack::start_gateway`], with a process that ends at this fail point.
    pub async fn start_gateway_to_fail(&mut self, point: &str) -> TestClient {
        let mut program = self.launch_gateway_to_fail(point);
        program.line(ARMED).await;
        self.admit(program).await
    }

    /// Restarts an ended gateway at its address, and waits until it is ready.
    pub async fn restart_gateway(&mut self, gateway: usize) {
        let address = self.gateways[gateway].url.trim_start_matches("http://").to_owned();
        // Shown if the test fails later.
        println!("---- {} said before ----", self.gateway_name());
        println!("{}", self.gateways[gateway].program.log());
        self.gateways[gateway].program = TestProgram::start(
            self.gateway_name(),
            self.gateway_command().env("GALLEY_LISTEN", address),
        );
        let client = self.client_of(gateway);
        until("a ready gateway", async || {
            client.get("/readyz").try_send().await.ok().filter(|answer| answer.status == 200)
        })
        .await;
    }

    /// Waits until a launched gateway is ready, and returns its client.
    pub async fn admit(&mut self, mut program: TestProgram) -> TestClient {
        let line = program.line("listening on http://").await;
        let (_, address) = line.split_once("listening on ").expect("the line contains it");
        let url = address.split(['"', ' ']).next().unwrap_or_default().to_owned(); // or a line of the log
        self.gateways.push(TestGateway { program, url });
        let client = self.client_of(self.gateways.len() - 1);
        until("a ready gateway", async || {
            Some(client.get("/readyz").await).filter(|answer| answer.status == 200)
        })
        .await;
        client
    }

    /// Starts one more gateway that need not become ready.
    #[must_use]
    pub fn launch_gateway(&self) -> TestProgram {
        TestProgram::start(self.gateway_name(), &mut self.gateway_command())
    }

    /// Like [`TestStack::launch_gateway`], with a process that ends at this fail point.
    #[must_use]
    pub fn launch_gateway_to_fail(&self, point: &str) -> TestProgram {
        TestProgram::start(self.gateway_name(), self.gateway_command().env(FAIL_POINT, point))
    }

    /// Starts one more worker.
    pub fn start_worker(&mut self) {
        self.workers.push(TestProgram::start("galley-worker", &mut self.command("galley-worker")));
    }

    /// Starts one more worker, which ends at this fail point and is not counted among those of the
    /// stack.
    #[must_use]
    pub fn launch_worker_to_fail(&self, point: &str) -> TestProgram {
        TestProgram::start("galley-worker", self.command("galley-worker").env(FAIL_POINT, point))
    }

    /// Starts one more process of a program with other settings; it is not counted among those of
    /// the stack.
    #[must_use]
    pub fn launch(&self, program: &str, settings: &[(&str, &str)]) -> TestProgram {
        TestProgram::start(program, self.command(program).envs(settings.iter().copied()))
    }

    /// The dispatch queue of this service, which must have a Redis.
    pub async fn dispatch_queue(&self) -> DispatchQueue {
        DispatchQueue::open(self.backend("REDIS_URL"), self.backend("GALLEY_NAMESPACE")).await
    }

    /// A folder that is removed with the stack.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The URL of its database.
    #[must_use]
    pub fn database_url(&self) -> &str {
        self.backend("DATABASE_URL")
    }

    /// A setting of its programs.
    #[must_use]
    pub fn setting(&self, variable: &str) -> Option<&str> {
        let mut settings = self.backends.iter().chain(&self.builder.settings);
        settings.find(|(name, _)| name == variable).map(|(_, value)| value.as_str())
    }

    fn backend(&self, variable: &str) -> &str {
        self.setting(variable).unwrap_or_else(|| panic!("this stack has no {variable}"))
    }

    fn gateway_name(&self) -> &'static str {
        match self.builder.deployment {
            Deployment::Embedded => "galley",
            Deployment::Distributed => "galley-gateway",
        }
    }

    fn gateway_command(&self) -> Command {
        let mut command = self.command(self.gateway_name());
        if self.builder.deployment == Deployment::Embedded && !self.builder.seeded {
            command.arg("--no-seed");
        }
        command
    }

    fn command(&self, program: &str) -> Command {
        let mut command = match self.builder.files {
            None => command(path_of(program)),
            Some(files) => {
                let mut shell = command("sh");
                let limited = format!("ulimit -n {files} && exec \"$0\" \"$@\"");
                shell.args(["-c", &limited]).arg(path_of(program));
                shell
            }
        };
        command
            .current_dir(self.folder.path())
            .env("GALLEY_LISTEN", "127.0.0.1:0")
            .env("GALLEY_DRAIN", "200ms");
        for (variable, value) in self.backends.iter().chain(&self.builder.settings) {
            command.env(variable, value);
        }
        command
    }
}

impl StackBuilder {
    fn of(deployment: Deployment, workers: usize) -> Self {
        Self {
            deployment,
            gateways: 1,
            workers,
            seeded: false,
            postgres: None,
            redis: None,
            files: None,
            settings: Vec::new(),
        }
    }
}
