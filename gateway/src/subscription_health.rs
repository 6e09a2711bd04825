//! The state of this gateway's subscription, and its effect on readiness.
//!
//! The subscription and the census set it; `/readyz` reads it. A gateway that receives no updates
//! is called deaf. If it is deaf while others receive updates, it is not ready: clients are better
//! served by the others. If all are deaf, Redis is unreachable for all, and each of them goes on
//! taking orders.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use galley_protocol::PublisherId;
use galley_store::Census;
use tokio::time::Instant;

/// Minimum duration of deafness, at the moment of a census, before the others are compared: within
/// this time the others would have noticed that they are deaf as well.
const NOTICED: Duration = Duration::from_millis(1_500);

#[derive(Clone, Debug, Default)]
pub struct SubscriptionHealth(Arc<Mutex<ReceptionState>>);

#[derive(Debug, Default)]
struct ReceptionState {
    /// True while there is no subscription.
    unsubscribed: bool,
    /// True if the bus did not answer last, or a subscription is cut.
    cut: bool,
    deaf_since: Option<Instant>,
    /// How long this gateway had been deaf at the last census, if other gateways received updates
    /// then.
    others: Option<Duration>,
    unheard: Option<UnheardSince>,
}

/// Publishers that live according to the database, but from which nothing is received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnheardSince {
    pub publishers: usize,
    /// The moment at which the first of them fell silent.
    pub since: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reception {
    Receiving,
    /// It receives none, nor is any other gateway known to.
    AllDeaf,
    /// It receives none, while others do.
    Deaf,
}

impl SubscriptionHealth {
    fn state(&self) -> MutexGuard<'_, ReceptionState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set_subscribed(&self, subscribed: bool) {
        let mut state = self.state();
        state.unsubscribed = !subscribed;
        state.judge();
    }

    /// Records whether the bus answers. It counts as not answering while a subscription is cut.
    pub fn set_answers(&self, answers: bool) {
        let mut state = self.state();
        state.cut = !answers;
        state.judge();
    }

    pub fn count(&self, census: &Census, own: PublisherId) {
        let mut state = self.state();
        let deaf_for = state.deaf_since.map(|since| since.elapsed());
        let others = census.hearing.iter().any(|publisher| *publisher != own);
        state.others = deaf_for.filter(|_| others);
    }

    pub fn set_unheard(&self, unheard: Option<UnheardSince>) {
        self.state().unheard = unheard;
    }

    #[must_use]
    pub fn unheard(&self) -> Option<UnheardSince> {
        self.state().unheard
    }

    #[must_use]
    pub fn verdict(&self) -> Reception {
        let state = self.state();
        match (state.deaf_since, state.others) {
            (None, _) => Reception::Receiving,
            (Some(_), Some(deaf_for)) if deaf_for >= NOTICED => Reception::Deaf,
            (Some(_), _) => Reception::AllDeaf,
        }
    }
}

impl ReceptionState {
    fn judge(&mut self) {
        if !(self.unsubscribed || self.cut) {
            (self.deaf_since, self.others) = (None, None);
        } else if self.deaf_since.is_none() {
            self.deaf_since = Some(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use galley_protocol::PublisherId;
    use galley_store::Census;
    use tokio::time::advance;

    use super::{NOTICED, Reception, SubscriptionHealth};

    fn publisher(number: i32) -> PublisherId {
        PublisherId::new(number).expect("a number of a publisher")
    }

    fn census(hearing: &[i32]) -> Census {
        let safe = "r1.1.1".parse().expect("a cursor");
        Census {
            living: BTreeSet::new(),
            hearing: hearing.iter().copied().map(publisher).collect(),
            safe,
            next: 1,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_gateway_is_judged_deaf_when_others_had_time_to_notice_and_still_hear() {
        let (hearing, own) = (SubscriptionHealth::default(), publisher(1));
        assert_eq!(hearing.verdict(), Reception::Receiving);
        hearing.set_answers(false);
        hearing.count(&census(&[2]), own);
        assert_eq!(hearing.verdict(), Reception::AllDeaf, "the other may be about to notice");
        advance(NOTICED).await;
        assert_eq!(hearing.verdict(), Reception::AllDeaf, "that census is from before");
        hearing.count(&census(&[2]), own);
        assert_eq!(hearing.verdict(), Reception::Deaf);
        hearing.count(&census(&[1]), own);
        assert_eq!(hearing.verdict(), Reception::AllDeaf, "nobody else receives");
        hearing.set_answers(true);
        assert_eq!(hearing.verdict(), Reception::Receiving);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_not_subscribed_is_deaf_although_the_bus_answers() {
        let hearing = SubscriptionHealth::default();
        hearing.set_subscribed(false);
        hearing.set_answers(true);
        advance(Duration::from_mins(1)).await;
        assert!(hearing.state().deaf_since.is_some());
        hearing.set_subscribed(true);
        assert!(hearing.state().deaf_since.is_none());
    }
}
