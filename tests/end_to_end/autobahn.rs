//! `/echo` of a gateway against the cases of a conformance suite (`tests/autobahn/fuzzing_client.py`).

use std::path::Path;
use std::time::Duration;

use galley_tests::TestStack;
use tokio::process::Command;
use tokio::time::timeout;

/// The longest run of all cases.
const LONGEST: Duration = Duration::from_mins(2);

#[tokio::test]
async fn every_case_of_the_suite_passes() {
    let stack = TestStack::embedded().start().await;
    let address = stack.gateways[0].url.strip_prefix("http://").expect("plain HTTP");
    let client = Path::new(env!("CARGO_MANIFEST_DIR")).join("autobahn/fuzzing_client.py");
    let played = Command::new("python3").arg(client).arg(address).kill_on_drop(true).output();
    let played = timeout(LONGEST, played).await.expect("an end").expect("Python is installed");
    let said = String::from_utf8_lossy(&played.stdout);
    assert!(played.status.success(), "{said}{}", String::from_utf8_lossy(&played.stderr));
    let passed: u32 = said.split(' ').next().and_then(|count| count.parse().ok()).expect("a count");
    assert!(passed > 500, "{said}");
}
