//! Redis and Valkey are reached in each form of address, with TLS, and as a user who may do only
//! what Galley needs. A mistake ends the start at once.

use std::path::PathBuf;

use galley_protocol::Status;
use galley_tests::command_output::run;
use galley_tests::json::id;
use galley_tests::redis_cluster::{CLUSTER_TAGS, MASTERS};
use galley_tests::redis_server::RedisProduct;
use galley_tests::{
    Follower, RedisCluster, RedisServer, StackBuilder, TestAuthority, TestStack, test_database,
    until, within,
};

use crate::start_errors::fails;

/// The setting that names the trusted authorities.
const CA: &str = "GALLEY_REDIS_CA_FILE";
const CERTIFICATE: &str = "GALLEY_REDIS_CERT_FILE";
const KEY: &str = "GALLEY_REDIS_KEY_FILE";

/// A URL, further settings, and parts of the line.
type FailedStart<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [&'a str]);

/// Places an order, and expects its end on a socket.
async fn serves(stack: StackBuilder) -> TestStack {
    let (stack, client, hero, meal) = stack.delay("0s").start_with_hero_and_meal().await;
    let mut socket = client.connect(hero).await;
    let order = id(&client.place(hero, meal).await);
    socket.until_status(order, "COMPLETED").await;
    assert_eq!(client.get("/readyz").await.status, 200);
    stack
}

fn alone(url: &str) -> StackBuilder {
    TestStack::embedded().set("REDIS_URL", url)
}

/// Expects each start to fail at once with exit code 1, and with these parts in its line.
async fn all_fail(cases: &[FailedStart<'_>]) {
    let (_folder, database) = test_database::sqlite();
    for (url, settings, parts) in cases {
        let own = [("DATABASE_URL", database.as_str()), ("REDIS_URL", url)];
        fails("galley", &[&own[..], settings].concat(), parts).await;
    }
}

/// Reaches a server without TLS, on its Unix socket, and with TLS on both sides.
async fn serves_in_each_form(product: RedisProduct) -> RedisServer {
    let authority = TestAuthority::new();
    let (server, tls) = RedisServer::with_tls(product, &authority).await;
    let user = ["ACL", "SETUSER", "galley", "on", ">a@b", "~*", "&*", "+@all"];
    let _: String = server.ask(&user).await;
    let (port, folder) = (server.port, authority.folder().display());
    let own = authority.client("galley");
    let files = [(CA, authority.certificate()), (CERTIFICATE, own.certificate), (KEY, own.key)];
    for (database, url, files) in [
        ("db1:", format!("valkey://127.0.0.1:{port}/1"), &[][..]),
        ("db2:", format!("redis+unix://{folder}/redis.sock?db=2&user=galley&pass=a%40b"), &[]),
        ("db3:", format!("rediss://galley:a%40b@localhost:{tls}/3"), &files),
        ("db4:", format!("valkeys://galley:a%40b@localhost:{tls}/4"), &files),
    ] {
        let with = |stack: StackBuilder, (setting, file): &(&str, PathBuf)| {
            stack.set(setting, &file.display().to_string())
        };
        let mut stack = serves(files.iter().fold(alone(&url), with)).await;
        let info: String = server.ask(&["INFO", "keyspace"]).await;
        assert!(info.contains(database), "{url}: {info}");
        stack.gateways[0].program.line("Redis at ").await;
        assert!(!stack.gateways[0].program.log().contains("a@b"), "the password was logged");
    }
    server
}

#[tokio::test]
async fn each_form_of_address_leads_to_its_database_of_the_server() {
    serves_in_each_form(RedisProduct::Redis).await;
}

#[tokio::test]
async fn valkey_serves_like_redis_with_tls_and_without() {
    let server = serves_in_each_form(RedisProduct::Valkey).await;
    let info: String = server.ask(&["INFO", "server"]).await;
    assert!(info.contains("valkey_version:"), "{info}");
}

#[tokio::test]
async fn a_mistake_with_tls_ends_the_start_at_once_and_names_the_setting() {
    let (authority, stranger) = (TestAuthority::new(), TestAuthority::new());
    let (server, tls) = RedisServer::with_tls(RedisProduct::Redis, &authority).await;
    let text = |path: std::path::PathBuf| path.display().to_string();
    let (ca, strange) = (text(authority.certificate()), text(stranger.certificate()));
    let own = authority.client("galley");
    let (certificate, key) = (text(own.certificate), text(own.key));
    let encrypted = format!("rediss://:hush@localhost:{tls}");
    let place = format!("localhost:{tls}");
    all_fail(&[
        // The authorities of the system are those of a small file here.
        (&encrypted, &[("SSL_CERT_FILE", &strange)], &[&place, "invalid peer certificate", CA]),
        (
            &format!("rediss://127.0.0.1:{tls}"),
            &[(CA, &ca)],
            &["127.0.0.1:", "not valid for name", "the host in REDIS_URL"],
        ),
        (&encrypted, &[(CA, &ca)], &[&place, CERTIFICATE, KEY]),
        (&format!("redis://:hush@{place}"), &[], &[&place, "it speaks TLS", "REDIS_URL"]),
        (
            &format!("rediss://localhost:{}", server.port),
            &[(CA, &ca)],
            &["it does not speak TLS", "REDIS_URL"],
        ),
    ])
    .await;
    for (url, settings, part) in [
        (&encrypted, &[(CA, "/no/such/file")][..], "cannot read /no/such/file: no such file"),
        (&encrypted, &[(CA, &key)], "no certificate in"),
        (&encrypted, &[(CA, &ca), (CERTIFICATE, &certificate)], "need each other"),
        (&server.url(), &[(CA, &ca)], "rediss:// in REDIS_URL"),
    ] {
        let url = [("REDIS_URL", url.as_str()), ("DATABASE_URL", "sqlite://unused.db")];
        let said =
            run("galley", &["--listen", "127.0.0.1:0"], &[&url[..], settings].concat()).await;
        assert_eq!(said.code, 2, "{said:?}");
        assert!(said.stderr.contains(part) && said.stderr.contains("GALLEY_REDIS_"), "{said:?}");
    }
    let url = format!("rediss://localhost:{tls}");
    serves(alone(&url).set(CA, &ca).set(CERTIFICATE, &certificate).set(KEY, &key)).await;
}

/// The rule of the documents, word by word.
fn documented_rule() -> Vec<String> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/redis.md");
    let page = std::fs::read_to_string(page).expect("the page on Redis");
    let rule = page.split("ACL SETUSER galley").nth(1).expect("the rule");
    let rule = rule.split("```").next().expect("its end");
    let words = rule.split_whitespace().filter(|word| *word != "\\");
    ["ACL", "SETUSER", "galley"].into_iter().chain(words).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_user_with_the_documented_rule_serves_and_what_is_missing_is_named() {
    let server = RedisServer::start().await;
    let words = documented_rule();
    let rule: Vec<&str> = words.iter().map(String::as_str).collect();
    let _: String = server.ask(&rule).await;
    let url = format!("redis://galley:PASSWORD@127.0.0.1:{}", server.port);
    drop(serves(alone(&url)).await);
    let (stream, channel) = ("galley:v1:orders:{00}", "galley:v1:updates:{00}");
    for (change, missing) in [
        ("-xadd", format!("XADD {stream}")),
        ("-xinfo|groups", format!("XINFO GROUPS {stream}")),
        ("resetchannels", format!("PUBLISH {channel}, SUBSCRIBE {channel}")),
        ("resetkeys", format!("XACK {stream}")),
    ] {
        let _: String = server.ask(&["ACL", "SETUSER", "galley", change]).await;
        let place = format!("Redis at 127.0.0.1:{}", server.port);
        all_fail(&[(&url, &[], &[&place, "does not allow its user", &missing])]).await;
        let _: String = server.ask(&rule).await;
    }
}

#[tokio::test]
async fn a_cluster_with_tls_serves_on_while_a_master_is_replaced() {
    let authority = TestAuthority::new();
    let mut cluster = RedisCluster::with_tls(&authority).await;
    let ca = authority.certificate().display().to_string();
    // The address of one node by a name; the other nodes are known by what it says.
    let stack = TestStack::distributed().redis(cluster.tls_url(1)).gateways(2).set(CA, &ca);
    let stack = serves(stack).await;
    let client = stack.client_of(1);
    let (hero, meal) = client.create_hero_and_meal().await;
    let mut follower = Follower::open(client.base(), hero, None).await;
    let mut orders_go_on = async || {
        // Their entries go to all masters.
        for _ in CLUSTER_TAGS {
            let order = id(&stack.client().place_at_last(hero, meal).await);
            within("an end", async {
                while follower.view.status_of(order) != Some(Status::Completed) {
                    follower.next().await.expect("the socket stays open");
                }
            })
            .await;
        }
    };
    orders_go_on().await;
    for master in &cluster.nodes()[..MASTERS] {
        has_streams_and_channels(master).await;
    }
    cluster.node(0).kill();
    orders_go_on().await;
    has_streams_and_channels(&cluster.nodes()[MASTERS]).await;
    orders_go_on().await;
}

/// Waits until a node of a cluster is the master of some of the 16 shards.
async fn has_streams_and_channels(node: &RedisServer) {
    until("streams and channels", async || {
        let role: String = node.try_ask(&["INFO", "replication"]).await.ok()?;
        let streams: usize = node.try_ask(&["DBSIZE"]).await.ok()?;
        let channels: Vec<String> = node.try_ask(&["PUBSUB", "SHARDCHANNELS"]).await.ok()?;
        (role.contains("role:master") && streams > 0 && !channels.is_empty()).then_some(())
    })
    .await;
}
