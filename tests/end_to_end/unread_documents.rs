//! Large static answers are sent without a copy per connection.

use galley_tests::{RawConnection, TestStack, within};

/// The connections that request and do not read.
const MANY: usize = 300;
/// The most memory, in bytes: more than the heads and buffers take, and a fraction of a copy of the
/// file for each.
const MOST: u64 = 96 << 20;

#[tokio::test]
async fn a_document_that_nobody_reads_is_not_copied_for_each_who_asks() {
    let stack = TestStack::embedded().start().await;
    let gateway = &stack.gateways[0];
    let size = stack.client().get("/docs/swagger-ui-bundle.js").await.text.len() as u64;
    assert!(size * MANY as u64 > 3 * MOST, "{size} bytes");
    for path in ["/docs/swagger-ui-bundle.js", "/openapi.json", "/asyncapi.json"] {
        let before = gateway.program.resident();
        let mut idle = Vec::new();
        for _ in 0..MANY {
            let mut connection = RawConnection::open_narrow(&gateway.url, 4_096).await;
            connection
                .send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes())
                .await;
            idle.push(connection);
        }
        for connection in &mut idle {
            assert!(within("the first bytes of an answer", connection.sip()).await);
        }
        let grown = gateway.program.resident().saturating_sub(before);
        assert!(grown < MOST, "{path}: {grown} bytes for {MANY} connections");
    }
}
