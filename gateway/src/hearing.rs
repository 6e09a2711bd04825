//! How well this gateway hears what others publish, and what that makes of its readiness.
//!
//! Told by the subscription and by the census, asked by `/readyz`. A gateway that is deaf while
//! others hear takes no traffic: they push what it would miss. When none hears, Redis is away for
//! all, and placing goes on at each of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use galley_protocol::PublisherId;
use galley_store::Census;
use tokio::time::Instant;

/// How long a gateway has been deaf before a census that judges it: by then the others have noticed
/// as well if they are deaf.
const NOTICED: Duration = Duration::from_millis(1_500);

/// The state of this gateway's subscription.
#[derive(Clone, Debug, Default)]
pub struct Hearing(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// There is no subscription yet.
    unsubscribed: bool,
    /// The bus did not answer when it was asked last, or a subscription is cut.
    cut: bool,
    deaf_since: Option<Instant>,
    /// Others heard at the last census, and how long this gateway had been deaf by then.
    others: Option<Duration>,
    unheard: Option<Unheard>,
}

/// Publishers that live, as the database knows, and are not heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unheard {
    /// How many.
    pub publishers: usize,
    /// Since when the first of them is not heard.
    pub since: Instant,
}

/// How well a gateway hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It hears.
    Hearing,
    /// It is deaf, and so are all others, as far as is known.
    AllDeaf,
    /// It is deaf, and others hear.
    Deaf,
}

impl Hearing {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a subscription, or that none can be had.
    pub fn set_subscribed(&self, subscribed: bool) {
        let mut state = self.state();
        state.unsubscribed = !subscribed;
        state.judge();
    }

    /// Takes note of the answer of the bus, which fails while a subscription is cut.
    pub fn set_answers(&self, answers: bool) {
        let mut state = self.state();
        state.cut = !answers;
        state.judge();
    }

    /// Takes note of a census that has just been taken.
    pub fn count(&self, census: &Census, own: PublisherId) {
        let mut state = self.state();
        let deaf_for = state.deaf_since.map(|since| since.elapsed());
        let others = census.hearing.iter().any(|publisher| *publisher != own);
        state.others = deaf_for.filter(|_| others);
    }

    /// Takes note of living publishers that are not heard.
    pub fn set_unheard(&self, unheard: Option<Unheard>) {
        self.state().unheard = unheard;
    }

    /// Returns the living publishers that are not heard.
    #[must_use]
    pub fn unheard(&self) -> Option<Unheard> {
        self.state().unheard
    }

    /// Judges how well this gateway hears, compared with the others.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let state = self.state();
        match (state.deaf_since, state.others) {
            (None, _) => Verdict::Hearing,
            (Some(_), Some(deaf_for)) if deaf_for >= NOTICED => Verdict::Deaf,
            (Some(_), _) => Verdict::AllDeaf,
        }
    }
}

impl State {
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

    use super::{Hearing, NOTICED, Verdict};

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
        let (hearing, own) = (Hearing::default(), publisher(1));
        assert_eq!(hearing.verdict(), Verdict::Hearing);
        hearing.set_answers(false);
        hearing.count(&census(&[2]), own);
        assert_eq!(hearing.verdict(), Verdict::AllDeaf, "the other may be about to notice");
        advance(NOTICED).await;
        assert_eq!(hearing.verdict(), Verdict::AllDeaf, "that census is from before");
        hearing.count(&census(&[2]), own);
        assert_eq!(hearing.verdict(), Verdict::Deaf);
        hearing.count(&census(&[1]), own);
        assert_eq!(hearing.verdict(), Verdict::AllDeaf, "nobody else hears");
        hearing.set_answers(true);
        assert_eq!(hearing.verdict(), Verdict::Hearing);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_not_subscribed_is_deaf_although_the_bus_answers() {
        let hearing = Hearing::default();
        hearing.set_subscribed(false);
        hearing.set_answers(true);
        advance(Duration::from_mins(1)).await;
        assert!(hearing.state().deaf_since.is_some());
        hearing.set_subscribed(true);
        assert!(hearing.state().deaf_since.is_none());
    }
}
