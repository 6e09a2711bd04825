//! Secrets in files: where they are named, and how they are read again.

use std::fs;
use std::path::Path;

use galley_tests::command_output::run;
use galley_tests::json::id;
use galley_tests::namespace::shared_redis;
use galley_tests::patience::until;
use galley_tests::program::Signal;
use galley_tests::{TestClient, TestStack, signed_token};
use serde_json::json;

/// A second secret of tokens.
const NEXT: &str = "the next secret of the tests, never of anybody";

/// Writes a file and returns its path.
fn file(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).expect("a file");
    path.display().to_string()
}

#[tokio::test]
async fn the_urls_of_database_and_redis_may_be_in_files() {
    let stack = TestStack::distributed().gateways(0).workers(0).start().await;
    let folder = stack.folder();
    let database = file(folder, "database", &format!("{}\n", stack.database_url()));
    let redis = file(folder, "redis", &format!("{}\r\n", shared_redis()));
    let files = [("DATABASE_URL_FILE", &*database), ("REDIS_URL_FILE", &redis)];
    let urls = [("DATABASE_URL", ""), ("REDIS_URL", "")];
    for (program, sign) in
        [("galley-gateway", "listening on http://"), ("galley-worker", "the worker begins")]
    {
        let settings = [&urls[..], &files[..], &[("GALLEY_LISTEN", "127.0.0.1:0")]].concat();
        let mut program = stack.launch(program, &settings);
        program.line(sign).await;
        program.stop().await;
    }
    assert_eq!(run("galley", &["migrate"], &files[..1]).await.code, 0);
}

#[tokio::test]
async fn a_file_that_does_not_serve_is_one_clear_line_without_the_secret() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = "postgres://a:hush@127.0.0.1:1/b";
    let good = file(folder.path(), "good", url);
    let empty = file(folder.path(), "empty", "\n");
    let large = file(folder.path(), "large", &"hush".repeat(10_000));
    let none = folder.path().join("none").display().to_string();
    let redis = ("REDIS_URL", "redis://127.0.0.1:1");
    for (variables, part) in [
        (&[("DATABASE_URL_FILE", &*none)][..], "DATABASE_URL_FILE: cannot read"),
        (&[("DATABASE_URL_FILE", &empty)], "it is empty"),
        (&[("DATABASE_URL_FILE", &large)], "more than 16384 bytes"),
        (&[("DATABASE_URL_FILE", &good), ("DATABASE_URL", url)], "not both"),
        (&[("DATABASE_URL", url), ("REDIS_URL_FILE", &none)], "REDIS_URL_FILE: cannot read"),
    ] {
        for program in ["galley-gateway", "galley-worker"] {
            let redis = if part.starts_with("REDIS") { ("GALLEY_WAIT", "0s") } else { redis };
            let said = run(program, &[], &[variables, &[redis]].concat()).await;
            assert!(said.code == 2 && said.stderr.contains(part), "{variables:?}: {said:?}");
            assert!(!said.stderr.contains("hush") && said.stderr.lines().count() == 1, "{said:?}");
        }
    }
}

on_both_deployments!(a_hangup_reads_the_secret_of_tokens_again_and_nobody_is_cut_off);
async fn a_hangup_reads_the_secret_of_tokens_again_and_nobody_is_cut_off(
    stack: galley_tests::StackBuilder,
) {
    let folder = tempfile::tempdir().expect("a folder");
    let secret = file(folder.path(), "secret", signed_token::SECRET);
    let mut stack = stack
        .with_tokens()
        .set("GALLEY_JWT_SECRET", "")
        .set("GALLEY_JWT_SECRET_FILE", &secret)
        .delay("0s")
        .start()
        .await;
    let (hero, meal) = stack.staff().create_hero_and_meal().await;
    let mut socket = stack.hero(hero).connect_with("").await;
    let claims = json!({"role": "staff", "exp": signed_token::now() + 3_600});
    let next = stack.client().with_token(&signed_token::sign(NEXT, &claims));
    let status = async |client: &TestClient| client.get("/orders").await.status;
    assert_eq!((status(&stack.staff()).await, status(&next).await), (200, 401));
    file(folder.path(), "secret", NEXT);
    stack.gateways[0].program.signal(Signal::HUP);
    until("the next secret", async || (status(&next).await == 200).then_some(())).await;
    assert_eq!(status(&stack.staff()).await, 401);
    file(folder.path(), "secret", "too short");
    stack.gateways[0].program.signal(Signal::HUP);
    stack.gateways[0].program.line("the secret of tokens stays as it was").await;
    assert_eq!(status(&next).await, 200);
    let reply = socket.reply(json!({"type": "place", "meal_id": meal})).await;
    socket.until_status(id(&reply["order"]), "COMPLETED").await;
}
