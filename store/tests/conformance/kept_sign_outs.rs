//! The sign-outs of heroes.

use std::time::Duration;

use galley_protocol::HeroId;

use crate::test_store::TestStore;

on_both!(the_last_sign_out_of_each_hero_is_kept);
async fn the_last_sign_out_of_each_hero_is_kept(test: TestStore) {
    let (one, other) = (test.hero("Ann", &[]).await.id, test.hero("Bob", &[]).await.id);
    let store = &test.store;
    assert_eq!(store.sign_out(HeroId::new(999).expect("an id")).await.expect("an answer"), None);
    let first = store.sign_out(one).await.expect("an answer").expect("a hero");
    let second = store.sign_out(one).await.expect("an answer").expect("a hero");
    assert!(first.hero_id == one && second.second >= first.second && first.second > 1_700_000_000);
    let of_other = store.sign_out(other).await.expect("an answer").expect("a hero");
    let mut all = store.sign_outs(Duration::from_hours(24 * 36_525)).await.expect("an answer");
    all.sort_by_key(|one| one.hero_id);
    assert_eq!(all, [second, of_other]);
    assert_eq!(store.sign_outs(Duration::ZERO).await.expect("an answer"), []);
    store.heroes().remove(one, None).await.expect("no orders");
    assert_eq!(store.sign_out(one).await.expect("an answer"), None, "it is deleted");
}
