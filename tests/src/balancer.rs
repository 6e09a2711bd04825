//! Real load balancers in front of gateways, configured as `docs/proxies.md` says.

use std::path::Path;

use crate::patience::until;
use crate::program::command;
use crate::{TestAuthority, TestClient, TestProgram, TestStack, port};

/// The name of the configuration, in the folder in which the program runs.
const FILE: &str = "configuration";
const DOCUMENT: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/proxies.md"));
/// Everything that nginx does in one process, so that killing it ends nginx.
const ONE_PROCESS: &str = "daemon off; master_process off; pid nginx.pid; error_log stderr crit;";
/// The files that nginx and Caddy would write elsewhere, and the port that Caddy would also take.
const NGINX_FILES: &str = "http {
  access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi; scgi_temp_path scgi;";
const CADDY_PORTS: &str = "{\n admin off\n auto_https disable_redirects\n}\n";

/// A load balancer with one server for each gateway; killed when dropped.
pub struct Balancer {
    /// The port for plain HTTP, and the path of the gateways.
    place: String,
    /// The URL over TLS, with that path.
    pub secure: String,
    statistics: u16,
    program: TestProgram,
    folder: TestAuthority,
}

/// The places in the document, and what takes them.
type Substitutes<'a> = Vec<(&'a str, String)>;

impl Balancer {
    /// Starts Caddy, which polls `/readyz` of each gateway, and tries another one when one cannot
    /// be reached.
    pub async fn caddy(stack: &TestStack, balance: &str) -> Self {
        let arguments = ["run", "--adapter", "caddyfile", "--config", FILE];
        let policy = [("lb_policy least_conn", format!("lb_policy {balance}"))];
        Self::start("caddy", path_of_caddy(), &arguments, stack, policy.into()).await
    }

    /// Starts nginx, which makes no health checks, and learns from failed requests which gateways
    /// answer. `balance` is a directive such as `least_conn`; if empty, gateways take turns.
    pub async fn nginx(stack: &TestStack, balance: &str) -> Self {
        let directive = if balance.is_empty() { String::new() } else { format!("{balance};") };
        let arguments = ["-p", ".", "-c", FILE, "-g", ONE_PROCESS];
        Self::start("nginx", "nginx", &arguments, stack, [("least_conn;", directive)].into()).await
    }

    /// Starts `HAProxy`, which polls `/readyz` of each gateway.
    pub async fn haproxy(stack: &TestStack, balance: &str) -> Self {
        let policy = [("balance leastconn", format!("balance {balance}"))];
        Self::start("haproxy", "haproxy", &["-db", "-f", FILE], stack, policy.into()).await
    }

    /// Starts a program with the configuration of the document, for free ports and certificates of
    /// its own, and waits until it forwards to a gateway.
    async fn start(
        kind: &str,
        path: &str,
        arguments: &[&str],
        stack: &TestStack,
        mut substitutes: Substitutes<'_>,
    ) -> Self {
        let folder = TestAuthority::new();
        let (plain, tls, statistics) = (port::free(), port::free(), port::free());
        let base = stack.setting("GALLEY_BASE_PATH").unwrap_or_default();
        let [first, second] = [0, 1].map(|number| {
            let gateway = stack.gateways.get(number).unwrap_or(&stack.gateways[0]);
            gateway.url.trim_start_matches("http://").to_owned()
        });
        let within = |name: &str| folder.folder().join(name).display().to_string();
        substitutes.extend([
            ("127.0.0.1:8081", first),
            ("127.0.0.1:8082", second),
            ("127.0.0.1:8404", format!("127.0.0.1:{statistics}")),
            ("listen 80;", format!("listen 127.0.0.1:{plain};")),
            ("listen 443 ", format!("listen 127.0.0.1:{tls} ")),
            ("bind :80\n", format!("bind 127.0.0.1:{plain}\n")),
            ("bind :443 ", format!("bind 127.0.0.1:{tls} ")),
            ("http://localhost {", format!("http://127.0.0.1:{plain} {{")),
            ("https://galley.example.org {", format!("https://localhost:{tls} {{")),
            ("/etc/galley/tls.pem", within("tls.pem")),
            ("/etc/galley/tls.key", within("tls.key")),
            ("/etc/galley/tls-with-key.pem", within("tls-with-key.pem")),
            ("http {", NGINX_FILES.to_owned()),
            ("(galley) {", format!("{CADDY_PORTS}(galley) {{")),
            ("location /galley", format!("location {base}/")),
            ("path_beg /galley", format!("path_beg {base}/")),
            ("handle /galley*", format!("handle {base}/*")),
        ]);
        write_certificates(&folder);
        let text =
            substitutes.iter().fold(documented(kind), |text, (from, to)| text.replace(from, to));
        std::fs::write(folder.folder().join(FILE), text).expect("a file");
        let mut command = command(path);
        command.args(arguments).current_dir(folder.folder()).env("HOME", folder.folder());
        let balancer = Self {
            place: format!("127.0.0.1:{plain}{base}"),
            secure: format!("https://localhost:{tls}{base}"),
            statistics,
            program: TestProgram::start(path, &mut command),
            folder,
        };
        let client = balancer.client();
        until(&format!("an answer of {path}"), async || {
            client.get("/healthz").try_send().await.ok().filter(|answer| answer.status == 200)
        })
        .await;
        balancer
    }

    /// Returns the certificate of the authority that its clients must trust.
    #[must_use]
    pub fn authority(&self) -> std::path::PathBuf {
        self.folder.certificate()
    }

    /// Returns a client of the balancer, which chooses the gateway.
    #[must_use]
    pub fn client(&self) -> TestClient {
        TestClient::new(&format!("http://{}", self.place))
    }

    /// Returns the verdict of `HAProxy` on a gateway, `UP` or `DOWN`, from its own statistics.
    pub async fn status(&mut self, gateway: usize) -> String {
        assert!(self.program.is_running(), "{}", self.program.log());
        let statistics = TestClient::new(&format!("http://127.0.0.1:{}", self.statistics));
        let table = statistics.get("/;csv").await.text;
        let row =
            table.lines().find(|line| line.starts_with(&format!("gateways,gateway{gateway},")));
        let status =
            row.and_then(|row| row.split(',').nth(17)).unwrap_or_else(|| panic!("{table}"));
        status.to_owned()
    }

    /// Waits until the verdict of `HAProxy` on a gateway begins with `status`.
    pub async fn until_status(&mut self, gateway: usize, status: &str) {
        until(status, async || self.status(gateway).await.starts_with(status).then_some(())).await;
    }
}

/// The configuration of this kind in the document.
fn documented(kind: &str) -> String {
    let (_, rest) = DOCUMENT.split_once(&format!("```{kind}\n")).expect("a configuration");
    rest.split_once("```").expect("its end").0.to_owned()
}

/// Writes a certificate for `localhost` under the names of the document.
fn write_certificates(authority: &TestAuthority) {
    let made = authority.server(&["localhost"]);
    let [certificate, key] =
        [&made.certificate, &made.key].map(|path| std::fs::read_to_string(path).expect("a file"));
    let both = format!("{certificate}{key}");
    for (name, text) in [("tls.pem", certificate), ("tls.key", key), ("tls-with-key.pem", both)] {
        std::fs::write(authority.folder().join(name), text).expect("a file");
    }
}

/// The program that `./test` installs, or else that of the system.
fn path_of_caddy() -> &'static str {
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/tools/caddy/bin/caddy");
    if Path::new(own).exists() { own } else { "caddy" }
}
