//! Sign-outs of heroes, and tickets, for all gateways.

use std::time::Duration;

use galley_protocol::HeroId;

use galley_store::Ticket;

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

on_both!(a_ticket_is_taken_once_and_in_time);
async fn a_ticket_is_taken_once_and_in_time(test: TestStore) {
    let hero = test.hero("Ann", &[]).await.id;
    let of_hero = Ticket {
        hero_id: Some(hero),
        subject: u64::MAX,
        name: "Ann".to_owned(),
        issued: Some(1_700_000_000),
        token_expires: 1_800_000_000,
        origin: Some("https://dashboard.example".to_owned()),
    };
    let of_staff = Ticket { hero_id: None, issued: None, origin: None, ..of_hero.clone() };
    let store = &test.store;
    store.keep_ticket("one", &of_hero).await.expect("it is kept");
    store.keep_ticket("other", &of_staff).await.expect("it is kept");
    let taken = futures_util::future::join_all((0..8).map(|_| store.take_ticket("one"))).await;
    let taken: Vec<Ticket> =
        taken.into_iter().filter_map(|taken| taken.expect("an answer")).collect();
    assert_eq!(taken, std::slice::from_ref(&of_hero), "of eight at once, one has it");
    assert_eq!(store.take_ticket("other").await.expect("an answer"), Some(of_staff));
    assert_eq!(store.take_ticket("none").await.expect("an answer"), None);
    for name in ["old", "older"] {
        store.keep_ticket(name, &of_hero).await.expect("it is kept");
    }
    let past = if test.database.is_sqlite() { "1" } else { "now() - interval '1 second'" };
    test.database.sql(&format!("update tickets set expires = {past}")).await.expect("time passes");
    assert_eq!(store.take_ticket("old").await.expect("an answer"), None, "it has ended");
    store.keep_ticket("new", &of_hero).await.expect("it is kept");
    assert_eq!(store.take_ticket("older").await.expect("an answer"), None, "and is forgotten");
}
