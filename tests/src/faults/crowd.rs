//! The clients of a round: heroes who order, each with two listeners.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::actor::Actor;
use super::listener::{Habit, Listener};
use super::record::{Event, Recorder, Scene};
use super::stored::{self, StoredOrder};
use crate::Client;

const HEROES: usize = 10;
const LISTENERS_OF_EACH: usize = 2;
/// The differences that are told when the crowd does not become quiet; more are left out.
const MAX_TOLD: usize = 10;
/// How often to look whether the crowd is quiet.
const LOOK: Duration = Duration::from_millis(100);

/// Clients at work.
#[derive(Debug)]
pub struct Crowd {
    listeners: Vec<Listener>,
    listening: JoinSet<()>,
    acting: JoinSet<()>,
    calm: watch::Sender<bool>,
    recorder: Recorder,
}

impl Crowd {
    /// Creates heroes and meals, and lets the clients begin.
    pub async fn begin(gateways: &[String], recorder: Recorder, seed: u64) -> Self {
        let scene = set_scene(&Client::new(&gateways[0])).await;
        recorder.note(Event::Scene(scene.clone()));
        let (calm, until_calm) = watch::channel(false);
        let habit = Habit { gateways: Arc::from(gateways), recorder: recorder.clone(), calm: until_calm };
        let mut crowd = Self { listeners: Vec::new(), listening: JoinSet::new(), acting: JoinSet::new(), calm, recorder };
        for (at, hero) in scene.heroes.iter().enumerate() {
            for turn in 0..LISTENERS_OF_EACH {
                let number = at * LISTENERS_OF_EACH + turn;
                let (listener, task) = Listener::new(number, *hero, habit.clone(), seed.wrapping_add(number as u64));
                crowd.listening.spawn(task);
                if turn == 0 {
                    let actor = Actor::new(&scene, listener.clone(), habit.clone(), !seed.wrapping_add(number as u64));
                    crowd.acting.spawn(actor.run());
                }
                crowd.listeners.push(listener);
            }
        }
        crowd
    }

    /// Nothing new is begun from now on; what was begun comes to its end.
    pub fn calm_down(&self) {
        self.calm.send_replace(true);
        self.recorder.note(Event::Mended);
    }

    /// Waits until nobody waits for an answer, no order is open, and each listener knows what the database knows: how long that
    /// took.
    ///
    /// # Errors
    /// What is still amiss at the end of this time.
    pub async fn become_quiet(&mut self, database: &str, patience: Duration) -> Result<Duration, String> {
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
        self.recorder.note(Event::Quiet);
        Ok(began.elapsed())
    }

    fn unrest(&self, orders: &[StoredOrder]) -> Option<String> {
        let open = orders.iter().filter(|order| order.is_open()).map(|order| format!("order {} is open", order.id));
        let different = self.listeners.iter().enumerate().flat_map(|(number, listener)| {
            let own: Vec<&StoredOrder> = orders.iter().filter(|order| order.hero == listener.hero).collect();
            let differences = listener.picture().differences(&own);
            differences.into_iter().map(move |difference| format!("listener {number}: {difference}"))
        });
        let unrest: Vec<String> = open.chain(different).take(MAX_TOLD).collect();
        (!unrest.is_empty()).then(|| unrest.join("\n"))
    }
}

async fn set_scene(client: &Client) -> Scene {
    let mut scene = Scene {
        heroes: Vec::new(),
        meal: client.create_meal("Soup", &["water"]).await,
        forbidden: client.create_meal("Cake", &["flour", "nut"]).await,
    };
    for number in 0..HEROES {
        scene.heroes.push(client.create_hero(&format!("Hero {number}"), &["nut"]).await);
    }
    scene
}
