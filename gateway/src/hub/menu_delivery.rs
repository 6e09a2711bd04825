//! The delivery of changed heroes and of changes of the menu to the outboxes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use galley_protocol::frame::ServerFrame;
use galley_protocol::{Hero, MealId};
use tokio::time::{Instant, sleep};

use super::shard::Shard;
use super::{Hub, Outbox, ResourceFrame, TICK};
use crate::metrics;

/// The most meals that a menu frame names. Beyond it, the frame says that all may have changed.
const MAX_NAMED: usize = 1_000;

/// The meals that changed since the last menu frame.
#[derive(Debug, Default, PartialEq)]
pub struct MenuNews {
    changed: BTreeSet<MealId>,
    deleted: BTreeSet<MealId>,
    /// Too many changed, or nobody knows which; the lists are empty then.
    all: bool,
}

impl MenuNews {
    /// Adds changes that are later than those that it has.
    pub fn add(
        &mut self,
        changed: impl IntoIterator<Item = MealId>,
        deleted: impl IntoIterator<Item = MealId>,
    ) {
        if self.all {
            return;
        }
        self.changed.extend(changed);
        for id in deleted {
            self.changed.remove(&id);
            self.deleted.insert(id);
        }
        if self.changed.len() + self.deleted.len() > MAX_NAMED {
            self.lose();
        }
    }

    /// Notes that anything may have changed.
    pub fn lose(&mut self) {
        *self = Self { all: true, ..Self::default() };
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn into_frame(self) -> ResourceFrame {
        let Self { changed, deleted, all } = self;
        let (changed, deleted) = (Vec::from_iter(changed), Vec::from_iter(deleted));
        ResourceFrame::new(&ServerFrame::Menu { changed, deleted, all })
    }
}

impl Hub {
    /// Sends each hero to its own sockets and event streams.
    pub async fn deliver_heroes(&self, heroes: &[Hero]) {
        for hero in heroes {
            let shards = self.shards_of(hero.id);
            if !shards.is_empty() {
                let frame = ResourceFrame::new(&ServerFrame::Hero { hero });
                self.push_paced(shards, &frame, |outbox| outbox.push_hero(hero.version, &frame))
                    .await;
            }
        }
    }

    /// Sends the changes of the menu to every socket and event stream. Returns their number.
    pub async fn deliver_menu(&self, news: MenuNews) -> usize {
        let frame = news.into_frame();
        let merged = MenuNews { all: true, ..MenuNews::default() }.into_frame();
        self.push_paced(self.shards(), &frame, |outbox| outbox.push_menu(&frame, &merged)).await
    }

    /// Pushes a frame to every outbox of these shards, each shard in its turn among the writers. It
    /// pauses as long as it has worked, so that however many sockets there are, order frames are
    /// hardly later.
    async fn push_paced(
        &self,
        shards: Vec<Arc<Shard>>,
        frame: &ResourceFrame,
        push: impl Fn(&Outbox) -> bool,
    ) -> usize {
        let (mut sockets, mut worked) = (0, Duration::ZERO);
        for shard in shards {
            let turn = self.0.writers.acquire().await.expect("nobody closes it");
            let began = Instant::now();
            let outboxes = shard.outboxes();
            let written = outboxes.iter().filter(|outbox| push(outbox)).count();
            drop(turn);
            metrics::count_frames(written, written * frame.text.len());
            sockets += outboxes.len();
            worked += began.elapsed();
            if worked >= TICK {
                sleep(std::mem::take(&mut worked)).await;
            }
        }
        sockets
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use galley_protocol::{Hero, HeroId, HeroName, MealId, Planet, Version};
    use galley_store::CursorKeys;

    use super::super::{Hub, Membership, Out, Outbox};
    use super::{MAX_NAMED, MenuNews};

    fn meal(id: i64) -> MealId {
        MealId::new(id).expect("an id")
    }

    fn hero(version: i32) -> Hero {
        Hero {
            id: HeroId::FIRST,
            name: HeroName::accepted("Zoé".to_owned()),
            planet: Planet::accepted("Earth".to_owned()),
            allergies: Vec::new(),
            version: Version(version),
        }
    }

    fn texts(place: &Membership) -> Vec<String> {
        let out = std::iter::from_fn(|| place.outbox().try_next());
        let text = |out| {
            let Out::Resource(frame) = out else { panic!("{out:?}") };
            String::from_utf8(frame.text.to_vec()).expect("UTF-8")
        };
        out.map(text).collect()
    }

    #[test]
    fn news_are_merged_and_bounded() {
        let mut news = MenuNews::default();
        assert!(news.is_empty());
        news.add([meal(1), meal(2)], []);
        news.add([meal(3), meal(2)], [meal(1)]);
        let text = news.into_frame().text;
        assert_eq!(text, r#"{"type":"menu","changed":[2,3],"deleted":[1]}"#);
        let most = i64::try_from(MAX_NAMED).expect("few");
        let mut news = MenuNews::default();
        news.add((1..=most).map(meal), []);
        assert!(!news.all);
        news.add([], [meal(most + 1)]);
        news.add([meal(1)], []);
        let text = news.into_frame().text;
        assert_eq!(text, r#"{"type":"menu","changed":[],"deleted":[],"all":true}"#);
    }

    #[tokio::test]
    async fn a_hero_is_sent_to_its_own_sockets_and_never_an_older_version_after_a_newer_one() {
        let hub = Hub::new(CursorKeys::default());
        let join = |id| {
            let outbox = Arc::new(Outbox::new(1_000));
            hub.join(id, usize::MAX, outbox).expect("room")
        };
        let [own, welcomed] = [join(Some(HeroId::FIRST)), join(Some(HeroId::FIRST))];
        let [other, staff] = [join(HeroId::new(2).ok()), join(None)];
        hub.deliver_heroes(&[hero(2)]).await;
        welcomed.outbox().know_hero(Version(3));
        hub.deliver_heroes(&[hero(1), hero(2)]).await;
        assert_eq!((texts(&own).len(), texts(&welcomed).len()), (1, 0));
        hub.deliver_heroes(&[hero(3), hero(4)]).await;
        for place in [&own, &welcomed] {
            let newest = texts(place);
            assert!(newest.len() == 1 && newest[0].contains(r#""version":4"#), "{newest:?}");
        }
        welcomed.outbox().know_hero(Version(2));
        assert!(texts(&other).is_empty() && texts(&staff).is_empty());
    }

    #[tokio::test]
    async fn everybody_is_sent_the_menu_and_a_slow_socket_is_sent_one_frame() {
        let hub = Hub::new(CursorKeys::default());
        let join = |id| hub.join(id, usize::MAX, Arc::new(Outbox::new(1_000))).expect("room");
        let [hero, staff] = [join(Some(HeroId::FIRST)), join(None)];
        let news = |id| {
            let mut news = MenuNews::default();
            news.add([meal(id)], []);
            news
        };
        assert_eq!(hub.deliver_menu(news(1)).await, 2);
        assert_eq!(texts(&hero), [r#"{"type":"menu","changed":[1],"deleted":[]}"#]);
        hub.deliver_menu(news(2)).await;
        let merged = r#"{"type":"menu","changed":[],"deleted":[],"all":true}"#;
        assert_eq!(texts(&staff), [merged]);
        assert_eq!(texts(&hero), [r#"{"type":"menu","changed":[2],"deleted":[]}"#]);
    }
}
