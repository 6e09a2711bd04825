//! The file of the embedded database is complete after every orderly stop, and can be copied while
//! the service runs.

use std::path::Path;

use futures_util::stream::{self, StreamExt as _};
use galley_tests::command_output::{CommandOutput, run};
use galley_tests::json::id;
use galley_tests::program::Signal;
use galley_tests::{TestClient, TestProgram, TestStack};
use sqlx::Connection as _;

/// Places many orders at once and returns their ids.
async fn place_many(client: &TestClient, hero: i64, meal: i64, count: usize) -> Vec<i64> {
    let placing = stream::iter(0..count).map(|_| client.place(hero, meal));
    placing.buffer_unordered(50).map(|order| id(&order)).collect().await
}

/// Expects the database at this path to be a single file.
fn assert_whole(database: &Path) {
    let folder = std::fs::read_dir(database.parent().expect("a folder")).expect("it can be read");
    let mut names: Vec<_> = folder
        .map(|file| file.expect("a file").file_name().into_string().expect("UTF-8"))
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["galley.db", "galley.db.lock"]);
}

/// The orders that a service finds in this file.
async fn orders_in(file: &Path) -> Vec<i64> {
    let url = format!("sqlite://{}", file.display());
    let stack = TestStack::embedded().delay("1h").set("DATABASE_URL", &url).start().await;
    let orders = stack.client().all("/orders").await;
    orders.iter().map(id).collect()
}

async fn galley(arguments: &[&str]) -> CommandOutput {
    run("galley", arguments, &[("GALLEY_LOG", "off")]).await
}

#[tokio::test]
async fn an_orderly_stop_leaves_one_whole_file() {
    for signal in [Signal::TERM, Signal::INT] {
        let (mut stack, client, hero, meal) =
            TestStack::embedded().delay("1h").start_with_hero_and_meal().await;
        let mut placed = place_many(&client, hero, meal, 300).await;
        let mut gateway = stack.gateways.pop().expect("it runs");
        gateway.program.signal(signal);
        assert!(gateway.program.exit().await.success(), "{}", gateway.program.log());
        let database = stack.folder().join("galley.db");
        assert_whole(&database);
        let copy = stack.folder().join("copy.db");
        std::fs::copy(&database, &copy).expect("a copy");
        let mut found = orders_in(&copy).await;
        placed.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, placed);
    }
}

#[tokio::test]
async fn whatever_else_opens_the_file_leaves_it_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = folder.path().join("galley.db");
    let url = format!("sqlite://{}", database.display());
    let migrated = galley(&["migrate", "--database-url", &url]).await;
    assert_eq!(migrated.code, 0, "{migrated:?}");
    assert_whole(&database);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let refused = galley(&["--database-url", &url, "--listen", &address]).await;
    assert_eq!(refused.code, 1, "{refused:?}");
    assert_whole(&database);
}

#[tokio::test]
async fn a_copy_without_its_log_is_refused_and_nothing_is_seeded_over_it() {
    let stack = TestStack::embedded().start().await;
    let half = stack.folder().join("half.db");
    // The first page of a database whose tables are all in the write-ahead log.
    let wal = stack.folder().join("galley.db");
    let mut page = std::fs::read(&wal).expect("the file of a running service")[..100].to_vec();
    page.resize(4_096, 0);
    page[28..32].copy_from_slice(&1_u32.to_be_bytes());
    page[100] = 13;
    page[105..107].copy_from_slice(&4_096_u16.to_be_bytes());
    std::fs::write(&half, &page).expect("a copy");
    let url = format!("sqlite://{}", half.display());
    let said = galley(&["--database-url", &url, "--listen", "127.0.0.1:0"]).await;
    assert_eq!(said.code, 1, "{said:?}");
    assert!(
        said.stderr.contains("half.db-wal") && said.stderr.contains("galley backup"),
        "{said:?}"
    );
    assert_eq!(std::fs::read(&half).expect("it is there"), page, "it is as it was");
}

#[tokio::test]
async fn a_backup_under_load_holds_every_order_that_was_accepted_before_it_began() {
    let (stack, client, hero, meal) =
        TestStack::embedded().delay("1h").start_with_hero_and_meal().await;
    let before = place_many(&client, hero, meal, 200).await;
    let file = stack.folder().join("backup.db");
    let name = file.display().to_string();
    let backup = ["backup", &name, "--database-url", stack.database_url(), "--json"];
    let (made, during) = tokio::join!(galley(&backup), place_many(&client, hero, meal, 400));
    assert_eq!((made.code, during.len()), (0, 400), "{made:?}");
    let said: serde_json::Value = serde_json::from_str(&made.stdout).expect("JSON");
    let found = orders_in(&file).await;
    assert!(before.iter().all(|order| found.contains(order)));
    assert_eq!(said["orders"], found.len(), "{said}");
    assert_eq!(said["file"], name);
    assert!(said["bytes"].as_u64().is_some_and(|bytes| bytes > 0), "{said}");
}

