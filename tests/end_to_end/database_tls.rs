//! Connections to `PostgreSQL` with TLS: every `sslmode`, the certificates of both sides, and a
//! password that is told nobody in clear text.

use std::path::{Path, PathBuf};
use std::time::Instant;

use galley_tests::command_output::run;
use galley_tests::json::{id, text};
use galley_tests::patience::PATIENCE;
use galley_tests::test_authority::{TestAuthority, TestCertificate};
use galley_tests::{PostgresServer, TestStack};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// Users who must come with TLS, with a certificate, without TLS, and with a password.
const ACCESS: &str = "hostssl all tls all trust\nhostssl all certified all cert\n\
    hostnossl all plain all trust\nhost all locked all scram-sha-256";
const USERS: &str = "create role tls superuser login; create role certified superuser login;
    create role plain superuser login; create role locked superuser login password 'right'";

struct SecuredServer {
    server: PostgresServer,
    authority: TestAuthority,
    client: TestCertificate,
    stranger: TestAuthority,
}

impl SecuredServer {
    async fn start() -> Self {
        let (authority, stranger) = (TestAuthority::new(), TestAuthority::new());
        let certificate = authority.server(&["localhost"]);
        let server = PostgresServer::secured(None, &authority, &certificate, ACCESS).await;
        server.execute(USERS).await;
        Self { server, client: authority.client("certified"), authority, stranger }
    }

    fn ca(&self) -> String {
        self.authority.certificate().display().to_string()
    }

    /// Starts with this login, host and these parameters; returns the exit code and the error.
    async fn start_as(&self, login: &str, host: &str, parameters: &str) -> (i32, String) {
        let port = self.server.port;
        start(&format!("postgres://{login}@{host}:{port}/postgres?{parameters}")).await
    }
}

/// Starts a program that ends by itself, on a machine that trusts no authority.
async fn start(url: &str) -> (i32, String) {
    let began = Instant::now();
    let variables = [("DATABASE_URL", url), ("GALLEY_LOG", "off"), ("SSL_CERT_FILE", "/dev/null")];
    let said = run("galley", &["migrate", "--wait", "60s"], &variables).await;
    assert!(began.elapsed() < PATIENCE, "{url}: it waited");
    assert!(!said.stderr.contains("hush"), "{said:?}");
    (said.code, said.stderr)
}

#[tokio::test]
async fn every_sslmode_holds_what_it_says() {
    let secured = SecuredServer::start().await;
    let ca = secured.ca();
    for (user, host, parameters) in [
        ("tls", "127.0.0.1", String::new()),
        ("tls", "127.0.0.1", "sslmode=allow".to_owned()),
        ("tls", "127.0.0.1", "sslmode=require".to_owned()),
        ("tls", "127.0.0.1", format!("sslmode=require&sslrootcert={ca}")),
        ("tls", "127.0.0.1", format!("sslrootcert={ca}")),
        ("tls", "127.0.0.1", format!("sslmode=verify-ca&sslrootcert={ca}")),
        ("tls", "localhost", format!("sslmode=verify-full&sslrootcert={ca}")),
        ("plain", "127.0.0.1", "sslmode=disable".to_owned()),
    ] {
        let ended = secured.start_as(user, host, &parameters).await;
        assert_eq!(ended, (0, String::new()), "{user} {host} {parameters}");
    }
    let other = secured.stranger.certificate().display().to_string();
    for (user, host, parameters, part) in [
        ("tls", "127.0.0.1", "sslmode=disable".to_owned(), "no encryption"),
        ("plain", "127.0.0.1", "sslmode=require".to_owned(), "SSL encryption"),
        ("tls", "127.0.0.1", format!("sslmode=verify-full&sslrootcert={ca}"), "not valid for name"),
        (
            "tls",
            "localhost",
            format!("sslmode=verify-full&sslrootcert={other}"),
            "invalid peer certificate",
        ),
        (
            "tls",
            "localhost",
            format!("sslmode=verify-ca&sslrootcert={other}"),
            "invalid peer certificate",
        ),
        (
            "tls",
            "localhost",
            format!("sslmode=require&sslrootcert={other}"),
            "invalid peer certificate",
        ),
        ("tls", "localhost", "sslmode=verify-full".to_owned(), "invalid peer certificate"),
        ("locked:hush", "localhost", "sslmode=require".to_owned(), "user and password"),
    ] {
        refused(secured.start_as(user, host, &parameters).await, host, secured.server.port, part);
    }
}

