//! Programs listen on every form of address and on Unix sockets, and require tokens where other
//! machines can connect.

use std::os::unix::fs::PermissionsExt as _;

use galley_tests::command_output::run;
use galley_tests::{TestClient, TestStack, port, test_database, within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

/// Sends a request over a Unix socket and reads the beginning of the answer.
async fn ask(path: &str, head: &str) -> String {
    let mut stream = UnixStream::connect(path).await.expect("somebody listens");
    stream.write_all(head.as_bytes()).await.expect("it reads");
    let mut answer = vec![0; 64];
    let length = within("an answer", stream.read(&mut answer)).await.expect("an answer");
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

#[tokio::test]
async fn each_way_to_write_an_address_is_listened_on() {
    for (address, reached) in [
        ("0", &["127.0.0.1"][..]),
        ("127.0.0.1:0", &["127.0.0.1"]),
        ("[::1]:0", &["[::1]"]),
        ("localhost:0", &["localhost", "127.0.0.1", "[::1]"]),
    ] {
        let stack = TestStack::embedded().set("GALLEY_LISTEN", address).start().await;
        let port = stack.gateways[0].url.rsplit(':').next().expect("a port").to_owned();
        for host in reached {
            let answer = TestClient::new(&format!("http://{host}:{port}")).get("/readyz").await;
            assert_eq!(answer.status, 200, "{address} at {host}");
        }
    }
}

#[tokio::test]
async fn a_port_without_a_host_is_every_address_and_asks_for_tokens() {
    let (_folder, url) = test_database::sqlite();
    for address in [":0", "0.0.0.0:0", "[::]:0"] {
        let said = run("galley", &["--listen", address], &[("DATABASE_URL", &url)]).await;
        assert!(
            said.code == 2 && said.stderr.contains("GALLEY_INSECURE_NO_AUTH=1"),
            "{address}: {said:?}"
        );
    }
    let stack =
        TestStack::embedded().with_tokens().set("GALLEY_LISTEN", ":0").gateways(0).start().await;
    let mut program = stack.launch_gateway();
    let line = program.line("listening on http://").await;
    let (_, after) =
        line.split_once("http://[::]:").unwrap_or_else(|| panic!("another address: {line}"));
    let port: String = after.chars().take_while(char::is_ascii_digit).collect();
    for host in ["127.0.0.1", "[::1]"] {
        assert_eq!(
            TestClient::new(&format!("http://{host}:{port}")).get("/readyz").await.status,
            200,
            "{host}"
        );
    }
    program.stop().await;
}

#[tokio::test]
async fn a_unix_socket_is_served_and_its_file_goes_with_the_process() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("galley.sock").display().to_string();
    let address = format!("unix:{path}");
    let stack = TestStack::embedded().set("GALLEY_LISTEN", &address).gateways(0).start().await;
    let mut program = stack.launch_gateway();
    program.line(&format!("listening on {address}")).await;
    let mode = std::fs::metadata(&path).expect("a file").permissions().mode() & 0o777;
    assert_eq!(mode, 0o660, "owner and group may connect");
    let health = run("galley", &["health"], &[("GALLEY_LISTEN", &address)]).await;
    assert!(health.code == 0 && health.stdout.contains("\"ready\""), "{health:?}");
    let upgrade = "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    assert!(ask(&path, upgrade).await.starts_with("HTTP/1.1 101"));

    let other = TestStack::embedded().set("GALLEY_LISTEN", &address).gateways(0).start().await;
    let mut second = other.launch_gateway();
    assert_eq!(second.exit().await.code(), Some(1), "a socket belongs to one process");
    assert!(
        second.log().contains("address already in use; choose another with --listen"),
        "{}",
        second.log()
    );

    program.kill();
    assert!(std::fs::exists(&path).expect("a folder"), "nobody removed it");
    let mut next = stack.launch_gateway();
    next.line(&format!("listening on {address}")).await;
    next.stop().await;
    assert!(!std::fs::exists(&path).expect("a folder"), "it goes with an orderly stop");
}

#[tokio::test]
async fn a_file_that_is_no_socket_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notes");
    std::fs::write(&path, "mine").expect("a file");
    let url = format!("sqlite://{}", folder.path().join("galley.db").display());
    let listen = format!("unix:{}", path.display());
    let said =
        run("galley", &["--listen", &listen], &[("DATABASE_URL", &url), ("GALLEY_LOG", "off")])
            .await;
    assert!(
        said.code == 1 && said.stderr.contains("a file that is not a socket is there"),
        "{said:?}"
    );
    assert_eq!(std::fs::read_to_string(&path).expect("a file"), "mine");
}

#[tokio::test]
async fn what_is_no_address_is_refused_with_one() {
    for wrong in [
        "nowhere",
        "127.0.0.1",
        "::1:8080",
        "http://127.0.0.1:8080",
        "unix:",
        ":65536",
        "example.org:8080",
    ] {
        let said = run("galley", &[], &[("GALLEY_LISTEN", wrong)]).await;
        assert_eq!((said.code, said.stderr.lines().count()), (2, 1), "{wrong}: {said:?}");
        assert!(
            said.stderr.contains("GALLEY_LISTEN") && said.stderr.contains("such as 127.0.0.1:8080"),
            "{wrong}: {said:?}"
        );
    }
}

#[tokio::test]
async fn a_taken_port_says_how_to_choose_another() {
    let stack = TestStack::embedded().start().await;
    let (_folder, url) = test_database::sqlite();
    let address = stack.gateways[0].url.trim_start_matches("http://");
    let said =
        run("galley", &["--listen", address], &[("DATABASE_URL", &url), ("GALLEY_LOG", "off")])
            .await;
    let expected = format!(
        "error: cannot listen on {address}: address already in use; choose another with --listen, or --listen 127.0.0.1:0 for a free one\n"
    );
    assert_eq!((said.code, said.stderr), (1, expected));
}

#[tokio::test]
async fn health_asks_the_address_that_the_gateway_was_given() {
    let port = port::free().to_string();
    let _stack =
        TestStack::embedded().set("GALLEY_LISTEN", &format!("127.0.0.1:{port}")).start().await;
    for address in ["0.0.0.0:", "127.0.0.1:", "localhost:", ":", ""] {
        let said =
            run("galley", &["health"], &[("GALLEY_LISTEN", &format!("{address}{port}"))]).await;
        assert_eq!(said.code, 0, "{address}: {said:?}");
    }
    let url = format!("http://127.0.0.1:{port}");
    let nobody = ("GALLEY_LISTEN", "127.0.0.1:1");
    assert_eq!(run("galley", &["health"], &[nobody]).await.code, 1, "nobody is there");
    assert_eq!(
        run("galley", &["health", "--url", &url], &[nobody]).await.code,
        0,
        "what is typed comes first"
    );
    assert_eq!(
        run("galley", &["health"], &[nobody, ("GALLEY_URL", &url)]).await.code,
        0,
        "so does GALLEY_URL"
    );
    let free = run("galley", &["health"], &[("GALLEY_LISTEN", "127.0.0.1:0")]).await;
    assert!(free.code != 0 && free.stderr.contains("--url"), "{free:?}");
}

#[tokio::test]
async fn health_in_the_environment_of_a_worker_asks_its_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("well").display().to_string();
    let absent = run("galley", &["health"], &[("GALLEY_HEALTH_FILE", &file)]).await;
    assert!(absent.code == 1 && absent.stderr.contains(&file), "{absent:?}");
    std::fs::write(&file, "well").expect("a file");
    assert_eq!(run("galley", &["health"], &[("GALLEY_HEALTH_FILE", &file)]).await.code, 0);
}