#[tokio::test]
async fn a_backup_is_private_whole_and_replaces_nothing_unasked() {
    use std::os::unix::fs::MetadataExt as _;
    let mut stack = TestStack::embedded().start().await;
    let (file, url) = (stack.folder().join("backup.db"), stack.database_url().to_owned());
    let name = file.display().to_string();
    let backup = async |arguments: &[&str]| galley(&[&["backup", &name], arguments].concat()).await;
    let made = backup(&["--database-url", &url]).await;
    assert_eq!((made.code, made.stderr.as_str()), (0, ""), "{made:?}");
    assert!(made.stdout.contains("bytes, 0 orders"), "{made:?}");
    let metadata = std::fs::metadata(&file).expect("it is there");
    assert_eq!(metadata.mode() & 0o777, 0o600);
    let again = backup(&["--database-url", &url]).await;
    assert_eq!(again.code, 1);
    assert!(
        again.stderr.contains("exists already") && again.stderr.contains("--force"),
        "{again:?}"
    );
    assert_eq!(
        std::fs::metadata(&file).expect("it is there").ino(),
        metadata.ino(),
        "it was not touched"
    );
    stack.gateways[0].program.stop().await;
    assert_eq!(backup(&["--database-url", &url, "--force"]).await.code, 0, "nobody need serve it");
    assert_ne!(std::fs::metadata(&file).expect("it is there").ino(), metadata.ino());
    let itself = url.trim_start_matches("sqlite://");
    let refused = galley(&["backup", itself, "--force", "--database-url", &url]).await;
    assert!(refused.code == 1 && refused.stderr.contains("is the database itself"), "{refused:?}");
    let left: Vec<_> = std::fs::read_dir(stack.folder())
        .expect("a folder")
        .flatten()
        .map(|file| file.file_name())
        .collect();
    assert!(
        left.iter().all(|name| !name.to_string_lossy().starts_with(".galley-backup-")),
        "{left:?}"
    );
}

#[tokio::test]
async fn a_backup_that_cannot_be_made_says_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let url = |name: &str| format!("sqlite://{}", path(name));
    std::fs::write(path("text"), "this is no database, however long it may be; it is plain text")
        .expect("a file");
    for (file, database, code, part) in [
        ("b.db", "postgres://user:hush@127.0.0.1:1/none".to_owned(), 2, "pg_dump"),
        ("b.db", "sqlite://".to_owned(), 2, "--database-url"),
        ("b.db", url("absent.db"), 1, "absent.db"),
        ("b.db", url("text"), 1, "text"),
        ("nowhere/b.db", url("text"), 1, "nowhere"),
    ] {
        let said = galley(&["backup", &path(file), "--database-url", &database]).await;
        assert_eq!(said.code, code, "{said:?}");
        assert!(said.stderr.starts_with("error: ") && said.stderr.contains(part), "{said:?}");
        assert!(!said.stderr.contains("hush") && said.stderr.lines().count() == 1, "{said:?}");
        assert!(!Path::new(&path(file)).exists() && !Path::new(&path("absent.db")).exists());
    }
}

#[tokio::test]
async fn a_reader_outside_keeps_the_log_and_that_is_said() {
    let mut stack = TestStack::embedded().start().await;
    stack.client().create_hero_and_meal().await;
    let mut reader =
        sqlx::SqliteConnection::connect(stack.database_url()).await.expect("a second reader");
    sqlx::query("begin").execute(&mut reader).await.expect("a transaction");
    sqlx::query("select * from heroes").fetch_all(&mut reader).await.expect("heroes");
    stack.client().create_hero_and_meal().await;
    let program: &mut TestProgram = &mut stack.gateways[0].program;
    program.stop().await;
    program.line("galley.db-wal belongs to the database").await;
}

#[tokio::test]
async fn a_copy_of_the_file_alone_keeps_what_was_there_at_the_start() {
    let stack = TestStack::embedded().seeded().start().await;
    let client = stack.client();
    let before = client.all("/heroes").await;
    let (copy, url) =
        (stack.folder().join("copy.db"), stack.database_url().trim_start_matches("sqlite://"));
    std::fs::copy(url, &copy).expect("a copy");
    let url = format!("sqlite://{}", copy.display());
    let other = TestStack::embedded().set("DATABASE_URL", &url).start().await;
    assert_eq!(other.client().all("/heroes").await, before);
}
