//! Several gateways can share one address, for more sockets than one process may have open files.

use galley_tests::TestStack;
use galley_tests::json::id;

/// The sockets: enough that each of two gateways gets a share.
const SOCKETS: usize = 60;
/// The least share: fewer open sockets could all be connections to the database. The probability of
/// missing it is one in ten million.
const SHARE: usize = 10;

#[tokio::test]
async fn gateways_that_share_an_address_share_its_sockets() {
    let mut stack = TestStack::distributed()
        .set("GALLEY_REUSE_PORT", "1")
        .set("GALLEY_MAX_SOCKETS_PER_HERO", "unlimited")
        .delay("0s")
        .start()
        .await;
    let address = stack.gateways[0].url.trim_start_matches("http://").to_owned();
    stack.set("GALLEY_LISTEN", &address);
    let client = stack.start_gateway().await;
    assert_eq!(stack.gateways[0].url, stack.gateways[1].url);
    let (hero, meal) = client.create_hero_and_meal().await;
    let sockets_of =
        |stack: &TestStack| [0, 1].map(|gateway| stack.gateways[gateway].program.open_sockets());
    let before = sockets_of(&stack);
    let mut sockets = Vec::new();
    for _ in 0..SOCKETS {
        sockets.push(client.connect(hero).await);
    }
    let after = sockets_of(&stack);
    assert!(
        (0..2).all(|gateway| after[gateway] >= before[gateway] + SHARE),
        "one has them all: {before:?}, {after:?}"
    );
    let order = id(&client.place(hero, meal).await);
    for socket in &mut sockets {
        socket.until_status(order, "COMPLETED").await;
    }

    // The kernel sends no connection to a gateway that has ended.
    stack.gateways[0].program.stop().await;
    for _ in 0..SOCKETS {
        assert_eq!(client.connect(hero).await.welcome["type"], "welcome");
    }
}
