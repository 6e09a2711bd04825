//! The names of keys and channels in Redis, and the shard of each order and hero.

use std::sync::Arc;

use galley_protocol::{HeroId, OrderId};

/// The consumer group of all workers.
pub(super) const GROUP: &str = "workers";

/// The field of an entry that holds the order's id.
pub(super) const FIELD: &str = "o";

const CLUSTER_SHARDS: u16 = 16;

/// The number of slots of every Redis Cluster.
const SLOTS: u16 = 16_384;

/// The names under one namespace.
#[derive(Clone, Debug)]
pub(super) struct RedisNames {
    namespace: Arc<str>,
    shards: u16,
}

impl RedisNames {
    /// Creates the names: one shard for one server, 16 for a cluster.
    pub(super) fn new(namespace: &str, cluster: bool) -> Self {
        Self { namespace: namespace.into(), shards: if cluster { CLUSTER_SHARDS } else { 1 } }
    }

    /// Returns every shard.
    pub(super) fn shards(&self) -> impl Iterator<Item = u16> + use<> {
        0..self.shards
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
        format!("{}:orders:{{{shard:02}}}", self.namespace)
    }

    /// Returns the channel of a shard.
    pub(super) fn channel(&self, shard: u16) -> String {
        format!("{}:updates:{{{shard:02}}}", self.namespace)
    }

    /// Returns the slot of a shard's stream and channel in a cluster. It depends on the hash tag
    /// alone.
    pub(super) fn slot(shard: u16) -> u16 {
        crc16::State::<crc16::XMODEM>::calculate(format!("{shard:02}").as_bytes()) % SLOTS
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
        2 * shards > self.shards.into()
    }

    fn is_cluster(&self) -> bool {
        self.shards > 1
    }

    fn shard(&self, id: i64) -> u16 {
        u16::try_from(id.rem_euclid(self.shards.into()))
            .expect("a remainder is below the number of shards")
    }
}

#[cfg(test)]
mod tests {
    use galley_protocol::{HeroId, OrderId};

    use super::RedisNames;

    #[test]
    fn a_shard_is_a_hash_tag_of_two_digits() {
        let one = RedisNames::new("galley:v1", false);
        assert_eq!(one.stream(0), "galley:v1:orders:{00}");
        assert_eq!(one.shard_of_order(OrderId::new(31).expect("an id")), 0);
        // The values are those of CLUSTER KEYSLOT.
        assert_eq!([0, 1, 15].map(RedisNames::slot), [13_254, 9_191, 4_178]);
        let cluster = RedisNames::new("galley:v1", true);
        assert_eq!(cluster.shards().count(), 16);
        assert_eq!(
            cluster.channel(cluster.shard_of_hero(HeroId::new(31).expect("an id"))),
            "galley:v1:updates:{15}"
        );
    }
}
