//! The sessions in `clients/websocat/` work as described.

use galley_tests::TestStack;
use galley_tests::readme_blocks::ADDRESS;
use galley_tests::test_terminal::{play, search_path, sessions};

#[tokio::test]
async fn every_session_happens_as_it_is_told() {
    let files = sessions();
    assert!(files.len() >= 2, "{files:?}");
    for file in files {
        let text = std::fs::read_to_string(&file).expect("it can be read");
        let stack = TestStack::embedded().seeded().delay("2s").start().await;
        let opened = text
            .lines()
            .find_map(|line| line.strip_prefix("$ websocat "))
            .expect("a session begins with websocat");
        let sockets = format!("{}/ws", ADDRESS.replace("http", "ws"));
        let query =
            opened.trim_matches('\'').strip_prefix(&sockets).expect("it opens a socket of Galley");
        println!("{}", file.display());
        play(&text, &stack.client().socket_url(query), &search_path(stack.folder())).await;
    }
}
