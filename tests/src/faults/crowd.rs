//! The clients of a round: heroes who order, each with two sockets, browsers of some of them, and
//! staff who watch.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::actor::Actor;
use super::auditor::{AuditedChange, AuditedChanges, audit};
use super::browser::Browser;
use super::hero_listener::{Habit, HeroListener};
use super::known_orders::KnownOrders;
use super::record::{Cast, RecordedEvent, Recorder};
use super::staff_watcher::StaffWatcher;
use super::stored::{self, StoredOrder};
use crate::TestClient;

const HEROES: usize = 10;
const LISTENERS_OF_EACH: usize = 2;
/// The number of heroes that also have a browser.
const BROWSERS: usize = 6;
/// The number of staff sockets, and of staff browsers.
const WATCHERS: usize = 2;
/// The differences that are reported when the crowd does not become quiet; more are left out.
const MAX_TOLD: usize = 10;
/// The polling interval of the crowd.
const LOOK: Duration = Duration::from_millis(100);

/// Clients at work.
#[derive(Debug)]
pub struct ClientCrowd {
    listeners: Vec<HeroListener>,
    browsers: Vec<Browser>,
    watchers: Vec<StaffWatcher>,
    changes: AuditedChanges,
    listening: JoinSet<()>,
    acting: JoinSet<()>,
    calm: watch::Sender<bool>,
    recorder: Recorder,
}

impl ClientCrowd {
    /// Creates heroes and meals, and starts the clients.
    pub async fn begin(gateways: &[String], database: &str, recorder: Recorder, seed: u64) -> Self {
        let scene = set_scene(&TestClient::new(&gateways[0])).await;
        recorder.note(RecordedEvent::Scene(scene.clone()));
        let (calm, until_calm) = watch::channel(false);
        let habit =
            Habit { gateways: Arc::from(gateways), recorder: recorder.clone(), calm: until_calm };
        let (listening, acting) = (JoinSet::new(), JoinSet::new());
        let (browsers, watchers, changes) = (Vec::new(), Vec::new(), AuditedChanges::default());
        let mut crowd = Self {
            listeners: Vec::new(),
            browsers,
            watchers,
            changes,
            listening,
            acting,
            calm,
            recorder,
        };
        crowd.gather_staff(&scene, &habit);
        crowd.listening.spawn(audit(
            database.to_owned(),
            crowd.recorder.clone(),
            crowd.changes.clone(),
        ));
        for (at, hero) in scene.heroes.iter().enumerate() {
            for turn in 0..LISTENERS_OF_EACH {
                let number = at * LISTENERS_OF_EACH + turn;
                let (listener, task) = HeroListener::new(
                    number,
                    *hero,
                    habit.clone(),
                    seed.wrapping_add(number as u64),
                );
                crowd.listening.spawn(task);
                if turn == 0 {
                    let actor = Actor::new(
                        &scene,
                        listener.clone(),
                        habit.clone(),
                        !seed.wrapping_add(number as u64),
                    );
                    crowd.acting.spawn(actor.run());
                }
                crowd.listeners.push(listener);
            }
        }
        crowd
    }

    /// Starts browsers and watchers, numbered after the sockets of the heroes.
    fn gather_staff(&mut self, scene: &Cast, habit: &Habit) {
        let heroes = scene.heroes.iter().take(BROWSERS).copied().map(Some);
        let mut numbers = HEROES * LISTENERS_OF_EACH..;
        for (hero, number) in heroes.chain([None; WATCHERS]).zip(&mut numbers) {
            let (browser, task) = Browser::new(number, hero, habit.clone());
            self.browsers.push(browser);
            self.listening.spawn(task);
        }
        for number in numbers.take(WATCHERS) {
            let (watcher, task) = StaffWatcher::new(number, habit.clone());
            self.watchers.push(watcher);
            self.listening.spawn(task);
        }
    }

    /// Stops new requests; those under way are finished.
    pub fn calm_down(&self) {
        self.calm.send_replace(true);
        self.recorder.note(RecordedEvent::Mended);
    }

    /// Waits until no request is unanswered, no order is open, and each listener knows the same as
    /// the database. Returns the time that it took.
    ///
    /// # Errors
    /// The remaining differences at the end of this time.
    pub async fn become_quiet(
        &mut self,
        database: &str,
        patience: Duration,
    ) -> Result<Duration, String> {
        let began = Instant::now();
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut amiss = "the heroes wait for answers".to_owned();
        let quiet = timeout(patience, async {
            while self.acting.join_next().await.is_some() {}
            loop {
                looks.tick().await;
                match stored::read(database).await {
                    Ok(orders) => match self.unrest(&orders) {
                        Some(unrest) => amiss = unrest,
                        None => return,
                    },
                    Err(error) => amiss = error.to_string(),
                }
            }
        });
        quiet.await.map_err(|_| amiss)?;
        self.recorder.note(RecordedEvent::Quiet);
        Ok(began.elapsed())
    }

    fn unrest(&self, orders: &[StoredOrder]) -> Option<String> {
        let open = orders
            .iter()
            .filter(|order| order.is_open())
            .map(|order| format!("order {} is open", order.id));
        let sockets = self
            .listeners
            .iter()
            .flat_map(|listener| differences(orders, listener.hero, &listener.picture()));
        let browsers =
            self.browsers.iter().flat_map(|browser| match (browser.hero, browser.knowledge()) {
                (Some(hero), knowledge) if !knowledge.is_lost => {
                    differences(orders, hero, &knowledge.picture)
                }
                _ => Vec::new(),
            });
        let changes = self.changes.newest();
        let feeds = changes.iter().filter_map(|(order, AuditedChange { version, since_us })| {
            let by_socket = self
                .watchers
                .iter()
                .any(|watcher| watcher.view().lacks(*order, *version, *since_us));
            let by_stream = self.browsers.iter().any(|browser| {
                let knowledge = browser.knowledge();
                browser.hero.is_none()
                    && !knowledge.is_lost
                    && knowledge.feed.lacks(*order, *version, *since_us)
            });
            (by_socket || by_stream)
                .then(|| format!("version {version} of order {order} is not in a feed"))
        });
        let feeds: Vec<String> = feeds.take(MAX_TOLD).collect();
        let unrest: Vec<String> =
            open.chain(sockets).chain(browsers).chain(feeds).take(MAX_TOLD).collect();
        (!unrest.is_empty()).then(|| unrest.join("\n"))
    }
}

/// The differences between a hero's orders and a client's knowledge of them.
fn differences(orders: &[StoredOrder], hero: i64, known: &KnownOrders) -> Vec<String> {
    let own: Vec<&StoredOrder> = orders.iter().filter(|order| order.hero == hero).collect();
    known.differences(&own)
}

async fn set_scene(client: &TestClient) -> Cast {
    let mut scene = Cast {
        heroes: Vec::new(),
        meal: client.create_meal("Soup", &["water"]).await,
        forbidden: client.create_meal("Cake", &["flour", "nut"]).await,
    };
    for number in 0..HEROES {
        scene.heroes.push(client.create_hero(&format!("Hero {number}"), &["nut"]).await);
    }
    scene
}
