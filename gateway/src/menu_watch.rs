//! Reads which heroes and meals were changed, by whatever gateway, and sends them to the sockets.
//!
//! The database is asked once a second what changed since the last read, and at once after a
//! message on the bus. That message only means "look at the menu": one that is lost costs a second,
//! and while Redis is away nothing else is lost. A failed read is repeated from the same position.
//!
//! Two loops, both in one task. The reader sends heroes at once and gathers changes of the menu. The
//! sender sends what was gathered, and then pauses: no socket gets two menu frames within a second.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use galley_protocol::{HeroId, Resource};
use galley_store::{MenuChanges, MenuPosition, Store};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::hub::{Hub, MenuNews};

/// Interval of the reads, and of the menu frames.
const EVERY: Duration = Duration::from_secs(1);
/// Number of reads after which the further changes of a burst are read together.
const BURST: u32 = 10;
/// Pause between two reads in a burst.
const PAUSE: Duration = Duration::from_millis(100);
/// The most heroes in one read. Further ones follow in the next read.
const HEROES: usize = 200;
/// The most meals in one read. Further ones are not named.
const MEALS: usize = 1_000;

/// Watches the heroes and the menu for one gateway.
pub struct MenuWatch {
    hub: Hub,
    store: Arc<dyn Store>,
    /// Every change before these was read; `None` before the first read.
    heroes: Option<MenuPosition>,
    meals: Option<MenuPosition>,
    gathered: GatheredNews,
}

/// The changes of the menu that wait for the next frame.
#[derive(Clone, Default)]
struct GatheredNews(Arc<(Mutex<MenuNews>, Notify)>);

impl MenuWatch {
    pub fn new(hub: Hub, store: Arc<dyn Store>) -> Self {
        Self { hub, store, heroes: None, meals: None, gathered: GatheredNews::default() }
    }

    /// Reads once; a failed read is repeated later, and the store logs it. Called before any socket
    /// joins, it finds the position from which changes are read.
    pub async fn read(&mut self) {
        self.read_meals().await;
        self.read_heroes().await;
    }

    /// Reads and sends until `stop`.
    pub async fn follow(mut self, stop: CancellationToken) {
        let (hub, gathered) = (self.hub.clone(), self.gathered.clone());
        let read = async {
            let mut reads = 0;
            loop {
                let is_told = timeout(EVERY, self.hub.menu_change()).await.is_ok();
                reads = if is_told { reads + 1 } else { 0 };
                self.read().await;
                if reads > BURST {
                    sleep(PAUSE).await;
                }
            }
        };
        let send = async {
            loop {
                // Without sockets nobody was sent anything, and the next frame need not wait.
                if hub.deliver_menu(gathered.next().await).await > 0 {
                    sleep(EVERY).await;
                }
            }
        };
        stop.run_until_cancelled(async { tokio::join!(read, send) }).await;
    }

    async fn read_heroes(&mut self) {
        let (mut after, mut position) = (None::<HeroId>, None);
        loop {
            let since = self.heroes.as_ref();
            let read = self.store.heroes().changed_since(since, after, HEROES).await;
            let Ok(MenuChanges { changed, deleted, position: now, .. }) = read else { return };
            self.hub.deliver_heroes(&changed).await;
            // Of the first read: what changes while the others run is read once more.
            position.get_or_insert(now);
            if changed.len() + deleted.len() < HEROES {
                break;
            }
            let last = changed.last().map(Resource::id);
            after = last.max(deleted.last().copied());
        }
        self.heroes = position;
    }

    async fn read_meals(&mut self) {
        let is_first = self.meals.is_none();
        let read = self.store.meals().changed_since(self.meals.as_ref(), None, MEALS + 1).await;
        let Ok(MenuChanges { changed, deleted, position, is_lost }) = read else { return };
        self.meals = Some(position);
        self.gathered.add(|news| {
            // Sockets may have joined before the first position, if the database was away.
            if is_lost || (is_first && self.hub.count() > 0) {
                news.lose();
            }
            news.add(changed.iter().map(|meal| meal.id), deleted);
        });
    }
}

impl GatheredNews {
    fn add(&self, add: impl FnOnce(&mut MenuNews)) {
        let (news, filled) = &*self.0;
        let mut news = news.lock().unwrap_or_else(PoisonError::into_inner);
        add(&mut news);
        if !news.is_empty() {
            filled.notify_one();
        }
    }

    /// Waits for changes, and takes them.
    async fn next(&self) -> MenuNews {
        let (news, filled) = &*self.0;
        loop {
            let taken = std::mem::take(&mut *news.lock().unwrap_or_else(PoisonError::into_inner));
            if !taken.is_empty() {
                return taken;
            }
            filled.notified().await;
        }
    }
}