/// Expects one line with the host, the port and the setting.
fn refused((code, said): (i32, String), host: &str, port: u16, cause: &str) {
    assert_eq!((code, said.lines().count()), (1, 1), "{cause}: {said}");
    for part in [cause, &format!("{host}:{port}"), "DATABASE_URL"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[tokio::test]
async fn a_client_certificate_lets_its_user_in_and_a_bad_file_is_named() {
    let secured = SecuredServer::start().await;
    let folder = secured.authority.folder().to_owned();
    let empty = folder.join("empty.pem");
    std::fs::write(&empty, "no certificate").expect("a file");
    let (ca, host) = (secured.ca(), "127.0.0.1");
    let with = |certificate: &Path, key: &Path, root: &Path| {
        let [certificate, key, root] = [certificate, key, root].map(Path::display);
        format!("sslmode=verify-ca&sslrootcert={root}&sslcert={certificate}&sslkey={key}")
    };
    let TestCertificate { certificate, key } = &secured.client;
    let right = with(certificate, key, Path::new(&ca));
    assert_eq!(secured.start_as("certified", host, &right).await, (0, String::new()));
    let foreign = secured.authority.client("somebody-else");
    let missing: PathBuf = folder.join("missing.pem");
    for (parameters, part) in [
        (format!("sslmode=verify-ca&sslrootcert={ca}"), "certificate"),
        (with(&foreign.certificate, &foreign.key, Path::new(&ca)), "certificate"),
        (with(&missing, key, Path::new(&ca)), "missing.pem of sslcert"),
        (with(certificate, &missing, Path::new(&ca)), "missing.pem of sslkey"),
        (with(certificate, key, &missing), "missing.pem of sslrootcert"),
        (with(certificate, key, &empty), "no certificate in it"),
        (with(certificate, &empty, Path::new(&ca)), "no key in it"),
    ] {
        let ended = secured.start_as("certified", host, &parameters).await;
        refused(ended, host, secured.server.port, part);
    }
}

/// A server without TLS that asks everybody for the password in clear text. Returns what it was
/// told.
async fn ask_in_clear(listener: TcpListener) -> Vec<u8> {
    loop {
        let (mut client, _) = listener.accept().await.expect("a client");
        let mut heard = [0; 1_024];
        let mut length = client.read(&mut heard).await.unwrap_or(0);
        // A request for TLS is 8 bytes long.
        while length == 8 {
            client.write_all(b"N").await.expect("it listens");
            length = client.read(&mut heard).await.unwrap_or(0);
        }
        if length > 0 {
            client.write_all(&[b'R', 0, 0, 0, 8, 0, 0, 0, 3]).await.expect("it listens");
            let length = client.read(&mut heard).await.unwrap_or(0);
            if length > 0 {
                return heard[..length].to_vec();
            }
        }
    }
}

#[tokio::test]
async fn a_password_is_told_nobody_in_clear_text_unless_that_was_written() {
    let authority = TestAuthority::new();
    let ca = authority.certificate().display().to_string();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let told = tokio::spawn(ask_in_clear(listener));
    // With an authority of its own, this machine counts as any other.
    for mode in ["prefer", "allow"] {
        let parameters = format!("sslmode={mode}&sslrootcert={ca}");
        let url = format!("postgres://u:hush@127.0.0.1:{port}/db?{parameters}");
        refused(start(&url).await, "127.0.0.1", port, "clear text");
    }
    let url = format!("postgres://u:hush@127.0.0.1:{port}/db?sslmode=require");
    refused(start(&url).await, "127.0.0.1", port, "does not support TLS");
    assert!(!told.is_finished(), "the password was told");
    let url = format!("postgres://u:hush@127.0.0.1:{port}/db?sslmode=disable");
    let variables = [("DATABASE_URL", url.as_str()), ("GALLEY_LOG", "off")];
    run("galley", &["migrate", "--wait", "0s"], &variables).await;
    let told = told.await.expect("it was told");
    assert!(told.windows(4).any(|part| part == b"hush"), "{told:?}");
}

#[tokio::test]
async fn each_version_of_postgresql_places_completes_and_resumes_with_tls() {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/postgres/node_modules");
    for version in ["postgres-16", "postgres-17", "postgres-18"] {
        let programs = tools.join(version).join("native/bin");
        assert!(programs.join("postgres").exists(), "no {version}: ./test installs it");
        let authority = TestAuthority::new();
        let certificate = authority.server(&["localhost"]);
        let access = "hostssl all tls all trust";
        let server =
            PostgresServer::secured(Some(&programs), &authority, &certificate, access).await;
        server.execute("create role tls superuser login").await;
        let ca = authority.certificate().display().to_string();
        let stack = TestStack::distributed().postgres(server.url()).gateways(0).workers(0);
        let stack = stack.delay("100ms").set("SSL_CERT_FILE", "/dev/null");
        let mut stack = stack.start().await;
        let url = stack.database_url().replace("postgres@127.0.0.1", "tls@localhost");
        stack.set("DATABASE_URL", &format!("{url}?sslmode=verify-full&sslrootcert={ca}"));
        let client = stack.start_gateway().await;
        stack.start_worker();
        let (hero, meal) = client.create_hero_and_meal().await;
        let cursor = text(&client.connect(hero).await.welcome, "cursor").to_owned();
        let order = id(&client.place(hero, meal).await);
        client.until_status(order, "COMPLETED").await;
        let welcome = client.resume(hero, &cursor).await.welcome;
        assert_eq!(text(&welcome, "resume"), "resumed", "{version}");
        assert_eq!(id(&welcome["orders"][0]), order, "{version}");
        let plain = "select count(*) from pg_stat_activity join pg_stat_ssl using (pid)
            where application_name = 'galley' and not ssl";
        assert_eq!(server.number(plain).await, 0, "{version}");
    }
}
