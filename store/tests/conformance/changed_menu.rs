//! Reading which heroes and meals changed since a position.

use galley_protocol::{HeroId, Meal, MealId};
use galley_store::{MenuChanges, MenuPosition};

use crate::test_store::{TestStore, new_hero, new_meal};

const MANY: usize = 1_000;

impl TestStore {
    async fn changed_meals(&self, since: Option<&MenuPosition>) -> MenuChanges<Meal> {
        self.store.meals().changed_since(since, None, MANY).await.expect("changes")
    }

    async fn present_meals(&self) -> MenuPosition {
        self.changed_meals(None).await.position
    }
}

on_both!(without_a_position_only_the_present_one_is_read);
async fn without_a_position_only_the_present_one_is_read(test: TestStore) {
    let empty = test.changed_meals(None).await;
    test.meal("Soup", &[]).await;
    let MenuChanges { changed, deleted, is_lost, .. } = test.changed_meals(None).await;
    assert!(changed.is_empty() && deleted.is_empty() && !is_lost);
    assert_eq!(test.changed_meals(Some(&empty.position)).await.changed.len(), 1);
}

on_both!(what_was_created_changed_or_deleted_is_read_once);
async fn what_was_created_changed_or_deleted_is_read_once(test: TestStore) {
    let [kept, changed, deleted] =
        [test.meal("Soup", &[]).await, test.meal("Stew", &[]).await, test.meal("Bread", &[]).await];
    let since = test.present_meals().await;
    let new = test.meal("Pie", &[]).await;
    let meals = test.store.meals();
    let changed = meals.update(changed.id, &new_meal("Stew", &["beef"]).into(), None).await;
    let changed = changed.expect("a change");
    meals.remove(deleted.id, None).await.expect("a deletion");
    let read = test.changed_meals(Some(&since)).await;
    assert_eq!((read.changed, read.deleted), (vec![changed, new], vec![deleted.id]));
    let again = test.changed_meals(Some(&read.position)).await;
    assert!(again.changed.is_empty() && again.deleted.is_empty() && !again.is_lost);
    let (patch, other) = (new_meal("Soup", &[]).into(), Some(kept.version.next()));
    assert!(meals.update(kept.id, &patch, other).await.is_err());
    assert!(test.changed_meals(Some(&read.position)).await.changed.is_empty());
}

on_both!(heroes_are_read_in_pages_with_their_newest_state);
async fn heroes_are_read_in_pages_with_their_newest_state(test: TestStore) {
    let heroes = test.store.heroes();
    let since = heroes.changed_since(None, None, MANY).await.expect("a position").position;
    let mut ids: Vec<HeroId> = Vec::new();
    for number in 0..5 {
        ids.push(test.hero(&format!("Hero {number}"), &[]).await.id);
    }
    let newest = heroes.update(ids[4], &new_hero("Max", &["milk"]).into(), None).await;
    let (mut read, mut after) = (Vec::new(), None);
    loop {
        let page = heroes.changed_since(Some(&since), after, 2).await.expect("a page").changed;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        read.extend(page);
    }
    assert_eq!(read.iter().map(|hero| hero.id).collect::<Vec<_>>(), ids);
    assert_eq!(read.last(), newest.ok().as_ref());
}

on_both!(no_change_is_missed_however_commits_overlap_with_reads);
async fn no_change_is_missed_however_commits_overlap_with_reads(test: TestStore) {
    let mut since = test.present_meals().await;
    let other = TestStore { store: test.store.clone(), database: test.database.clone() };
    let writing = tokio::spawn(async move {
        let mut written: Vec<MealId> = Vec::new();
        // Few at once: on a slow disk the last of many would wait too long for the one writer.
        for round in 0..20 {
            let names: Vec<_> = (0..3).map(|number| format!("Meal {round} {number}")).collect();
            let creating = names.iter().map(|name| other.meal(name, &[]));
            let meals = futures_util::future::join_all(creating).await;
            written.extend(meals.iter().map(|meal| meal.id));
        }
        written.sort_unstable();
        written
    });
    let mut read = Vec::new();
    loop {
        let is_last = writing.is_finished();
        let changes = test.changed_meals(Some(&since)).await;
        read.extend(changes.changed.iter().map(|meal| meal.id));
        since = changes.position;
        if is_last {
            break;
        }
    }
    read.sort_unstable();
    assert_eq!(read, writing.await.expect("no panic"), "each is read, and once");
}

on!(sqlite: a_position_of_another_history_is_lost);
async fn a_position_of_another_history_is_lost(test: TestStore) {
    test.meal("Soup", &[]).await;
    let since = test.present_meals().await;
    test.database.sql("update meals set changed = null").await.expect("an older file");
    let read = test.changed_meals(Some(&since)).await;
    assert!(read.is_lost && read.changed.is_empty());
    assert!(!test.changed_meals(Some(&read.position)).await.is_lost);
}
