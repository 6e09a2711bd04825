//! The names of keys and channels in Redis, and the shard of each order and hero.

use std::sync::Arc;

use galley_protocol::{HeroId, OrderId};

/// The consumer group of all workers.
pub(super) const GROUP: &str = "workers";

/// The field of an entry that holds the order's id.
pub(super) const FIELD: &str = "o";
/// The field with the span that placed the order, of an entry whose trace is recorded.
pub(super) const TRACE_FIELD: &str = "traceparent";

/// The hash tag of the only shard of one server.
const ONE_TAG: [&str; 1] = ["00"];

/// The hash tags of the shards of a cluster. Each lies in the middle of its sixteenth of the slots,
/// so that the shards spread evenly over masters with equal ranges of slots. All versions of Galley
/// must use the same.
const CLUSTER_TAGS: [&str; 16] = [
    "18", "36", "83", "58", "19", "20", "95", "59", "09", "34", "81", "49", "08", "22", "97", "48",
];

/// The number of slots of every Redis Cluster.
const SLOTS: u16 = 16_384;

/// The names under one namespace.
#[derive(Clone, Debug)]
pub(super) struct RedisNames {
    namespace: Arc<str>,
    tags: &'static [&'static str],
}

impl RedisNames {
    /// Creates the names: one shard for one server, 16 for a cluster.
    pub(super) fn new(namespace: &str, cluster: bool) -> Self {
        Self { namespace: namespace.into(), tags: if cluster { &CLUSTER_TAGS } else { &ONE_TAG } }
    }

    /// Returns every shard.
    pub(super) fn shards(&self) -> impl Iterator<Item = u16> + use<> {
        0..self.count()
    }

    /// Returns the shard for the entries of an order.
    pub(super) fn shard_of_order(&self, id: OrderId) -> u16 {
        self.shard(id.get())
    }

    /// Returns the shard for the updates of a hero.
    pub(super) fn shard_of_hero(&self, id: HeroId) -> u16 {
        self.shard(id.get())
    }

    /// Returns the stream of a shard.
    pub(super) fn stream(&self, shard: u16) -> String {
        format!("{}:orders:{{{}}}", self.namespace, self.tag(shard))
    }

    /// Returns the channel of a shard.
    pub(super) fn channel(&self, shard: u16) -> String {
        format!("{}:updates:{{{}}}", self.namespace, self.tag(shard))
    }

    /// Returns the slot of a shard's stream and channel in a cluster. It depends on the hash tag
    /// alone.
    pub(super) fn slot(&self, shard: u16) -> u16 {
        crc16::State::<crc16::XMODEM>::calculate(self.tag(shard).as_bytes()) % SLOTS
    }

    /// Returns the command that publishes on a channel.
    pub(super) fn publish(&self) -> &'static str {
        if self.is_cluster() { "SPUBLISH" } else { "PUBLISH" }
    }

    /// Returns the command that subscribes to a channel.
    pub(super) fn subscribe(&self) -> &'static str {
        if self.is_cluster() { "SSUBSCRIBE" } else { "SUBSCRIBE" }
    }

    /// Returns true if this number of shards is enough to start: a majority.
    pub(super) fn suffice(&self, shards: usize) -> bool {
        2 * shards > self.tags.len()
    }

    fn is_cluster(&self) -> bool {
        self.tags.len() > 1
    }

    fn tag(&self, shard: u16) -> &'static str {
        self.tags[usize::from(shard)]
    }

    fn count(&self) -> u16 {
        u16::try_from(self.tags.len()).expect("the tables are short")
    }

    fn shard(&self, id: i64) -> u16 {
        u16::try_from(id.rem_euclid(self.count().into()))
            .expect("a remainder is below the number of shards")
    }
}

#[cfg(test)]
mod tests {
    use galley_protocol::{HeroId, OrderId};

    use super::{RedisNames, SLOTS};

    #[test]
    fn a_shard_is_a_hash_tag_of_two_digits() {
        let one = RedisNames::new("galley:v1", false);
        assert_eq!(one.stream(0), "galley:v1:orders:{00}");
        assert_eq!(one.shard_of_order(OrderId::new(31).expect("an id")), 0);
        // The value is that of CLUSTER KEYSLOT.
        assert_eq!(one.slot(0), 13_254);
        let cluster = RedisNames::new("galley:v1", true);
        assert_eq!(cluster.shards().count(), 16);
        assert_eq!(
            cluster.channel(cluster.shard_of_hero(HeroId::new(31).expect("an id"))),
            "galley:v1:updates:{48}"
        );
    }

    /// Cuts the slots as `redis-cli --cluster create` does.
    #[test]
    fn the_shards_spread_evenly_over_masters_with_equal_ranges() {
        let names = RedisNames::new("galley:v1", true);
        for masters in (1_u16..=12).chain([16]) {
            let mut shards = vec![0_u16; usize::from(masters)];
            for shard in names.shards() {
                let range = u32::from(names.slot(shard)) * u32::from(masters) / u32::from(SLOTS);
                shards[range as usize] += 1;
            }
            let (least, most) = (shards.iter().min(), shards.iter().max());
            assert!(most <= least.map(|least| least + 1).as_ref(), "{masters}: {shards:?}");
        }
    }
}
