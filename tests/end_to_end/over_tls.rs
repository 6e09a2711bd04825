//! The command line, `galley watch` and `galley-load` reach a gateway over TLS.

use std::fs;

use galley_tests::command_output::{CommandOutput, run};
use galley_tests::json::id;
use galley_tests::signed_token::{SECRET, staff};
use galley_tests::tls_front::TlsFront;
use galley_tests::{Screen, TestAuthority, TestStack};
use serde_json::Value;

/// A gateway that asks for tokens, behind TLS with a certificate of a private authority.
struct Behind {
    stack: TestStack,
    authority: TestAuthority,
    _front: TlsFront,
    url: String,
}

impl Behind {
    async fn start() -> Self {
        let stack = TestStack::embedded().delay("0s").with_tokens().start().await;
        let authority = TestAuthority::new();
        let front = TlsFront::start(&authority.server(&["localhost"]), stack.port()).await;
        let url = format!("https://localhost:{}", front.port());
        for (name, text) in [("token", staff(3_600)), ("secret", SECRET.to_owned())] {
            fs::write(authority.folder().join(name), text).expect("a file");
        }
        Self { stack, authority, _front: front, url }
    }

    fn file(&self, name: &str) -> String {
        self.authority.folder().join(name).display().to_string()
    }

    /// Runs the command line with the authority's certificate and a token of staff.
    async fn galley(&self, words: &[&str]) -> CommandOutput {
        let (ca, token) = (self.file("ca.pem"), self.file("token"));
        let variables =
            [("GALLEY_URL", &*self.url), ("GALLEY_CA_FILE", &*ca), ("GALLEY_TOKEN_FILE", &*token)];
        run("galley", words, &variables).await
    }
}

#[tokio::test]
async fn commands_and_watch_go_over_tls_with_a_private_authority() {
    let behind = Behind::start().await;
    let made = behind.galley(&["hero", "create", "--name", "Zoé", "--planet", "Mars", "--json"]);
    let made = made.await;
    assert_eq!(made.code, 0, "{made:?}");
    let meal = behind.stack.staff().create_meal("Soup", &[]).await;
    let (ca, token) = (behind.file("ca.pem"), behind.file("token"));
    let watch =
        ["watch", "--lines", "--url", &behind.url, "--ca-file", &ca, "--token-file", &token];
    let mut screen = Screen::start("galley", &watch, &[], (120, 30));
    screen.shows("watching the orders of every hero").await;
    let hero: Value = serde_json::from_str(&made.stdout).expect("JSON");
    let (hero, meal) = (id(&hero).to_string(), meal.to_string());
    let place = ["order", "place", "--hero", &hero, "--meal", &meal, "--wait"];
    assert_eq!(behind.galley(&place).await.code, 0);
    screen.shows("COMPLETED").await;
}

#[tokio::test]
async fn an_authority_that_is_not_trusted_is_named_with_its_remedy() {
    let behind = Behind::start().await;
    let other = TestAuthority::new();
    let foreign = other.certificate().display().to_string();
    let wrong_name = behind.url.replace("localhost", "127.0.0.1");
    let plain = format!("https://127.0.0.1:{}", behind.stack.port());
    let ca = behind.file("ca.pem");
    let missing = behind.file("none.pem");
    let key = behind.file("token");
    for (words, code, part) in [
        (&["--url", &*behind.url, "--ca-file", &foreign][..], 9, "--ca-file names the authorities"),
        (&["--url", &wrong_name, "--ca-file", &ca], 9, "not valid for name"),
        (&["--url", &plain, "--ca-file", &ca], 9, "does it speak TLS?"),
        (&["--url", &behind.url, "--ca-file", &missing], 2, "none.pem"),
        (&["--url", &behind.url, "--ca-file", &key], 2, "no certificate in"),
    ] {
        let words: Vec<&str> = ["hero", "list"].iter().chain(words).copied().collect();
        let said = run("galley", &words, &[]).await;
        assert!(said.code == code && said.stderr.contains(part), "{words:?}: {said:?}");
        assert_eq!(said.stderr.lines().count(), 1, "{said:?}");
        let load = ["--sockets", "0", "--rate", "0", "--token-file", &key];
        let words: Vec<&str> = load.iter().chain(&words[2..]).copied().collect();
        let said = run("galley-load", &words, &[]).await;
        let code = if code == 2 { 2 } else { 1 };
        assert_eq!((said.code, said.stderr.lines().count()), (code, 1), "{words:?}: {said:?}");
    }
}

#[tokio::test]
async fn a_load_test_runs_over_tls_with_a_token_for_each_hero() {
    let behind = Behind::start().await;
    let (ca, secret) = (behind.file("ca.pem"), behind.file("secret"));
    let variables = [("GALLEY_URL", &*behind.url), ("GALLEY_CA_FILE", &*ca)];
    let load = async |words: &str| {
        let words: Vec<&str> = words.split_whitespace().collect();
        run("galley-load", &words, &variables).await
    };
    for words in [
        "steady --sockets 20 --heroes 5 --dashboards 1 --rate 50",
        "storm --sockets 20 --storm-every 500ms --rate 50",
        "slow-readers --sockets 10 --rate 50",
        "steady --sockets 5 --over rest --connections 3 --rate 50",
    ] {
        let words = format!("{words} --duration 1s --json --jwt-secret-file {secret}");
        let said = load(&words).await;
        let report: Value = serde_json::from_str(&said.stdout).expect("a report");
        let counts = &report["counts"];
        assert_eq!(said.code, 0, "{words}: {said:?}");
        // A storm cuts sockets before their orders are answered.
        assert!(counts["acked"].as_u64() > Some(0), "{words}: {report}");
        assert_eq!(report["errors"], Value::Array(Vec::new()), "{words}");
    }
    for (words, code, part) in [
        ("--sockets 1".to_owned(), 1, "--jwt-secret-file"),
        (format!("--token-file {}", behind.file("token")), 2, "tokens of their own"),
    ] {
        let said = load(&words).await;
        assert!(said.code == code && said.stderr.contains(part), "{words}: {said:?}");
    }
}
